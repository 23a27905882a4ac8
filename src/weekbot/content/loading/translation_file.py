"""Reads a topic's translation: `flask.de.md` has the texts, `flask.md` everything else."""

from collections.abc import Mapping
from pathlib import Path

from weekbot.content.loading.sections import read_body
from weekbot.content.loading.source_map import SourceMap, validate
from weekbot.content.loading.topic_file import ContentFile, TopicFile, read_parts
from weekbot.content.model import Framework, Topic, Translation
from weekbot.i18n.language import LOCALES

TRANSLATED_INTO = LOCALES[1:]


class TranslationFile(ContentFile):
    @property
    def slug(self) -> str:
        return self.path.stem.partition(".")[0]

    @property
    def locale(self) -> str:
        return self.path.stem.partition(".")[2]


def read_translation(path: Path, root: Path, originals: Mapping[str, TopicFile]) -> TranslationFile:
    """Read a translation of one of the originals, by slug; `root` is the resolved content folder."""
    file = TranslationFile(path)
    original = originals.get(file.slug)
    if original is None:
        file.report(f"there is no topic {file.slug} to translate")
    if file.locale not in TRANSLATED_INTO:
        file.report(f"{file.locale or 'nothing'} isn't supported; use one of {', '.join(TRANSLATED_INTO)}")
    if original and original.topic and not file.problems:
        _read(file, root, original.topic, original.body)
    return file


def _read(file: TranslationFile, root: Path, original: Topic, sections: SourceMap) -> None:
    parts = read_parts(file, root)
    if parts is None:
        return
    facts = validate(Translation, parts.facts) if parts.facts.data else None
    source = read_body(parts.body, parts.body_line, type(original.body))
    if isinstance(original, Framework):  # only the original's code is tested
        if "first_steps" in source.data:
            source.report_at(("first_steps",), "First steps are taken from the original; remove them here")
        source.data["first_steps"] = sections.data["first_steps"]
    body = validate(type(original.body), source)
    # Answers in both languages are counted together.
    if body and body.quiz.right != original.body.quiz.right:
        message = f"marks a different answer than {original.slug}.md; keep the answers in its order"
        source.report_at(("quiz",), message)
    file.problems += [*parts.facts.problems, *source.problems]
    if facts and body and not file.problems:
        translated = {name: value for name, value in dict(facts).items() if value is not None}
        file.topic = original.model_copy(update={**translated, "body": body})
