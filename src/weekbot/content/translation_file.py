"""A topic's translation, beside its file: `flask.de.md` has the texts, `flask.md` everything else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weekbot.content.located import Finding, Located, validate
from weekbot.content.model import ConceptBody, Framework, FrameworkBody, Topic, Translation
from weekbot.content.problem import Position
from weekbot.content.sections import read_body
from weekbot.content.topic_file import TopicFile, read_parts
from weekbot.language import LOCALES

TRANSLATED_INTO = LOCALES[1:]


@dataclass
class TranslationFile:
    """`topic` is the original with the texts of this file; None while something is wrong with one of the two."""

    path: Path
    topic: Topic | None = None
    findings: list[Finding] = field(default_factory=list)

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
        file.findings.append(Finding(Position(), f"there is no topic {file.slug} to translate"))
    if file.locale not in TRANSLATED_INTO:
        known = ", ".join(TRANSLATED_INTO)
        file.findings.append(Finding(Position(), f"{file.locale or 'nothing'} isn't supported; use one of {known}"))
    if original and original.topic and not file.findings:
        _read(file, root, original.topic, original.body)
    return file


def _read(file: TranslationFile, root: Path, original: Topic, sections: Located) -> None:
    parts = read_parts(file.path, root, file.findings)
    if parts is None:
        return
    facts = validate(Translation, parts.facts) if parts.facts.data else None
    located = read_body(parts.body, parts.body_line, type(original.body))
    _take_over(located, original, sections)
    body = validate(type(original.body), located)
    _check_quiz(located, body, original)
    file.findings += [*parts.facts.findings, *located.findings]
    if facts and body and not file.findings:
        said = {name: value for name, value in dict(facts).items() if value is not None}
        file.topic = original.model_copy(update={**said, "body": body})


def _take_over(located: Located, original: Topic, sections: Located) -> None:
    """First steps are code: the original's, which is the one that is tried."""
    if not isinstance(original, Framework):
        return
    if "first_steps" in located.data:
        message = "First steps are taken from the original; remove them here"
        located.find(located.position(("first_steps",)), message)
    located.data["first_steps"] = sections.data["first_steps"]


def _check_quiz(located: Located, body: ConceptBody | FrameworkBody | None, original: Topic) -> None:
    """A press of an answer may be one on the quiz in either language."""
    if body and body.quiz.right != original.body.quiz.right:
        message = f"marks a different answer than {original.slug}.md; keep the answers in its order"
        located.find(located.position(("quiz",)), message)
