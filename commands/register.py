"""`!register INAMI NAME`: ask to be enrolled as a physician."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await enrolment.register(turn, words.origin, words["number"], words["name"])

    return Command(
        verb="register",
        names={Language.FR: ("inscrire", "inscription"), Language.NL: ("registreer",), Language.DE: ("registrieren",)},
        args=(
            Arg("number", ArgKind.WORD),
            Arg("name", ArgKind.REST),
        ),
        group="everyone",
        need=Need.NOTHING,
        run=run,
    )
