"""Reads the Markdown part of a topic: `##` sections, some of which have a structure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markdown_it.token import Token
from pydantic import BaseModel
from rapidfuzz import process

from weekbot.content.loading.markdown_lint import lint
from weekbot.content.loading.source_map import SourceMap
from weekbot.content.markdown import BLOCKS, one_line, unwrap
from weekbot.content.problems import Position

_HEADING_TOKENS = 3  # its opening, its text, its closing
_ANSWER = re.compile(r"\[(?P<mark>[ xX])\](?:\s+(?P<text>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Block:
    line: int  # of the file, from 1
    text: str
    kind: str
    level: int  # the depth of nesting


@dataclass(frozen=True)
class Section:
    heading: str
    line: int  # of the file, from 1
    text: str
    tokens: Sequence[Token]
    first_line: int  # of the file's Markdown

    @property
    def text_line(self) -> int:
        """The line of the first text below the heading, or of the heading itself if there is none."""
        leading = len(self.text) - len(self.text.lstrip("\n"))
        return self.line + 1 + leading if self.text.strip() else self.line

    def file_line(self, token: Token) -> int:
        return self.first_line + (token.map or [0])[0]

    @cached_property
    def blocks(self) -> list[Block]:
        headings = {index + 1 for index, token in enumerate(self.tokens) if token.type == "heading_open"}
        return [
            Block(self.file_line(token), one_line(token.content), token.type, token.level)
            for index, token in enumerate(self.tokens)
            if token.type in ("inline", "fence") and index not in headings
        ]

    def items(self, kind: str) -> list[Block]:
        """Return the items of the section's lists of that kind; the text of each is its first paragraph."""
        items: list[Block] = []
        inside = False
        for token in self.tokens:
            if token.level == 0 and token.nesting:
                inside = token.type == kind
            if inside and token.type == "list_item_open" and token.level == 1:
                line = self.file_line(token)
                items.append(next((each for each in self.blocks if each.line == line), Block(line, "", "inline", 3)))
        return items


def read_body(text: str, first_line: int, body: type[BaseModel]) -> SourceMap:
    """Read the sections as data for the model `body`, whose field titles are their headings."""
    reader = _BodyReader(body, first_line)
    environment: dict[str, Any] = {}
    tokens = BLOCKS.parse(text, environment)
    reader.source.problems += lint(text, tokens, environment, first_line)
    for section in _split(text, tokens, first_line):
        reader.read(section)
    return reader.source


def _split(text: str, tokens: list[Token], first_line: int) -> Iterator[Section]:
    lines = text.split("\n")
    openings = [index for index, token in enumerate(tokens) if token.type == "heading_open"]
    headings = [index for index in openings if tokens[index].tag == "h2" and tokens[index].level == 0]
    begins = [*((tokens[index].map or [0])[0] for index in headings), len(lines)]
    ends = [*headings[1:], len(tokens)]
    for index, end, begin, next_begin in zip(headings, ends, begins, begins[1:], strict=False):
        heading, text = tokens[index + 1].content, "\n".join(lines[begin + 1 : next_begin])
        yield Section(heading, first_line + begin, text, tokens[index + _HEADING_TOKENS : end], first_line)


class UnreadableSectionError(ValueError):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.position = Position(line)


class _BodyReader:
    def __init__(self, body: type[BaseModel], first_line: int) -> None:
        self.fields = {str(field.title): name for name, field in body.model_fields.items()}
        self.source = SourceMap({}, {(): Position(first_line)})
        self.structured = {"first_steps": self.first_steps, "week": self.week, "quiz": self.quiz}

    def read(self, section: Section) -> None:
        name = self.fields.get(section.heading)
        if name is None:
            self.unknown(section)
        elif name in self.source.data:
            self.source.report(Position(section.line), f"the section {section.heading} is duplicated")
        else:
            self.order(section, name)
            self.source.positions[(name,)] = Position(section.text_line)
            read = self.structured.get(name)
            try:
                self.source.data[name] = read(section) if read else unwrap(section.text.strip())
            except UnreadableSectionError as error:
                self.source.data[name] = None
                self.source.unreadable.add((name,))
                self.source.report(error.position, str(error))

    def unknown(self, section: Section) -> None:
        near = process.extractOne(section.heading, list(self.fields), score_cutoff=60)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self.fields)}"
        self.source.report(Position(section.line), f"unknown section {section.heading}; {hint}")

    def order(self, section: Section, name: str) -> None:
        order = list(self.fields.values())
        if any(order.index(earlier) > order.index(name) for earlier in self.source.data):
            hint = f"the order is {', '.join(self.fields)}"
            self.source.report(Position(section.line), f"the section {section.heading} is out of order; {hint}")

    def first_steps(self, section: Section) -> object:
        fences = [token for token in section.tokens if token.type == "fence"]
        if len(fences) not in (2, 3):
            message = "First steps needs three code blocks: the install line, one example, and what it prints"
            raise UnreadableSectionError(section.text_line, message)
        _check_complete(section, [block for block in section.blocks if block.kind == "fence"])
        steps: dict[str, object] = {"language": fences[1].info.strip()}
        for name, fence in zip(("install", "example", "output"), fences, strict=False):
            self.source.positions[("first_steps", name)] = Position(section.file_line(fence) + 1)
            steps[name] = fence.content.rstrip()
        return steps

    def week(self, section: Section) -> object:
        days = section.items("ordered_list_open")
        if not days:
            raise UnreadableSectionError(section.text_line, "The week needs a numbered list of seven days")
        _check_complete(section, days)
        for index, day in enumerate(days):
            self.source.positions["week", index] = Position(day.line)
        return [day.text for day in days]

    def quiz(self, section: Section) -> object:
        items = section.items("bullet_list_open")
        paragraphs = [block for block in section.blocks if block.kind == "inline" and block.level == 1]
        first = items[0].line if items else section.line + section.text.count("\n") + 2
        question = [block for block in paragraphs if block.line < first]
        why = [block for block in paragraphs if block.line > first]
        _check_complete(section, [*items, *question, *why])
        answers = []
        for index, item in enumerate(items):
            self.source.positions["quiz", "answers", index] = Position(item.line)
            answer = _ANSWER.fullmatch(item.text)
            if answer is None:
                raise UnreadableSectionError(item.line, f"an answer must start with [ ] or [x]: {item.text}")
            answers.append(answer)
        return {
            "question": " ".join(block.text for block in question),
            "answers": [answer["text"] or "" for answer in answers],
            "right": _right(section, items, [answer["mark"] != " " for answer in answers]),
            "why": " ".join(block.text for block in why),
        }


def _right(section: Section, items: list[Block], marked: list[bool]) -> int:
    if sum(marked) == 1:
        return marked.index(True)
    second = [item.line for item, mark in zip(items, marked, strict=True) if mark][1:]
    message = f"exactly one answer of the Quiz must be marked [x], not {sum(marked)}"
    raise UnreadableSectionError(second[0] if second else section.text_line, message)


def _check_complete(section: Section, used: list[Block]) -> None:
    """Raise UnreadableSectionError if the section has text that wouldn't be shown."""
    lines = {block.line for block in used}
    for block in section.blocks:
        if block.line not in lines:
            raise UnreadableSectionError(block.line, f"{section.heading} can't contain this: {block.text}")
