"""The library: all topics and tracks in memory, with the search for topics by name."""

import hashlib
import random
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import islice

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING, Track

MIN_SIMILARITY = 0.78  # Jaro-Winkler: djnago, flsk and sanik match, unrelated names don't
MIN_FUZZY_LENGTH = 3  # letters; with one typo, a shorter name is another one
MAX_CHOICES = 25  # Discord's limit


def normalize_name(name: str) -> str:
    """Remove case, accents, spaces and punctuation: `Robot-Framework` and `robot framework` are the same name."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())


class Library:
    excluded: frozenset[str] = frozenset()  # topics that are in no track, because they can't be posted

    def __init__(self, topics: Iterable[Topic], tracks: Iterable[Track], popular: Sequence[str] = ()) -> None:
        by_slug = {topic.slug: topic for topic in topics}
        self.tracks = {track.slug: track for track in tracks}
        self.topics = {slug: by_slug[slug] for slug in self.tracks[EVERYTHING].topics}
        self._popular = [self.topics[slug] for slug in popular]
        topics = self.topics.values()
        own = {normalize_name(name): each for each in topics for name in (each.slug, each.title, *each.aliases)}
        translations = [(translation.title, each) for each in topics for translation in each.translations.values()]
        self._names = {normalize_name(title): each for title, each in translations} | own
        self._summaries = [(each.summary.casefold(), each) for each in topics]
        self._all_names = list(self._names)
        self._titles = {normalize_name(each.title): each for each in topics}

    @cached_property
    def version(self) -> str:
        """A short hash of the content: the same in all processes that serve it."""
        parts = [part.model_dump_json() for part in (*self.topics.values(), *self.tracks.values())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def without(self, slugs: frozenset[str]) -> "Library":
        """Return a library whose tracks exclude these topics, except tracks that have no others; `find` finds them."""
        if not slugs:
            return self
        view = copy(self)
        view.tracks = dict(self.tracks)
        for slug, track in self.tracks.items():
            if rest := tuple(topic for topic in track.topics if topic not in slugs):
                view.tracks[slug] = track.model_copy(update={"topics": rest})
        view.excluded = slugs
        return view

    def find(self, name: str) -> Topic | None:
        """Return the topic with this slug, alias, or title in any language."""
        return self._names.get(normalize_name(name))

    def similar(self, name: str, limit: int = 3) -> list[Topic]:
        """Return topics with similar names, the most similar first."""
        wanted = normalize_name(name)
        similarity = JaroWinkler.similarity
        similar = process.extract(wanted, self._all_names, scorer=similarity, score_cutoff=MIN_SIMILARITY, limit=None)
        # One letter wrong, missing, extra or transposed makes short names hardly similar.
        typos = process.extract(wanted, self._all_names, scorer=OSA.distance, score_cutoff=1, limit=None)
        close = [hit[0] for hit in typos if min(len(hit[0]), len(wanted)) >= MIN_FUZZY_LENGTH]
        names = [*(hit[0] for hit in similar), *close]
        return list(islice(_unique(self._names[each] for each in names), limit))

    def suggest(self, typed: str) -> list[Topic]:
        """Return choices for autocomplete, the best first; popular topics if nothing is typed."""
        wanted = normalize_name(typed)
        ranked = self._ranked(typed, wanted) if wanted else [*self._popular, *self.topics.values()]
        return list(islice(_unique(ranked), MAX_CHOICES))

    def _ranked(self, typed: str, wanted: str) -> Iterator[Topic]:
        """Yield the best matches first, and look for each kind only if those before it weren't enough."""
        yield from filter(None, [self.find(typed)])
        yield from [topic for name, topic in self._titles.items() if name.startswith(wanted)]
        yield from [topic for name, topic in self._names.items() if name.startswith(wanted)]
        if len(wanted) > 1:
            yield from [topic for name, topic in self._names.items() if wanted in name]
        yield from self.similar(typed, MAX_CHOICES)
        words = typed.casefold().split()
        yield from (topic for summary, topic in self._summaries if all(word in summary for word in words))

    def related(self, topic: Topic) -> list[Topic]:
        return [self.topics[slug] for slug in topic.related]

    def random(self) -> Topic:
        return random.choice(list(self.topics.values()))  # noqa: S311 - nothing depends on its quality


def _unique(topics: Iterable[Topic]) -> Iterator[Topic]:
    seen: set[str] = set()
    for topic in topics:
        if topic.slug not in seen:
            seen.add(topic.slug)
            yield topic


def reading_order(track: Track, start: str | None) -> tuple[str, ...]:
    """Return the track's topics from `start` on, then those before it; unchanged if `start` isn't in the track."""
    index = track.topics.index(start) if start in track.topics else 0
    return track.topics[index:] + track.topics[:index]
