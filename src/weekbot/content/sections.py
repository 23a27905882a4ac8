"""The Markdown part of a topic: `##` sections, and what the structured ones hold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel
from rapidfuzz import process

from weekbot.content.located import Finding, Located
from weekbot.content.problem import Position

_MARKDOWN = MarkdownIt("commonmark")
_ANSWER = re.compile(r"\[(?P<mark>[ xX])\]\s+(?P<text>.+)", re.DOTALL)
_BLOCK_START = re.compile(r"\s*([-*+>]|\d+[.)])\s")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<url>[^)\s]*)")


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it; `line` counts from 1 in the file."""

    heading: str
    line: int
    text: str

    @property
    def text_line(self) -> int:
        """The line of the first text below the heading (the heading's own where there is none)."""
        leading = len(self.text) - len(self.text.lstrip("\n"))
        return self.line + 1 + leading if self.text.strip() else self.line

    def file_line(self, token: Token) -> int:
        return self.line + 1 + (token.map or [0])[0]


def read_body(text: str, first_line: int, body: type[BaseModel]) -> Located:
    """The sections of the text as data for `body`, whose field titles are the headings, in their order."""
    reader = _BodyReader(body, first_line)
    reader.located.findings += _strangers(text, first_line)
    for section in split(text, first_line):
        reader.read(section)
    return reader.located


def split(text: str, first_line: int) -> list[Section]:
    """The `##` sections; a `##` inside a code block is no heading."""
    lines = text.split("\n")
    tokens = _MARKDOWN.parse(text)
    starts = [
        (token.map[0], tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0 and token.map
    ]
    ends = [start for start, _ in starts[1:]] + [len(lines)]
    return [
        Section(heading, first_line + start, "\n".join(lines[start + 1 : end]))
        for (start, heading), end in zip(starts, ends, strict=True)
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
            self.located.find(Position(section.line), f"the section {section.heading} stands here twice")
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
        fences = [token for token in _MARKDOWN.parse(section.text) if token.type == "fence"]
        if len(fences) != 2:
            message = "First steps needs two code blocks: the install line, then one example"
            raise UnreadableSectionError(Position(section.text_line), message)
        for name, fence in zip(("install", "example"), fences, strict=True):
            self.located.positions[("first_steps", name)] = Position(section.file_line(fence) + 1)
        install, example = fences
        return {
            "install": install.content.strip(),
            "example": example.content.rstrip(),
            "language": example.info.strip(),
        }

    def week(self, section: Section) -> object:
        days = list(_items(section, "ordered_list_open"))
        if not days:
            message = "The week needs a numbered list of seven days"
            raise UnreadableSectionError(Position(section.text_line), message)
        for index, (line, _) in enumerate(days):
            self.located.positions["week", index] = Position(line)
        return [text for _, text in days]

    def quiz(self, section: Section) -> object:
        items = [(line, text, _ANSWER.fullmatch(text)) for line, text in _items(section, "bullet_list_open")]
        for line, text, answer in items:
            if answer is None:
                raise UnreadableSectionError(Position(line), f"an answer starts with [ ] or [x]: {text}")
        right = [index for index, (_, _, answer) in enumerate(items) if answer and answer["mark"] != " "]
        if len(right) != 1:
            line = items[right[1]][0] if right else section.text_line
            message = f"exactly one answer of the Quiz is marked [x], here {len(right)}"
            raise UnreadableSectionError(Position(line), message)
        for index, (line, _, _) in enumerate(items):
            self.located.positions["quiz", "answers", index] = Position(line)
        question, why = _around_list(section)
        answers = [answer["text"] for _, _, answer in items if answer]
        return {"question": question, "answers": answers, "right": right[0], "why": why}


def _prose(section: Section) -> object:
    return unwrap(section.text.strip())


def unwrap(text: str) -> str:
    """The text with each paragraph and list item on one line: Discord shows a line break wherever there is one."""
    lines: list[str] = []
    in_code = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        continues = lines and lines[-1] and line.strip() and not (in_code or fence or _BLOCK_START.match(line))
        in_code ^= fence
        if continues:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.rstrip())
    return "\n".join(lines)


def _items(section: Section, kind: str) -> Iterator[tuple[int, str]]:
    """Each top-level item of the section's list of that kind: its line in the file and its text."""
    tokens = _MARKDOWN.parse(section.text)
    inside = False
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting:
            inside = token.type == kind
        if inside and token.type == "list_item_open" and token.level == 1:
            content = next((later.content for later in tokens[index:] if later.type == "inline"), "")
            yield section.file_line(token), _one_line(content)


def _around_list(section: Section) -> tuple[str, str]:
    """The paragraphs before and after the section's list."""
    tokens = _MARKDOWN.parse(section.text)
    first = next((index for index, token in enumerate(tokens) if token.type == "bullet_list_open"), len(tokens))
    paragraphs = [
        (index, token.content) for index, token in enumerate(tokens) if token.type == "inline" and token.level == 1
    ]
    before = " ".join(content for index, content in paragraphs if index < first)
    after = " ".join(content for index, content in paragraphs if index > first)
    return _one_line(before), _one_line(after)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _strangers(text: str, first_line: int) -> Iterator[Finding]:
    """What Discord would not draw as meant, or nobody would see."""
    before = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    if before.strip():
        blank = len(before) - len(before.lstrip("\n"))
        yield Finding(Position(first_line + blank), "text before the first section")
    for token in _MARKDOWN.parse(text):
        line = first_line + (token.map or [0])[0]
        if token.type == "heading_open" and (token.tag != "h2" or token.level):
            yield Finding(Position(line), "only ## headings belong into a topic")
        if token.type == "html_block":
            yield Finding(Position(line), "HTML does not show in Discord")
        if token.type == "inline":
            yield from _strange_inline(token, line)


def _strange_inline(token: Token, first_line: int) -> Iterator[Finding]:
    if any(child.type == "image" for child in token.children or ()):
        yield Finding(Position(first_line), "pictures do not belong into a topic")
    for line, text in enumerate(token.content.split("\n"), first_line):
        for link in _LINK.finditer(text):
            if not link["url"].startswith("https://"):
                column = link.start("url") + 1
                yield Finding(Position(line, column), f"the link {link['url']} must start with https://")
