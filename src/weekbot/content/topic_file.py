"""One topic's file, read whatever it holds: either a topic, or everything that is wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from weekbot.content.front_matter import read_yaml
from weekbot.content.located import Finding, Located, validate
from weekbot.content.model import (
    SLUG_LENGTH,
    SLUG_PATTERN,
    Concept,
    ConceptBody,
    ConceptFacts,
    Framework,
    FrameworkBody,
    FrameworkFacts,
    Topic,
)
from weekbot.content.problem import Position
from weekbot.content.sections import read_body
from weekbot.content.text_file import read_text

_FENCE = "---"
_KINDS: dict[str, tuple[type[Topic], type[ConceptFacts | FrameworkFacts], type[BaseModel]]] = {
    "concept": (Concept, ConceptFacts, ConceptBody),
    "framework": (Framework, FrameworkFacts, FrameworkBody),
}


@dataclass
class TopicFile:
    """A topic's file: what it says, where, and what is wrong with it."""

    path: Path
    facts: Located = field(default_factory=lambda: Located({}))
    body: Located = field(default_factory=lambda: Located({}))
    topic: Topic | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def slug(self) -> str:
        return self.path.stem

    def names(self, key: str) -> Iterator[tuple[str, Position]]:
        """The names in the list under the key, as far as it is one; the model reports the rest."""
        values = self.facts.data.get(key)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str):
                yield value, self.facts.position((key, index))


def read_topic(path: Path, root: Path) -> TopicFile:
    """One topic's file; `root` is the content folder, resolved, that it must not lead out of."""
    file = TopicFile(path)
    if not re.fullmatch(SLUG_PATTERN, file.slug) or len(file.slug) > SLUG_LENGTH:
        message = f"the file's name isn't a valid slug; use at most {SLUG_LENGTH} lowercase letters, digits and hyphens"
        file.findings.append(Finding(Position(), message))
    if parts := read_parts(path, root, file.findings):
        file.facts = parts.facts
        _build(file, parts.body, parts.body_line)
    return file


@dataclass(frozen=True)
class Parts:
    """A file's front matter, and its Markdown, which begins in line `body_line` (from 1)."""

    facts: Located
    body: str
    body_line: int


def read_parts(path: Path, root: Path, findings: list[Finding]) -> Parts | None:
    """None, with a finding, where there are no two parts."""
    text = read_text(path, root, findings)
    if text is None:
        return None
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE or _FENCE not in (line.rstrip() for line in lines[1:]):
        findings.append(Finding(Position(), "must begin with front matter between two --- lines"))
        return None
    end = next(number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE)
    facts = read_yaml("\n".join(lines[1:end]), first_line=2)
    return Parts(facts, "\n".join(lines[end + 1 :]), body_line=end + 2)


def _build(file: TopicFile, body_text: str, body_line: int) -> None:
    """Validate front matter and sections by the kind the file names, and make the topic where both hold."""
    kind = _kind(file.facts, body_text)
    model, facts_model, body_model = _KINDS[kind]
    facts = _validated_facts(file.facts, facts_model, kind)
    file.body = read_body(body_text, body_line, body_model)
    body = validate(body_model, file.body)
    file.findings += [*file.facts.findings, *file.body.findings, *_unproved(facts, body, file.body)]
    if facts and body and not file.findings:
        file.topic = model(slug=file.slug, body=body, **dict(facts))


def _validated_facts(located: Located, model: type[ConceptFacts | FrameworkFacts], kind: str) -> BaseModel | None:
    if not located.data:
        return None
    located.data["kind"] = kind
    return validate(model, located)


def _unproved(facts: BaseModel | None, body: BaseModel | None, sections: Located) -> Iterator[Finding]:
    """An example that is run needs the output to compare with."""
    if not (isinstance(facts, FrameworkFacts) and isinstance(body, FrameworkBody)):
        return
    if facts.not_run is None and body.first_steps.output is None:
        message = "First steps needs a third code block, what the example prints; or else not_run with the reason"
        yield Finding(sections.position(("first_steps",)), message)


def _kind(facts: Located, body_text: str) -> str:
    """The kind that the file names; where it does not, a finding and the likelier one to go on with."""
    kind = facts.data.get("kind")
    if isinstance(kind, str) and kind in _KINDS:
        return kind
    if facts.data or not facts.findings:
        message = "is missing" if kind is None else f"is {kind}"
        facts.find(facts.position(("kind",)), f"kind {message}; it must be framework or concept")
    return "framework" if "## First steps" in body_text else "concept"
