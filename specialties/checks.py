"""What must hold across the parts of a line and across lines, beyond the shape of one part."""

from collections.abc import Iterator, Sequence

from bot.domain.conditions import AGE, BIRTH_YEAR, Relation
from bot.domain.forms import Field, FieldType, Form, Requirement
from bot.domain.language import folded
from bot.domain.lines import Line, Urgency
from bot.domain.prompts import (
    ANSWERED_BY_PROMPT_ALONE,
    CONSENT_DATE,
    CONSENT_REASON,
    INFORMED,
    MOST_MESSAGES,
    MOST_POLL_OPTIONS,
    NOT_EMERGENCY,
    OUTPUT,
    QUESTION,
    REFERENCE,
    SEEN,
    SEX,
    URGENCY,
    most_messages,
)

Path = tuple[str, ...]
Mistake = tuple[Path, str]

CORE_TYPES = {
    NOT_EMERGENCY: FieldType.BOOL,
    REFERENCE: FieldType.TEXT,
    BIRTH_YEAR: FieldType.YEAR,
    SEX: FieldType.ENUM,
    INFORMED: FieldType.BOOL,
    CONSENT_DATE: FieldType.DATE,
    CONSENT_REASON: FieldType.TEXT,
    SEEN: FieldType.BOOL,
    QUESTION: FieldType.LONGTEXT,
    OUTPUT: FieldType.ENUM,
    URGENCY: FieldType.ENUM,
}
CORE_OPTIONS = {SEX: ("f", "m", "x"), URGENCY: tuple(Urgency)}


def mistakes_in(line: Line) -> Iterator[Mistake]:
    """Go through what is wrong within one line, each with the path of the part that is wrong."""
    form = line.form
    yield from _core(form)
    for one in form.fields:
        yield from _condition(form, one)
        yield from _satisfied(form, one)
        yield from _options(one)
    yield from _names(form)
    yield from _decisions(line)
    if not list(_core(form)) and (needed := most_messages(form)) > MOST_MESSAGES:
        yield ("fields",), f"needs up to {needed} messages, {MOST_MESSAGES} are allowed: conditions hang on conditions"


def mistakes_between(lines: Sequence[Line]) -> Iterator[tuple[Line, Path, str]]:
    """Go through what is wrong between lines: the line, the path, what is wrong."""
    ids = {line.id for line in lines}
    taken: dict[str, str] = {}
    for line in lines:
        if line.second_line is not None and (line.second_line not in ids or line.second_line == line.id):
            yield line, ("second_line",), f"{line.second_line} is no other line"
        for name in {folded(name) for name in (line.id, *line.names.values(), *line.other_names)}:
            if name in taken:
                yield line, ("names",), f"the name '{name}' belongs to {taken[name]} too"
            taken[name] = line.id


def _core(form: Form) -> Iterator[Mistake]:
    for field_id, field_type in CORE_TYPES.items():
        one = form.get(field_id)
        if one is None:
            yield ("fields",), f"{field_id} is missing: common.yaml must have it"
        elif one.type is not field_type:
            yield ("fields", field_id, "type"), f"must be {field_type}"
        elif (codes := CORE_OPTIONS.get(field_id)) and codes != tuple(option.code for option in one.options):
            yield ("fields", field_id, "options"), f"must be {', '.join(codes)}"


def _condition(form: Form, one: Field) -> Iterator[Mistake]:
    if one.when is None:
        return
    path = ("fields", one.id, "when")
    subject = form.get(one.when.field_id)
    if subject is None:
        yield path, f"no field is called {one.when.subject}"
        return
    fitting = {
        Relation.PRESENT: {FieldType.DOCUMENT},
        Relation.IN: {FieldType.ENUM, FieldType.MULTI},
        Relation.IS: {FieldType.BOOL},
    }.get(one.when.relation, {FieldType.INT, FieldType.DECIMAL, FieldType.YEAR})
    if subject.type not in fitting or subject is one or (subject.type is FieldType.YEAR and one.when.subject != AGE):
        yield path, f"{one.when.subject} cannot be judged with `{one.when.relation}`"
    if unknown := [code for code in one.when.codes if subject.option(code) is None]:
        yield path, f"{subject.id} has no option {', '.join(unknown)}"
    if subject.requirement is Requirement.RECOMMENDED and not subject.is_slot:
        yield path, f"{subject.id} is only recommended: what others hang on is required or conditional"


def _satisfied(form: Form, one: Field) -> Iterator[Mistake]:
    for slot in one.satisfied_by:
        found = form.get(slot)
        if found is None or not found.is_slot:
            yield ("fields", one.id, "satisfied_by"), f"{slot} is no document of this form"
        elif one.id in ANSWERED_BY_PROMPT_ALONE or one.id == QUESTION:
            yield ("fields", one.id, "satisfied_by"), "no document answers this field"


def _options(one: Field) -> Iterator[Mistake]:
    if one.type is FieldType.ENUM and len(one.options) > MOST_POLL_OPTIONS:
        yield ("fields", one.id, "options"), f"a poll has at most {MOST_POLL_OPTIONS} options"
    taken: dict[str, str] = {}
    for option in one.options:
        for name in {folded(name) for name in (option.code, *option.labels.values(), *option.names)}:
            if name in taken:
                yield ("fields", one.id, "options", option.code), f"'{name}' means {taken[name]} too"
            taken[name] = option.code


def _names(form: Form) -> Iterator[Mistake]:
    taken: dict[str, str] = {}
    for one in form.fields:
        if one.is_slot or one.id in ANSWERED_BY_PROMPT_ALONE:
            continue
        for name in one.spoken:
            if name in taken:
                yield ("fields", one.id, "names"), f"'{name}' is a name of {taken[name]} too"
            taken[name] = one.id


def _decisions(line: Line) -> Iterator[Mistake]:
    taken: dict[str, str] = {}
    for decision in line.decisions:
        for name in {folded(name) for name in (decision.code, *decision.labels.values(), *decision.names)}:
            if name in taken:
                yield ("decisions", decision.code), f"'{name}' means {taken[name]} too"
            taken[name] = decision.code
