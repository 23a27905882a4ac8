"""Alternating the topics of several tracks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from weekbot.content.loading.tracks_file import alternate

lengths = st.lists(st.integers(0, 12), max_size=5)


def tracks_of(counts: list[int]) -> list[list[str]]:
    return [[f"{track}-{number}" for number in range(count)] for track, count in enumerate(counts)]


@given(lengths)
def test_every_topic_appears_once_and_each_track_keeps_its_order(counts: list[int]) -> None:
    tracks = tracks_of(counts)
    merged = list(alternate(tracks))
    assert sorted(merged) == sorted(topic for track in tracks for topic in track)
    for track in tracks:
        assert [topic for topic in merged if topic in track] == track


@given(lengths)
def test_consecutive_topics_are_from_different_tracks_if_possible(counts: list[int]) -> None:
    merged = list(alternate(tracks_of(counts)))
    repeats = sum(one.split("-")[0] == other.split("-")[0] for one, other in pairwise(merged))
    longest = max(counts, default=0)
    assert repeats == max(0, longest - (sum(counts) - longest) - 1)


def test_a_short_track_is_spread_evenly() -> None:
    merged = list(alternate(tracks_of([12, 3])))
    positions = [index for index, topic in enumerate(merged) if topic.startswith("1-")]
    assert positions[0] < 5
    assert positions[-1] > 9
