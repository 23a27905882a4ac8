"""The library: all topics and tracks in memory, found by what people type."""

import hashlib
import random
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import islice

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from weekbot.content.model import EVERYTHING, Topic, Track

MIN_SIMILARITY = 0.78  # JaroWinkler similarity: djnago, flsk and sanik are in, unrelated names are out
MIN_FUZZY_LENGTH = 3  # letters; in a shorter one a single slip makes it another name
MAX_CHOICES = 25  # Discord shows no more


def normalize_name(name: str) -> str:
    """The name without case, accents, spaces and punctuation: `Robot-Framework` and `robot framework` are one."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())


class Library:
    """Immutable; a reload builds a new one."""

    excluded: frozenset[str] = frozenset()
    """Topics that no track has, as they cannot be posted."""

    def __init__(self, topics: Iterable[Topic], tracks: Iterable[Track], popular: Sequence[str] = ()) -> None:
        by_slug = {topic.slug: topic for topic in topics}
        self.tracks = {track.slug: track for track in tracks}
        self.topics = {slug: by_slug[slug] for slug in self.tracks[EVERYTHING].topics}
        self._popular = [self.topics[slug] for slug in popular]
        own = {normalize_name(name): topic for topic in self.topics.values() for name in _names(topic)}
        self._names = {
            normalize_name(name): topic for topic in self.topics.values() for name in _translated(topic)
        } | own
        self._summaries = [(topic.summary.casefold(), topic) for topic in self.topics.values()]
        self._all_names = list(self._names)
        self._titles = {normalize_name(topic.title): topic for topic in self.topics.values()}

    @cached_property
    def version(self) -> str:
        """A short hash of all that is in it: the same for all processes that serve the same content."""
        parts = [part.model_dump_json() for part in (*self.topics.values(), *self.tracks.values())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def without(self, slugs: frozenset[str]) -> "Library":
        """The same, with tracks that leave these topics out, as far as others are in them; they can be found."""
        if not slugs:
            return self
        view = copy(self)
        view.tracks = {slug: _without(track, slugs) for slug, track in self.tracks.items()}
        view.excluded = slugs
        return view

    def find(self, name: str) -> Topic | None:
        """The topic with this title, in any language, slug or alias."""
        return self._names.get(normalize_name(name))

    def near(self, name: str, limit: int = 3) -> list[Topic]:
        """Topics whose names look like this one, the most alike first."""
        wanted = normalize_name(name)
        alike = process.extract(
            wanted, self._all_names, scorer=JaroWinkler.similarity, score_cutoff=MIN_SIMILARITY, limit=None
        )
        names = [*(hit[0] for hit in alike), *self._one_slip_away(wanted)]
        return list(islice(_unique(self._names[each] for each in names), limit))

    def _one_slip_away(self, wanted: str) -> Iterator[str]:
        """Names with one letter wrong, missing, too many or out of its place; in short ones little else is alike."""
        slips = process.extract(wanted, self._all_names, scorer=OSA.distance, score_cutoff=1, limit=None)
        return (hit[0] for hit in slips if min(len(hit[0]), len(wanted)) >= MIN_FUZZY_LENGTH)

    def suggest(self, typed: str) -> list[Topic]:
        """For autocomplete: exact, prefix, alias, alike, words of the summary; popular ones while nothing is typed."""
        wanted = normalize_name(typed)
        if not wanted:
            return list(islice(_unique([*self._popular, *self.topics.values()]), MAX_CHOICES))
        return list(islice(_unique(self._ranked(typed, wanted)), MAX_CHOICES))

    def _ranked(self, typed: str, wanted: str) -> Iterator[Topic]:
        """The best first, each kind of match looked for only when those before it were not enough."""
        yield from filter(None, [self.find(typed)])
        yield from [topic for name, topic in self._titles.items() if name.startswith(wanted)]
        yield from [topic for name, topic in self._names.items() if name.startswith(wanted)]
        if len(wanted) > 1:
            yield from [topic for name, topic in self._names.items() if wanted in name]
        yield from self.near(typed, MAX_CHOICES)
        yield from self._described(typed.casefold().split())

    def _described(self, words: Sequence[str]) -> list[Topic]:
        """Topics whose summary has all these words."""
        found = self._summaries
        for word in words:
            found = [(summary, topic) for summary, topic in found if word in summary]
        return [topic for _, topic in found]

    def related(self, topic: Topic) -> list[Topic]:
        return [self.topics[slug] for slug in topic.related]

    def random(self) -> Topic:
        return random.choice(list(self.topics.values()))  # noqa: S311 - nothing depends on its quality


def _names(topic: Topic) -> tuple[str, ...]:
    return (topic.slug, topic.title, *topic.aliases)


def _translated(topic: Topic) -> Iterator[str]:
    return (translation.title for translation in topic.translations.values())


def _unique(topics: Iterable[Topic]) -> Iterator[Topic]:
    seen: set[str] = set()
    for topic in topics:
        if topic.slug not in seen:
            seen.add(topic.slug)
            yield topic


def _without(track: Track, slugs: frozenset[str]) -> Track:
    rest = tuple(slug for slug in track.topics if slug not in slugs)
    return track.model_copy(update={"topics": rest}) if rest else track


def reading_order(track: Track, start: str | None) -> tuple[str, ...]:
    """The track's topics from `start` on and round to it again; the plain order where `start` is not in it."""
    if start not in track.topics:
        return track.topics
    index = track.topics.index(start)
    return track.topics[index:] + track.topics[:index]
