"""`tracks.yaml`: which topics a channel can follow, and in which order."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from weekbot.content.alternation import alternate
from weekbot.content.front_matter import read_yaml
from weekbot.content.located import Finding, Located, validate
from weekbot.content.model import EVERYTHING, Track, TracksFile
from weekbot.content.text_file import read_text

NAME = "tracks.yaml"
_NOTHING = TracksFile.model_construct(tracks={}, popular=())


def read_tracks(directory: Path, root: Path) -> tuple[TracksFile, Located]:
    """The file as far as it can be read, and where everything stands in it; `root` is the folder, resolved."""
    findings: list[Finding] = []
    text = read_text(directory / NAME, root, findings)
    if text is None:
        return _NOTHING, Located({}, findings=findings)
    located = read_yaml(text)
    entries = validate(TracksFile, located) if located.data or not located.findings else None
    located.findings += findings
    return entries or _NOTHING, located


def build_tracks(file: TracksFile) -> list[Track]:
    return [
        Track(slug=slug, title=entry.title, summary=entry.summary, topics=expand(file, slug))
        for slug, entry in file.tracks.items()
    ]


def expand(file: TracksFile, slug: str) -> tuple[str, ...]:
    """The track's topics in order, each once: its own, those of included tracks, those of tracks that take turns."""
    entry = file.tracks.get(slug)
    if entry is None:
        return ()
    own = dict.fromkeys([*entry.topics, *_topics_of(file, entry.includes)])
    turns = [[topic for topic in _topics_of(file, [name]) if topic not in own] for name in entry.alternates]
    return tuple(dict.fromkeys([*own, *alternate(turns)]))


def _topics_of(file: TracksFile, names: Iterable[str]) -> list[str]:
    return [topic for name in names if name in file.tracks for topic in file.tracks[name].topics]


def check_names(file: TracksFile, located: Located, slugs: set[str]) -> Iterator[Finding]:
    """Names that lead nowhere or stand twice; `slugs` are the topics there are."""
    if file.tracks and EVERYTHING not in file.tracks:
        yield Finding(located.position(("tracks",)), f"the track {EVERYTHING} is missing")
    includable = {name for name, track in file.tracks.items() if track.topics}
    for name, entry in file.tracks.items():
        yield from _check_list(located, ("tracks", name, "topics"), entry.topics, slugs, "topic")
        for key, names in (("includes", entry.includes), ("alternates", entry.alternates)):
            yield from _check_list(located, ("tracks", name, key), names, includable, "track with topics")
    yield from _check_list(located, ("popular",), file.popular, slugs, "topic")


def _check_list(
    located: Located, path: tuple[str, ...], names: tuple[str, ...], known: set[str], what: str
) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name not in known:
            yield Finding(located.position((*path, index)), f"there is no {what} {name}")
        elif name in names[:index]:
            yield Finding(located.position((*path, index)), f"{name} is duplicated in this list")
