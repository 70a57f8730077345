"""`!admin reject @person WHY`: turn a registration down."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.reject(turn, UserId(words["person"]), words["text"])

    return Command(
        verb="admin reject",
        names={Language.FR: ("admin rejeter",), Language.NL: ("admin afwijzen",), Language.DE: ("admin ablehnen",)},
        args=(
            Arg("person", ArgKind.WORD),
            Arg("text", ArgKind.REST),
        ),
        group="admin",
        need=Need.SESSION,
        run=run,
    )
