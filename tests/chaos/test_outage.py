"""Discord is away, or the machine is, or one server: nothing is lost, and what comes late comes once."""

from datetime import timedelta

import pytest

from .harness import LONGEST_PAUSE, SLOT, Place

pytestmark = pytest.mark.chaos


async def test_discord_is_away_for_three_hours_across_the_slot(place: Place) -> None:
    [guild] = place.furnish(guilds=1, channels=20)
    place.channels.append(guild.add_forum("forum"))
    await place.subscribe(place.channels)
    place.clock.start(SLOT - timedelta(hours=1.6))
    async with place.running():
        async with place.outage():
            await place.minutes(180)
        await place.minutes(LONGEST_PAUSE)
        await place.settled()
    assert place.numbers_of_posts() == {1}
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}


async def test_the_machine_is_down_for_thirty_hours(place: Place) -> None:
    place.furnish(guilds=1, channels=5)
    await place.subscribe(place.channels)
    place.clock.start(SLOT + timedelta(hours=30))
    async with place.running():
        await place.settled()
        status = await place.server.interact(place.channels[0], "weekly status")
    assert place.numbers_of_posts() == {0}
    assert {entry.state for entry in await place.ledger.entries()} == {"missed"}
    assert "Missed" in status.text
    assert "Next: **How to use these weeks**" in status.text


async def test_a_server_is_unavailable_when_the_bot_starts(place: Place) -> None:
    [guild] = place.furnish(guilds=1, channels=5)
    place.channels.append(guild.add_forum("forum"))
    await place.subscribe(place.channels)
    options = await place.ledger.options()
    guild.go_down()
    place.clock.start(SLOT)
    async with place.running():
        await place.minutes(10)
        guild.come_back()
        await place.minutes(LONGEST_PAUSE)
        await place.settled()
    assert place.numbers_of_posts() == {1}
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}
    assert not await place.ledger.blocked()
    assert await place.ledger.options() == options
