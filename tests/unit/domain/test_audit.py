"""The audit chain: each row is bound to the one before."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.audit import GENESIS, AuditEvent, AuditRow, digest, first_break
from tests.unit.domain.making import BOB, NOW


def a_chain(length: int = 5) -> list[AuditRow]:
    """Return a whole chain."""
    rows: list[AuditRow] = []
    previous = GENESIS
    for n in range(1, length + 1):
        event, at = AuditEvent(kind="take", by=BOB, facts={"n": n, "state": "é"}), NOW + timedelta(seconds=n)
        rows.append(AuditRow(n=n, at=at, event=event, previous=previous, digest=digest(n, at, event, previous)))
        previous = rows[-1].digest
    return rows


def test_a_whole_chain_has_no_break() -> None:
    """Also an empty one."""
    assert first_break(a_chain()) is None
    assert first_break([]) is None


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda row: replace(row, at=row.at + timedelta(microseconds=1)),
        lambda row: replace(row, event=replace(row.event, kind="drop")),
        lambda row: replace(row, event=replace(row.event, by=None)),
        lambda row: replace(row, event=replace(row.event, facts={"n": 2})),
        lambda row: replace(row, previous=GENESIS),
        lambda row: replace(row, digest=GENESIS),
        lambda row: replace(row, n=row.n + 1),
    ],
)
def test_whatever_is_changed_in_a_row_is_found(spoiled: "object") -> None:
    """The number of the first bad row is told."""
    rows = a_chain()
    rows[2] = spoiled(rows[2])  # type: ignore[operator]  # one of the functions above

    assert first_break(rows) == 3


@given(st.integers(0, 3))
def test_a_row_that_was_taken_out_is_found(gone: int) -> None:
    """Whichever it was, but the last."""
    rows = a_chain()
    del rows[gone]

    assert first_break(rows) == gone + 1


def test_rows_that_changed_places_are_found() -> None:
    """The order is part of it."""
    rows = a_chain()
    rows[1], rows[2] = rows[2], rows[1]

    assert first_break(rows) == 2


def test_the_order_of_facts_does_not_matter() -> None:
    """A mapping has none."""
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})

    assert digest(1, NOW, AuditEvent(kind="k", by=None, facts=one), GENESIS) == digest(
        1, NOW, AuditEvent(kind="k", by=None, facts=other), GENESIS
    )
