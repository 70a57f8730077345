"""What can be wrong with a typed answer: a code to translate and the numbers that belong to it, never the text."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as given
from enum import StrEnum


class ProblemCode(StrEnum):
    """Why (a part of) a message was not taken, or what was changed in it."""

    EMPTY = "empty"
    TOO_LONG = "too_long"  # limit, length
    NISS_FOUND = "niss_found"  # count; nothing of the message is kept
    MARKS_REMOVED = "marks_removed"  # a notice: direction marks or control characters were taken out
    NOT_UNDERSTOOD = "not_understood"  # what is left stands in `rest`
    WHICH_FIELD = "which_field"  # a value without a name, several fields asked
    VALUE_MISSING = "value_missing"  # a name without a value
    TWO_VALUES = "two_values"  # the same field twice, differently
    NOT_A_NUMBER = "not_a_number"
    NOT_WHOLE = "not_whole"
    AMBIGUOUS_NUMBER = "ambiguous_number"  # 1.250: one and a quarter, or a thousand and more
    OUT_OF_RANGE = "out_of_range"  # min, max
    WRONG_UNIT = "wrong_unit"  # unit
    NOT_AN_OPTION = "not_an_option"
    AMBIGUOUS_OPTION = "ambiguous_option"
    CONTRADICTION = "contradiction"  # "none" together with something
    NOT_YES_OR_NO = "not_yes_or_no"
    NOT_A_DATE = "not_a_date"
    AMBIGUOUS_DATE = "ambiguous_date"
    DATE_IN_FUTURE = "date_in_future"
    TIME_MISSING = "time_missing"
    NOT_A_YEAR = "not_a_year"
    YEAR_NOT_AGE = "year_not_age"  # an age was given: the year of birth is asked
    REFERENCE_MISSING = "reference_missing"
    REFERENCE_LIKE_A_NAME = "reference_like_a_name"  # no digit in it
    REFERENCE_TOO_LONG = "reference_too_long"  # limit
    AMBIGUOUS_PATIENT = "ambiguous_patient"  # two things that could be the year, the sex or the reference
    EXTRA_WORDS = "extra_words"  # words on the patient line, or after a number, that are none of it
    NEEDS_FILE = "needs_file"  # a document is asked, not a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that was not understood, with the field it concerns if there is one."""

    code: ProblemCode
    field: str | None = None
    params: Mapping[str, str | int] = given(default_factory=dict)
