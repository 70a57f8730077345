"""What a chat looks like as Markdown, as a page and as a phone screen, for ordinary and for hostile words."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from bot.lab.chat_export import ChatLine, as_html, as_markdown, as_picture, as_pictures_side_by_side

START = datetime(2026, 7, 16, 14, 2)  # noqa: DTZ001 -- a time is shown as it is given
MARKUP = (
    '#let x=1 $a^2$ @ref *bold* _it_ \\ `raw` <lab> // c /* */ [x] {y} ~ -- ...\n= h\n- l\n#panic(1)\n#read("/etc")'
)
HOSTILE = {
    "markup": MARKUP,
    "tags": '</style></div><script>alert(1)</script><img src="https://outside.example/a.png" onerror=x>',
    "one endless word": "W" * 5000,
    "many words": "mot " * 1250,
    "many rows": "\n" * 2000 + "fin\n" * 1000,
    "signs without a glyph": "👩‍⚕️🔔⚠️📎🔒✅✓→ 🇧🇪 中文 \U000e0041",
    "direction marks": "\u202egnp.exe\u2066 \u200f53 עברית العربية",
    "controls and half a pair": "a\x00\x1b[31m\ud800\ufffe\u2028b",
    "accents in a tower": "e" + "\u0301" * 200,
    "the marks of boxes": "\ue000\ue001\ue001x\ue000",
    "nothing": " \n\t",
}
EVERY_HOSTILE = pytest.mark.parametrize("words", list(HOSTILE.values()), ids=list(HOSTILE))
GREEN, GREY = (0xD9, 0xF2, 0xE6), (0xF0, 0xF2, 0xF5)
MAGENTA = (255, 0, 255)


def said(text: str = "", *, minute: int = 0, **values: Any) -> ChatLine:
    """A line of the requester's own, unless told otherwise."""
    line = ChatLine(sender="Dr Anne Dupont", mine=True, bot=False, at=START + timedelta(minutes=minute), text=text)
    return replace(line, **values)


def answered(html: str | None = None, *, text: str = "", minute: int = 0, **values: Any) -> ChatLine:
    return said(text, minute=minute, sender="Consilium", mine=False, bot=True, html=html, **values)


def a_picture(size: tuple[int, int] = (1200, 500), form: str = "PNG") -> bytes:
    out = BytesIO()
    Image.new("RGB", size, MAGENTA).save(out, form)
    return out.getvalue()


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("RGBA")


def share(png: bytes, colour: tuple[int, int, int]) -> float:
    """The part of the screen that has this colour, nearly."""
    picture = opened(png).convert("RGB").resize((200, 400), Image.Resampling.NEAREST)
    near = sum(
        all(abs(a - b) < 6 for a, b in zip(picture.getpixel((x, y)), colour, strict=True))  # type: ignore[arg-type]  # RGB
        for x in range(200)
        for y in range(400)
    )
    return near / 80_000


class Page(HTMLParser):
    """The tags of a page, with what they say about addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


# -- Markdown ----------------------------------------------------------------------------------------------------------


def test_markdown_says_who_said_what_and_when() -> None:
    """A heading a day, the bot's own marks kept, the next steps as code."""
    lines = [answered("<strong>Noté :</strong><br>FEVG 35<br>→ <code>!soumettre</code>"), said("!soumettre", minute=3)]

    assert as_markdown("C-2026-0007", lines) == (
        "# C-2026-0007\n\n## 16/07/2026\n\n"
        "**Consilium**, 14:02\n\n> **Noté :**  \n> FEVG 35  \n> → `!soumettre`\n\n"
        "**Dr Anne Dupont**, 14:05\n\n> !soumettre\n"
    )


def test_markdown_begins_each_day_with_its_date() -> None:
    """A chat that lasts is read by days."""
    written = as_markdown("x", [said("a"), said("b", minute=1), said("c", minute=24 * 60)])

    assert re.findall(r"^## (.+)$", written, re.M) == ["16/07/2026", "17/07/2026"]


