"""What a command is, and how typed words become one: no quoting, no options, the last argument is the rest verbatim."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.errors import Refusal
from bot.domain.ids import CaseId
from bot.domain.language import Language, folded
from bot.domain.lookup import find
from bot.domain.notice import Bullets, Verb
from bot.services.ports import Origin
from bot.services.turn import Turn

PREFIXES = ("opinion", "avis", "advies", "rat")
# Blanks that phones put in: no-break spaces count as blanks.
_BLANK = re.compile(r"[\s\u00a0\u202f\u2007\u2009]+")
_CASE = re.compile(r"^(?:c-?)?(?:(\d{4})-)?(\d{1,8})$", re.I)
_CODE = re.compile(r"^\d{6}$")


class Need(StrEnum):
    """What must be true of a person before a command runs."""

    NOTHING = "nothing"  # a cross-signed device
    PINNED = "pinned"  # known here, and the identity is the pinned one if there is a pin
    ENROLLED = "enrolled"
    ANY_SESSION = "any_session"  # enrolled, and one of the person's devices has a session
    SESSION = "session"  # enrolled, and this device has a session


class ArgKind(StrEnum):
    """What an argument is."""

    WORD = "word"
    CODE = "code"  # six digits
    CASE = "case"  # a number; in a case room it is that case
    REST = "rest"  # all that follows, verbatim


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument, in its place."""

    name: str
    kind: ArgKind
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The arguments of a command as typed; a missing optional one is ""."""

    values: Mapping[str, str] = field(repr=False)
    case_id: CaseId | None
    origin: Origin

    def __getitem__(self, name: str) -> str:
        """Return an argument."""
        return self.values.get(name, "")


Run = Callable[[Turn, Words], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One verb: its names in four languages, its arguments, who may use it, and the one service call it makes."""

    verb: str
    names: Mapping[Language, tuple[str, ...]]
    args: tuple[Arg, ...] = ()
    group: str = "everyone"
    need: Need = Need.ENROLLED
    run: Run = field(repr=False)

    def all_names(self) -> tuple[str, ...]:
        """Return every name, the English one first."""
        return (self.verb, *(name for names in self.names.values() for name in names))


class Commands:
    """All verbs, found by any of their names."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self.all = tuple(commands)
        self._by_name: dict[str, Command] = {}
        for command in commands:
            for name in command.all_names():
                key = folded(name)
                if self._by_name.setdefault(key, command) is not command:
                    raise ValueError(f"two verbs are called {name!r}")
        self._longest = max(len(name.split()) for name in self._by_name)

    def split(self, text: str) -> tuple[str | None, str]:
        """Return what follows the prefix and whether there was one: `!avis new x` and `!new x` both give "new x"."""
        stripped = text.lstrip(" \t\u00a0\u202f")
        if not stripped.startswith(("!", "！")):
            return None, text
        rest = stripped[1:].lstrip(" \u00a0\u202f")
        first = _BLANK.split(rest, maxsplit=1)
        if folded(first[0]) in PREFIXES:
            return "!", first[1] if len(first) > 1 else ""
        return "!", rest

    def find(self, text: str) -> tuple[Command, str] | None:
        """Return the verb that *text* begins with and the rest after it, verbatim; the longest name wins."""
        words = list(re.finditer(r"[^\s\u00a0\u202f]+", text))
        for count in range(min(self._longest, len(words)), 0, -1):
            name = folded(" ".join(w.group() for w in words[:count])).rstrip(":,.")
            command = self._by_name.get(name)
            if command is not None:
                rest = text[words[count - 1].end() :]
                # French writes "projet : ablation": the colon belongs to the verb.
                rest = re.sub(r"^[ \u00a0\u202f]+:", "", rest)
                return command, rest[1:] if rest[:1] in (" ", "\u00a0", "\u202f", "\n", "\t") else rest
        return None

    def nearest(self, text: str) -> tuple[str, ...]:
        """Return the verbs that look most like the first word of *text*."""
        word = _BLANK.split(text.strip(), maxsplit=1)[0]
        found = find(word[:64], [(c, c.all_names()) for c in self.all])
        return tuple(c.verb for c in ((found.it,) if found.it is not None else found.nearest))


def read_words(command: Command, rest: str, *, room_case: CaseId | None, origin: Origin, year: int) -> Words:
    """Split *rest* into the command's arguments.

    Raises:
        Refusal: `argument_missing`, `argument_wrong` with the argument's name, or `words_left_over`.
    """
    values: dict[str, str] = {}
    case_id = room_case
    left = rest
    # A bare "7" names a case only where nothing else could be meant: in a direct chat, by a verb without more to say.
    bare = room_case is None and len(command.args) == 1
    for arg in command.args:
        if arg.kind is ArgKind.REST:
            values[arg.name] = left.strip("\n") if left.strip() else ""
            left = ""
        else:
            head, tail = _first_word(left)
            if arg.kind is ArgKind.CASE:
                found = case_number(head, year, bare=bare)
                if found is not None:
                    case_id, left = found, tail
                    continue
                if arg.required and room_case is None:
                    raise Refusal("argument_missing", verb=command.verb, argument=arg.name)
                continue
            if arg.kind is ArgKind.CODE:
                digits, after = _code(left)
                if digits is not None:
                    values[arg.name], left = digits, after
                    continue
                if head and arg.required:
                    raise Refusal("argument_wrong", verb=command.verb, argument=arg.name)
            elif head:
                values[arg.name], left = head, tail
                continue
        if arg.required and not values.get(arg.name):
            raise Refusal("argument_missing", verb=command.verb, argument=arg.name)
    if left.strip():
        # "cancel, or rather not" must not cancel.
        raise Refusal("words_left_over", verb=command.verb)
    return Words(values=values, case_id=case_id, origin=origin)


def case_number(word: str, year: int, *, bare: bool = True) -> CaseId | None:
    """Return the case that a word names: `C-2026-0007`, `2026-7`, `C-7`, and with *bare* also `7`; never six digits."""
    word = word.strip(".,;:")
    match = _CASE.match(word)
    if match is None or _CODE.match(word) or (not bare and word.isdigit()):
        return None
    return CaseId(f"C-{match.group(1) or year}-{int(match.group(2)):04d}")


def _first_word(text: str) -> tuple[str, str]:
    match = re.match(r"[\s\u00a0\u202f]*([^\s\u00a0\u202f]+)[\s\u00a0\u202f]?", text)
    return (match.group(1), text[match.end() :]) if match else ("", "")


def _code(text: str) -> tuple[str | None, str]:
    """Return six digits at the beginning of *text*, also as 123 456, and what follows."""
    match = re.match(r"[\s\u00a0\u202f]*(\d{3})[\s\u00a0\u202f]?(\d{3})(?!\d)[\s\u00a0\u202f]?", text)
    return (match.group(1) + match.group(2), text[match.end() :]) if match else (None, text)


def only_a_code(text: str) -> str | None:
    """Return the six digits if *text* is nothing else."""
    digits, rest = _code(text)
    return digits if digits is not None and not rest.strip() else None


def suggestions(verbs: Sequence[str]) -> Bullets:
    """Return verbs as a list to be shown."""
    return Bullets(tuple(Verb(verb) for verb in verbs))
