"""A Discord that answers wrongly, late or never, and refuses some channels: one post in every other one."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from discord_server import Channel
from discord_server.fault import NO_ANSWER, Chance, FaultMix
from weekbot.domain.schedule import WEEK

from .harness import SLOT, Place

pytestmark = pytest.mark.chaos

BROKEN = (500, 502, 503, 504)
LOST_AND_BROKEN = (
    Chance(0.10, NO_ANSWER, takes_effect=True),
    Chance(0.10, BROKEN),
    Chance(0.05, BROKEN, takes_effect=True),
)
NEVER_ANSWERED = Chance(0.02, NO_ANSWER, held=True)
SECONDS_BETWEEN_DROPS = 5


async def test_under_faults_it_posts_once_to_each_living_channel_and_to_dead_ones_when_they_are_healed(
    place: Place,
) -> None:
    place.furnish(guilds=10, channels=50)
    forbidden, deleted = some_die(place, 20)
    dead = [*forbidden, *deleted]
    living = [channel for channel in place.channels if channel not in dead]
    await place.subscribe(place.channels)
    options = await place.ledger.options()

    with_faults(place, *LOST_AND_BROKEN, NEVER_ANSWERED, spared=dead)
    place.clock.start(SLOT)
    async with place.running(), place.server.gateway.drop_every(SECONDS_BETWEEN_DROPS):
        await place.settled(seconds=280)
    assert place.numbers_of_posts(living) == {1}
    assert place.numbers_of_posts(dead) == {0}
    check_refusals(place, forbidden=forbidden, deleted=deleted)
    assert await reasons(place) == {channel.id: "permission" for channel in forbidden} | {
        channel.id: "gone" for channel in deleted
    }
    assert not await lost_settings(place, options)

    heal(place, forbidden)
    place.clock.start(SLOT + WEEK)
    async with place.running():
        await place.settled(SLOT + WEEK)
    assert place.numbers_of_posts(living) == {2}
    assert place.numbers_of_posts(forbidden) == {1}
    check_refusals(place, forbidden=forbidden, deleted=deleted, weeks=2)
    assert set(await place.ledger.blocked()) == {channel.id for channel in deleted}
    assert not await lost_settings(place, options)


async def test_each_dead_channel_is_told_of_once(place: Place) -> None:
    guilds = place.furnish(guilds=4, channels=10)
    dead = [channel for channels in some_die(place, 12) for channel in channels]
    await place.subscribe(place.channels)
    with_faults(place, *LOST_AND_BROKEN, spared=dead)
    place.clock.start(SLOT)
    for _ in range(2):
        async with place.running():
            await place.settled()
            await place.told()
            await asyncio.sleep(2)  # for what is said after the work is done, and not said again after a restart
        place.clock.let_pass(minutes=5)
    told = "\n".join(
        message.text for guild in guilds if guild.system_channel for message in guild.system_channel.history()
    )
    assert {channel.id: told.count(channel.mention) for channel in dead} == {channel.id: 1 for channel in dead}


def some_die(place: Place, number: int) -> tuple[list[Channel], list[Channel]]:
    """Channels that the bot may not write in, and channels that are no more, half of the number each."""
    dead = place.random.sample(place.channels, number)
    forbidden, deleted = dead[::2], dead[1::2]
    for channel in forbidden:
        channel.forbid()
    for channel in deleted:
        channel.delete()
    return forbidden, deleted


def heal(place: Place, channels: Iterable[Channel]) -> None:
    place.server.rest.faults.mixes.clear()
    for channel in channels:
        channel.overwrite(channel.guild.bot_role)


def with_faults(place: Place, *chances: Chance, spared: Iterable[Channel]) -> None:
    """Let posts go wrong by chance, except in the channels that are spared."""
    paths = frozenset(f"/channels/{channel.id}/messages" for channel in spared)
    place.server.rest.faults.mixes.append(FaultMix(place.random.random(), "POST", "/messages$", chances, paths))


def check_refusals(place: Place, *, forbidden: list[Channel], deleted: list[Channel], weeks: int = 1) -> None:
    """One a week at most. While the gateway shows that a post would be refused, none is tried.

    That a channel is gone Discord itself has to say once.
    """
    refused = refusals(place)
    assert refused.keys() <= {channel.id for channel in [*forbidden, *deleted]}
    assert all(refused[channel.id] <= 1 for channel in forbidden)
    assert all(1 <= refused[channel.id] <= weeks for channel in deleted)


def refusals(place: Place) -> Counter[int]:
    """By channel, how many requests Discord would hold against the bot."""
    refused = [request for request in place.server.requests if request.status in (401, 403, 404)]
    return Counter(request.call.id("channel_id") for request in refused)


async def lost_settings(place: Place, before: dict[int, dict[str, Any]]) -> list[int]:
    """The channels whose options are not what they were."""
    after = await place.ledger.options()
    return [channel_id for channel_id, options in before.items() if after.get(channel_id) != options]


async def reasons(place: Place) -> dict[int, str]:
    """By blocked channel, the word in its reason that tells one from the other."""
    blocked = await place.ledger.blocked()
    return {channel_id: "gone" if "gone" in reason else "permission" for channel_id, reason in blocked.items()}
