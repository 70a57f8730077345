"""`!remove N`: take a document out before submission."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.errors import Refusal
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.intake import Intake
from bot.services.turn import Cases, Turn


def command(cases: Cases, intake: Intake) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.ANSWER)
        number = words["n"]
        document = case.document(int(number)) if number.isdecimal() and len(number) < 4 else None
        if document is None:
            raise Refusal("no_such_document", n=number[:10])
        await intake.withdraw(turn, case, document)

    return Command(
        verb="remove",
        names={Language.FR: ("retirer",), Language.NL: ("verwijder",), Language.DE: ("entfernen",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("n", ArgKind.WORD),
        ),
        group="requester",
        need=Need.ANY_SESSION,
        run=run,
    )
