"""Merging tracks by turns."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from weekbot.content.loading.tracks_file import alternate

lengths = st.lists(st.integers(0, 12), max_size=5)


def tracks_of(counts: list[int]) -> list[list[str]]:
    return [[f"{track}-{number}" for number in range(count)] for track, count in enumerate(counts)]


@given(lengths)
def test_every_topic_comes_once_and_each_track_in_its_order(counts: list[int]) -> None:
    tracks = tracks_of(counts)
    mixed = list(alternate(tracks))
    assert sorted(mixed) == sorted(topic for track in tracks for topic in track)
    for track in tracks:
        assert [topic for topic in mixed if topic in track] == track


@given(lengths)
def test_neighbours_come_from_different_tracks_wherever_that_is_possible(counts: list[int]) -> None:
    mixed = list(alternate(tracks_of(counts)))
    touching = sum(one.split("-")[0] == other.split("-")[0] for one, other in pairwise(mixed))
    longest = max(counts, default=0)
    assert touching == max(0, longest - (sum(counts) - longest) - 1)


def test_a_short_track_is_spread_over_the_whole() -> None:
    mixed = list(alternate(tracks_of([12, 3])))
    places = [index for index, topic in enumerate(mixed) if topic.startswith("1-")]
    assert places[0] < 5
    assert places[-1] > 9
