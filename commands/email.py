"""`!email ADDRESS`: change where notices without content go."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.set_email(turn, words["address"])

    return Command(
        verb="email",
        names={Language.FR: ("courriel", "e-mail"), Language.NL: ("mailadres",), Language.DE: ("mailadresse",)},
        args=(Arg("address", ArgKind.WORD),),
        group="everyone",
        need=Need.ENROLLED,
        run=run,
    )
