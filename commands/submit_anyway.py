"""`!submit anyway`: hand the question in although something is missing."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.intake import Intake
from bot.services.turn import Cases, Turn


def command(cases: Cases, intake: Intake) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.SUBMIT)
        await intake.submit(turn, case, anyway=True)

    return Command(
        verb="submit anyway",
        names={
            Language.FR: ("soumettre quand même",),
            Language.NL: ("toch indienen",),
            Language.DE: ("trotzdem einreichen",),
        },
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
