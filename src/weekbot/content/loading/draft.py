"""A topic that is being written: what can be shown of it, and what is still wrong."""

from dataclasses import dataclass
from pathlib import Path

from weekbot.content.library import Library
from weekbot.content.loading.folder import read_folder
from weekbot.content.model import EVERYTHING, Topic, Track
from weekbot.content.problems import Position, Problem


@dataclass(frozen=True)
class Draft:
    """`topic` is None while its file has problems of its own; `problems` are those of the whole folder, its own first.

    `locale` is set where a translation is being written. `library` holds every topic whose file is in order.
    """

    path: Path
    locale: str | None
    topic: Topic | None
    library: Library
    problems: list[Problem]


def read_draft(directory: Path, name: str) -> Draft:
    """What there is of the topic, or the translation such as `flask.de`, and of the others, whatever is wrong."""
    folder = read_folder(directory)
    path = directory / "topics" / f"{name}.md"
    slug, _, locale = name.partition(".")
    topics = {topic.slug: topic for topic in folder.topics()}
    known = [_among(topic, topics) for topic in topics.values()]
    everything = Track.model_construct(slug=EVERYTHING, title="Everything", summary="All.", topics=tuple(topics))
    problems = sorted(folder.problems, key=lambda problem: (problem.path != path, problem))
    if path not in folder.paths():
        problems.insert(0, Problem(path, Position(), "is missing; save it again, or stop this preview"))
    library = Library(known, [everything])
    return Draft(path, locale or None, library.topics.get(slug), library, problems)


def _among(topic: Topic, topics: dict[str, Topic]) -> Topic:
    """The topic, related to those only that are there."""
    return topic.model_copy(update={"related": tuple(slug for slug in topic.related if slug in topics)})