def test_markdown_names_pictures_films_and_files() -> None:
    """It cannot show them; a text that is only the file's name is not said twice."""
    lines = [
        said("ecg.png", file_name="ecg.png", picture=a_picture(), picture_mime="image/png"),
        said("voici", file_name="echo.mp4", is_film=True),
        answered(text="avis.pdf", file_name="avis.pdf"),
    ]

    written = as_markdown("x", lines)

    assert [line for line in written.splitlines() if line.startswith(">") and line != ">"] == [
        "> *picture: ecg.png*",
        "> *film: echo.mp4*",
        "> voici",
        "> *file: avis.pdf*",
    ]


def test_markdown_marks_the_choice_of_a_poll() -> None:
    """As a list of tasks."""
    written = as_markdown("x", [answered(text="Urgence ?", poll=("Oui", "Non"), chosen=1)])

    assert written.endswith("> Urgence ?  \n>\n> - [ ] Oui\n> - [x] Non\n")


@EVERY_HOSTILE
def test_nobodys_words_are_marks_in_markdown(words: str) -> None:
    """Every line that was said stays inside its quotation, and can be written to a file."""
    written = as_markdown(words, [said(words), answered(words, poll=(words,), file_name=words), said(sender=words)])

    allowed = re.compile(r"$|# |## 16/07/2026$|\*\*.*\*\*, 14:02$|>( |$)")
    assert [line for line in written.split("\n") if not allowed.match(line)] == []
    assert re.search(r"(?<!\\)<(script|img|lab)", written) is None
    written.encode()


# -- HTML --------------------------------------------------------------------------------------------------------------


def test_a_page_needs_no_script_and_no_address() -> None:
    """It is opened from a folder, years later, without a network."""
    line = said("ecg.png", file_name="ecg.png", picture=a_picture(form="JPEG"), picture_mime="image/jpeg")
    page = Page(as_html("Démonstration", {"C-2026-0007": [line], "Dr Lejeune": [said("bonjour")]}))

    assert {"script", "link", "iframe", "object"}.isdisjoint(page.tags)
    assert page.handlers == []
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in page.addresses)
    assert sum(address.startswith("data:") for address in page.addresses) == 1


def test_a_page_has_a_phone_for_every_chat_and_a_way_to_it() -> None:
    """Each link on top leads to a section that exists."""
    written = as_html("x", {"C-2026-0007": [said("un")], "Anne": [said("deux")], "Marc": []})

    links = re.findall(r'href="#(chat-\d+)"', written)
    assert links == re.findall(r'<section class="phone" id="(chat-\d+)"', written) == ["chat-0", "chat-1", "chat-2"]


def test_a_page_is_light_or_dark_as_the_reader_wishes() -> None:
    """The machine of the reader says it."""
    assert "prefers-color-scheme: dark" in as_html("x", {})


def test_a_page_keeps_the_bots_own_marks_and_no_others() -> None:
    """Strong, code, breaks, lines; an address or a script in them is gone."""
    written = as_html("x", {"x": [answered('<strong>a</strong><br><code>b</code><hr><a href="http://e">c</a>')]})

    assert '<div class="words" dir="auto"><strong>a</strong><br><code>b</code><hr>c</div>' in written


@EVERY_HOSTILE
def test_nobodys_words_are_tags_in_a_page(words: str) -> None:
    """In every place where words from outside stand: title, room, sender, text, HTML, file name, poll."""
    plain = Page(as_html("x", {"x": [said("x", sender="x", file_name="x"), answered("x", poll=("x",))]}))
    lines = [said(words, sender=words, file_name=words + "."), answered(words, poll=(words,))]

    written = as_html(words, {words: lines})

    page = Page(written)
    assert set(page.tags) <= set(plain.tags)
    assert page.handlers == []
    assert all(address.startswith("#") for address in page.addresses)
    assert re.search("[\x00-\x08\x0b-\x1f\ud800-\udfff]", written) is None


# -- picture -----------------------------------------------------------------------------------------------------------


