"""What must hold for every command, every kind of message, every value with patient text, every line of the log."""

import ast
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

import bot
import commands
import specialties
from bot.chat.command import ArgKind, Command, Commands
from bot.chat.texts import texts
from bot.domain.case import Case
from bot.domain.language import Language, folded

ROOT = Path(commands.__file__).parents[1]
SOURCES = tuple(sorted(path for folder in ("bot", "commands", "specialties") for path in (ROOT / folder).rglob("*.py")))
TRANSLATED = tuple(language for language in Language if language is not Language.EN)
VERB_FILES = tuple(sorted(p.stem for p in (ROOT / "commands").glob("*.py") if p.stem != "__init__"))


@cache
def _all() -> tuple[Command, ...]:
    """Return every command; they are only looked at, so nothing stands behind them."""
    nothing = dict.fromkeys(commands.Services.__dataclass_fields__)
    services = SimpleNamespace(**{**nothing, "cases": SimpleNamespace(catalogue=None)})
    return tuple(commands.build(cast("commands.Services", services)))


EVERY_COMMAND = pytest.mark.parametrize("command", _all(), ids=lambda command: str(command.verb))

# -- commands ----------------------------------------------------------------------------------------------------------


def test_one_verb_a_file_and_every_file_is_listed() -> None:
    """`build()` is the table of contents: it misses none."""
    assert len(_all()) == len(VERB_FILES)


@EVERY_COMMAND
def test_a_command_has_names_in_four_languages(command: Command) -> None:
    """The verb is English; French, Dutch and German have one name at least."""
    assert set(command.names) >= set(TRANSLATED)
    assert all(name.strip() == name and name for names in command.names.values() for name in names)


def test_no_two_commands_share_a_name() -> None:
    """Compared as they are typed: without case, accents and typographic variants."""
    names = [(folded(name), command.verb) for command in _all() for name in set(command.all_names())]
    owners: dict[str, set[str]] = {}
    for name, verb in names:
        owners.setdefault(name, set()).add(verb)

    assert {name: verbs for name, verbs in owners.items() if len(verbs) > 1} == {}
    assert len(owners) > 4 * len(_all()) - 20


@EVERY_COMMAND
def test_a_command_is_found_by_each_of_its_names(command: Command) -> None:
    """In any case, with the rest of the message untouched."""
    verbs = Commands(_all())

    for name in command.all_names():
        assert verbs.find(f"{name.upper()} l'été\n x") == (command, "l'été\n x")


@EVERY_COMMAND
def test_a_command_has_a_line_of_help_in_four_languages(command: Command) -> None:
    """With its own name in that language, so that it can be copied."""
    for language in Language:
        line = texts(language)[f"help_line.{command.verb}"]
        name = command.verb if language is Language.EN else command.names[language][0]
        assert f"`{name}`" in line


@EVERY_COMMAND
def test_a_commands_arguments_can_be_asked_for_in_four_languages(command: Command) -> None:
    """`Please add: …` names what is missing."""
    keys = [f"word.argument_{argument.name}" for argument in command.args if argument.required]

    assert [(key, language) for key in keys for language in Language if not texts(language).get(key)] == []


@EVERY_COMMAND
def test_the_rest_of_the_message_is_the_last_argument(command: Command) -> None:
    """Whitespace splits the verb and its fixed arguments; only the last one is the rest, verbatim (DESIGN 3)."""
    kinds = [argument.kind for argument in command.args]

    assert ArgKind.REST not in kinds[:-1]
    assert kinds.count(ArgKind.CASE) <= 1


def test_every_verb_is_in_the_docs() -> None:
    """docs/commands.md lists them."""
    listed = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    assert [command.verb for command in _all() if not re.search(rf"`!?{command.verb}[ `]", listed)] == []


# -- kinds of messages -------------------------------------------------------------------------------------------------


def _trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def _notice_kinds() -> set[str]:
    """Return every kind that is written out where a Notice is made or changed, or handed on to where it is."""
    kinds: set[str] = set()
    for path, tree in _trees():
        if not {"services", "chat"} & set(path.parts):
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                kinds |= _kinds_in(function)
    return kinds


def _kinds_in(function: ast.AST) -> set[str]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    given = [k.value for call in calls for k in call.keywords if k.arg == "kind" and _makes_notice(call)]
    named = {value.id for value in given if isinstance(value, ast.Name)}
    given += [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in named
    ]
    given += [call.args[1] for call in calls if ast.unparse(call.func) == "self._tell_admins"]
    return {kind for value in given for kind in _choices(value)}


def _makes_notice(call: ast.Call) -> bool:
    return ast.unparse(call.func) in ("Notice", "replace")


def _choices(value: ast.expr) -> set[str]:
    """Return the texts that an expression can be: a constant, or either side of a condition."""
    if isinstance(value, ast.IfExp):
        return _choices(value.body) | _choices(value.orelse)
    return {value.value} if isinstance(value, ast.Constant) and isinstance(value.value, str) else set()


def test_every_kind_of_message_is_documented() -> None:
    """docs/events.md has each, in backticks, because tests and bridges read it."""
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "events.md").read_text(encoding="utf-8")))
    used = _notice_kinds()

    assert len(used) > 50
    assert {"admin_registered", "member_left_out", "device_without_key"} <= used
    assert used - documented == set()


