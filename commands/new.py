"""`!new LINE`: ask a line for an opinion; opens the case room."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.errors import Refusal
from bot.domain.language import Language
from bot.domain.lines import Catalogue
from bot.domain.notice import Bullets, LineName
from bot.services.intake import Intake
from bot.services.turn import Turn


def command(catalogue: Catalogue, intake: Intake) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        found = catalogue.find(words["line"][:80])
        if found.it is None:
            near = found.nearest or tuple(catalogue)
            raise Refusal("no_such_line", nearest=Bullets(tuple(LineName(line.id) for line in near)))
        await intake.new(turn, found.it)

    return Command(
        verb="new",
        names={Language.FR: ("nouveau", "nouvelle"), Language.NL: ("nieuw",), Language.DE: ("neu",)},
        args=(Arg("line", ArgKind.REST),),
        group="requester",
        need=Need.SESSION,
        run=run,
    )
