"""Reads `tracks.yaml`, which defines the tracks that a channel can subscribe to."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from weekbot.content.loading.front_matter import read_yaml
from weekbot.content.loading.source_map import LocatedProblem, SourceMap, validate
from weekbot.content.loading.text_file import read_text
from weekbot.content.tracks import EVERYTHING, Track, TracksFile

FILE_NAME = "tracks.yaml"
NO_TRACKS = TracksFile.model_construct(tracks={}, popular=())


def read_tracks(directory: Path, root: Path) -> tuple[TracksFile, SourceMap]:
    """Read as much of the file as is valid, with its source map; `root` is the resolved content folder."""
    problems: list[LocatedProblem] = []
    text = read_text(directory / FILE_NAME, root, problems)
    if text is None:
        return NO_TRACKS, SourceMap({}, problems=problems)
    source = read_yaml(text)
    file = validate(TracksFile, source) if source.data or not source.problems else None
    source.problems += problems
    return file or NO_TRACKS, source


def build_tracks(file: TracksFile) -> list[Track]:
    return [
        Track(slug=slug, title=entry.title, summary=entry.summary, topics=expand(file, slug))
        for slug, entry in file.tracks.items()
    ]


def expand(file: TracksFile, slug: str) -> tuple[str, ...]:
    """Return the track's topics, each once: its own, those of included tracks, then those of alternating tracks."""
    entry = file.tracks.get(slug)
    if entry is None:
        return ()
    own = dict.fromkeys([*entry.topics, *_topics_of(file, entry.includes)])
    turns = [[topic for topic in _topics_of(file, [name]) if topic not in own] for name in entry.alternates]
    return tuple(dict.fromkeys([*own, *alternate(turns)]))


def _topics_of(file: TracksFile, names: Iterable[str]) -> list[str]:
    return [topic for name in names if name in file.tracks for topic in file.tracks[name].topics]


def alternate(tracks: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield all topics, each track's in its order, and as rarely as possible two in a row from one track."""
    lengths = [len(track) for track in tracks]
    left, last = list(lengths), -1
    while any(left):
        last = _next_track(left, lengths, last)
        yield tracks[last][lengths[last] - left[last]]
        left[last] -= 1


def _next_track(left: list[int], lengths: list[int], last: int) -> int:
    """Return the track with the largest share of its topics left, if possible not the last one."""
    longest = max(range(len(left)), key=lambda track: left[track])
    dominates = 2 * left[longest] > sum(left)  # too few others are left to separate its topics
    if dominates and longest != last:
        return longest
    candidates = [track for track, count in enumerate(left) if count and (track != last or dominates)]
    return max(candidates, key=lambda track: left[track] / lengths[track])


def check_names(file: TracksFile, source: SourceMap, slugs: set[str]) -> Iterator[LocatedProblem]:
    """Report unknown and repeated names; `slugs` are those of all topics."""

    def check(path: tuple[str, ...], names: tuple[str, ...], known: set[str], what: str) -> Iterator[LocatedProblem]:
        for index, name in enumerate(names):
            if name not in known:
                yield LocatedProblem(f"there is no {what} {name}", source.position((*path, index)))
            elif name in names[:index]:
                yield LocatedProblem(f"{name} is duplicated in this list", source.position((*path, index)))

    if file.tracks and EVERYTHING not in file.tracks:
        yield LocatedProblem(f"the track {EVERYTHING} is missing", source.position(("tracks",)))
    includable = {name for name, track in file.tracks.items() if track.topics}
    for name, entry in file.tracks.items():
        yield from check(("tracks", name, "topics"), entry.topics, slugs, "topic")
        for key, names in (("includes", entry.includes), ("alternates", entry.alternates)):
            yield from check(("tracks", name, key), names, includable, "track with topics")
    yield from check(("popular",), file.popular, slugs, "topic")
