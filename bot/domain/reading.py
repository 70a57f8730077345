"""What is known while one message is read: the form's names, what was found so far, and how a found value is kept."""

from dataclasses import dataclass
from dataclasses import field as given
from datetime import datetime

from bot.domain.field_names import FieldNames
from bot.domain.forms import Field, Form, Value
from bot.domain.language import Language
from bot.domain.problems import Problem, ProblemCode
from bot.domain.values import read_value


@dataclass(slots=True, kw_only=True)
class Reading:
    """One message being read; it lives for one call of `understand` and is filled on the way."""

    form: Form
    names: FieldNames
    language: Language
    now: datetime
    values: dict[str, Value] = given(default_factory=dict, repr=False)
    problems: list[Problem] = given(default_factory=list)
    rest: list[str] = given(default_factory=list, repr=False)

    def value_of(self, one: Field, text: str) -> Value | Problem:
        """Return the value that *text* gives for a field, or the problem with it."""
        return read_value(one, text, language=self.language, now=self.now)

    def keep(self, one: Field, value: Value | Problem) -> None:
        """Keep a value; a second, different one for the same field voids both and is a problem."""
        if isinstance(value, Problem):
            self.problems.append(value)
        elif one.id in self.values and self.values[one.id] != value:
            del self.values[one.id]
            self.refuse(one, ProblemCode.TWO_VALUES)
        elif not any(p.field == one.id and p.code is ProblemCode.TWO_VALUES for p in self.problems):
            self.values[one.id] = value

    def refuse(self, one: Field | None, code: ProblemCode) -> None:
        """Note a problem, once for each field."""
        problem = Problem(code=code, field=None if one is None else one.id)
        if problem not in self.problems:
            self.problems.append(problem)

    def leave(self, text: str) -> None:
        """Note words that no field took."""
        if text.strip():
            self.rest.append(text.strip())
