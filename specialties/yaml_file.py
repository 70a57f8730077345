"""Reads YAML as clinicians write it: every word stays a word, and a name written twice is a mistake."""

from dataclasses import dataclass
from dataclasses import field as given

import yaml

Path = tuple[str, ...]
Content = str | None | list["Content"] | dict[str, "Content"]


@dataclass(slots=True, kw_only=True)
class YamlFile:
    """What a file holds, the line on which each part begins, and what is wrong with its YAML."""

    name: str
    content: Content = None
    lines: dict[Path, int] = given(default_factory=dict)
    mistakes: list[str] = given(default_factory=list)

    def says(self, path: Path, text: str) -> str:
        """Return a mistake as one line of text: file, line number, path, what is wrong."""
        where = ".".join(path)
        return f"{self.name}:{self.line_of(path)}: {where + ': ' if where else ''}{text}"

    def line_of(self, path: Path) -> int:
        """Return the line of a part, or of the nearest part around it that is written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(name: str, text: str) -> YamlFile:
    """Read a file without turning words into anything: "no" is the answer of an option, not false; 50 is "50"."""
    file = YamlFile(name=name)
    try:
        node = None if _has_alias(text) else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        file.mistakes.append(f"{name}:{line}: not readable as YAML: {error.problem}")
        return file
    except yaml.YAMLError:
        file.mistakes.append(f"{name}:1: not readable as YAML: a character that YAML does not allow")
        return file
    if node is None:
        file.mistakes.append(f"{name}:1: empty, or with references (& and *), which are not used here")
        return file
    file.content = _content(node, (), file)
    return file


def _has_alias(text: str) -> bool:
    return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))


def _content(node: yaml.Node, path: Path, file: YamlFile) -> Content:
    file.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Content] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            line = key.start_mark.line + 1
            if name in mapping:
                file.mistakes.append(f"{file.name}:{line}: {'.'.join((*path, name))}: written twice")
            file.lines[(*path, name)] = line
            mapping[name] = _content(value, (*path, name), file)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_content(value, (*path, str(place)), file) for place, value in enumerate(node.value)]
    return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)