# -- values that hold what people wrote --------------------------------------------------------------------------------

_PATIENT_TEXT = frozenset(
    """text reasons recommendation who_does_what decision_text decision answers question answered reference birth_year
    sex
    rest words parts replies dissent dissents facts source draft questions followup hold_reasons""".split()
)
# Words of the catalogue, codes and labels that carry the same names.
_NO_PATIENT_TEXT = frozenset(
    {
        *("Notice.text", "Phrase.text", "Mail.text", "Incident.text", "Draft.decision"),
        *("AuditEvent.facts", "Planned.answers", "Notice.answers", "Answered.source"),
        *("Cell.to", "Answer.source", "Written.decision"),
        *("OpinionReport.dissent", "OpinionReport.answered"),  # tuples of values that hide their own text
    }
)


def _modules() -> Iterator[ModuleType]:
    for package in (bot, commands, specialties):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".domain" in found.name or ".services" in found.name or ".chat" in found.name:
                yield importlib.import_module(found.name)


def _values() -> dict[str, type]:
    return {
        f"{module.__name__}.{name}": member
        for module in _modules()
        for name, member in inspect.getmembers(module, inspect.isclass)
        if is_dataclass(member) and member.__module__ == module.__name__ and not name.startswith("_")
    }


def test_every_field_that_holds_patient_text_stays_out_of_repr() -> None:
    """A value in a log line, an exception or a failed assertion shows no words of a patient's story."""
    holding = {
        f"{kind.__name__}.{one.name}": one.repr
        for kind in _values().values()
        for one in fields(kind)
        if one.name in _PATIENT_TEXT and f"{kind.__name__}.{one.name}" not in _NO_PATIENT_TEXT
    }

    assert len(holding) > 20
    assert {"Question.text", "Draft.reasons", "Dissent.text", "Clinical.text"} <= set(holding)
    assert [name for name, shown in holding.items() if shown] == []


def test_the_repr_of_a_case_shows_no_answer() -> None:
    """The whole of it: every field of a case whose type holds patient text is left out."""
    hints = typing.get_type_hints(Case)
    holding = {"answers", "questions", "draft", "dissents", "followup"}

    assert holding <= set(hints)
    assert [one.name for one in fields(Case) if one.name in holding and one.repr] == []


def test_values_are_frozen_slotted_and_made_by_name() -> None:
    """Frozen, slotted, keyword-only where there are several fields (research: style)."""
    values = _values()

    assert len(values) > 80
    changing = {"Reading"}  # It collects what a message said, while it is read.
    loose = [name for name, kind in values.items() if not kind.__dataclass_params__.frozen]  # type: ignore[attr-defined]  # of every dataclass
    assert [name for name in loose if name.rpartition(".")[2] not in changing] == []
    assert [name for name, kind in values.items() if not hasattr(kind, "__slots__")] == []
    assert [
        name
        for name, kind in values.items()
        if len([one for one in fields(kind) if one.default is MISSING]) > 3 and not fields(kind)[0].kw_only
    ] == []


# -- the log -----------------------------------------------------------------------------------------------------------

_LEVELS = frozenset(("debug", "info", "warning", "error", "critical", "exception"))


def _log_calls() -> Iterator[tuple[str, ast.Call]]:
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS:
                owner = ast.unparse(node.func.value)
                if owner.rpartition(".")[2] in ("log", "_log", "logger", "_logger"):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _is_fixed_event(call: ast.Call) -> bool:
    """Tell whether the only positional argument is an event in snake_case, written out."""
    return (
        len(call.args) == 1
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
        and re.fullmatch(r"[a-z][a-z0-9_]*", call.args[0].value) is not None
    )


def test_every_log_call_has_a_fixed_event_and_named_facts() -> None:
    """No f-string, no positional value: what somebody wrote cannot slip into a message."""
    calls = list(_log_calls())

    assert len(calls) > 10
    assert [where for where, call in calls if not _is_fixed_event(call)] == []


def test_no_fact_of_a_log_call_is_put_together_from_words() -> None:
    """A fact is an id, a code or a number: no f-string, no repr, no str of an exception."""
    built = [
        f"{where} {keyword.arg}"
        for where, call in _log_calls()
        for keyword in call.keywords
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("repr", "str", "format"))
    ]

    assert built == []


def test_nothing_prints_or_uses_the_logging_module_for_words() -> None:
    """Inside services, domain, chat and commands nobody logs but through the port."""
    imported = [
        str(path.relative_to(ROOT))
        for path, tree in _trees()
        if {"services", "domain", "chat", "commands"} & set(path.relative_to(ROOT).parts[:2])
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
        if name.name.split(".")[0] in ("logging", "structlog", "warnings")
    ]

    assert imported == []


def test_no_exception_of_ours_is_raised_with_what_somebody_wrote() -> None:
    """Exceptions carry codes, numbers and ids: no f-string in a Refusal, Permanent or ExternalError."""
    raised = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("Permanent", "ExternalError")
        and any(isinstance(argument, ast.JoinedStr) for argument in node.args)
    ]

    assert raised == []
