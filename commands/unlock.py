"""`!unlock 123456`: open a session of twelve hours for this device."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.unlock(turn, words["code"])

    return Command(
        verb="unlock",
        names={Language.FR: ("déverrouiller",), Language.NL: ("ontgrendel",), Language.DE: ("entsperren",)},
        args=(Arg("code", ArgKind.CODE),),
        group="everyone",
        need=Need.ENROLLED,
        run=run,
    )
