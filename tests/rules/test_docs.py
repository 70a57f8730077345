"""What must hold for the documentation: generated parts are the code's, links lead somewhere, nothing is left out."""

import importlib.machinery
import importlib.util
import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from pydantic import BaseModel

from bot.__main__ import _parser
from bot.config import Config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
GENERATED = ("architecture.md", "commands.md", "events.md", "operations.md")
LARGEST_PICTURE = 400_000


@cache
def _script() -> Any:
    """Return `scripts/docs` as a module."""
    loader = importlib.machinery.SourceFileLoader("scripts_docs", str(ROOT / "scripts" / "docs"))
    spec = importlib.util.spec_from_loader("scripts_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scripts_docs"] = module
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


# -- what is generated -------------------------------------------------------------------------------------------------


def test_every_page_with_marks_is_generated() -> None:
    """A part between marks that nothing makes would rot unseen."""
    marked = {page.name for page in DOCS.glob("*.md") if "<!-- generated:" in page.read_text(encoding="utf-8")}

    assert marked == set(GENERATED) == set(_script().parts())


@pytest.mark.parametrize("name", GENERATED)
def test_the_generated_parts_of_a_page_are_what_the_code_says(name: str) -> None:
    """Where this fails, run `.venv/bin/python scripts/docs`."""
    page = (DOCS / name).read_text(encoding="utf-8")

    assert page == _script().filled(page, _script().parts()[name])


def test_a_page_without_its_marks_is_refused() -> None:
    """A generated part is never lost silently."""
    with pytest.raises(ValueError, match="no marks for states"):
        _script().filled("# Architecture", {"states": "…"})


def test_the_pictures_show_what_the_bot_says_today() -> None:
    """The conversation is played anew. Where this fails, run `.venv/bin/python scripts/docs`, and look at them."""
    made = _script().pictures()
    kept = {path.name: path.read_bytes() for path in (DOCS / "pictures").iterdir()}

    assert sorted(made) == sorted(kept)
    assert [name for name in made if not _script().look_alike(made[name], kept[name])] == []


def test_another_word_makes_another_picture() -> None:
    """The comparison overlooks how a font is smoothed, and nothing that can be read."""
    assert _script().look_alike(_written("7F3K-92QD"), _written("7F3K-92QD"))
    assert not _script().look_alike(_written("7F3K-92QD"), _written("7F3K-92QB"))


def _written(words: str) -> bytes:
    picture = Image.new("RGB", (200, 40), "white")
    ImageDraw.Draw(picture).text((10, 10), words, fill="black", font_size=18)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_pictures_are_small() -> None:
    """A page of documentation opens at once."""
    sizes = {path.name: path.stat().st_size for path in (DOCS / "pictures").iterdir()}

    assert {name: size for name, size in sizes.items() if size > LARGEST_PICTURE} == {}


# -- links and words ---------------------------------------------------------------------------------------------------


@EVERY_PAGE
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading of it where one is named."""
    assert [link for link in _links(page) if not _leads_somewhere(page, link)] == []


def _links(page: Path) -> list[str]:
    words = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [*re.findall(r"\]\(([^)\s]+)\)", words), *re.findall(r'src="([^"]+)"', words)]
    return [link for link in links if not link.startswith(("https://", "mailto:"))]


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    return not heading or heading in _headings(target)


def _headings(page: Path) -> set[str]:
    """Return the headings of a page as GitHub and GitLab name them in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@EVERY_PAGE
def test_a_page_names_no_place_of_a_machine(page: Path) -> None:
    """Whoever reads has another machine: paths are the project's, or those of a hospital's host."""
    words = page.read_text(encoding="utf-8")

    assert re.findall(r"(?<![\w.])/(?:work|root|home/[a-z]+|tmp|Users)/\S*|\.\./shared\S*|\bC:\\\S*", words) == []


@EVERY_PAGE
def test_a_page_is_composed_text(page: Path) -> None:
    """Accents are one character each, so that searching finds them; no tabs, no blanks at the end of a line."""
    words = page.read_text(encoding="utf-8")

    assert words == unicodedata.normalize("NFC", words)
    assert [line for line in words.splitlines() if "\t" in line or line != line.rstrip()] == []


# -- nothing left out --------------------------------------------------------------------------------------------------


def test_every_kind_of_message_is_explained_and_no_other() -> None:
    """The table of meanings in events.md, against the kinds that the code gives."""
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    meanings = page.partition("## Kinds and what they mean")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", meanings, flags=re.MULTILINE)
    explained = [kind for cell in first_cells for kind in re.findall(r"`(\w+)`", cell)]

    assert sorted(explained) == sorted(_script().kinds())


def test_every_key_of_the_configuration_is_explained_and_no_other() -> None:
    """Each row of the table in configuration.md is a key, and each key has a row."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`[^|]+) \|", page, flags=re.MULTILINE)
    explained = [key for cell in first_cells for key in re.findall(r"`([\w.]+)`", cell)]

    assert sorted(explained) == sorted(_keys(Config))


def _keys(section: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, one in section.model_fields.items():
        yield above + name
        inner = [part for part in (one.annotation, *_parts_of(one.annotation)) if _is_section(part)]
        for part in inner:
            yield from _keys(part, f"{above}{name}.")


def _parts_of(annotation: Any) -> tuple[Any, ...]:
    return tuple(getattr(annotation, "__args__", ()))


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_every_command_of_the_program_is_explained() -> None:
    """Whoever looks after the host finds each of them in operations.md."""
    offered = re.findall(r"^    (\w+)\b", _parser().format_help(), flags=re.MULTILINE)
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## Commands of the program")[2].partition("\n## ")[0]

    assert len(offered) > 10
    assert [name for name in offered if not re.search(rf"`(?:consilium )?{name}\b", table)] == []


def test_every_decision_stands_in_their_list() -> None:
    """And has a number of its own."""
    notes = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (DOCS / "decisions" / "README.md").read_text(encoding="utf-8"))

    assert sorted(listed) == notes
    assert len({name[:4] for name in notes}) == len(notes)


def test_every_library_has_a_reason() -> None:
    """A run-time dependency needs a line in the note on libraries."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    note = next((DOCS / "decisions").glob("*-libraries.md")).read_text(encoding="utf-8")
    wanted = [re.split(r"[\[<>=~! ;]", one, maxsplit=1)[0] for one in project["dependencies"]]

    assert [name for name in wanted if not _is_named(name, note)] == []


def _is_named(library: str, note: str) -> bool:
    family = library.partition("-")[0] if library.startswith("pylibjpeg") else library
    return re.search(rf"^\| [^|]*\b{re.escape(family)}\b", note, flags=re.MULTILINE | re.IGNORECASE) is not None
