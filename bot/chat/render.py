"""Puts a notice into words: plain and HTML, in one language or two, with what machines read beside them."""

import html
import re
import string
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from babel.dates import format_datetime

from bot.chat.texts import text
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.lines import Catalogue
from bot.domain.notice import At, Bullets, Clinical, Label, LineName, Notice, Phrase, Rows, Value, Verb, Who, Word

POLL_START = "org.matrix.msc3381.poll.start"
VERSION = 1
MOST_BYTES = 36_000
"""Of plain and HTML text together: an event is at most 65,536 bytes, a third more after encryption and base64."""

_BOLD = re.compile(r"\*\*(.+?)\*\*")
_CODE = re.compile(r"`([^`\n]+)`")
# Private characters stand for the catalogue's own marks, so that what people write is never read as one.
_MARKS = {"\ue000": "<strong>", "\ue001": "</strong>", "\ue002": "<code>", "\ue003": "</code>"}
_NO_MARKS = dict.fromkeys(map(ord, _MARKS))


class ChatRenderer:
    """Renders for readers: knows the catalogue of texts, the names of lines, the hospital's time zone."""

    def __init__(self, *, catalogue: Catalogue, timezone: tzinfo, verbs: Mapping[str, Mapping[Language, str]]) -> None:
        self._catalogue = catalogue
        self._timezone = timezone
        self._verbs = verbs

    # -- a whole message -----------------------------------------------------------------------------------------------

    def event_type(self, notice: Notice) -> str:
        """Return `m.room.message`, or the type of a poll's start (MSC3381, the type that Element uses)."""
        return POLL_START if notice.poll is not None else "m.room.message"

    def contents(
        self, notice: Notice, languages: Sequence[Language], names: Mapping[UserId, str]
    ) -> list[dict[str, Any]]:
        """Return the content of the event, or of several where one would be too long, numbered."""
        if notice.attachment is not None:
            return self._with_file(notice, languages, names)
        whole = self.content(notice, languages, names)
        if len(whole.get("body", "").encode()) + len(whole.get("formatted_body", "").encode()) <= MOST_BYTES:
            return [whole]
        pieces = _pieces(whole["body"], MOST_BYTES // 3)
        return [
            {
                **whole,
                "body": f"({n}/{len(pieces)})\n{piece}",
                "formatted_body": f"({n}/{len(pieces)})<br>" + html.escape(piece, quote=False).replace("\n", "<br>"),
                "org.consilium": {**whole["org.consilium"], "part": n, "parts": len(pieces)},
            }
            for n, piece in enumerate(pieces, 1)
        ]

    def _with_file(
        self, notice: Notice, languages: Sequence[Language], names: Mapping[UserId, str]
    ) -> list[dict[str, Any]]:
        """Return the words, if there are any, and the file, whose event says its neutral name only."""
        assert notice.attachment is not None
        whole = self.content(notice, languages, names)
        file = {"body": notice.attachment.name, "org.consilium": whole["org.consilium"]}
        if not notice.text:
            return [file]
        return [{**whole, "org.consilium": {**whole["org.consilium"], "kind": "caption"}}, file]

    def content(self, notice: Notice, languages: Sequence[Language], names: Mapping[UserId, str]) -> dict[str, Any]:
        """Return the content of the event; in a room of two languages both stand in it, the requester's first."""
        plain = "\n\n".join(self._plain(notice, language, names) for language in languages) if notice.text else ""
        machine = {
            "v": VERSION,
            "kind": notice.kind,
            "case": notice.case_id or _case_number(notice.data.get("about")),
            **{
                key: _plain_data(value)
                for key, value in notice.data.items()
                if key != "about" or _case_number(value) is None
            },
        }
        if notice.poll is not None:
            return self._poll(notice, languages, names, machine)
        rich = "<hr>".join(self._html(notice, language, names) for language in languages) if notice.text else ""
        content: dict[str, Any] = {
            "msgtype": "m.text" if notice.rings else "m.notice",
            "body": plain,
            "format": "org.matrix.custom.html",
            "formatted_body": rich,
            "org.consilium": machine,
        }
        if notice.answers is not None:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": notice.answers}}
        return content

    def _poll(
        self, notice: Notice, languages: Sequence[Language], names: Mapping[UserId, str], machine: Mapping[str, Any]
    ) -> dict[str, Any]:
        assert notice.poll is not None
        question = " / ".join(self.sentence(notice.text, notice.values, language, names) for language in languages)
        answers = [
            {
                "id": option.answer_id,
                "org.matrix.msc1767.text": " / ".join(
                    dict.fromkeys(self._value(option.label, lang, names) for lang in languages)
                ),
            }
            for option in notice.poll.options
        ]
        fallback = "\n".join([question, *(f"{i}. {a['org.matrix.msc1767.text']}" for i, a in enumerate(answers, 1))])
        return {
            POLL_START: {
                "kind": "org.matrix.msc3381.poll.disclosed",
                "max_selections": 1,
                "question": {"org.matrix.msc1767.text": question, "body": question, "msgtype": "m.text"},
                "answers": answers,
            },
            "org.matrix.msc1767.text": fallback,
            "org.consilium": {**machine, "poll": [{"id": o.answer_id, "value": o.value} for o in notice.poll.options]},
        }

    def mail(self, key: str, values: Mapping[str, Any], language: Language) -> tuple[str, str]:
        """Return subject and text of a notice by e-mail: a case number at most, never what it is about."""
        subject, _, body = self.sentence(key, values, language).partition("\n")
        return subject.strip(), body.strip() + "\n"

    # -- one language --------------------------------------------------------------------------------------------------

    def sentence(
        self, key: str, values: Mapping[str, Any], language: Language, names: Mapping[UserId, str] | None = None
    ) -> str:
        """Return a text of the catalogue with its values, plain; a line that names an empty value is left out."""
        return self._marked(key, values, language, names or {}).translate(_NO_MARKS)

    def _marked(self, key: str, values: Mapping[str, Any], language: Language, names: Mapping[UserId, str]) -> str:
        template = _CODE.sub("\ue002\\1\ue003", _BOLD.sub("\ue000\\1\ue001", text(key, language)))
        rows = [self._row(row, values, language, names) for row in template.split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(row for row in rows if row is not None)).strip()

    def _row(self, row: str, values: Mapping[str, Any], language: Language, names: Mapping[UserId, str]) -> str | None:
        wanted = [name for _, name, _, _ in string.Formatter().parse(row) if name]
        if not wanted:
            return row
        filled = {
            name: self._value(values.get(name), language, names, block=row.strip() == f"{{{name}}}") for name in wanted
        }
        if any(filled[name] == "" for name in wanted):
            return None
        return row.format_map(filled)

    def _plain(self, notice: Notice, language: Language, names: Mapping[UserId, str]) -> str:
        words = self.sentence(notice.text, notice.values, language, names)
        return "\n".join([words, *(f"→ {line}" for line in self._next(notice, language))])

    def _html(self, notice: Notice, language: Language, names: Mapping[UserId, str]) -> str:
        words = html.escape(self._marked(notice.text, notice.values, language, names), quote=False).replace(
            "\n", "<br>"
        )
        for mark, tag in _MARKS.items():
            words = words.replace(mark, tag)
        steps = "".join(f"<br>→ <code>{html.escape(line, quote=False)}</code>" for line in self._next(notice, language))
        return words + steps

    def _next(self, notice: Notice, language: Language) -> list[str]:
        return [f"!{self.verb(step[0], language)} {' '.join(step[1:])}".strip() for step in notice.next[:3]]

    def verb(self, verb: str, language: Language) -> str:
        """Return how a verb is written in a language."""
        return self._verbs.get(verb, {}).get(language, verb)

    # -- one value -----------------------------------------------------------------------------------------------------

    def _value(self, value: Value, language: Language, names: Mapping[UserId, str], *, block: bool = False) -> str:
        match value:
            case None:
                return ""
            case At(at):
                return str(format_datetime(at.astimezone(self._timezone), "EEE d MMM y, HH:mm", locale=language.value))
            case Word(code):
                return self.sentence(f"word.{code}", {}, language)
            case Verb(verb):
                return f"!{self.verb(verb, language)}"
            case Label(labels):
                return labels.get(language.value) or labels.get("en") or next(iter(labels.values()), "")
            case LineName(line):
                found = self._catalogue.get(line)
                return found.name(language) if found else str(line)
            case Who(user_id):
                return names.get(user_id, str(user_id))
            case Clinical(words):
                return words.translate(_NO_MARKS)
            case Phrase(key, values):
                return self._marked(key, values, language, names)
            case Rows(rows):
                lines = [(self._value(a, language, names), self._value(b, language, names)) for a, b in rows]
                return "\n".join(f"• {a}: {b}" for a, b in lines) if lines else ""
            case Bullets(items):
                words_of = [self._value(item, language, names) for item in items]
                return ("\n".join(f"• {w}" for w in words_of) if block else ", ".join(words_of)) if words_of else ""
            case _:
                return str(value).translate(_NO_MARKS)


def _case_number(about: object) -> str | None:
    """Return a case number; a ring can also be about the test of the ring or about a session."""
    return about if isinstance(about, str) and about.startswith("C-") else None


def _pieces(text: str, most: int) -> list[str]:
    """Cut a text at paragraphs, or at lines, or where it must be, into pieces of at most *most* bytes."""
    pieces: list[str] = []
    piece = ""
    for row in text.split("\n"):
        left = row
        while left:
            room = most - len(piece.encode()) - 1
            if len(left.encode()) <= room:
                piece, left = f"{piece}\n{left}" if piece else left, ""
            elif piece:
                pieces.append(piece)
                piece = ""
            else:
                cut = left.encode()[:most].decode("utf-8", "ignore")
                pieces.append(cut)
                left = left[len(cut) :]
        if not row and piece:
            piece += "\n"
    return [*pieces, piece] if piece else pieces


def _plain_data(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Return data as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(k): _plain_data(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(v) for v in value]
    return str(value) if isinstance(value, str) else value
