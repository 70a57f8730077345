"""`!original CASE N`: post a document as a file."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.services.overview import Overview
from bot.services.turn import Cases, Turn


def command(cases: Cases, overview: Overview) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        await overview.original(turn, await cases.about(turn, words.case_id), words["n"])

    return Command(
        verb="original",
        names={Language.FR: ("fichier",), Language.NL: ("origineel",), Language.DE: ("datei",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("n", ArgKind.WORD),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
