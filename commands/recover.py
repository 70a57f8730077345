"""`!recover 123456`: come back with a new phone or a new Element identity."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.recover(turn, words.origin, words["code"] or None)

    return Command(
        verb="recover",
        names={Language.FR: ("récupérer",), Language.NL: ("herstel",), Language.DE: ("wiederherstellen",)},
        args=(Arg("code", ArgKind.CODE, required=False),),
        group="everyone",
        need=Need.PINNED,
        run=run,
    )
