"""`!form`: show what is answered and what is missing."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.intake import Intake
from bot.services.turn import Cases, Turn


def command(cases: Cases, intake: Intake) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.ANSWER)
        await intake.form(turn, case)

    return Command(
        verb="form",
        names={Language.FR: ("formulaire",), Language.NL: ("formulier",), Language.DE: ("formular",)},
        args=(Arg("case", ArgKind.CASE, required=False),),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
