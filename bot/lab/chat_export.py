"""What was said in a room, for people to look at: as Markdown, as one HTML file, and as a picture of a phone screen."""

import base64
import html
import json
import math
import re
import string
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path, PurePath
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TypeAlias

import nh3
import typst
from PIL import Image

from bot.adapters.report.characters import OWN_FONTS, drawable, fallback_fonts

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_TEMPLATES = Path(__file__).parent / "templates"
_PIXELS_PER_INCH = 288
"""Four pixels a point: a screen of 90 mm is 1020 pixels wide, and sharp on a display of double density."""

_PICTURE_PIXELS = 900
"""Wider than a bubble of the usual screen ever is: pictures are brought down to it before they are set."""

_PICTURES = ("image/png", "image/jpeg")
_LONGEST_WORD = 20
_ENDLESS_WORD = re.compile(r"(\S{160})\S+")
_MOST_ROWS, _MOST_CHARACTERS = 36, 1200
"""What of one message goes into a picture; the Markdown and the HTML have all of it."""

_LEAST_ROW_MM = 5
_TITLES = frozenset({"dr", "pr", "prof", "dre", "pre", "docteur", "doctor", "mme", "m"})
_PADLOCK = '<svg viewBox="0 0 24 24" role="img" aria-label="encrypted"><use href="#padlock"/></svg>'
# Signs of which no font here has a good picture in text size; the template draws them.
_SHAPES = dict(zip("🔔📎⚠🔒✅✓✔→", "bell clip warning lock check check check arrow".split(), strict=True))
_SHAPE = re.compile(f"([{''.join(_SHAPES)}])")
# Invisible by design (direction marks, joiners, colour or text variants of a sign): no box stands for them.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]")
_MARKDOWN_SIGNS = re.compile(r"([\\`*_\[\]<>&|~])")
_MARKDOWN_START = re.compile(r"^(\s*)([#+=-]|\d+(?=[.)]))")
# No control characters but tab and newline; half of a pair cannot be written to any file.
_CONTROLS: dict[int, str] = {
    **dict.fromkeys((*range(9), *range(11, 32), *range(0x7F, 0xA0)), ""),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLine:
    """One message as a client shows it.

    *at* is shown as it is: the caller gives it in the reader's time zone. *html* is the bot's own formatted body
    (`strong`, `code`, `br`, `hr`; anything else is removed), preferred to *text* where there is one. With *poll*,
    *text* is the question, and *chosen* the index of the reader's choice.
    """

    sender: str
    mine: bool
    bot: bool
    at: datetime
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    picture: bytes | None = field(default=None, repr=False)
    picture_mime: str | None = None
    file_name: str | None = None
    is_film: bool = False
    poll: tuple[str, ...] = ()
    chosen: int | None = None

    def __post_init__(self) -> None:
        """Refuse a picture of a kind that not everything here can show.

        Raises:
            ValueError: a picture that is said to be neither PNG nor JPEG.
        """
        if self.picture is not None and self.picture_mime not in _PICTURES:
            raise ValueError("picture_mime")


# -- words -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Words that look alike."""

    words: str
    strong: bool = False
    code: bool = False


_RULE = None
_Rows: TypeAlias = "list[list[_Run] | None]"
"""Rows of runs; `_RULE` is a line across."""


class _Rich(HTMLParser):
    """Reads cleaned HTML into rows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: _Rows = [[]]
        self._strong = self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 -- HTMLParser's
        match tag:
            case "br":
                self.rows.append([])
            case "hr":
                self.rows.extend([_RULE, []])
            case "strong":
                self._strong += 1
            case "code":
                self._code += 1

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "strong":
                self._strong -= 1
            case "code":
                self._code -= 1

    def handle_data(self, data: str) -> None:
        row = self.rows[-1]
        if row is not None:
            row.append(_Run(words=re.sub(r"[\n\r]+", " ", data), strong=self._strong > 0, code=self._code > 0))


def _cleaned(markup: str) -> str:
    return nh3.clean(markup.translate(_CONTROLS), tags={"strong", "code", "br", "hr"}, attributes={}, link_rel=None)


def _rows(line: ChatLine) -> _Rows:
    """Return what the message says; nothing if that is only the name of its file."""
    if line.html is not None:
        rich = _Rich()
        rich.feed(_cleaned(line.html))
        rich.close()
        return [row for i, row in enumerate(rich.rows) if row is _RULE or row or 0 < i < len(rich.rows) - 1]
    if not line.text.strip() or (line.file_name is not None and line.text.strip() == line.file_name.strip()):
        return []
    return [[_Run(words=row)] if row.strip() else [] for row in line.text.strip().splitlines()]


def _plain(text: str) -> str:
    """Return a name or an option in one line, without invisible characters."""
    return " ".join(_INVISIBLE.sub("", text).translate(_CONTROLS).split())


def _initial(name: str) -> str:
    """Return the letter of an avatar; a title before the name is passed over."""
    words = [word for word in re.findall(r"\w+", _plain(name)) if word[0].isalnum()]
    chosen = next((word for word in words if word.casefold() not in _TITLES), words[0] if words else "?")
    return unicodedata.normalize("NFC", chosen)[0].upper()[0]


def _day(at: datetime) -> str:
    return at.strftime("%d/%m/%Y")


def _time(at: datetime) -> str:
    return at.strftime("%H:%M")


def _kind(line: ChatLine) -> str:
    """Return what a file pill says below the name: the ending, in capitals."""
    ending = PurePath(_plain(line.file_name or "")).suffix.lstrip(".").upper()
    return ending if ending and len(ending) <= 5 else ("MP4" if line.is_film else "···")


# -- Markdown ----------------------------------------------------------------------------------------------------------


def as_markdown(title: str, lines: Sequence[ChatLine]) -> str:
    """Return the chat as Markdown: a heading a day, a quotation a message; pictures and files are named, not shown."""
    out = [f"# {_escaped(_plain(title))}", ""]
    day = ""
    for line in lines:
        if _day(line.at) != day:
            day = _day(line.at)
            out += [f"## {day}", ""]
        out += [f"**{_escaped(_plain(line.sender)) or '?'}**, {_time(line.at)}", ""]
        if line.picture is not None or line.file_name is not None:
            what = "film" if line.is_film else "picture" if line.picture is not None else "file"
            out += [f"> *{what}: {_escaped(_plain(line.file_name or '')) or line.picture_mime}*", ">"]
        for row in _rows(line):
            # Two blanks at the end keep the break; a line across needs a gap, or it would make a heading of the words.
            out += [">", "> ---", ">"] if row is _RULE else [f"> {_marked(row)}  " if row else ">"]
        if line.poll:
            out.append(">")
        for n, option in enumerate(line.poll):
            out.append(f"> - [{'x' if n == line.chosen else ' '}] {_escaped(_plain(option))}")
        while out[-1] == ">":
            out.pop()
        out[-1] = out[-1].rstrip()
        out.append("")
    return "\n".join(out)


def _escaped(text: str) -> str:
    escaped = _MARKDOWN_SIGNS.sub(r"\\\1", _INVISIBLE.sub("", text).translate(_CONTROLS))
    return _MARKDOWN_START.sub(lambda m: f"{m[1]}{m[2]}\\" if m[2].isdigit() else f"{m[1]}\\{m[2]}", escaped)


def _marked(row: Sequence[_Run]) -> str:
    out = ""
    for run in row:
        words = run.words.strip()
        if not words:
            out += run.words
            continue
        before, after = run.words[: len(run.words) - len(run.words.lstrip())], run.words[len(run.words.rstrip()) :]
        if run.code:
            fence = "`" * (1 + max((len(ticks) for ticks in re.findall("`+", words)), default=0))
            pad = " " if words[0] == "`" or words[-1] == "`" else ""
            words = f"{fence}{pad}{_INVISIBLE.sub('', words)}{pad}{fence}"
        else:
            words = _escaped(words)
        out += f"{before}**{words}**{after}" if run.strong else f"{before}{words}{after}"
    return out.strip()


# -- HTML --------------------------------------------------------------------------------------------------------------


def as_html(title: str, chats: Mapping[str, Sequence[ChatLine]]) -> str:
    """Return one page with a phone for every chat, by name: it needs no script and nothing from any address."""
    names = list(chats)
    tabs = "".join(f'<a href="#chat-{n}">{_shown(_plain(name))}</a>' for n, name in enumerate(names))
    phones = "\n".join(_phone(n, name, chats[name]) for n, name in enumerate(names))
    page = string.Template((_TEMPLATES / "chat.html").read_text(encoding="utf-8"))
    return page.substitute(title=_shown(_plain(title)), tabs=tabs, phones=phones)


def _shown(text: str) -> str:
    return html.escape(text.translate(_CONTROLS))


def _phone(n: int, name: str, lines: Sequence[ChatLine]) -> str:
    out = [f'<section class="phone" id="chat-{n}">', "<header>"]
    out.append(f'<span class="avatar">{_shown(_initial(name))}</span><h2>{_shown(_plain(name))}{_PADLOCK}</h2>')
    out += ["</header>", '<div class="thread">']
    for before, line in zip([None, *lines], lines, strict=False):
        new_day = before is None or _day(before.at) != _day(line.at)
        if new_day:
            out.append(f'<p class="day">{_day(line.at)}</p>')
        out.append(_bubble(line, first=new_day or not _same_speaker(before, line)))
    return "\n".join([*out, "</div>", "</section>"])


def _bubble(line: ChatLine, *, first: bool) -> str:
    name = _shown(_plain(line.file_name or ""))
    parts = []
    if line.picture is not None:
        data = base64.b64encode(line.picture).decode("ascii")
        parts.append(f'<img alt="{name}" src="data:{line.picture_mime};base64,{data}">')
    if line.file_name is not None and (line.picture is None or line.is_film):
        film = " film" if line.is_film else ""
        parts.append(f'<div class="file{film}"><b>{_shown(_kind(line))}</b><span>{name}</span></div>')
    if _rows(line):
        words = _cleaned(line.html) if line.html is not None else _shown(line.text.strip())
        question = " question" if line.poll else ""
        parts.append(f'<div class="words{question}" dir="auto">{words}</div>')
    if line.poll:
        marks = [' class="chosen"' if n == line.chosen else "" for n in range(len(line.poll))]
        options = [f"<li{mark}>{_shown(_plain(option))}</li>" for mark, option in zip(marks, line.poll, strict=True)]
        parts.append(f"<ul>{''.join(options)}</ul>")
    classes = {"mine": line.mine, "bot": line.bot, "next": not first}
    return (
        f'<div class="{" ".join(["line", *(name for name, fits in classes.items() if fits)])}">'
        f'<span class="avatar">{_shown(_initial(line.sender))}</span><div>'
        f'<div class="who">{_shown(_plain(line.sender))}</div><div class="bubble">{"".join(parts)}'
        f'<time datetime="{line.at.isoformat()}">{_time(line.at)}</time></div></div></div>'
    )


def _same_speaker(before: ChatLine | None, line: ChatLine) -> bool:
    return before is not None and (before.sender, before.mine, before.bot) == (line.sender, line.mine, line.bot)


# -- picture -----------------------------------------------------------------------------------------------------------


def as_picture(title: str, lines: Sequence[ChatLine], *, width_mm: float = 90, max_height_mm: float = 190) -> bytes:
    """Return a PNG of a phone screen with the newest lines; 1 mm is 11.3 pixels. Blocks: call it in a thread.

    The screen is as high as its lines need, at most *max_height_mm*; a line that has only part of its room fades out
    under the header. Any text is possible: what the fonts lack becomes a box with its code. A picture that cannot be
    decoded is shown as a file.

    Raises:
        ValueError: a screen less than 60 mm wide or 80 mm high, or more than 300 mm wide or 2,000 mm high.
    """
    if not (60 <= width_mm <= 300 and 80 <= max_height_mm <= 2000):
        raise ValueError("screen_size")
    newest = lines[-math.ceil(max_height_mm / _LEAST_ROW_MM) :]
    people = ", ".join(dict.fromkeys(_plain(line.sender) for line in lines))
    with TemporaryDirectory() as name:
        folder = Path(name)
        data: dict[str, Json] = {
            "title": drawable(_plain(title), longest=200, limit=round(width_mm / 2.7)),
            "letter": drawable(_initial(title)),
            "people": drawable(people, longest=200, limit=round(width_mm / 1.7)),
            "clock": _time(lines[-1].at) if lines else "",
            "width": width_mm,
            "height": max_height_mm,
            "items": _items(newest, lines, folder),
        }
        # The texts go in as JSON strings, which the template never reads as markup; beside it lie the pictures alone.
        return typst.compile(
            copyfile(_TEMPLATES / "chat.typ", folder / "chat.typ"),
            root=folder,
            font_paths=_fonts(),
            format="png",
            ppi=_PIXELS_PER_INCH,
            sys_inputs={"data": json.dumps(data)},
        )


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[OWN_FONTS, fallback_fonts()]
    )


def _items(newest: Sequence[ChatLine], every: Sequence[ChatLine], folder: Path) -> list[Json]:
    others = list(dict.fromkeys(line.sender for line in every if not line.bot and not line.mine))
    items: list[Json] = []
    for n, (before, line) in enumerate(zip([None, *newest], newest, strict=False)):
        new_day = before is None or _day(before.at) != _day(line.at)
        if new_day:
            items.append({"kind": "day", "words": _day(line.at)})
        picture = _picture(line, folder / f"{n}.png")
        pill = picture is None and (line.file_name is not None or line.picture is not None)
        file: Json = (
            {"name": _named(line.file_name or "…", 60), "kind": drawable(_kind(line)), "film": line.is_film}
            if pill
            else None
        )
        items.append(
            {
                "kind": "line",
                "who": _named(line.sender, 44),
                "letter": drawable(_initial(line.sender)),
                "person": others.index(line.sender) if line.sender in others else 0,
                "mine": line.mine,
                "bot": line.bot,
                "first": new_day or not _same_speaker(before, line),
                "at": _time(line.at),
                "rows": _set(_shortened(_rows(line))),
                "picture": picture,
                "file": file,
                "options": [
                    {"words": _named(option, 160), "chosen": i == line.chosen}
                    for i, option in enumerate(line.poll[:20])
                ],
            }
        )
    return items


def _named(name: str, limit: int) -> str:
    return drawable(_plain(name), longest=_LONGEST_WORD, limit=limit)


def _shortened(rows: _Rows) -> _Rows:
    """Return as much as belongs in a picture, with "…" after it where something was cut."""
    left = _MOST_CHARACTERS
    out: _Rows = []
    for n, row in enumerate(rows):
        if n == _MOST_ROWS:
            return [*out, [_Run(words="…")]]
        if row is _RULE:
            out.append(_RULE)
            continue
        kept: list[_Run] = []
        for run in row:
            words = _ENDLESS_WORD.sub(r"\1…", run.words)
            if len(words) > left:
                return [*out, [*kept, replace(run, words=words[:left].rstrip() + "…")]]
            kept.append(replace(run, words=words))
            left -= len(words)
        out.append(kept)
    return out


def _set(rows: _Rows) -> list[Json]:
    """Return rows as the template reads them: drawable words, and shapes in place of signs that no font has."""
    out: list[Json] = []
    for row in rows:
        runs: list[Json] = []
        for run in row or []:
            for part in _SHAPE.split(_INVISIBLE.sub("", run.words)):
                shape = _SHAPES.get(part, "")
                words = "" if shape else drawable(part, longest=_LONGEST_WORD).replace("\n", " ")
                if shape or words:
                    runs.append({"words": words, "shape": shape, "strong": run.strong, "code": run.code})
        out.append({"rule": row is _RULE, "runs": runs})
    return out


def _picture(line: ChatLine, path: Path) -> Json:
    """Write the picture as the template can show it, and return its name and shape; None if it cannot be decoded."""
    if line.picture is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(line.picture), formats=["PNG", "JPEG"]) as opened:
                opened.thumbnail((_PICTURE_PIXELS, _PICTURE_PIXELS * 2), Image.Resampling.LANCZOS)
                shown = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    shown.save(path, "PNG")
    return {"file": path.name, "ratio": min(shown.height / shown.width, 1.6), "film": line.is_film}


def as_pictures_side_by_side(pictures: Sequence[bytes]) -> bytes:
    """Return PNGs next to each other as one PNG, with room between them and a transparent ground; tops are level.

    Raises:
        ValueError: no pictures.
        OSError: one that cannot be decoded.
    """
    if not pictures:
        raise ValueError("no_pictures")
    opened = [Image.open(BytesIO(picture)).convert("RGBA") for picture in pictures]
    gap = max(picture.width for picture in opened) // 20
    size = (sum(picture.width for picture in opened) + gap * (len(opened) - 1), max(p.height for p in opened))
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    left = 0
    for picture in opened:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    out = BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()
