"""`!language fr`: change the language of the bot."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.errors import Refusal
from bot.domain.language import Language, folded
from bot.services.enrolment import Enrolment
from bot.services.turn import Turn

_LANGUAGES = {
    "fr": Language.FR,
    "nl": Language.NL,
    "ne": Language.NL,
    "de": Language.DE,
    "du": Language.NL,
    "en": Language.EN,
    "al": Language.DE,
    "an": Language.EN,
}


def command(enrolment: Enrolment) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        wanted = _LANGUAGES.get(folded(words["language"])[:2])
        if wanted is None:
            raise Refusal("argument_wrong", verb="language", argument="language")
        await enrolment.speak(turn, wanted)

    return Command(
        verb="language",
        names={Language.FR: ("langue",), Language.NL: ("taal",), Language.DE: ("sprache",)},
        args=(Arg("language", ArgKind.WORD),),
        group="everyone",
        need=Need.NOTHING,
        run=run,
    )
