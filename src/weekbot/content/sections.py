"""The Markdown part of a topic: `##` sections, and what the structured ones hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markdown_it.token import Token
from pydantic import BaseModel
from rapidfuzz import process

from weekbot.content.located import Located
from weekbot.content.markdown import BLOCKS, one_line, unwrap
from weekbot.content.problem import Position
from weekbot.content.unshown import unshown

_HEADING_TOKENS = 3  # its opening, its text, its closing
_ANSWER = re.compile(r"\[(?P<mark>[ xX])\](?:\s+(?P<text>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A paragraph or a code block; `line` counts from 1 in the file, `level` is how deep it is nested."""

    line: int
    text: str
    kind: str
    level: int


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it; `line` counts from 1 in the file.

    `tokens` are those of the file's Markdown, which begins in line `first_line`.
    """

    heading: str
    line: int
    text: str
    tokens: Sequence[Token]
    first_line: int

    @property
    def text_line(self) -> int:
        """The line of the first text below the heading (the heading's own where there is none)."""
        leading = len(self.text) - len(self.text.lstrip("\n"))
        return self.line + 1 + leading if self.text.strip() else self.line

    def file_line(self, token: Token) -> int:
        return self.first_line + (token.map or [0])[0]

    @cached_property
    def blocks(self) -> list[Block]:
        """Every paragraph, list item's text and code block, in order."""
        headings = {index + 1 for index, token in enumerate(self.tokens) if token.type == "heading_open"}
        return [
            Block(self.file_line(token), one_line(token.content), token.type, token.level)
            for index, token in enumerate(self.tokens)
            if token.type in ("inline", "fence") and index not in headings
        ]

    def items(self, kind: str) -> list[Block]:
        """The items of the section's lists of that kind, with the first paragraph of each as their text."""
        items: list[Block] = []
        inside = False
        for token in self.tokens:
            if token.level == 0 and token.nesting:
                inside = token.type == kind
            if inside and token.type == "list_item_open" and token.level == 1:
                items.append(self._item(self.file_line(token)))
        return items

    def _item(self, line: int) -> Block:
        first = next((block for block in self.blocks if block.line == line), None)
        return first or Block(line, "", "inline", 3)

    def around(self, items: list[Block]) -> tuple[list[Block], list[Block]]:
        """The paragraphs before and after the items."""
        paragraphs = [block for block in self.blocks if block.kind == "inline" and block.level == 1]
        first = items[0].line if items else self.line + self.text.count("\n") + 2
        before = [block for block in paragraphs if block.line < first]
        return before, [block for block in paragraphs if block.line > first]


def read_body(text: str, first_line: int, body: type[BaseModel]) -> Located:
    """The sections of the text as data for `body`, whose field titles are the headings, in their order."""
    reader = _BodyReader(body, first_line)
    environment: dict[str, Any] = {}
    tokens = BLOCKS.parse(text, environment)
    reader.located.findings += unshown(text, tokens, environment, first_line)
    for section in _split(text, tokens, first_line):
        reader.read(section)
    return reader.located


def _split(text: str, tokens: list[Token], first_line: int) -> list[Section]:
    """The `##` sections; a `##` inside a code block is no heading."""
    lines = text.split("\n")
    headings = [
        index
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0
    ]
    begins = [*((tokens[index].map or [0])[0] for index in headings), len(lines)]
    ends = [*headings[1:], len(tokens)]
    return [
        Section(
            heading=tokens[index + 1].content,
            line=first_line + begin,
            text="\n".join(lines[begin + 1 : next_begin]),
            tokens=tokens[index + _HEADING_TOKENS : end],
            first_line=first_line,
        )
        for index, end, begin, next_begin in zip(headings, ends, begins, begins[1:], strict=False)
    ]


class UnreadableSectionError(ValueError):
    """A section that has not the structure it needs."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position


class _BodyReader:
    def __init__(self, body: type[BaseModel], first_line: int) -> None:
        self.fields = {str(field.title): name for name, field in body.model_fields.items()}
        self.located = Located({}, {(): Position(first_line)})
        self.structured = {"first_steps": self.first_steps, "week": self.week, "quiz": self.quiz}

    def read(self, section: Section) -> None:
        name = self.fields.get(section.heading)
        if name is None:
            self.unknown(section)
        elif name in self.located.data:
            self.located.find(Position(section.line), f"the section {section.heading} is duplicated")
        else:
            self.order(section, name)
            self.located.positions[(name,)] = Position(section.text_line)
            self.located.data[name] = self.value(section, name)

    def value(self, section: Section, name: str) -> object:
        try:
            return self.structured.get(name, _prose)(section)
        except UnreadableSectionError as error:
            self.located.give_up((name,), error.position, str(error))
            return None

    def unknown(self, section: Section) -> None:
        near = process.extractOne(section.heading, list(self.fields), score_cutoff=60)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self.fields)}"
        self.located.find(Position(section.line), f"unknown section {section.heading}; {hint}")

    def order(self, section: Section, name: str) -> None:
        order = list(self.fields.values())
        if any(order.index(earlier) > order.index(name) for earlier in self.located.data):
            hint = f"the order is {', '.join(self.fields)}"
            self.located.find(Position(section.line), f"the section {section.heading} is out of order; {hint}")

    def first_steps(self, section: Section) -> object:
        fences = [token for token in section.tokens if token.type == "fence"]
        if len(fences) not in (2, 3):
            message = "First steps needs three code blocks: the install line, one example, and what it prints"
            raise UnreadableSectionError(Position(section.text_line), message)
        _nothing_lost(section, [block for block in section.blocks if block.kind == "fence"])
        steps: dict[str, object] = {"language": fences[1].info.strip()}
        for name, fence in zip(("install", "example", "output"), fences, strict=False):
            self.located.positions[("first_steps", name)] = Position(section.file_line(fence) + 1)
            steps[name] = fence.content.rstrip()
        return steps

    def week(self, section: Section) -> object:
        days = section.items("ordered_list_open")
        if not days:
            message = "The week needs a numbered list of seven days"
            raise UnreadableSectionError(Position(section.text_line), message)
        _nothing_lost(section, days)
        for index, day in enumerate(days):
            self.located.positions["week", index] = Position(day.line)
        return [day.text for day in days]

    def quiz(self, section: Section) -> object:
        items = section.items("bullet_list_open")
        question, why = section.around(items)
        _nothing_lost(section, [*items, *question, *why])
        for index, item in enumerate(items):
            self.located.positions["quiz", "answers", index] = Position(item.line)
        answers = [_answer(item) for item in items]
        return {
            "question": " ".join(block.text for block in question),
            "answers": [answer["text"] or "" for answer in answers],
            "right": _right(section, items, [answer["mark"] != " " for answer in answers]),
            "why": " ".join(block.text for block in why),
        }


def _answer(item: Block) -> re.Match[str]:
    answer = _ANSWER.fullmatch(item.text)
    if answer is None:
        raise UnreadableSectionError(Position(item.line), f"an answer must start with [ ] or [x]: {item.text}")
    return answer


def _right(section: Section, items: list[Block], marked: list[bool]) -> int:
    """The index of the one answer that is marked."""
    if sum(marked) == 1:
        return marked.index(True)
    second = [item.line for item, mark in zip(items, marked, strict=True) if mark][1:]
    message = f"exactly one answer of the Quiz must be marked [x], not {sum(marked)}"
    raise UnreadableSectionError(Position(second[0] if second else section.text_line), message)


def _nothing_lost(section: Section, used: list[Block]) -> None:
    """A text that the section has no place for would be lost without a word."""
    lines = {block.line for block in used}
    for block in section.blocks:
        if block.line not in lines:
            raise UnreadableSectionError(Position(block.line), f"{section.heading} can't contain this: {block.text}")


def _prose(section: Section) -> object:
    return unwrap(section.text.strip())
