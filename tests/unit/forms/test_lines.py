"""How a line and a decision are found by a word."""

from datetime import timedelta

import pytest

from bot.domain.ids import LineId
from bot.domain.language import Language
from bot.domain.lines import RoutingPolicy, Urgency
from bot.domain.lookup import find
from tests.unit.forms.asking import LINES


@pytest.mark.parametrize(
    "word, line",
    [
        ("rhythmology", "rhythmology"),
        ("Rythmologie", "rhythmology"),
        ("RITMOLOGIE", "rhythmology"),
        ("rythmo", "rhythmology"),
        ("rhy", "rhythmology"),
        ("électrophysiologie", "rhythmology"),
        ("heart team valvulaire", "valve_heart_team"),
        ("heart\u00a0team\u202fvalvulaire", "valve_heart_team"),
        ("valve-heart-team", "valve_heart_team"),
        ("Herzklappen", "valve_heart_team"),
        ("amylose cardiaque", "cardiac_amyloidosis"),
        ("amyloidose", "cardiac_amyloidosis"),
        ("ATTR", "cardiac_amyloidosis"),
        ("derm", "dermatology"),
    ],
)
def test_a_line_is_found_by_any_of_its_names(word: str, line: str) -> None:
    """Id, name in any language, another name, or the beginning of one; case, accents, no-break spaces do not count."""
    found = LINES.find(word)

    assert found.it is not None
    assert found.it.id == line


@pytest.mark.parametrize(
    "word, nearest",
    [("rytmologie", "rhythmology"), ("dermathologie", "dermatology"), ("cardic amyloidosis", "cardiac_amyloidosis")],
)
def test_a_wrong_word_gets_the_nearest_right_ones(word: str, nearest: str) -> None:
    """Nothing is chosen for a wrong word; the best suggestion comes first."""
    found = LINES.find(word)

    assert found.it is None
    assert found.nearest[0].id == nearest
    assert len(found.nearest) <= 3


@pytest.mark.parametrize("word", ["", " ", "x", "?", "zzzzzz", "r"])
def test_a_word_like_no_line_gets_no_line(word: str) -> None:
    """One letter, nothing or noise is not enough to choose a line."""
    assert LINES.find(word).it is None


def test_a_beginning_that_two_share_chooses_neither() -> None:
    """An ambiguous beginning returns both as the nearest."""
    found = find("car", [(1, ["cardiology"]), (2, ["cardiac surgery"]), (3, ["skin"])])

    assert found.it is None
    assert found.nearest == (1, 2)


def test_a_whole_name_wins_over_a_longer_one_that_it_begins() -> None:
    """`valve` is a line, even where another begins with it."""
    assert find("valve", [(1, ["valve"]), (2, ["valve clinic"])]).it == 1


@pytest.mark.parametrize(
    "word, code",
    [
        ("ablation", "ablation"),
        ("Ablatie", "ablation"),
        ("DAI", "icd"),
        ("medicatie", "drug"),
        ("défib", "icd"),
        ("suivi", "follow_up"),
    ],
)
def test_a_decision_is_found_in_every_language(word: str, code: str) -> None:
    """An expert writes the decision as he says it."""
    decision = LINES[LineId("rhythmology")].find_decision(word).it

    assert decision is not None
    assert decision.code == code


def test_a_line_says_how_long_it_has() -> None:
    """The time to answer hangs on the urgency, in plain hours."""
    deadlines = LINES[LineId("rhythmology")].deadlines

    assert deadlines.time_to_answer(Urgency.ROUTINE) == timedelta(hours=72)
    assert deadlines.time_to_answer(Urgency.PRIORITY) == timedelta(hours=24)
    assert deadlines.time_to_answer(Urgency.URGENT) == timedelta(hours=4)
    assert deadlines.reminders == (0.5, 0.8)


def test_the_valve_line_decides_in_a_group() -> None:
    """Two experts at least, before a draft."""
    routing = LINES[LineId("valve_heart_team")].routing

    assert (routing.policy, routing.min_experts) == (RoutingPolicy.GROUP, 2)


def test_a_name_falls_back_to_english() -> None:
    """A name is shown in the reader's language."""
    line = LINES[LineId("rhythmology")]

    assert [line.name(language) for language in Language] == [
        "Rythmologie",
        "Ritmologie",
        "Rhythmologie",
        "Rhythmology",
    ]


def test_an_unknown_id_is_a_key_error() -> None:
    """The catalogue does not invent lines."""
    assert LINES.get("astrology") is None
    with pytest.raises(KeyError):
        LINES[LineId("astrology")]
