"""The content folder: every file read, every problem of every file found together."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from weekbot.content import tracks_file
from weekbot.content.library import Library, plain
from weekbot.content.model import EVERYTHING, Topic, TracksFile
from weekbot.content.problem import ContentError, Position, Problem
from weekbot.content.topic_file import TopicFile, read_topic
from weekbot.content.translation_file import TranslationFile, read_translation


def load_library(directory: Path) -> Library:
    """The whole folder as a library.

    Raises ContentError with every problem of every file; nothing is loaded by half.
    """
    with _no_collections():
        return read_folder(directory).library()


@contextmanager
def _no_collections() -> Iterator[None]:
    """Parsing makes very many objects and hardly any cycles; to look for those meanwhile takes a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True)
class Folder:
    """All that could be read, and everything that is wrong with it."""

    files: list[TopicFile]
    translations: list[TranslationFile]
    tracks: TracksFile
    problems: list[Problem]

    def library(self) -> Library:
        """Raises ContentError where anything is wrong."""
        if self.problems:
            raise ContentError(self.problems)
        return Library(self.topics(), tracks_file.build_tracks(self.tracks), self.tracks.popular)

    def topics(self) -> list[Topic]:
        """Those whose file is in order, with their translations as far as they are."""
        translations: dict[str, dict[str, Topic]] = {}
        for each in self.translations:
            if each.topic:
                translations.setdefault(each.slug, {})[each.locale] = each.topic
        return [
            file.topic.model_copy(update={"translations": translations.get(file.slug, {})})
            for file in self.files
            if file.topic
        ]

    def paths(self) -> list[Path]:
        return [*(file.path for file in self.files), *(file.path for file in self.translations)]


def content_files(directory: Path) -> list[Path]:
    """Every topic's file and translation in order, and `tracks.yaml` last, whether it is there or not."""
    # Editors keep files of their own beside the one that is being edited, with a dot in front.
    topics = [path for path in sorted((directory / "topics").glob("*.md")) if not path.name.startswith(".")]
    return [*topics, directory / tracks_file.NAME]


def read_folder(directory: Path) -> Folder:
    *texts, _ = content_files(directory)
    root = directory.resolve()
    files = [read_topic(path, root) for path in texts if "." not in path.stem]
    if not files:
        problem = Problem(directory, Position(), "no topics here; expected topics/*.md and tracks.yaml")
        return Folder(files, [], TracksFile.model_construct(tracks={}, popular=()), [problem])
    originals = {file.slug: file for file in files}
    translations = [read_translation(path, root, originals) for path in texts if "." in path.stem]
    tracks, located = tracks_file.read_tracks(directory, root)
    in_tracks = [*located.findings, *tracks_file.check_names(tracks, located, {file.slug for file in files})]
    problems = [Problem(directory / tracks_file.NAME, finding.position, finding.message) for finding in in_tracks]
    read: list[TopicFile | TranslationFile] = [*files, *translations]
    problems += [Problem(file.path, finding.position, finding.message) for file in read for finding in file.findings]
    problems += [*_clashes(files), *_strange_relations(files), *_untracked(files, tracks)]
    return Folder(files, translations, tracks, problems)


def _clashes(files: list[TopicFile]) -> Iterator[Problem]:
    """Two topics that answer to one name; own names come before aliases, so that the alias gets the blame."""
    owners: dict[str, TopicFile] = {}
    for file, name, position in [*_own_names(files), *_aliases(files)]:
        owner = owners.setdefault(plain(name), file)
        if owner is not file:
            yield Problem(file.path, position, f"{name} is already used by {owner.path.name}")


def _own_names(files: list[TopicFile]) -> Iterator[tuple[TopicFile, str, Position]]:
    for file in files:
        yield file, file.slug, Position()
        title = file.facts.data.get("title")
        if isinstance(title, str):
            yield file, title, file.facts.position(("title",))


def _aliases(files: list[TopicFile]) -> Iterator[tuple[TopicFile, str, Position]]:
    for file in files:
        for alias, position in file.names("aliases"):
            yield file, alias, position


def _strange_relations(files: list[TopicFile]) -> Iterator[Problem]:
    slugs = {file.slug for file in files}
    for file in files:
        for related, position in file.names("related"):
            if related == file.slug:
                yield Problem(file.path, position, "related contains the topic itself")
            elif related not in slugs:
                yield Problem(file.path, position, f"related: there is no topic {related}")


def _untracked(files: list[TopicFile], tracks: TracksFile) -> Iterator[Problem]:
    reading_order = tracks_file.expand(tracks, EVERYTHING)
    for file in files:
        if EVERYTHING in tracks.tracks and file.slug not in reading_order:
            yield Problem(file.path, Position(), f"is not in the track {EVERYTHING}; add it in {tracks_file.NAME}")
