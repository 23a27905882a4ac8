"""Bots killed at random moments and restarted until all is done: one post in each channel."""

from collections.abc import Sequence

import pytest

from discord_server import Channel
from discord_server.message import THREAD_STARTER

from .harness import SLOT, Place
from .moments import random_moment, run_until

pytestmark = pytest.mark.chaos

GUILDS, CHANNELS, KILLS = 10, 50, 50
# Long enough for several requests in flight at any moment.
LATENCY = 0.1
# Seconds between two starts: Discord knows a nonce for three minutes, and the bot assumes two.
PAUSES = (1, 10, 30, 60, 200)


async def test_fifty_kills_neither_lose_nor_duplicate_a_post_in_five_hundred_channels(place: Place) -> None:
    place.add_channels(GUILDS, CHANNELS)
    await place.subscribe(place.channels)
    await kill_repeatedly(place, requests=25, methods=["POST"])
    assert place.post_counts() == {1}
    await check_ledger(place)


async def test_fifty_kills_neither_lose_nor_duplicate_a_thread_or_pin(place: Place) -> None:
    place.add_channels(GUILDS, CHANNELS)
    await place.subscribe(place.channels, thread=True, pin=True)
    await kill_repeatedly(place, requests=70, methods=["POST", "POST", "POST", "PUT"])
    assert place.post_counts() == {1}
    await check_ledger(place)
    for channel in place.channels:
        check_thread_and_pin(place, channel)


async def kill_repeatedly(place: Place, requests: int, methods: Sequence[str]) -> None:
    """Kill each bot within `requests` requests; let a last one finish the work."""
    place.server.latency = LATENCY
    place.clock.start(SLOT)
    came = 0
    for number in range(KILLS):
        moment = random_moment(place.random, requests, methods)
        print(f"bot {number}: {moment}")
        came += await run_until(moment, place)
        place.clock.advance(seconds=place.random.choice(PAUSES))
    print(f"{came} of {KILLS} moments came")
    assert came > 0.7 * KILLS, "the work was done before the bots were killed"
    async with place.running():
        await place.settled()


async def check_ledger(place: Place) -> None:
    """Check that each channel has one delivery with the ID of its post."""
    entries = await place.ledger.entries()
    assert len(entries) == len(place.channels)
    assert {entry.state for entry in entries} == {"sent"}
    posted = {(channel.id, post.id) for channel in place.channels for post in place.posts(channel)}
    assert not posted ^ {(entry.channel_id, entry.message_id) for entry in entries}


def check_thread_and_pin(place: Place, channel: Channel) -> None:
    [post] = place.posts(channel)
    [thread] = [each for each in channel.guild.threads.values() if each.parent is channel]
    assert post.thread is thread
    assert [message.kind for message in thread.history()] == [THREAD_STARTER, 0]
    assert channel.pins == [post]
