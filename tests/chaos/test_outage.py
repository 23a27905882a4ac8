"""Outages of Discord, of the machine and of a server: no post is lost or duplicated."""

from datetime import timedelta

import pytest

from .harness import MAX_PAUSE_MINUTES, SLOT, Place

pytestmark = pytest.mark.chaos


async def test_posts_are_sent_once_after_a_three_hour_outage_of_discord(place: Place) -> None:
    [guild] = place.add_channels(guilds=1, channels=20)
    place.channels.append(guild.add_forum("forum"))
    await place.subscribe(place.channels)
    place.clock.start(SLOT - timedelta(hours=1.6))
    async with place.running():
        async with place.outage():
            await place.minutes(180)
        await place.minutes(MAX_PAUSE_MINUTES)
        await place.settled()
    assert place.post_counts() == {1}
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}


async def test_slots_are_missed_after_thirty_hours_of_downtime(place: Place) -> None:
    place.add_channels(guilds=1, channels=5)
    await place.subscribe(place.channels)
    place.clock.start(SLOT + timedelta(hours=30))
    async with place.running():
        await place.settled()
        status = await place.server.interact(place.channels[0], "weekly status")
    assert place.post_counts() == {0}
    assert {entry.state for entry in await place.ledger.entries()} == {"missed"}
    assert "Missed" in status.text
    assert "Next: **How to use these weeks**" in status.text


async def test_posts_are_sent_once_after_a_servers_outage_at_the_start(place: Place) -> None:
    [guild] = place.add_channels(guilds=1, channels=5)
    place.channels.append(guild.add_forum("forum"))
    await place.subscribe(place.channels)
    options = await place.ledger.options()
    guild.go_down()
    place.clock.start(SLOT)
    async with place.running():
        await place.minutes(10)
        guild.come_back()
        await place.minutes(MAX_PAUSE_MINUTES)
        await place.settled()
    assert place.post_counts() == {1}
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}
    assert not await place.ledger.blocked()
    assert await place.ledger.options() == options
