"""Two months under a seeded adversary: one post a week in each channel, and automatic recovery from every fault."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from signal import SIGTERM

import pytest

from discord_server import Channel, Guild, Thread
from postgres import empty_database_url
from weekbot.domain.schedule import WEEK

from .campaign import RECOVERY_SECONDS, Campaign, use_fast_time
from .conftest import SEED
from .fast_time import FastTime
from .harness import SLOT, Place, place_in

pytestmark = pytest.mark.chaos

WEEKS = 8


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    dice = Random(f"adversary {SEED}")
    kind = dice.choice(["sqlite", "postgresql"])
    with empty_database_url(kind, tmp_path) as url:
        async with place_in(tmp_path, dice, url, FastTime) as place:
            print(f"seed {SEED}, {kind}, {tmp_path}")
            yield place


async def test_each_channel_gets_one_post_a_week_under_an_adversary(place: Place) -> None:
    time = place.clock
    assert isinstance(time, FastTime)
    use_fast_time(place, time)
    await add_channels(place)
    time.start(SLOT - timedelta(minutes=5))
    campaign = Campaign(place, time, place.random, await place.start())
    try:
        async with campaign.fast_forwarding():
            for week in range(WEEKS):
                await run_week(campaign, week)
        assert await campaign.bot.stop() in (0, -SIGTERM)  # the latter if it had only just been restarted
    finally:
        print(summary(campaign), flush=True)

    assert not campaign.exits
    assert {channel.name: len(place.posts(channel)) for channel in place.channels} == {
        channel.name: WEEKS for channel in place.channels
    }
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}
    assert max(campaign.recoveries) <= RECOVERY_SECONDS


async def add_channels(place: Place) -> None:
    """Add and subscribe channels of all kinds in two servers."""
    for number in range(2):
        guild = place.server.add_guild(f"Pythonistas {number}")
        guild.system_channel = guild.add_text_channel("system")
        kinds: dict[tuple[str, ...], list[Channel]] = {
            (): [guild.add_text_channel("text"), guild.add_forum("forum"), open_thread(guild)],
            ("thread", "pin"): [guild.add_text_channel("text with thread and pin")],
            ("publish",): [guild.add_announcement_channel("news")],
            ("publish", "thread", "pin"): [guild.add_announcement_channel("news with thread and pin")],
        }
        for options, channels in kinds.items():
            await place.subscribe(channels, **dict.fromkeys(options, True))
            place.channels += channels
    for channel in place.channels:
        channel.name = f"{channel.guild.name}: {channel.name}"


def open_thread(guild: Guild) -> Thread:
    parent = guild.add_text_channel("parent")
    thread = Thread.open(parent, guild.owner.user, guild.world.snowflakes.next(), {"name": "thread"})
    thread.publish()
    return thread


async def run_week(campaign: Campaign, week: int) -> None:
    """Run a fault period around the slot, and sometimes another one long after it."""
    dice, slot = campaign.dice, SLOT + week * WEEK
    await campaign.leap(slot - timedelta(seconds=dice.uniform(5, 90)))
    await campaign.fault_period(dice.uniform(60, 240))
    await campaign.recover(slot, week + 1)
    await campaign.remove_duplicates(slot, week + 1)
    if dice.random() < 0.3:
        await campaign.leap(campaign.time.now() + timedelta(hours=dice.uniform(1, 100)))
        await campaign.fault_period(dice.uniform(20, 60))


def summary(campaign: Campaign) -> str:
    place, injected = campaign.place, campaign.injected()
    seen = sum(len(place.posts(channel)) for channel in place.channels)
    lines = [f"adversary {count:6} {kind}" for kind, count in injected.most_common()]
    return "\n".join(
        [
            "",
            *lines,
            f"adversary seed {SEED}: {injected.total()} faults of {len(injected)} kinds, {campaign.kills} kills,"
            f" {seen} of {WEEKS * len(place.channels)} posts, {len(campaign.exits)} exits,"
            f" {len(place.server.premature_requests)} requests in spite of a limit,"
            f" longest recovery {max(campaign.recoveries, default=-1):.0f} s",
        ]
    )
