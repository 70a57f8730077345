"""`!admin approve @person HOW`: approve a registration, or a recovery; says how the identity was checked."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.approve(turn, UserId(words["person"]), words["text"])

    return Command(
        verb="admin approve",
        names={
            Language.FR: ("admin approuver",),
            Language.NL: ("admin goedkeuren",),
            Language.DE: ("admin genehmigen",),
        },
        args=(
            Arg("person", ArgKind.WORD),
            Arg("text", ArgKind.REST),
        ),
        group="admin",
        need=Need.SESSION,
        run=run,
    )
