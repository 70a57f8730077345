"""`!done`: say that the experts' question is answered."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.opinions import Opinions
from bot.services.turn import Cases, Turn


def command(cases: Cases, opinions: Opinions) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.DONE)
        await opinions.done(turn, case)

    return Command(
        verb="done",
        names={Language.FR: ("terminé", "fini"), Language.NL: ("klaar",), Language.DE: ("fertig",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
