"""A safe YAML reader: only text, lists and mappings, each with its position.

Scalars stay text until pydantic gives them a type, so that `no`, `3.10` and `12:30` aren't misread.
"""

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from weekbot.content.characters import character_name, find_invisible
from weekbot.content.loading.source_map import Path, SourceMap
from weekbot.content.problems import Position

MAX_DEPTH = 10
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


def read_yaml(text: str, first_line: int = 1) -> SourceMap:
    """Read the mapping in a text without invisible characters that begins in line `first_line` of its file."""
    reader = _Reader(first_line)
    try:
        reader.read(text)
    except yaml.MarkedYAMLError as error:
        lines = text.rstrip("\n").split("\n")
        last = Position(first_line + len(lines) - 1, len(lines[-1]) + 1)
        # YAML notices a missing part only behind the last line.
        reader.source.report(min(reader.position(error.problem_mark), last), f"YAML: {error.problem}")
    return reader.source


class _Reader:
    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self.source = SourceMap({})

    def read(self, text: str) -> None:
        if self.exceeds_limits(text):
            return
        node = yaml.compose(text, Loader=yaml.CBaseLoader)
        if isinstance(node, MappingNode):
            self.source.data = self.convert(node, ())
        else:
            self.source.report(Position(self.first_line), "expected `key: value` lines")

    def exceeds_limits(self, text: str) -> bool:
        """Reject aliases and deep nesting, which can make a small file enormous."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                return self.report(event, "YAML aliases (*name) are not allowed")
            if depth > MAX_DEPTH:
                return self.report(event, f"nested deeper than {MAX_DEPTH} levels")
        return False

    def report(self, part: Node | yaml.Event, message: str) -> bool:
        self.source.report(self.position(part.start_mark), message)
        return True

    def position(self, mark: Any) -> Position:
        return Position(mark.line + self.first_line, mark.column + 1) if mark else Position(self.first_line)

    def convert(self, node: Node, path: Path) -> object:
        self.source.positions.setdefault(path, self.position(node.start_mark))
        if node.tag not in _PLAIN_TAGS:
            self.report(node, f"the YAML tag {node.tag} is not allowed")
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.style == '"':
            for character in dict.fromkeys(match[0] for match in find_invisible(node.value)):  # such as `\u200b`
                self.report(node, f"an escape stands for {character_name(character)}, which is invisible; delete it")
        return node.value

    def mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.report(key, "a key must be plain text")
            elif key.value in plain:
                self.report(key, f"{key.value} is duplicated")
            else:
                self.source.positions[(*path, key.value)] = self.position(key.start_mark)
                plain[key.value] = self.convert(value, (*path, key.value))
        return plain
