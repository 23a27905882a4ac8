"""Reads a topic's file: either a topic, or all its problems."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from weekbot.content.field_types import SLUG_LENGTH, SLUG_PATTERN
from weekbot.content.loading.front_matter import read_yaml
from weekbot.content.loading.sections import read_body
from weekbot.content.loading.source_map import LocatedProblem, SourceMap, validate
from weekbot.content.loading.text_file import read_text
from weekbot.content.model import Concept, ConceptBody, ConceptFacts, Framework, FrameworkBody, FrameworkFacts, Topic
from weekbot.content.problems import Position, Problem

_FENCE = "---"
_KINDS: dict[str, tuple[type[Topic], type[ConceptFacts | FrameworkFacts], type[BaseModel]]] = {
    "concept": (Concept, ConceptFacts, ConceptBody),
    "framework": (Framework, FrameworkFacts, FrameworkBody),
}


@dataclass
class ContentFile:
    path: Path
    topic: Topic | None = None  # None if there are problems
    problems: list[LocatedProblem] = field(default_factory=list)

    def report(self, message: str) -> None:
        self.problems.append(LocatedProblem(message))


@dataclass
class TopicFile(ContentFile):
    facts: SourceMap = field(default_factory=lambda: SourceMap({}))
    body: SourceMap = field(default_factory=lambda: SourceMap({}))

    @property
    def slug(self) -> str:
        return self.path.stem

    def fact_problem(self, fact: str, message: str) -> Problem:
        return Problem(self.path, self.facts.position((fact,)), message)

    def names(self, key: str) -> Iterator[tuple[str, Position]]:
        """Yield the names in the list under the key; the model reports anything else there."""
        values = self.facts.data.get(key)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str):
                yield value, self.facts.position((key, index))


def read_topic(path: Path, root: Path) -> TopicFile:
    """Read a topic; `root` is the resolved content folder that its file must be in."""
    file = TopicFile(path)
    if not re.fullmatch(SLUG_PATTERN, file.slug) or len(file.slug) > SLUG_LENGTH:
        file.report(
            f"the file's name isn't a valid slug; use at most {SLUG_LENGTH} lowercase letters, digits and hyphens"
        )
    if parts := read_parts(file, root):
        file.facts = parts.facts
        _build(file, parts.body, parts.body_line)
    return file


@dataclass(frozen=True)
class Parts:
    facts: SourceMap  # the front matter
    body: str  # the Markdown
    body_line: int  # the line in which it begins, from 1


def read_parts(file: ContentFile, root: Path) -> Parts | None:
    """Return None and report it if the file doesn't have both parts."""
    text = read_text(file.path, root, file.problems)
    if text is None:
        return None
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if lines[0].rstrip() != _FENCE or end is None:
        file.report("must begin with front matter between two --- lines")
        return None
    facts = read_yaml("\n".join(lines[1:end]), first_line=2)
    return Parts(facts, "\n".join(lines[end + 1 :]), body_line=end + 2)


def _build(file: TopicFile, body_text: str, body_line: int) -> None:
    kind = _kind(file.facts, body_text)
    model, facts_model, body_model = _KINDS[kind]
    facts = None
    if file.facts.data:
        file.facts.data["kind"] = kind
        facts = validate(facts_model, file.facts)
    file.body = read_body(body_text, body_line, body_model)
    body = validate(body_model, file.body)
    _check_output(facts, body, file.body)
    file.problems += [*file.facts.problems, *file.body.problems]
    if facts and body and not file.problems:
        file.topic = model(slug=file.slug, body=body, **dict(facts))


def _check_output(facts: BaseModel | None, body: BaseModel | None, source: SourceMap) -> None:
    if not (isinstance(facts, FrameworkFacts) and isinstance(body, FrameworkBody)):
        return
    if facts.not_run is None and body.first_steps.output is None:
        message = "First steps needs a third code block, what the example prints; or else not_run with the reason"
        source.report_at(("first_steps",), message)


def _kind(facts: SourceMap, body_text: str) -> str:
    """Return the kind that the file names, or report that it doesn't and return the likelier one."""
    kind = facts.data.get("kind")
    if isinstance(kind, str) and kind in _KINDS:
        return kind
    if facts.data or not facts.problems:
        message = "is missing" if kind is None else f"is {kind}"
        facts.report_at(("kind",), f"kind {message}; it must be framework or concept")
    return "framework" if "## First steps" in body_text else "concept"
