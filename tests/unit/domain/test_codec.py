"""Effects and notices as JSON data and back."""

import json
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain import effects
from bot.domain.codec import from_json, to_json
from bot.domain.effects import CaseRoom, Say, case_of, lane
from bot.domain.ids import CaseId
from bot.domain.notice import At, Attachment, Bullets, Clinical, Label, Notice, Option, Phrase, Poll, Rows, Who, Word
from tests.unit.domain.making import BOB, NOW
from tests.unit.store.strategies import values_of

KINDS = get_args(effects.Effect)


def through_json(value: object) -> object:
    """Write a value down as text and read it back."""
    return from_json(json.loads(json.dumps(to_json(value), ensure_ascii=False)))


def a_notice() -> Notice:
    """Return a notice that holds every kind of value."""
    return Notice(
        text="dossier",
        values={
            "plain": "l\u2019été",
            "number": 3,
            "nothing": None,
            "at": At(NOW),
            "word": Word("state_drafted"),
            "who": Who(BOB),
            "said": Clinical("«\u202foui\u202f»\n"),
            "label": Label({"fr": "é", "en": "e"}),
            "rows": Rows((("a", Bullets((Phrase("hours", {"hours": 2}),))),)),
        },
        kind="dossier",
        data={"missing": ["a", "b"], "options": [{"id": "x", "value": "y"}], "deep": {"n": 1}},
        next=(("sign", "123456"),),
        poll=Poll(asked=BOB, field="filed", options=(Option(answer_id="x", value="yes", label=Word("yes")),)),
        attachment=Attachment(file_id="f", name="C-1 ECG 1.png", mime="image/png", width=1),
        case_id=CaseId("C-2026-0001"),
    )


def test_a_notice_comes_back_as_it_was() -> None:
    """Typography, order, times and nested values; lists come back as tuples."""
    said = Say(place=CaseRoom(case_id=CaseId("C-2026-0001")), notice=a_notice())
    back = through_json(said)

    assert isinstance(back, Say)
    assert back.notice.values == said.notice.values
    assert back.notice.data["missing"] == ("a", "b")
    assert back.notice.poll == said.notice.poll
    assert through_json(back) == back


@given(st.one_of([values_of(kind) for kind in KINDS if kind not in (effects.Say, effects.Mail)]))
@settings(max_examples=60)
def test_every_other_effect_comes_back_as_it_was(effect: effects.Effect) -> None:
    """Whatever ids it holds."""
    assert through_json(effect) == effect


@given(st.one_of([values_of(kind) for kind in KINDS if kind not in (effects.Say, effects.Mail)]))
@settings(max_examples=60)
def test_every_effect_has_a_lane_that_names_its_place(effect: effects.Effect) -> None:
    """Effects of one lane are carried out in order; the lane begins with its kind."""
    assert lane(effect).partition(":")[0].isalpha()


def test_destroying_a_case_does_not_need_its_key() -> None:
    """It must be readable when the key is gone; everything else of a case is sealed with it."""
    number = CaseId("C-2026-0001")

    assert case_of(effects.Destroy(case_id=number)) is None
    assert case_of(effects.Freeze(case_id=number, version=1)) == number
    assert case_of(Say(place=effects.Direct(user_id=BOB), notice=a_notice())) == number
    assert case_of(Say(place=effects.Direct(user_id=BOB), notice=Notice(text="help"))) is None