def test_a_screen_is_sharp_and_never_higher_than_asked() -> None:
    """Two pixels for one on a phone; the corners are transparent."""
    screen = opened(as_picture("C-2026-0007", [said(f"message {n}", minute=n) for n in range(60)]))

    assert screen.width == 1020
    assert abs(screen.height - 190 / 25.4 * 288) <= 2
    assert screen.getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_short_chat_has_a_short_screen() -> None:
    """No empty paper below three lines."""
    few = opened(as_picture("x", [said("bonjour"), answered(text="bonjour")]))
    more = opened(as_picture("x", [said(f"bonjour {n}", minute=n) for n in range(14)]))

    assert few.height < more.height <= 190 / 25.4 * 288 + 2


def test_own_lines_stand_right_and_others_left() -> None:
    """As in every chat."""
    left = opened(as_picture("x", [answered(text="bonjour")])).convert("RGB")
    right = opened(as_picture("x", [said("bonjour")])).convert("RGB")

    def middle(picture: Image.Image, colour: tuple[int, int, int]) -> float:
        below_header = range(picture.height // 4, picture.height * 2 // 3, 4)
        found = [x for y in below_header for x in range(0, picture.width, 4) if picture.getpixel((x, y)) == colour]
        return sum(found) / len(found)

    assert middle(left, GREY) < left.width * 0.5 < middle(right, GREEN)


def test_the_newest_lines_are_the_ones_that_are_seen() -> None:
    """What is older leaves the screen at the top: lines of its own replace the bot's."""
    old = [answered(text=f"ancien {n}", minute=n) for n in range(40)]
    new = [said(f"nouveau {n}", minute=60 + n) for n in range(40)]

    assert as_picture("x", [*old, *new]) == as_picture("x", [*old[3:], *new])
    assert share(as_picture("x", [*old, *new]), GREEN) > 0.05
    assert share(as_picture("x", [*new, *old]), GREEN) < 0.01


def test_a_line_with_half_its_room_gives_way_at_the_top() -> None:
    """The newest line is whole whatever stands above it."""
    tall = answered(picture=a_picture((500, 800)), picture_mime="image/png", file_name="a.png")
    alone = opened(as_picture("x", [said("dernier", minute=1)]))

    screen = opened(as_picture("x", [tall, said("dernier", minute=1)], max_height_mm=100)).convert("RGB")

    colours = [screen.getpixel((screen.width * 7 // 8, y)) for y in range(screen.height)]
    whole = [alone.convert("RGB").getpixel((alone.width * 7 // 8, y)) for y in range(alone.height)]
    assert abs(colours.count(GREEN) - whole.count(GREEN)) <= 2 < colours.count(GREEN)  # the edges fall between pixels
    assert any(screen.getpixel((screen.width // 2, y)) == MAGENTA for y in range(screen.height))


def test_a_picture_is_shown_at_the_width_of_its_bubble() -> None:
    """An ECG is the largest thing on the screen."""
    line = said("ecg.png", file_name="ecg.png", picture=a_picture(), picture_mime="image/png")

    screen = opened(as_picture("x", [line])).convert("RGB")

    row = max(sum(screen.getpixel((x, y)) == MAGENTA for x in range(screen.width)) for y in range(0, screen.height, 10))
    assert 0.65 * screen.width < row < 0.85 * screen.width


def test_a_picture_that_cannot_be_decoded_is_a_file() -> None:
    """A name instead of a picture, never an error."""
    broken = [b"", b"\x89PNG\r\n\x1a\nxx", a_picture()[:-40], b"%PDF-1.7"]

    for data in broken:
        line = said("", file_name="ecg.png", picture=data, picture_mime="image/png")
        assert as_picture("x", [line]) == as_picture("x", [said("", file_name="ecg.png")])


def test_a_film_is_told_from_a_document() -> None:
    """By its sign, and by a triangle on its still."""
    still: dict[str, Any] = {"picture": a_picture(), "picture_mime": "image/png", "file_name": "echo.mp4"}

    assert as_picture("x", [said(file_name="echo.mp4")]) != as_picture("x", [said(file_name="echo.mp4", is_film=True)])
    assert as_picture("x", [said(**still)]) != as_picture("x", [said(**still, is_film=True)])


def test_the_chosen_option_of_a_poll_is_marked() -> None:
    """In the accent; an index that is none of the options marks nothing."""
    accent = (0x0A, 0x7D, 0x62)
    polls = {chosen: answered(text="Urgence ?", poll=("Oui", "Non"), chosen=chosen) for chosen in (None, 0, 1, 7)}
    screens = {chosen: as_picture("x", [line]) for chosen, line in polls.items()}

    assert len({screens[None], screens[0], screens[1]}) == 3
    assert screens[7] == screens[None]
    assert share(screens[1], accent) > share(screens[None], accent)


def test_bold_and_code_look_different_from_plain_words() -> None:
    """The bot's marks reach the picture."""
    screens = {as_picture("x", [answered(html)]) for html in ("avis", "<strong>avis</strong>", "<code>avis</code>")}

    assert len(screens) == 3


@pytest.mark.parametrize("sign", ["🔔", "📎", "⚠", "⚠️", "→", "✓", "🔒", "✅"])
def test_signs_of_the_bot_are_drawn(sign: str) -> None:
    """No box with a code stands for a sign that the bot itself uses."""
    box = as_picture("x", [answered(text="\U0001f9ff avis")])

    assert as_picture("x", [answered(text=f"{sign} avis")]) not in (box, as_picture("x", [answered(text="avis")]))


@EVERY_HOSTILE
def test_any_words_make_a_picture(words: str) -> None:
    """In every place where words from outside stand, and however little room there is."""
    lines = [
        said(words, sender=words, mine=False),
        said(words, file_name=words),
        answered(words, poll=(words, "", words), chosen=1, minute=1),
        answered(f"<strong>{words}</strong><hr><code>{words}</code>", minute=2),
    ]

    assert opened(as_picture(words, lines)).width == 1020
    assert opened(as_picture(words, lines, width_mm=60, max_height_mm=80)).height <= 80 / 25.4 * 288 + 2


def test_markup_of_the_typesetter_is_only_words() -> None:
    """A heading would be higher, strong words would be wider, and a call would stop everything."""
    marked, plain = "= titre\n#panic(1)\n*gras*", "x titre\nx panic\nx"

    assert opened(as_picture("x", [said(marked)])).height == opened(as_picture("x", [said(plain)])).height
    assert as_picture("x", [answered(text="*gras*")]) != as_picture("x", [answered("<strong>gras</strong>")])


def test_a_chat_without_lines_is_an_empty_screen() -> None:
    """A room in which nothing was said yet."""
    assert opened(as_picture("C-2026-0007", [])).width == 1020
    assert as_markdown("x", []) == "# x\n"


@pytest.mark.parametrize("size", [(59, 190), (301, 190), (90, 79), (90, 2001), (float("nan"), 190)])
def test_a_screen_of_no_use_is_refused(size: tuple[float, float]) -> None:
    """Too narrow for a bubble, or larger than any memory should hold."""
    with pytest.raises(ValueError, match="screen_size"):
        as_picture("x", [], width_mm=size[0], max_height_mm=size[1])


def test_a_picture_of_another_kind_is_refused() -> None:
    """What is neither PNG nor JPEG (SVG above all) never gets into the page."""
    with pytest.raises(ValueError, match="picture_mime"):
        said(picture=b"<svg/>", picture_mime="image/svg+xml")


# -- side by side ------------------------------------------------------------------------------------------------------


def test_screens_stand_side_by_side_with_level_tops() -> None:
    """Nothing is scaled; what is below the shorter one is transparent."""
    tall, low = a_picture((100, 300)), a_picture((100, 200))

    sheet = opened(as_pictures_side_by_side([tall, low]))

    assert sheet.size == (205, 300)
    assert sheet.getpixel((150, 199)) == (*MAGENTA, 255)
    assert sheet.getpixel((102, 100)) == sheet.getpixel((150, 201)) == (0, 0, 0, 0)


def test_no_screens_at_all_are_refused() -> None:
    """There would be nothing to look at."""
    with pytest.raises(ValueError, match="no_pictures"):
        as_pictures_side_by_side([])
