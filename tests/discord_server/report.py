"""The figures of a run with the loopback Discord."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .channel import Channel
from .message import Message
from .payload import Payload
from .world import World


@dataclass
class Tally:
    """The number of requests by method, route and status."""

    counts: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)

    def add(self, method: str, route: str | None, status: int | None) -> None:
        """Count a request; an unknown route is None, and a cut request has no status."""
        self.counts[method, route or "unknown", status] += 1

    def payload(self) -> dict[str, dict[str, int]]:
        """Return the numbers by method and route, and by status."""
        found: dict[str, dict[str, int]] = {}
        for (method, route, status), count in sorted(self.counts.items(), key=str):
            found.setdefault(f"{method} {route}", {})[str(status or "cut")] = count
        return found

    def total(self, status: int | None = None) -> int:
        """Return the number of all requests, or of those with a status."""
        return sum(count for (_, _, each), count in self.counts.items() if status in (None, each))


def report(world: World, tally: Tally, invalid: int, expected: int) -> Payload:
    """Return the figures of the requests and posts.

    `expected` is the number of the bot's posts in each channel: more are doubled, fewer are missing. Times are
    in seconds since 1970.
    """
    posts = {channel.id: list(_posts(channel)) for channel in _channels(world)}
    times = sorted(post.created_at.timestamp() for each in posts.values() for post in each)
    counts = {channel_id: len(each) for channel_id, each in posts.items()}
    return {
        "requests": tally.payload(),
        "requests_total": tally.total(),
        "rate_limited": tally.total(429),
        "invalid_requests": invalid,
        "posts": len(times),
        "posts_by_channel": {str(channel_id): count for channel_id, count in counts.items()},
        "doubled": sum(max(0, count - expected) for count in counts.values()),
        "missing": sum(max(0, expected - count) for count in counts.values()),
        "repeated_nonces": sum(_repeated(each) for each in posts.values()),
        "first_post_at": times[0] if times else None,
        "last_post_at": times[-1] if times else None,
    }


def _channels(world: World) -> Iterator[Channel]:
    for guild in world.guilds.values():
        yield from guild.channels.values()


def _posts(channel: Channel) -> Iterator[Message]:
    return (message for message in channel.history() if message.author == channel.world.bot and not message.interaction)


def _repeated(posts: list[Message]) -> int:
    nonces = [post.nonce for post in posts if post.nonce is not None]
    return len(nonces) - len(set(nonces))
