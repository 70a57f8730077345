"""`!lock`: end every session."""

from bot.chat.command import Command, Need, Words
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, _words: Words) -> None:
        await enrolment.lock(turn)

    return Command(
        verb="lock",
        names={Language.FR: ("verrouiller",), Language.NL: ("vergrendel",), Language.DE: ("sperren",)},
        group="everyone",
        need=Need.ENROLLED,
        run=run,
    )
