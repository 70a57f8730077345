"""The lines of the hospital, one YAML file each; `load` reads them all or says every mistake."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bot.domain.errors import ConfigError
from bot.domain.lines import Catalogue, Line
from specialties.checks import mistakes_between, mistakes_in
from specialties.schema import FieldPart, IncludedPart, LinePart, said
from specialties.yaml_file import YamlFile, read_yaml

__all__ = ["LineFilesWrong", "load"]

_OWN_FOLDER = Path(__file__).parent
_COMMON = "common.yaml"
_Part = TypeVar("_Part", bound=BaseModel)


class LineFilesWrong(ConfigError):
    """Line files that cannot be used; `mistakes` has one text for each: file, line number, path, what is wrong."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load(folder: Path | None = None) -> Catalogue:
    """Read every line file of a folder; None reads the lines that come with Consilium.

    Each line begins with the fields of `common.yaml`, of that folder or else of Consilium.

    Raises:
        LineFilesWrong: with every mistake of every file, not only the first.
    """
    folder = folder or _OWN_FOLDER
    mistakes: list[str] = []
    common = _common_fields(folder, mistakes)
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.name != _COMMON]
    if not paths:
        mistakes.append(f"{folder.name}: no line file (*.yaml) in this folder")
    read = [found for path in paths if (found := _read_line(path, common, mistakes)) is not None]
    # With a file left out, another would seem to name a line that does not exist.
    if len(read) == len(paths):
        files = {line.id: file for file, line in read}
        mistakes += [files[line.id].says(where, text) for line, where, text in mistakes_between([o for _, o in read])]
    if mistakes:
        raise LineFilesWrong(tuple(mistakes))
    return Catalogue(lines=tuple(line for _, line in read))


def _common_fields(folder: Path, mistakes: list[str]) -> Mapping[str, FieldPart]:
    path = folder / _COMMON
    _, part = _read_part(IncludedPart, path if path.exists() else _OWN_FOLDER / _COMMON, mistakes)
    return {} if part is None else part.fields


def _read_line(path: Path, common: Mapping[str, FieldPart], mistakes: list[str]) -> tuple[YamlFile, Line] | None:
    file, part = _read_part(LinePart, path, mistakes)
    if part is None or not common:
        return None
    line = part.line(common)
    found = list(mistakes_in(line))
    if part.id != path.stem:
        found.append((("id",), f"must be the file's name, {path.stem}"))
    mistakes += [file.says(where, text) for where, text in found]
    return (file, line) if not found else None


def _read_part(shape: type[_Part], path: Path, mistakes: list[str]) -> tuple[YamlFile, _Part | None]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{path.name}:1: not readable as UTF-8 text ({type(error).__name__})")
        return YamlFile(name=path.name), None
    file = read_yaml(path.name, text)
    mistakes += file.mistakes
    if file.mistakes:
        return file, None
    try:
        return file, shape.model_validate(file.content)
    except ValidationError as error:
        for mistake in error.errors(include_url=False, include_input=False):
            where = tuple(str(step) for step in mistake["loc"] if step != "[key]")
            mistakes.append(file.says(where, said(mistake["msg"])))
        return file, None
