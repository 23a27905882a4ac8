"""YAML read safely: text, lists and mappings only, each with its position.

Every scalar stays text and pydantic gives it its type, so that `no`, `3.10` and `12:30` mean what they say.
"""

from typing import Protocol

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from weekbot.content.characters import invisible, named
from weekbot.content.located import Located, Path
from weekbot.content.problem import Position

MAX_DEPTH = 10
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


def read_yaml(text: str, first_line: int = 1) -> Located:
    """The mapping in the text, which has no invisible characters; its first line is line `first_line` of its file."""
    reader = _Reader(first_line)
    try:
        reader.read(text)
    except yaml.MarkedYAMLError as error:
        reader.located.find(*reader.syntax(error, text))
    return reader.located


class _Mark(Protocol):
    line: int
    column: int


class _Reader:
    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self.located = Located({})

    def read(self, text: str) -> None:
        if self.hostile(text):
            return
        node = yaml.compose(text, Loader=yaml.CBaseLoader)
        if isinstance(node, MappingNode):
            self.located.data = self.plain(node, ())
        else:
            self.located.find(Position(self.first_line), "expected `key: value` lines")

    def hostile(self, text: str) -> bool:
        """Aliases and deep nesting can make a small file enormous; no topic needs them."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                self.located.find(self.position(event.start_mark), "YAML aliases (*name) are not allowed")
                return True
            if depth > MAX_DEPTH:
                self.located.find(self.position(event.start_mark), f"nested deeper than {MAX_DEPTH} levels")
                return True
        return False

    def position(self, mark: _Mark | None) -> Position:
        return Position(mark.line + self.first_line, mark.column + 1) if mark else Position(self.first_line)

    def within(self, text: str, position: Position) -> Position:
        """The position, or the last line's end where it lies behind it: YAML finds what is missing too late."""
        lines = text.rstrip("\n").split("\n")
        last = Position(self.first_line + len(lines) - 1, len(lines[-1]) + 1)
        return min(position, last)

    def syntax(self, error: yaml.MarkedYAMLError, text: str) -> tuple[Position, str]:
        return self.within(text, self.position(error.problem_mark)), f"YAML: {error.problem}"

    def plain(self, node: Node, path: Path) -> object:
        self.located.positions.setdefault(path, self.position(node.start_mark))
        if node.tag not in _PLAIN_TAGS:
            self.located.find(self.position(node.start_mark), f"the YAML tag {node.tag} is not allowed")
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.plain(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.style == '"':
            self.unescaped(node)
        return node.value

    def unescaped(self, node: ScalarNode) -> None:
        """Report what an escape in double quotes, such as `\\u200b`, stands for."""
        for character in dict.fromkeys(match[0] for match in invisible(node.value)):
            message = f"an escape stands for {named(character)}, which is invisible; delete it"
            self.located.find(self.position(node.start_mark), message)

    def mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key, value in node.value:
            position = self.position(key.start_mark)
            if not isinstance(key, ScalarNode):
                self.located.find(position, "a key must be plain text")
            elif key.value in plain:
                self.located.find(position, f"{key.value} is duplicated")
            else:
                self.located.positions[(*path, key.value)] = position
                plain[key.value] = self.plain(value, (*path, key.value))
        return plain
