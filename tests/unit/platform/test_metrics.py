"""What the operator's numbers show, and what they never show."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.adapters.logs import FIELDS
from bot.adapters.metrics import COUNTERS, Metrics
from bot.services.ports import Counters
from tests.fakes.counters import Tally

PROJECT = Path(__file__).parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
MAKERS: dict[str, Callable[[], Counters]] = {"prometheus": Metrics, "tally": Tally}


def value(metrics: Metrics, sample: str) -> str:
    """Return the number behind one sample."""
    lines = [line for line in metrics.text().decode().splitlines() if line.startswith(sample + " ")]
    return lines[0].rpartition(" ")[2] if lines else "absent"


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_counting_never_raises(make: Callable[[], Counters]) -> None:
    """A number is never a reason to lose an event."""
    counters = make()

    counters.count("sweeps", outcome="done")
    counters.count("handling_failed")
    counters.count("no_such_number", of="anything")


def test_a_count_is_shown() -> None:
    """By name and label."""
    metrics = Metrics()

    metrics.count("refusals", code="no_session")
    metrics.count("refusals", code="no_session")
    metrics.count("handling_failed")

    assert value(metrics, 'consilium_refusals_total{code="no_session"}') == "2.0"
    assert value(metrics, "consilium_handling_failed_total") == "1.0"


@pytest.mark.parametrize(
    "name, labels",
    [
        ("patient_dupont", {}),
        ("refusals", {"code": "@a.dupont:hospital.example"}),
        ("refusals", {"code": "C-2026-0007"}),
        ("refusals", {"code": "Amyloïdose ?"}),
        ("refusals", {"person": "dupont"}),
        ("refusals", {}),
        ("handling_failed", {"code": "x"}),
    ],
)
def test_a_name_or_label_that_is_not_in_the_list_is_counted_but_not_shown(name: str, labels: dict[str, str]) -> None:
    """Neither a person nor a case nor a word can get into the numbers."""
    metrics = Metrics()

    metrics.count(name, **labels)

    shown = metrics.text().decode()
    assert value(metrics, "consilium_unknown_total") == "1.0"
    assert "upont" not in shown
    assert "C-2026" not in shown
    assert "Amylo" not in shown


def test_a_watched_number_is_asked_for_at_each_visit() -> None:
    """Queues have a length, not a history."""
    metrics = Metrics()
    waiting = [1, 2, 3]

    metrics.watch("outbox_waiting", "Effects that wait", lambda: len(waiting))
    waiting.append(4)

    assert value(metrics, "consilium_outbox_waiting") == "4.0"


def test_two_registries_do_not_share_numbers() -> None:
    """Two bots in one process, as in the tests."""
    first, second = Metrics(), Metrics()

    first.count("handling_failed")

    assert value(second, "consilium_handling_failed_total") == "0.0"


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Return every method call of the program as place, call, and receiver."""
    for folder in ("bot", "commands"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    receiver = ast.unparse(node.func.value).rpartition(".")[2].lstrip("_")
                    yield f"{path.relative_to(PROJECT)}:{node.lineno}", node, receiver


def counts() -> list[tuple[str, str, frozenset[str]]]:
    """Return what the program counts: place, name, labels."""
    return [
        (place, node.args[0].value, frozenset(str(keyword.arg) for keyword in node.keywords))
        for place, node, receiver in calls()
        if receiver == "counters" and isinstance(node.func, ast.Attribute) and node.func.attr == "count"
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    ]


def test_everything_that_the_program_counts_is_in_the_list() -> None:
    """A new number is a line in the table of metrics."""
    wrong = [
        (place, name, labels)
        for place, name, labels in counts()
        if name not in COUNTERS or labels != frozenset(COUNTERS[name][1])
    ]

    assert counts() != []
    assert wrong == []


def test_every_field_that_the_program_logs_is_on_the_allow_list() -> None:
    """A field that would be dropped is a mistake where it is written."""
    wrong = [
        (place, keyword.arg)
        for place, node, receiver in calls()
        if receiver == "log" and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
        for keyword in node.keywords
        if keyword.arg not in FIELDS
    ]

    assert wrong == []
