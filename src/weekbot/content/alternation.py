"""Several tracks as one, taking turns: pure."""

from collections.abc import Iterator, Sequence


def alternate(tracks: Sequence[Sequence[str]]) -> Iterator[str]:
    """All topics, each track's in its order and spread over the whole.

    Neighbours come from different tracks wherever that is possible at all.
    """
    lengths = [len(track) for track in tracks]
    left, last = list(lengths), -1
    while any(left):
        last = _whose_turn(left, lengths, last)
        yield tracks[last][lengths[last] - left[last]]
        left[last] -= 1


def _whose_turn(left: list[int], lengths: list[int], last: int) -> int:
    """The track that has the largest share of its topics left, though not the last one's."""
    waiting = [index for index, count in enumerate(left) if count and index != last] or [last]
    longest = max(waiting, key=lambda index: left[index])
    if 2 * left[longest] > sum(left):  # later on there would be too few others to stand between its topics
        return longest
    return max(waiting, key=lambda index: left[index] / lengths[index])
