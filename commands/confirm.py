"""`!confirm 123456`: prove the second factor and end the enrolment."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.confirm(turn, words.origin, words["code"])

    return Command(
        verb="confirm",
        names={Language.FR: ("confirmer",), Language.NL: ("bevestig",), Language.DE: ("bestätigen",)},
        args=(Arg("code", ArgKind.CODE),),
        group="everyone",
        need=Need.PINNED,
        run=run,
    )
