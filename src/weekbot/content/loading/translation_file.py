"""A topic's translation, beside its file: `flask.de.md` has the texts, `flask.md` everything else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weekbot.content.loading.sections import read_body
from weekbot.content.loading.source_map import LocatedProblem, SourceMap, validate
from weekbot.content.loading.topic_file import TopicFile, read_parts
from weekbot.content.model import ConceptBody, Framework, FrameworkBody, Topic, Translation
from weekbot.content.problems import Position
from weekbot.i18n.language import LOCALES

TRANSLATED_INTO = LOCALES[1:]


@dataclass
class TranslationFile:
    """`topic` is the original with the texts of this file; None while something is wrong with one of the two."""

    path: Path
    topic: Topic | None = None
    problems: list[LocatedProblem] = field(default_factory=list)

    @property
    def slug(self) -> str:
        return self.path.stem.partition(".")[0]

    @property
    def locale(self) -> str:
        return self.path.stem.partition(".")[2]


def read_translation(path: Path, root: Path, originals: Mapping[str, TopicFile]) -> TranslationFile:
    """The translation of one of the originals, which are by slug; `root` is the content folder, resolved."""
    file = TranslationFile(path)
    original = originals.get(file.slug)
    if original is None:
        file.problems.append(
            LocatedProblem(Position(), f"there is no topic {file.slug} that this would be a translation of")
        )
    if file.locale not in TRANSLATED_INTO:
        known = ", ".join(TRANSLATED_INTO)
        file.problems.append(
            LocatedProblem(Position(), f"{file.locale or 'nothing'} is no language here; there are {known}")
        )
    if original and original.topic and not file.problems:
        _read(file, root, original.topic, original.body)
    return file


def _read(file: TranslationFile, root: Path, original: Topic, sections: SourceMap) -> None:
    parts = read_parts(file.path, root, file.problems)
    if parts is None:
        return
    facts = validate(Translation, parts.facts) if parts.facts.data else None
    source = read_body(parts.body, parts.body_line, type(original.body))
    _take_over(source, original, sections)
    body = validate(type(original.body), source)
    _check_quiz(source, body, original)
    file.problems += [*parts.facts.problems, *source.problems]
    if facts and body and not file.problems:
        said = {name: value for name, value in dict(facts).items() if value is not None}
        file.topic = original.model_copy(update={**said, "body": body})


def _take_over(source: SourceMap, original: Topic, sections: SourceMap) -> None:
    """First steps are code: the original's, which is the one that is tried."""
    if not isinstance(original, Framework):
        return
    if "first_steps" in source.data:
        message = "First steps are taken from the original; leave them out here"
        source.report(source.position(("first_steps",)), message)
    source.data["first_steps"] = sections.data["first_steps"]


def _check_quiz(source: SourceMap, body: ConceptBody | FrameworkBody | None, original: Topic) -> None:
    """A press of an answer may be one on the quiz in either language."""
    if body and body.quiz.right != original.body.quiz.right:
        message = f"marks another answer than {original.slug}.md; keep the answers in its order"
        source.report(source.position(("quiz",)), message)
