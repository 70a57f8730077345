"""What must hold for the catalogue of texts: four languages alike, nothing missing, and what a reader copies works."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml

import bot.chat
import commands
from bot.chat.command import Command, Commands
from bot.chat.texts import placeholders, texts
from bot.domain.documents import DocumentKind, FactCode, NoteCode, RefusalCode
from bot.domain.inami import InamiProblem, Profession
from bot.domain.language import Language
from bot.domain.lines import Urgency
from bot.domain.opinion import PARTS, read_draft
from bot.domain.patient_line import read_patient_line
from bot.domain.people import Role, Standing
from bot.domain.problems import ProblemCode
from bot.domain.prompts import BIRTH_YEAR, REFERENCE, SEX
from bot.domain.steps import State, Step
from specialties import load

TEXTS = Path(bot.chat.__file__).parent / "texts"
ROOT = Path(bot.chat.__file__).parents[2]
TRANSLATED = tuple(language for language in Language if language is not Language.EN)
EVERY_LANGUAGE = pytest.mark.parametrize("language", list(Language))
EVERY_TRANSLATION = pytest.mark.parametrize("language", TRANSLATED)
BACKTICKED = re.compile(r"`([^`\n]+)`")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

# -- the four files ----------------------------------------------------------------------------------------------------


@EVERY_LANGUAGE
def test_a_file_holds_texts_only_one_a_key(language: Language) -> None:
    """An unquoted No is no text but a False, and a key written twice would hide the first: neither is there."""
    written = yaml.compose((TEXTS / f"{language.value}.yaml").read_text(encoding="utf-8"))
    assert isinstance(written, yaml.MappingNode)
    leaves = list(_leaves(written))

    assert len(leaves) > 400
    assert [key for key, tag in leaves if not tag.endswith(":str")] == []
    assert sorted(key for key, _ in leaves) == sorted(texts(language))


def _leaves(node: yaml.MappingNode, group: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.value:
        if isinstance(value, yaml.MappingNode):
            yield from _leaves(value, f"{key.value}.")
        else:
            yield group + key.value, value.tag


@EVERY_TRANSLATION
def test_a_translation_has_the_keys_of_the_english_one_in_the_same_order(language: Language) -> None:
    """No text falls back to English, none is left over, and two files can be read side by side."""
    assert list(texts(language)) == list(texts(Language.EN))


@EVERY_LANGUAGE
def test_no_text_is_empty(language: Language) -> None:
    """An empty text would be read as a missing one."""
    assert [key for key, text in texts(language).items() if not text] == []


@EVERY_TRANSLATION
def test_a_translation_names_the_same_values_line_by_line(language: Language) -> None:
    """A line that names an empty value is left out: so each line names the same values in every language."""
    english = {key: _names(text) for key, text in texts(Language.EN).items()}
    translated = {key: _names(text) for key, text in texts(language).items()}

    assert sum(1 for lines in english.values() if any(lines)) > 100
    assert translated == english


def _names(text: str) -> list[frozenset[str]]:
    return [placeholders(line) for line in text.split("\n")]


@EVERY_TRANSLATION
def test_a_translation_is_marked_like_the_english_text(language: Language) -> None:
    """As many bold words and as many words to copy; every mark is closed on its line."""
    english = {key: _marks(text) for key, text in texts(Language.EN).items()}
    translated = {key: _marks(text) for key, text in texts(language).items()}

    assert sum(1 for lines in english.values() if any(line != (0, 0) for line in lines)) > 80
    assert translated == english
    assert all(bold % 2 == 0 and code % 2 == 0 for lines in translated.values() for bold, code in lines)


def _marks(text: str) -> list[tuple[int, int]]:
    return [(line.count("**"), line.count("`")) for line in text.split("\n")]


def test_french_never_breaks_a_line_before_a_sign() -> None:
    """On a phone a colon would slip to the next line: before : ; ? ! and inside « » stands a no-break space."""
    french = texts(Language.FR)

    assert sum(1 for text in french.values() if "\u00a0:" in text) > 50
    assert [key for key, text in french.items() if re.search(r" [:;?!»]|« ", text)] == []
    assert [key for key, text in french.items() if "'" in text] == []


@EVERY_LANGUAGE
@pytest.mark.parametrize("key", ["greeting", "greeting_known", "help", "case_opened", "emergency"])
def test_the_emergency_number_is_said(language: Language, key: str) -> None:
    """Whoever begins, asks for help or opens a case reads 112 (DESIGN section 2)."""
    assert re.search(r"\b112\b", texts(language)[key])


@EVERY_LANGUAGE
@pytest.mark.parametrize("key", ["help", "case_opened", "emergency"])
def test_the_telephone_for_when_nobody_answers_is_said(language: Language, key: str) -> None:
    """`help` and the first message of a case room name it."""
    assert "phone" in placeholders(texts(language)[key])


# -- what a reader copies ----------------------------------------------------------------------------------------------


@cache
def _commands() -> Commands:
    """Build every verb; none is run, so that nothing stands behind the services."""
    services = SimpleNamespace(
        cases=SimpleNamespace(catalogue=load()),
        **dict.fromkeys(("enrolment", "intake", "routing", "opinions", "handover", "overview")),
    )
    return Commands(commands.build(cast(commands.Services, services)))


def _first_name(command: Command, language: Language) -> str:
    return command.verb if language is Language.EN else command.names[language][0]


@EVERY_LANGUAGE
def test_every_verb_has_a_line_of_help_that_begins_with_its_name(language: Language) -> None:
    """What help shows is what can be typed: the verb's first name in the reader's language."""
    verbs = {command.verb: command for command in _commands().all}
    lines = {key.removeprefix("help_line."): t for key, t in texts(language).items() if key.startswith("help_line.")}

    assert len(verbs) > 40
    assert lines.keys() == verbs.keys()
    for verb, line in lines.items():
        assert BACKTICKED.findall(line) == [_first_name(verbs[verb], language)]
        assert line.startswith("`")


@EVERY_LANGUAGE
def test_what_stands_between_backticks_is_the_same_verb_in_every_language(language: Language) -> None:
    """All but fingerprints, keys and the bare `!`: found by the bot, and written with its first name."""
    checked = 0
    for key, text in texts(language).items():
        for copied, english in zip(BACKTICKED.findall(text), BACKTICKED.findall(texts(Language.EN)[key]), strict=True):
            if placeholders(copied) or copied == "!":
                assert copied == english
                continue
            found, meant = (_commands().find(words.removeprefix("!")) for words in (copied, english))
            assert found is not None, key
            assert meant is not None, key
            assert found[0] is meant[0], key
            assert copied.removeprefix("!").startswith(_first_name(found[0], language)), key
            assert copied.startswith("!") == english.startswith("!"), key
            checked += 1

    assert checked > 55


@EVERY_LANGUAGE
def test_a_step_is_called_like_the_verb_that_takes_it(language: Language) -> None:
    """Who reads "You can: take, decline" types just that."""
    verbs = {command.verb: command for command in _commands().all}
    steps = [step for step in Step if step.value in verbs]

    assert len(steps) > 20
    for step in steps:
        assert texts(language)[f"word.step_{step}"] == _first_name(verbs[step.value], language)


@EVERY_LANGUAGE
def test_the_number_and_name_of_the_greeting_can_be_sent_as_they_stand(language: Language) -> None:
    """The example is one line: the verb, eleven digits, a name."""
    (example,) = BACKTICKED.findall(texts(language)["greeting"])
    found = _commands().find(example)

    assert found is not None
    assert (found[0].verb, found[1]) == ("register", "1-23456-78-901 Anne Dupont")


@EVERY_LANGUAGE
@pytest.mark.parametrize("key", ["problem_reference_missing", "problem_ambiguous_patient"])
def test_the_example_of_a_patient_line_is_understood(language: Language, key: str) -> None:
    """Reference, year of birth and sex, written as a reader of the language writes them."""
    (example,) = re.findall(r"[“„«]\u00a0?([^”“»]+?)\u00a0?[”“»]", texts(language)[key])
    line = read_patient_line(example, NOW, wanted=(REFERENCE, BIRTH_YEAR, SEX))

    assert line.problems == ()
    assert line.values == {REFERENCE: "4711", BIRTH_YEAR: 1958, SEX: "f"}


@EVERY_LANGUAGE
def test_the_parts_of_a_draft_are_read_by_the_names_that_they_are_shown_with(language: Language) -> None:
    """`draft_missing` names parts; an expert who writes them so, with a colon, has filled them."""
    said = texts(language)
    named = {part: said[f"word.part_{part}"] for part in PARTS}
    bold = re.compile(r"\*\*(.+?)\u00a0?:\*\*")
    headings = {part: name for part in PARTS for name in bold.findall(_line(said["draft"], part))}

    for names in (named, headings):
        assert len(names) == len(PARTS) == 3
        written = "\n".join(f"{name}: {part} text" for part, name in names.items())
        assert read_draft(next(iter(load())), written).parts == {part: f"{part} text" for part in PARTS}


def _line(text: str, name: str) -> str:
    return next(line for line in text.split("\n") if f"{{{name}}}" in line)


# -- every code has its words ------------------------------------------------------------------------------------------

# Where a code of the domain becomes a key. Codes that no text is ever made of are taken out by name, with the reason.
CODES: Sequence[tuple[str, Sequence[str]]] = (
    ("word.state_", [*State]),
    ("word.step_", [*Step]),
    ("word.role_", [*Role]),
    ("word.kind_", [*DocumentKind]),
    ("word.note_", [*NoteCode]),
    # A file that could not be read is kept with a note, not refused.
    ("word.note_", [RefusalCode.CRASHED, RefusalCode.TIME_LIMIT, RefusalCode.MEMORY_LIMIT]),
    ("document_refused_", [RefusalCode.EMPTY, RefusalCode.TOO_LARGE, RefusalCode.BOMB]),
    ("word.fact_", [*FactCode]),
    ("problem_", [*ProblemCode]),
    ("refusal.inami_", [*InamiProblem]),
    # A physician's number is the right one: it is never refused for its profession.
    ("word.profession_", [one for one in Profession if one is not Profession.PHYSICIAN]),
    ("word.urgency_", [*Urgency]),
    ("word.language_", [*Language]),
    ("word.part_", [*PARTS]),
    ("refusal.standing_", [*Standing]),
    ("word.group_", sorted({command.group for command in _commands().all})),
    ("word.argument_", sorted({arg.name for command in _commands().all for arg in command.args})),
)


@EVERY_LANGUAGE
@pytest.mark.parametrize("start,codes", CODES, ids=[f"{start}{codes[0]}…" for start, codes in CODES])
def test_every_code_of_the_domain_has_words(language: Language, start: str, codes: Sequence[str]) -> None:
    """A state, a role, a problem without a text would stop the message that names it."""
    assert codes
    assert [code for code in codes if f"{start}{code}" not in texts(language)] == []


def test_every_reason_to_refuse_a_file_has_words() -> None:
    """The enumeration is either refused in words or kept with a note: no code is forgotten above."""
    known = {code for start, codes in CODES if start in ("document_refused_", "word.note_") for code in codes}

    assert set(RefusalCode) <= known


@pytest.mark.parametrize("language", list(Language))
def test_a_refused_document_has_a_sentence_for_the_report_too(language: Language) -> None:
    """An incident stands in the opinion, except an empty file and one that was sent twice."""
    codes = [k.removeprefix("document_refused_") for k in texts(language) if k.startswith("document_refused_")]
    incidents = {k.removeprefix("incident_document_") for k in texts(language) if k.startswith("incident_document_")}

    assert len(codes) > 5
    assert incidents == {*codes} - {"duplicate", "empty"}


# -- what the code says ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A place in the code that names a text: its key (a pattern where part of it is a value), and what fills it."""

    where: str
    key: re.Pattern[str]
    values: frozenset[str] | None
    """The names of the values; None where they are not written at the place itself."""


