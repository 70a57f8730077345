"""`!admin suspend @person WHY`: take a person out of everything at once."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.suspend(turn, UserId(words["person"]), words["text"])

    return Command(
        verb="admin suspend",
        names={Language.FR: ("admin suspendre",), Language.NL: ("admin schorsen",), Language.DE: ("admin sperren",)},
        args=(
            Arg("person", ArgKind.WORD),
            Arg("text", ArgKind.REST),
        ),
        group="admin",
        need=Need.SESSION,
        run=run,
    )
