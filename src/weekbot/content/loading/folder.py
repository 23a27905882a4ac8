"""Reads the content folder, or a draft in it, and collects the problems of all files."""

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weekbot.content.library import Library, normalize_name
from weekbot.content.loading import tracks_file
from weekbot.content.loading.topic_file import TopicFile, TranslationFile, read_topic, read_translation
from weekbot.content.model import Topic
from weekbot.content.problems import ContentError, Position, Problem
from weekbot.content.tracks import EVERYTHING, Track, TracksFile


def load_library(directory: Path) -> Library:
    """Load the whole folder. Raises ContentError with the problems of all files."""
    enabled = gc.isenabled()
    gc.disable()  # collections take a tenth of the time, though parsing creates hardly any cycles
    try:
        return read_folder(directory).library()
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Folder:
    files: list[TopicFile]
    translations: list[TranslationFile]
    tracks: TracksFile
    problems: list[Problem]

    def library(self) -> Library:
        """Raises ContentError if there are problems."""
        if self.problems:
            raise ContentError(self.problems)
        return Library(self.topics(), tracks_file.build_tracks(self.tracks), self.tracks.popular)

    def topics(self) -> list[Topic]:
        """Return the topics without problems, with the translations that have none."""
        translations: dict[str, dict[str, Topic]] = {}
        for each in self.translations:
            if each.topic:
                translations.setdefault(each.slug, {})[each.locale] = each.topic
        topics = [file.topic for file in self.files if file.topic]
        return [topic.model_copy(update={"translations": translations.get(topic.slug, {})}) for topic in topics]


def content_files(directory: Path) -> list[Path]:
    """Return the sorted paths of all topics and translations, then `tracks.yaml`, which may be missing."""
    # Editors put temporary files beside the one that is edited, with a leading dot.
    topics = [path for path in sorted((directory / "topics").glob("*.md")) if not path.name.startswith(".")]
    return [*topics, directory / tracks_file.FILE_NAME]


def read_folder(directory: Path) -> Folder:
    *texts, _ = content_files(directory)
    root = directory.resolve()
    files = [read_topic(path, root) for path in texts if "." not in path.stem]
    if not files:
        problem = Problem(directory, Position(), "no topics here; expected topics/*.md and tracks.yaml")
        return Folder(files, [], tracks_file.NO_TRACKS, [problem])
    originals = {file.slug: file for file in files}
    translations = [read_translation(path, root, originals) for path in texts if "." in path.stem]
    tracks, source = tracks_file.read_tracks(directory, root)
    in_tracks = [*source.problems, *tracks_file.check_names(tracks, source, {file.slug for file in files})]
    problems = [problem.in_file(directory / tracks_file.FILE_NAME) for problem in in_tracks]
    problems += [problem.in_file(file.path) for file in (*files, *translations) for problem in file.problems]
    problems += [*_clashes(files), *_unknown_relations(files), *_untracked(files, tracks)]
    return Folder(files, translations, tracks, problems)


@dataclass(frozen=True)
class Draft:
    path: Path
    locale: str | None  # of a translation
    topic: Topic | None  # None while its file has problems
    library: Library  # all topics whose files have no problems
    problems: list[Problem]  # of the whole folder, the file's first


def read_draft(directory: Path, name: str) -> Draft:
    """Read the topic, or the translation such as `flask.de`, with as much of the folder as is valid."""
    folder = read_folder(directory)
    path = directory / "topics" / f"{name}.md"
    slug, _, locale = name.partition(".")
    slugs = [topic.slug for topic in folder.topics()]
    topics = [
        topic.model_copy(update={"related": tuple(related for related in topic.related if related in slugs)})
        for topic in folder.topics()
    ]
    everything = Track.model_construct(slug=EVERYTHING, title="Everything", summary="All.", topics=tuple(slugs))
    problems = sorted(folder.problems, key=lambda problem: (problem.path != path, problem))
    if path not in [file.path for file in (*folder.files, *folder.translations)]:
        problems.insert(0, Problem(path, Position(), "is missing; save it again, or stop this preview"))
    library = Library(topics, [everything])
    return Draft(path, locale or None, library.topics.get(slug), library, problems)


def _clashes(files: list[TopicFile]) -> Iterator[Problem]:
    """Report names that two topics share; own names come first, so that aliases are blamed."""
    owners: dict[str, TopicFile] = {}
    aliases = [(file, *alias) for file in files for alias in file.names("aliases")]
    for file, name, position in [*_own_names(files), *aliases]:
        owner = owners.setdefault(normalize_name(name), file)
        if owner is not file:
            yield Problem(file.path, position, f"{name} is already used by {owner.path.name}")


def _own_names(files: list[TopicFile]) -> Iterator[tuple[TopicFile, str, Position]]:
    for file in files:
        yield file, file.slug, Position()
        title = file.facts.data.get("title")
        if isinstance(title, str):
            yield file, title, file.facts.position(("title",))


def _unknown_relations(files: list[TopicFile]) -> Iterator[Problem]:
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
            yield Problem(file.path, Position(), f"is not in the track {EVERYTHING}; add it in {tracks_file.FILE_NAME}")
