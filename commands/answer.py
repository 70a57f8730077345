"""`!answer TEXT`: answer the question that is open: of the form, of the experts, or a follow-up."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import State, Step
from bot.services.handover import Handover
from bot.services.intake import Intake
from bot.services.opinions import Opinions
from bot.services.turn import Cases, Turn


def command(cases: Cases, intake: Intake, opinions: Opinions, handover: Handover) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.ANSWER)
        if case.state is State.COLLECTING:
            await intake.answered(turn, case, words["text"])
        elif case.state in (State.DELIVERED, State.CLOSED):
            await handover.reply(turn, case, words["text"])
        else:
            await opinions.answer(turn, case, words["text"])

    return Command(
        verb="answer",
        names={Language.FR: ("répondre", "réponse"), Language.NL: ("antwoord",), Language.DE: ("antworten",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("text", ArgKind.REST),
        ),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
