"""Killed at any moment, and started again until all is done: one post in each channel."""

from collections.abc import Sequence

import pytest

from discord_server import Channel
from discord_server.message import THREAD_STARTER

from .harness import SLOT, Place
from .moments import drawn, live_until

pytestmark = pytest.mark.chaos

GUILDS, CHANNELS, KILLS = 10, 50, 50
# So long that several requests are on their way at each moment.
LATENCY = 0.1
# Seconds between two lives: Discord knows a nonce for three minutes, and the bot counts on two.
PAUSES = (1, 10, 30, 60, 200)


async def test_killed_at_fifty_moments_it_posts_once_to_each_of_five_hundred_channels(place: Place) -> None:
    place.furnish(GUILDS, CHANNELS)
    await place.subscribe(place.channels)
    await killed_again_and_again(place, requests=25, methods=["POST"])
    assert place.numbers_of_posts() == {1}
    await the_ledger_is_right(place)


async def test_killed_at_fifty_moments_it_opens_one_thread_and_pins_once(place: Place) -> None:
    place.furnish(GUILDS, CHANNELS)
    await place.subscribe(place.channels, thread=True, pin=True)
    await killed_again_and_again(place, requests=70, methods=["POST", "POST", "POST", "PUT"])
    assert place.numbers_of_posts() == {1}
    await the_ledger_is_right(place)
    for channel in place.channels:
        one_thread_with_one_question_and_one_pin(place, channel)


async def killed_again_and_again(place: Place, requests: int, methods: Sequence[str]) -> None:
    """Each time within so many requests; then a last bot finishes the work."""
    place.server.latency = LATENCY
    place.clock.start(SLOT)
    came = 0
    for life in range(KILLS):
        moment = drawn(place.random, requests, methods)
        print(f"life {life}: {moment}")
        came += await live_until(moment, place)
        place.clock.let_pass(seconds=place.random.choice(PAUSES))
    print(f"{came} of {KILLS} moments came")
    assert came > 0.7 * KILLS, "the work was done before the bots were killed"
    async with place.running():
        await place.settled()


async def the_ledger_is_right(place: Place) -> None:
    """One delivery a channel, and it names the post that stands there."""
    entries = await place.ledger.entries()
    assert len(entries) == len(place.channels)
    assert {entry.state for entry in entries} == {"sent"}
    standing = {(channel.id, post.id) for channel in place.channels for post in place.posts(channel)}
    assert not standing ^ {(entry.channel_id, entry.message_id) for entry in entries}


def one_thread_with_one_question_and_one_pin(place: Place, channel: Channel) -> None:
    [post] = place.posts(channel)
    [thread] = [each for each in channel.guild.threads.values() if each.parent is channel]
    assert post.thread is thread
    assert [message.kind for message in thread.history()] == [THREAD_STARTER, 0]
    assert channel.pins == [post]
