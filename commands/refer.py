"""`!refer CASE LINE REASON`: send a case to another line."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.errors import Refusal
from bot.domain.language import Language
from bot.domain.notice import Bullets, LineName
from bot.domain.steps import Step
from bot.services.routing import Routing
from bot.services.turn import Cases, Turn


def command(cases: Cases, routing: Routing) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.REFER)
        found = cases.catalogue.find(words["line"])
        if found.it is None:
            near = found.nearest or tuple(cases.catalogue)
            raise Refusal("no_such_line", nearest=Bullets(tuple(LineName(line.id) for line in near)))
        await routing.refer(turn, case, found.it, words["text"])

    return Command(
        verb="refer",
        names={
            Language.FR: ("réorienter", "adresser"),
            Language.NL: ("doorverwijzen",),
            Language.DE: ("weiterleiten",),
        },
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("line", ArgKind.WORD),
            Arg("text", ArgKind.REST),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
