"""What is stored as JSON comes back as it was, type by type."""

import json
import typing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.adapters.store.records import (
    CREDENTIAL,
    FILE,
    NESTING_LIMIT,
    PENDING,
    PERSON,
    pack_arrival,
    pack_case,
    pack_effect,
    pack_poll,
    unpack_arrival,
    unpack_case,
    unpack_effect,
    unpack_poll,
)
from bot.domain.case import Case
from bot.domain.effects import Effect
from bot.domain.forms import Answer, Answers, How
from bot.domain.ids import EventId
from bot.domain.notice import Poll
from bot.domain.people import Credential, Person
from bot.services.ports import Arrival, EncryptedFile, Pending
from tests.unit.store.samples import a_case, an_arrival
from tests.unit.store.strategies import typed, values_of

EFFECTS = typing.get_args(Effect)

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@quick
@given(values_of(Case))
def test_any_case_comes_back_as_it_was(case: Case) -> None:
    """Every field, with its type: a Decimal does not become text, nor a date."""
    assert typed(unpack_case(pack_case(case))) == typed(case)


@pytest.mark.parametrize(
    "value",
    [True, 1, "1", Decimal("1"), Decimal("3.50"), date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC), ("a",), ()],
)
def test_an_answer_keeps_its_type(value: Any) -> None:
    """JSON has fewer types than the form: each value is stored under the name of its own."""
    answer = Answer(value=value, source=EventId("$1"), how=How.TYPED, changed_from=value)
    case = replace(a_case(), answers=Answers({"lvef": answer}))
    read = unpack_case(pack_case(case)).answers["lvef"]
    assert typed(read) == typed(answer)


def test_half_a_character_does_not_break_a_case() -> None:
    """A phone that cuts a message in the middle of an emoji sends a lone surrogate; JSON carries it."""
    case = replace(a_case(), passed=("cut \ud83d",))
    assert unpack_case(pack_case(case)) == case


def test_a_case_of_an_older_version_is_read_with_defaults() -> None:
    """Fields that did not exist yet get their default, fields that exist no more are left aside."""
    data = json.loads(pack_case(a_case()))
    del data["case"]["survey"]
    data["case"]["once_there"] = 1
    assert unpack_case(json.dumps(data).encode()) == a_case()


@pytest.mark.parametrize("kind", EFFECTS, ids=lambda kind: kind.__name__)
@quick
@given(data=st.data())
def test_any_effect_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    """Every class of effect, with every notice it can hold."""
    effect = data.draw(values_of(kind))
    assert unpack_effect(pack_effect(effect)) == effect


@quick
@given(values_of(Poll))
def test_any_poll_comes_back_as_it_was(poll: Poll) -> None:
    """A poll outlives a restart."""
    assert unpack_poll(pack_poll(poll)) == poll


@quick
@given(values_of(Person), values_of(Credential), values_of(Pending), values_of(EncryptedFile))
def test_people_and_files_come_back_as_they_were(
    person: Person, credential: Credential, pending: Pending, file: EncryptedFile
) -> None:
    """Roles stay a set of roles, lines a mapping."""
    assert typed(PERSON.unpack(PERSON.pack(person))) == typed(person)
    assert typed(CREDENTIAL.unpack(CREDENTIAL.pack(credential))) == typed(credential)
    assert typed(PENDING.unpack(PENDING.pack(pending))) == typed(pending)
    assert typed(FILE.unpack(FILE.pack(file))) == typed(file)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@quick
@given(values_of(Arrival), st.dictionaries(st.text(max_size=8), _json, max_size=4))
def test_any_arrival_comes_back_as_it_was(arrival: Arrival, content: dict[str, Any]) -> None:
    """Whatever JSON somebody sends."""
    whole = replace(arrival, content=content)
    assert unpack_arrival(pack_arrival(whole)) == whole


@pytest.mark.parametrize("opening", [dict, list])
def test_endless_nesting_is_refused(opening: type) -> None:
    """JSON that nests deeper than any honest event would break whoever reads it."""
    content: Any = "x"
    for _ in range(NESTING_LIMIT + 1):
        content = {"a": content} if opening is dict else [content]
    with pytest.raises(ValueError, match="nested"):
        pack_arrival(an_arrival(content={"body": content}))


def test_what_is_no_json_is_refused() -> None:
    """The port takes any mapping; only JSON can be stored."""
    with pytest.raises(ValueError, match="JSON"):
        pack_arrival(an_arrival(content={"body": object()}))
