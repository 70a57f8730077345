"""How typed words become a command: no quoting, no options, the last argument is the rest verbatim."""

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import commands
from bot.chat.command import Commands, case_number, only_a_code, read_words
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId, DeviceId
from bot.services.ports import Origin

ORIGIN = Origin(device_id=DeviceId("PHONE"), ed25519="e", curve25519="c", cross_signed=True, master_key="m")
HERE = CaseId("C-2026-0001")
_NOTHING = dict.fromkeys(commands.Services.__dataclass_fields__)
ALL = Commands(
    commands.build(cast("commands.Services", SimpleNamespace(**{**_NOTHING, "cases": SimpleNamespace(catalogue=None)})))
)


def read(text: str, room_case: CaseId | None = None) -> tuple[str, CaseId | None, dict[str, str]]:
    """Return verb, case and arguments of a typed command."""
    _, words = ALL.split(text)
    found = ALL.find(words)
    assert found is not None
    given_words = read_words(found[0], found[1], room_case=room_case, origin=ORIGIN, year=2026)
    return found[0].verb, given_words.case_id, dict(given_words.values)


def refused(text: str, room_case: CaseId | None = None) -> tuple[str, object]:
    """Return code and argument of a refusal."""
    with pytest.raises(Refusal) as refusal:
        read(text, room_case)
    return refusal.value.code, refusal.value.values.get("argument")


@pytest.mark.parametrize(
    "text, room_case, verb, case, words",
    [
        ("!take C-2026-0007", None, "take", "C-2026-0007", {}),
        ("!prendre c-7", None, "take", "C-2026-0007", {}),
        ("!AVIS Prendre 2025-7", None, "take", "C-2025-0007", {}),
        ("take 7", None, "take", "C-2026-0007", {}),
        (
            "!draft ablation: l'ablation est indiquée",
            HERE,
            "draft",
            HERE,
            {"text": "ablation: l'ablation est indiquée"},
        ),
        ("!draft\nablation\n\nMotifs : x\n", HERE, "draft", HERE, {"text": "ablation\n\nMotifs : x"}),
        ("!ask 35 % de FEVG ?", HERE, "ask", HERE, {"text": "35 % de FEVG ?"}),
        ("!ask 1 seule question", HERE, "ask", HERE, {"text": "1 seule question"}),
        ("!sign 123456", HERE, "sign", HERE, {"code": "123456"}),
        ("!sign 123 456", HERE, "sign", HERE, {"code": "123456"}),
        ("!sign C-2026-0001 123\u202f456", None, "sign", HERE, {"code": "123456"}),
        ("!remove 2", HERE, "remove", HERE, {"n": "2"}),
        ("!original C-2026-0001 2", None, "original", HERE, {"n": "2"}),
        ("!submit anyway", HERE, "submit anyway", HERE, {}),
        ("!soumettre quand même", HERE, "submit anyway", HERE, {}),
        ("!soumettre\u00a0quand\u00a0meme", HERE, "submit anyway", HERE, {}),
        (
            "!bring @carl:test parce qu'il sait",
            HERE,
            "bring",
            HERE,
            {"colleague": "@carl:test", "text": "parce qu'il sait"},
        ),
        (
            "!refer C-2026-0001 dermatology --now 'quoted",
            None,
            "refer",
            HERE,
            {"line": "dermatology", "text": "--now 'quoted"},
        ),
        (
            "!register 1-23456-25-477 Dr d'Hondt",
            None,
            "register",
            None,
            {"number": "1-23456-25-477", "name": "Dr d'Hondt"},
        ),
    ],
)
def test_words_are_read_as_they_are_meant(
    text: str, room_case: CaseId | None, verb: str, case: str | None, words: dict[str, str]
) -> None:
    """In a direct chat and in the room of a case."""
    assert read(text, room_case) == (verb, case, words)


@pytest.mark.parametrize(
    "text, room_case, code",
    [
        ("!draft", HERE, ("argument_missing", "text")),
        ("!draft   \n", HERE, ("argument_missing", "text")),
        ("!bring @carl:test", HERE, ("argument_missing", "text")),
        ("!unlock", None, ("argument_missing", "code")),
        ("!unlock abc", None, ("argument_wrong", "code")),
        ("!unlock 12345", None, ("argument_wrong", "code")),
        ("!unlock 1234567", None, ("argument_wrong", "code")),
        ("!hold", None, ("argument_missing", "case")),
        ("!hold because", None, ("argument_missing", "case")),
        ("!cancel or rather not", HERE, ("words_left_over", None)),
    ],
)
def test_what_is_missing_or_wrong_is_named(text: str, room_case: CaseId | None, code: tuple[str, object]) -> None:
    """By the argument's name, to be put into the reader's language."""
    assert refused(text, room_case) == code


@pytest.mark.parametrize("word", ["123456", "", "C-", "0x41", "C-2026-0001-x", "seven", "1.5", "-1"])
def test_what_is_no_case_number_is_none(word: str) -> None:
    """Six digits are a code, never a case."""
    assert case_number(word, 2026) is None


@pytest.mark.parametrize("text", ["123456", "123 456", " 123\u00a0456\n", "123\u202f456"])
def test_six_digits_alone_are_a_code(text: str) -> None:
    """As the app shows them."""
    assert only_a_code(text) == "123456"


@pytest.mark.parametrize("text", ["12345", "1234567", "123456 please", "x123456", "12 3456"])
def test_anything_else_is_no_code(text: str) -> None:
    """Neither more nor less."""
    assert only_a_code(text) is None


@given(st.text(max_size=80))
def test_no_text_is_too_strange_to_be_split(text: str) -> None:
    """Splitting, finding and suggesting never fail."""
    mark, words = ALL.split(text)
    found = ALL.find(words)

    assert mark in (None, "!")
    assert found is None or words.endswith(found[1])
    assert len(ALL.nearest(words)) <= 3


@given(st.text(alphabet="abcdé'\u2019\u00a0\u202f «»\"\n\t:;,-0123", min_size=1, max_size=60).filter(str.strip))
def test_the_rest_of_a_message_is_verbatim(rest: str) -> None:
    """Whatever stands after the verb's one blank, but line ends at its edges."""
    assert read(f"!ask x{rest}", HERE)[2]["text"] == f"x{rest}".strip("\n")


def test_every_verb_is_suggested_for_itself_with_a_typing_error() -> None:
    """One letter less at the end still finds it, in any language."""
    unknown = [
        name
        for command in ALL.all
        for name in command.all_names()
        if len(name) > 5 and " " not in name and command.verb not in ALL.nearest(name[:-1])
    ]

    assert unknown == []
