"""A Discord with wrong, late or missing responses that refuses some channels: one post in each other channel."""

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
UNANSWERED = Chance(0.02, NO_ANSWER, held=True)
SECONDS_BETWEEN_DROPS = 5


async def test_faults_neither_lose_nor_duplicate_posts_and_repaired_channels_recover(
    place: Place,
) -> None:
    place.add_channels(guilds=10, channels=50)
    forbidden, deleted = break_channels(place, 20)
    broken = [*forbidden, *deleted]
    working = [channel for channel in place.channels if channel not in broken]
    await place.subscribe(place.channels)
    options = await place.ledger.options()

    with_faults(place, *LOST_AND_BROKEN, UNANSWERED, spared=broken)
    place.clock.start(SLOT)
    async with place.running(), place.server.gateway.drop_every(SECONDS_BETWEEN_DROPS):
        await place.settled(seconds=280)
    assert place.post_counts(working) == {1}
    assert place.post_counts(broken) == {0}
    check_refusals(place, forbidden=forbidden, deleted=deleted)
    assert await reasons(place) == {channel.id: "permission" for channel in forbidden} | {
        channel.id: "gone" for channel in deleted
    }
    assert not await lost_settings(place, options)

    repair(place, forbidden)
    place.clock.start(SLOT + WEEK)
    async with place.running():
        await place.settled(SLOT + WEEK)
    assert place.post_counts(working) == {2}
    assert place.post_counts(forbidden) == {1}
    check_refusals(place, forbidden=forbidden, deleted=deleted, weeks=2)
    assert set(await place.ledger.blocked()) == {channel.id for channel in deleted}
    assert not await lost_settings(place, options)


async def test_each_broken_channel_gets_one_notice(place: Place) -> None:
    guilds = place.add_channels(guilds=4, channels=10)
    broken = [channel for channels in break_channels(place, 12) for channel in channels]
    await place.subscribe(place.channels)
    with_faults(place, *LOST_AND_BROKEN, spared=broken)
    place.clock.start(SLOT)
    for _ in range(2):
        async with place.running():
            await place.settled()
            await place.notices_sent()
            await asyncio.sleep(2)  # for late notices, which must not be repeated after a restart
        place.clock.advance(minutes=5)
    notices = "\n".join(
        message.text for guild in guilds if guild.system_channel for message in guild.system_channel.history()
    )
    assert {channel.id: notices.count(channel.mention) for channel in broken} == {channel.id: 1 for channel in broken}


def break_channels(place: Place, number: int) -> tuple[list[Channel], list[Channel]]:
    """Break that number of channels: half of them become forbidden, half are deleted. Return both lists."""
    broken = place.random.sample(place.channels, number)
    forbidden, deleted = broken[::2], broken[1::2]
    for channel in forbidden:
        channel.forbid()
    for channel in deleted:
        channel.delete()
    return forbidden, deleted


def repair(place: Place, channels: Iterable[Channel]) -> None:
    place.server.rest.faults.mixes.clear()
    for channel in channels:
        channel.overwrite(channel.guild.bot_role)


def with_faults(place: Place, *chances: Chance, spared: Iterable[Channel]) -> None:
    """Inject random faults into posts, except in the spared channels."""
    paths = frozenset(f"/channels/{channel.id}/messages" for channel in spared)
    place.server.rest.faults.mixes.append(FaultMix(place.random.random(), "POST", "/messages$", chances, paths))


def check_refusals(place: Place, *, forbidden: list[Channel], deleted: list[Channel], weeks: int = 1) -> None:
    """Check that there is at most one refusal a week in each channel.

    A forbidden channel is usually detected without a request; for a deleted one, Discord has to refuse a request.
    """
    refused = refusals(place)
    assert refused.keys() <= {channel.id for channel in [*forbidden, *deleted]}
    assert all(refused[channel.id] <= 1 for channel in forbidden)
    assert all(1 <= refused[channel.id] <= weeks for channel in deleted)


def refusals(place: Place) -> Counter[int]:
    """Count the invalid requests of each channel."""
    refused = [request for request in place.server.requests if request.status in (401, 403, 404)]
    return Counter(request.call.id("channel_id") for request in refused)


async def lost_settings(place: Place, before: dict[int, dict[str, Any]]) -> list[int]:
    """Return the channels whose options have changed."""
    after = await place.ledger.options()
    return [channel_id for channel_id, options in before.items() if after.get(channel_id) != options]


async def reasons(place: Place) -> dict[int, str]:
    """Return the kind of the reason for each blocked channel."""
    blocked = await place.ledger.blocked()
    return {channel_id: "gone" if "gone" in reason else "permission" for channel_id, reason in blocked.items()}
