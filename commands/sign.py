"""`!sign 123456`: sign the draft with a fresh code."""

from bot.chat.command import Arg, ArgKind, Command, Need, Words
from bot.domain.language import Language
from bot.domain.steps import Step
from bot.services.opinions import Opinions
from bot.services.turn import Cases, Turn


def command(cases: Cases, opinions: Opinions) -> Command:
    """Build the command around what it needs."""

    async def run(turn: Turn, words: Words) -> None:
        case = await cases.about(turn, words.case_id, Step.SIGN)
        await opinions.sign(turn, case, words["code"])

    return Command(
        verb="sign",
        names={Language.FR: ("signer",), Language.NL: ("teken", "onderteken"), Language.DE: ("unterschreiben",)},
        args=(
            Arg("case", ArgKind.CASE, required=False),
            Arg("code", ArgKind.CODE),
        ),
        group="expert",
        need=Need.SESSION,
        run=run,
    )
