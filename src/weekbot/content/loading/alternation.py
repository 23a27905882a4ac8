"""Several tracks as one, taking turns: pure."""

from collections.abc import Iterator, Sequence


def alternate(tracks: Sequence[Sequence[str]]) -> Iterator[str]:
    """All topics, each track's in its order and spread over the whole.

    As few neighbours as possible come from one track: none, unless one has more topics than all the others.
    """
    lengths = [len(track) for track in tracks]
    left, last = list(lengths), -1
    while any(left):
        last = _whose_turn(left, lengths, last)
        yield tracks[last][lengths[last] - left[last]]
        left[last] -= 1


def _whose_turn(left: list[int], lengths: list[int], last: int) -> int:
    """The track with the largest share of its topics left, but not the last one's where that can be helped."""
    longest = max(range(len(left)), key=lambda track: left[track])
    dominates = 2 * left[longest] > sum(left)  # there are too few others to stand between its topics
    if dominates and longest != last:
        return longest
    waiting = [track for track, count in enumerate(left) if count and (track != last or dominates)]
    return max(waiting, key=lambda track: left[track] / lengths[track])
