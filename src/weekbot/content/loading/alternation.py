"""Merges several tracks into one that alternates between them."""

from collections.abc import Iterator, Sequence


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
