"""A topic or translation that is being written."""

from dataclasses import dataclass
from pathlib import Path

from weekbot.content.library import Library
from weekbot.content.loading.folder import read_folder
from weekbot.content.model import Topic
from weekbot.content.problems import Position, Problem
from weekbot.content.tracks import EVERYTHING, Track


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
