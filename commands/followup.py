"""`!followup CASE QUESTION`: ask one more question after the opinion."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.handover import Handover
from bot.services.turn import Cases, Turn


def command(cases: Cases, handover: Handover) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.FOLLOWUP)
        await handover.followup(turn, case, words["text"])

    return Command(
        verb="followup",
        names={
            Language.FR: ("suite", "question complémentaire"),
            Language.NL: ("vervolgvraag",),
            Language.DE: ("nachfrage",),
        },
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("text", ArgKind.REST),
        ),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
