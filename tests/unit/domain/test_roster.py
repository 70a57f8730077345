"""A list of people as a table: taken whole, or every bad line is named and nobody is taken."""

import pytest

from bot.domain.ids import LineId, UserId
from bot.domain.language import Language
from bot.domain.people import Person, Role, Standing
from bot.domain.roster import COLUMNS, RosterWrong, read_roster
from tests.unit.domain.making import LINES

HEAD = ",".join(COLUMNS)
GOOD = "@anne:h.example,1-23456-25-477,Dr Anne Lambert,anne@h.example,fr,,rhythmology:rhythmologist dermatology"


def read(*rows: str, known: dict[str, UserId] | None = None) -> list[Person]:
    """Read a table with these rows."""
    text = "\n".join((HEAD, *rows))
    return read_roster(text, lines=[line.id for line in LINES], known=known or {}, default=Language.NL)


def mistakes(*rows: str, known: dict[str, UserId] | None = None) -> list[tuple[int, str]]:
    """Return what is wrong, by line number."""
    with pytest.raises(RosterWrong) as wrong:
        read(*rows, known=known)
    return [(mistake.line, mistake.what) for mistake in wrong.value.mistakes]


def test_a_good_line_is_a_physician_approved_beforehand() -> None:
    """With his lines and functions; a function left out is `expert`."""
    [anne] = read(GOOD)

    assert (anne.user_id, anne.inami, anne.standing) == ("@anne:h.example", "12345625477", Standing.APPROVED)
    assert anne.roles == {Role.PHYSICIAN}
    assert anne.lines == {LineId("rhythmology"): "rhythmologist", LineId("dermatology"): "expert"}


def test_staff_have_a_role_and_no_number() -> None:
    """And the hospital's language where none is given."""
    [clerk] = read("@clerk:h.example,,Jo Claes,,,coordinator,rhythmology")

    assert (clerk.inami, clerk.language) == (None, Language.NL)
    assert clerk.roles == {Role.COORDINATOR}


def test_blank_lines_and_a_mark_at_the_beginning_do_no_harm() -> None:
    """As spreadsheets write them."""
    text = "\ufeff" + f"{HEAD}\n\n{GOOD}\n,,,,,,\n"

    assert len(read_roster(text, lines=["rhythmology", "dermatology"], known={}, default=Language.FR)) == 1


@pytest.mark.parametrize(
    "row, what",
    [
        ("anne,1-23456-25-477,Dr Anne,,,,", "matrix_id"),
        ("@Anne:h.example,1-23456-25-477,Dr Anne,,,,", "matrix_id"),
        ("@anne:h.example,4-23456-25-477,Dr Anne,,,,", "not physician"),
        ("@anne:h.example,1-23456-25-47,Dr Anne,,,,", "wrong length"),
        ("@anne:h.example,1-23456-99-477,Dr Anne,,,,", "check digits"),
        ("@anne:h.example,1-23456-25-477,X,,,,", "name"),
        ("@anne:h.example,1-23456-25-477,Dr Anne,nobody,,,", "email"),
        ("@anne:h.example,1-23456-25-477,Dr Anne,,it,,", "language"),
        ("@anne:h.example,1-23456-25-477,Dr Anne,,,king,", "roles"),
        ("@anne:h.example,1-23456-25-477,Dr Anne,,,,neurology", "lines"),
        ("@anne:h.example,1-23456-25-477,Dr Anne,,,,rhythmology:wizard", "function"),
        ("@anne:h.example,,Dr Anne,,,,", "inami"),
        ("@anne:h.example,1-23456-25-477,Dr Anne", "columns"),
    ],
)
def test_every_mistake_is_named_with_its_line(row: str, what: str) -> None:
    """Nobody is taken, also not from the good line."""
    [(line, said)] = mistakes(GOOD.replace("anne", "good").replace("1-23456-25-477", "1-00001-06-477"), row)

    assert line == 3
    assert what in said


def test_all_mistakes_are_named_at_once() -> None:
    """An administrator corrects the table once."""
    assert [line for line, _ in mistakes("x,1,y,z,q,r,s", GOOD, "short")][-1] == 4


def test_an_id_and_a_number_stand_once() -> None:
    """In the table, and among those who are known already."""
    other = GOOD.replace("@anne", "@eve").replace("477", "003")

    assert mistakes(GOOD, GOOD.replace("1-23456-25-477", "1-00001-06-477")) == [
        (3, "matrix_id: stands twice in this table")
    ]
    assert [line for line, _ in mistakes(GOOD, other)] == [3]
    assert [line for line, _ in mistakes(GOOD, known={"12345625": UserId("@owner:h.example")})] == [2]


def test_a_table_without_its_heading_is_refused() -> None:
    """Columns in another order would mix up numbers and names."""
    with pytest.raises(RosterWrong):
        read_roster(GOOD, lines=[], known={}, default=Language.FR)
    with pytest.raises(RosterWrong):
        read_roster("", lines=[], known={}, default=Language.FR)