@cache
def _said() -> tuple[Said, ...]:
    sources = [p for folder in ("bot", "commands") for p in (ROOT / folder).rglob("*.py")]
    spoken = [p for p in sources if not p.is_relative_to(ROOT / "bot" / "lab")]
    return tuple(said for path in spoken for said in _said_in(path))


def _said_in(path: Path) -> Iterator[Said]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module)]
    for scope in scopes:
        for call in _own(scope):
            if isinstance(call, ast.Call):
                where = f"{path.relative_to(ROOT)}:{call.lineno}"
                for start, key, values in _key_of(call):
                    for one in _written(key, scope):
                        yield Said(where=where, key=re.compile(re.escape(start) + one), values=_value_names(values))


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Go through a function without the functions inside it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _own(node)


def _key_of(call: ast.Call) -> Iterator[tuple[str, ast.expr, ast.expr | Sequence[ast.keyword] | None]]:
    """Return what the key begins with, its expression, and what fills it."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    first, second = (*call.args, None, None)[:2]
    if name in ("Notice", "Mail") and "text" in named:
        yield "", named["text"], named.get("values")
    elif name in ("Refusal", "RefusalWithTrace") and first is not None:
        yield "refusal.", first, call.keywords
    elif name == "Word" and first is not None:
        yield "word.", first, None
    elif name in ("Phrase", "sentence", "text") and first is not None and not isinstance(first, ast.Call):
        yield "", first, second


def _written(key: ast.expr, scope: ast.AST) -> Iterator[str]:
    """Return the key as a pattern; a name is looked up where the same function gives it a value."""
    match key:
        case ast.Constant(value=str(word)) if word:
            yield re.escape(word)
        case ast.JoinedStr(values=parts):
            yield "".join(re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"[a-z0-9_. ]+" for p in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _written(one, scope)
            yield from _written(other, scope)
        case ast.Name(id=name):
            for node in _own(scope):
                if isinstance(node, ast.Assign) and [t.id for t in node.targets if isinstance(t, ast.Name)] == [name]:
                    yield from _written(node.value, scope)


def _value_names(values: ast.expr | Sequence[ast.keyword] | None) -> frozenset[str] | None:
    match values:
        case None:
            return frozenset()
        case ast.Dict(keys=keys):
            names = [key.value if isinstance(key, ast.Constant) else None for key in keys]
            return None if None in names else frozenset(str(name) for name in names)
        case ast.expr():
            return None
        case _:
            names = [keyword.arg for keyword in values]
            return None if None in names else frozenset(str(name) for name in names)


def test_every_text_that_the_code_says_exists() -> None:
    """The keys of notices, refusals, words and phrases; where part of a key is a value, one text fits at least."""
    said = _said()

    assert len(said) > 200
    assert {s.where.partition("/")[0] for s in said} == {"bot", "commands"}
    assert [(s.where, s.key.pattern) for s in said if not any(map(s.key.fullmatch, texts(Language.EN)))] == []


def test_a_text_is_filled_where_it_is_said() -> None:
    """A value that nobody gives would silently leave its line out: every name of a text is given where it is said."""
    checked = 0
    unfilled: list[tuple[str, str, list[str]]] = []
    for said in _said():
        if said.values is not None and not said.key.pattern.startswith("word"):
            for key in filter(said.key.fullmatch, texts(Language.EN)):
                checked += 1
                if missing := placeholders(texts(Language.EN)[key]) - said.values:
                    unfilled.append((said.where, key, sorted(missing)))

    assert checked > 150
    assert unfilled == []
