"""Reads a topic's file, or its translation's: `flask.de.md` has the texts, `flask.md` everything else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from weekbot.content import model
from weekbot.content.field_types import SLUG_LENGTH, is_slug
from weekbot.content.loading.front_matter import read_yaml
from weekbot.content.loading.sections import read_body
from weekbot.content.loading.source_map import LocatedProblem, SourceMap, validate
from weekbot.content.loading.text_file import read_text
from weekbot.content.problems import Position, Problem
from weekbot.i18n.language import LOCALES

TRANSLATED_INTO = LOCALES[1:]
_FENCE = "---"
_KINDS: dict[str, tuple[type[model.Topic], type[BaseModel], type[BaseModel]]] = {
    "concept": (model.Concept, model.ConceptFacts, model.ConceptBody),
    "framework": (model.Framework, model.FrameworkFacts, model.FrameworkBody),
}


@dataclass
class ContentFile:
    path: Path
    topic: model.Topic | None = None  # None if there are problems
    problems: list[LocatedProblem] = field(default_factory=list)

    @property
    def slug(self) -> str:
        return self.path.stem.partition(".")[0]

    def report(self, message: str) -> None:
        self.problems.append(LocatedProblem(message))


@dataclass
class TopicFile(ContentFile):
    facts: SourceMap = field(default_factory=lambda: SourceMap({}))
    body: SourceMap = field(default_factory=lambda: SourceMap({}))

    def fact_problem(self, fact: str, message: str) -> Problem:
        return Problem(self.path, self.facts.position((fact,)), message)

    def names(self, key: str) -> Iterator[tuple[str, Position]]:
        """Yield the names in the list under the key; the model reports anything else there."""
        values = self.facts.data.get(key)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str):
                yield value, self.facts.position((key, index))


class TranslationFile(ContentFile):
    @property
    def locale(self) -> str:
        return self.path.stem.partition(".")[2]


def read_topic(path: Path, root: Path) -> TopicFile:
    """Read a topic; `root` is the resolved content folder that its file must be in."""
    file = TopicFile(path)
    if not is_slug(file.slug):
        rule = f"use at most {SLUG_LENGTH} lowercase letters, digits and hyphens"
        file.report(f"the file's name isn't a valid slug; {rule}")
    if parts := _read_parts(file, root):
        file.facts, text, line = parts
        _build(file, text, line)
    return file


def _read_parts(file: ContentFile, root: Path) -> tuple[SourceMap, str, int] | None:
    """Return the front matter, the Markdown, and the number of its first line, or report what is missing."""
    text = read_text(file.path, root, file.problems)
    if text is None:
        return None
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if lines[0].rstrip() != _FENCE or end is None:
        file.report("must begin with front matter between two --- lines")
        return None
    return read_yaml("\n".join(lines[1:end]), first_line=2), "\n".join(lines[end + 1 :]), end + 2


def _build(file: TopicFile, body_text: str, body_line: int) -> None:
    kind = _kind(file.facts, body_text)
    topic_model, facts_model, body_model = _KINDS[kind]
    facts = None
    if file.facts.data:
        file.facts.data["kind"] = kind
        facts = validate(facts_model, file.facts)
    file.body = read_body(body_text, body_line, body_model)
    body = validate(body_model, file.body)
    _check_output(facts, body, file.body)
    file.problems += [*file.facts.problems, *file.body.problems]
    if facts and body and not file.problems:
        file.topic = topic_model(slug=file.slug, body=body, **dict(facts))


def _check_output(facts: BaseModel | None, body: BaseModel | None, source: SourceMap) -> None:
    is_run = isinstance(facts, model.FrameworkFacts) and facts.not_run is None
    if is_run and isinstance(body, model.FrameworkBody) and body.first_steps.output is None:
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


def read_translation(path: Path, root: Path, originals: Mapping[str, TopicFile]) -> TranslationFile:
    """Read a translation of one of the originals, by slug; `root` is the resolved content folder."""
    file = TranslationFile(path)
    original = originals.get(file.slug)
    if original is None:
        file.report(f"there is no topic {file.slug} to translate")
    if file.locale not in TRANSLATED_INTO:
        file.report(f"{file.locale or 'nothing'} isn't supported; use one of {', '.join(TRANSLATED_INTO)}")
    if original and original.topic and not file.problems:
        _translate(file, root, original.topic, original.body)
    return file


def _translate(file: TranslationFile, root: Path, original: model.Topic, sections: SourceMap) -> None:
    parts = _read_parts(file, root)
    if parts is None:
        return
    front_matter, text, line = parts
    facts = validate(model.Translation, front_matter) if front_matter.data else None
    source = read_body(text, line, type(original.body))
    if isinstance(original, model.Framework):  # only the original's code is tested
        if "first_steps" in source.data:
            source.report_at(("first_steps",), "First steps are taken from the original; remove them here")
        source.data["first_steps"] = sections.data["first_steps"]
    body = validate(type(original.body), source)
    # Answers in both languages are counted together.
    if body and body.quiz.right != original.body.quiz.right:
        message = f"marks a different answer than {original.slug}.md; keep the answers in its order"
        source.report_at(("quiz",), message)
    file.problems += [*front_matter.problems, *source.problems]
    if facts and body and not file.problems:
        translated = {name: value for name, value in dict(facts).items() if value is not None}
        file.topic = original.model_copy(update={**translated, "body": body})
