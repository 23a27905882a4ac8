"""Rows with unreadable values: each affects only itself, is reported, and can be repaired or kept."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.sql.dml import Update

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT, Bot, FakeClock
from postgres import empty_database_url
from processes import Place, next_log_line, place_in, posted, posts
from simulation import Simulation, simulated
from test_export_import import all_rows, export_of, no_progress
from weekbot.db.database import Database
from weekbot.db.tables import attempts, deliveries, guilds, notices, steps, subscriptions
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Outcome, State
from weekbot.domain.steps import StepName
from weekbot.domain.unreadable_options import UnreadableError
from weekbot.store.reports import backlog
from weekbot.store.reports.delivery_history import DeliveryFilter, latest_deliveries
from weekbot.store.reports.unreadable_rows import unknown_names, unreadable_options
from weekbot.transfer.database_copy import copy
from weekbot.transfer.export_import import import_

ZONE = "Mars/Base"
THIRD, ELSEWHERE = 13, 2
WEEK = timedelta(weeks=1)
UNREADABLE: dict[str, dict[str, Any]] = {
    "zone": {"timezone": ZONE},
    "folder": {"timezone": "Europe"},
    "path": {"timezone": "../etc/passwd"},
    "day": {"weekday": 9},
    "time": {"at": "25:99"},
    "seconds": {"at": "9:0"},
    "all": {"timezone": ZONE, "weekday": -1, "at": ""},
}
each_value = pytest.mark.parametrize("values", UNREADABLE.values(), ids=list(UNREADABLE))


async def store(database: Database, *statements: Any) -> None:
    async with database.write() as connection:
        for statement in statements:
            await connection.execute(statement)


def in_channel(channel_id: int, **values: Any) -> Update:
    return update(subscriptions).where(subscriptions.c.channel_id == channel_id).values(**values)


def in_server(guild_id: int, zone: str = ZONE) -> Update:
    return update(guilds).where(guilds.c.guild_id == guild_id).values(timezone=zone)


async def row(database: Database, channel_id: int = CHANNEL) -> dict[str, Any]:
    async with database.read() as connection:
        query = select(subscriptions).where(subscriptions.c.channel_id == channel_id)
        return (await connection.execute(query)).one()._asdict()


# Batches


@each_value
async def test_an_unreadable_subscription_does_not_affect_other_posts(bot: Bot, values: dict[str, Any]) -> None:
    for channel_id in (CHANNEL, OTHER, THIRD):
        await bot.subscribe(channel_id)
    await store(bot.process.database, in_channel(OTHER, **values))
    before = await row(bot.process.database, OTHER)
    await bot.process.preflight.run()
    await bot.tick(SLOT)
    await bot.tick(SLOT + WEEK)
    assert bot.channels() == [CHANNEL, CHANNEL, THIRD, THIRD]
    after = await row(bot.process.database, OTHER)
    assert after | {"ordinal": before["ordinal"]} == before  # its place among those left changes with the others' posts


async def test_a_servers_unreadable_time_zone_stops_only_subscriptions_that_use_it(bot: Bot) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, timezone="UTC")
    await bot.subscribe(21, guild_id=ELSEWHERE)
    await store(bot.process.database, in_server(GUILD))
    await bot.tick(SLOT)
    assert bot.channels() == [OTHER, 21]


async def test_unreadable_subscriptions_do_not_fill_up_a_batch(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(120):  # more than one batch
        await bot.subscribe(100 + number, timezone=("Asia/Tokyo", "Asia/Seoul")[number % 2])
    await bot.subscribe()
    first = SLOT - timedelta(days=1)
    await store(
        bot.process.database,
        update(subscriptions).where(subscriptions.c.timezone == "Asia/Tokyo").values(timezone=ZONE, next_slot=first),
        update(subscriptions).where(subscriptions.c.timezone == "Asia/Seoul").values(weekday=7, next_slot=first),
    )
    assert [each.channel_id for each in await bot.process.subscriptions.due(SLOT, 1)] == [CHANNEL]
    assert [
        each.channel_id for each in await bot.process.subscriptions.due_for_check(SLOT - timedelta(hours=1), 1)
    ] == [CHANNEL]
    await bot.tick(SLOT)
    assert bot.channels() == [CHANNEL]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert any(f"time zone `{ZONE}`" in line for line in errors)
    assert any("day `7`" in line for line in errors)


async def test_unreadable_subscriptions_do_not_count_as_overdue(bot: Bot) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER)
    await store(bot.process.database, in_channel(OTHER, timezone=ZONE))
    subscription_store = bot.process.subscriptions
    await bot.tick(SLOT)
    later = SLOT + timedelta(days=2)
    assert (await backlog.measure(bot.process.database, later, subscription_store.readable())).oldest is None
    assert (await backlog.measure(bot.process.database, later)).due == 1


async def test_an_unreadable_time_zone_of_the_last_slot_has_no_effect(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    await store(bot.process.database, in_channel(CHANNEL, last_zone=ZONE))
    await bot.weeks(1)
    assert bot.channels() == [CHANNEL, CHANNEL]


async def test_a_post_claimed_earlier_is_still_sent(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    [due] = await bot.process.subscriptions.due(SLOT, 1)
    await store(bot.process.database, in_channel(CHANNEL, timezone=ZONE))
    assert await bot.process.deliveries.claim_due([due], lambda *_: pytest.fail("claimed"), SLOT) == []
    await store(bot.process.database, in_channel(CHANNEL, timezone=None))
    bot.sender.crashes_before = {1}
    await bot.tick_and_crash(SLOT)
    await store(bot.process.database, in_channel(CHANNEL, timezone=ZONE))
    before = await row(bot.process.database)
    await bot.tick(minutes=1)
    assert bot.channels() == [CHANNEL]
    assert bot.step_names() == [StepName.PIN]
    pinned = await row(bot.process.database)
    assert pinned | {"pinned_message_id": None} == before


# Names of a later version


async def test_a_name_of_a_later_version_affects_only_its_row(bot: Bot) -> None:
    for channel_id in (CHANNEL, OTHER):
        await bot.subscribe(channel_id, pin=channel_id == CHANNEL)
    await bot.tick(SLOT)
    id_, now, slot = (await bot.last(OTHER)).id, bot.clock.now(), SLOT - WEEK
    subscription = await bot.subscription()
    blank = {"round": 1, "scheduled": True, "chosen": False, "attempts": 1, "topic": "dash"}
    await store(
        bot.process.database,
        update(steps).values(done=False, retry_at=now),
        insert(steps).values(delivery_id=id_, name="react", done=False, attempts=0, retry_at=now - WEEK),
        update(deliveries).where(deliveries.c.id == id_).values(form="hologram", version="v"),
        insert(deliveries).values(id="d", subscription_id=subscription.id, slot=slot, state="archived", **blank),
        insert(attempts).values(delivery_id="d", number=1, began_at=slot, ended_at=slot, outcome="teleported"),
        insert(notices).values(
            id="n",
            subscription_id=subscription.id,
            kind="praised",
            reason="",
            created_at=now,
            done=False,
            attempts=0,
            retry_at=now,
        ),
    )
    await bot.tick(minutes=5)
    assert bot.step_names() == [StepName.PIN, StepName.PIN]
    assert bot.process.notice_sender.posts == 0
    last = await bot.last(OTHER)
    assert (last.state, last.form, last.version, last.known_form) == (State.SENT, None, None, None)
    [failure] = (await bot.process.steps.failures([last.id]))[last.id]
    assert failure.startswith("this version of weekbot doesn't know what should follow the post")
    assert failure.endswith(" (react)")
    entries = [entry async for entry in latest_deliveries(bot.process.database, DeliveryFilter(), 10)]
    assert [entry.delivery.state for entry in entries] == [State.SENT, State.SENT, State.UNKNOWN]
    assert [attempt.outcome for attempt in entries[-1].attempts] == [Outcome.UNKNOWN]
    [found] = [
        entry async for entry in latest_deliveries(bot.process.database, DeliveryFilter(state=State.UNKNOWN), 10)
    ]
    assert found.delivery.id == "d"
    assert [str(each) for each in await unknown_names(bot.process.database)] == [
        "A row of the table deliveries with the state 'archived', which this version doesn't know",
        "A row of the table deliveries with the form 'hologram', which this version doesn't know",
        "A row of the table steps with the name 'react', which this version doesn't know",
        "A row of the table notices with the kind 'praised', which this version doesn't know",
        "A row of the table attempts with the outcome 'teleported', which this version doesn't know",
    ]


# Repairs


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ({"timezone": ZONE}, {"timezone": "UTC"}),
        ({"timezone": ZONE}, {"timezone": "Asia/Tokyo"}),
        ({"weekday": 9}, {"weekday": 0}),
        ({"at": "25:99"}, {"at": SLOT.time()}),
    ],
)
async def test_an_unreadable_option_is_repaired_by_choosing_another(
    bot: Bot, values: dict[str, Any], given: dict[str, Any]
) -> None:
    await bot.subscribe(track="everything", ping_role_id=7)
    await store(bot.process.database, in_channel(CHANNEL, next_slot=SLOT + WEEK, **values))
    with pytest.raises(UnreadableError):
        await bot.subscribe(thread=True)
    repaired = await bot.subscribe(**given)
    assert repaired == await bot.subscription()
    assert not repaired.unreadable
    assert repaired.options.ping_role_id == 7
    assert repaired.next_slot.instant in (SLOT, SLOT + WEEK - timedelta(hours=9))  # in UTC, in Tokyo
    await bot.weeks(1)
    assert bot.channels() == [CHANNEL]


async def test_a_slot_missed_while_unreadable_is_posted_late_after_the_repair(bot: Bot) -> None:
    await bot.subscribe()
    await store(bot.process.database, in_channel(CHANNEL, timezone=ZONE))
    await bot.tick(SLOT + timedelta(hours=1))
    await bot.subscribe(timezone="Europe/Berlin")
    await bot.tick(minutes=1)
    assert bot.channels() == [CHANNEL]
    assert (await bot.subscription()).next_slot.instant == SLOT + WEEK - timedelta(hours=1)


async def test_every_unreadable_option_has_to_be_chosen_again(bot: Bot) -> None:
    await bot.subscribe()
    await store(bot.process.database, in_channel(CHANNEL, timezone=ZONE, weekday=9))
    for given in ({"timezone": "UTC"}, {"weekday": 0}):
        with pytest.raises(UnreadableError):
            await bot.subscribe(**given)
    assert not (await bot.subscribe(timezone="UTC", weekday=0)).unreadable


async def test_a_servers_time_zone_is_repaired_for_all_its_subscriptions(bot: Bot) -> None:
    for channel_id in (CHANNEL, OTHER):
        await bot.subscribe(channel_id)
    await store(bot.process.database, in_server(GUILD), in_channel(OTHER, weekday=9))
    await bot.process.subscriptions.reschedule_guild(GUILD, "Atlantic/Azores", MONDAY)
    assert (await bot.subscription()).next_slot.instant == SLOT + timedelta(hours=1)
    assert [each.option for each in (await bot.subscription(OTHER)).unreadable] == ["weekday"]
    assert (await row(bot.process.database, OTHER))["weekday"] == 9


async def test_a_new_subscription_needs_its_own_time_zone_if_the_servers_is_unreadable(bot: Bot) -> None:
    await bot.subscribe()
    await store(bot.process.database, in_server(GUILD))
    with pytest.raises(UnreadableError):
        await bot.subscribe(OTHER)
    assert not (await bot.subscribe(OTHER, timezone="UTC")).unreadable


async def test_an_unreadable_subscription_can_be_paused_and_ended_and_keeps_its_values(bot: Bot) -> None:
    await bot.subscribe()
    await store(bot.process.database, in_channel(CHANNEL, timezone=ZONE))
    before = await row(bot.process.database)
    await bot.change(subscription_rules.pause)
    for change in (
        lambda current: subscription_rules.resume(current, MONDAY),
        lambda current: subscription_rules.choose(current, "dash"),
    ):
        with pytest.raises(UnreadableError):
            await bot.change(change)
    await bot.change(subscription_rules.unsubscribe)
    assert await row(bot.process.database) == before | {"paused": True, "active": False}


# Commands


@pytest.fixture
async def simulation(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Simulation]:
    async with simulated(tmp_path, clock) as simulation:
        yield simulation


@asynccontextmanager
async def database_of(simulation: Simulation) -> AsyncIterator[Database]:
    async with Database(simulation.settings.database_url) as database:
        yield database


async def test_the_status_reports_unreadable_options_with_a_remedy(simulation: Simulation) -> None:
    for channel in (simulation.text, simulation.other, simulation.news):
        await simulation.slash("weekly subscribe", at=channel)
    async with database_of(simulation) as database:
        await store(
            database,
            in_channel(simulation.other.id, timezone=ZONE),
            in_channel(simulation.news.id, weekday=9),
        )
    text = (await simulation.slash("weekly status")).text
    assert "3 channels · ⚠️ 2 with problems" in text
    wrong = f"This channel's time zone `{ZONE}` is unknown to me."
    assert f"🚫 **<#{simulation.other.id}>**\nNothing is posted here: {wrong}" in text
    assert "This channel's day `9` can't be read. Choose one with `/weekly subscribe`." in text
    assert text.count("Next: ") == 1

    for command in ("weekly skip", "weekly post", "weekly resume"):
        answer = await simulation.slash(command, at=simulation.other)
        assert answer.private
        assert f"time zone `{ZONE}` is unknown to me. Choose another one with `/weekly subscribe`" in answer.text
    assert "Preview" not in (await simulation.slash("weekly preview", at=simulation.other)).text
    assert "is paused" in (await simulation.slash("weekly pause", at=simulation.other)).text

    answer = await simulation.slash("weekly subscribe", at=simulation.other, timezone="Europe/Berlin")
    assert "Changed." in answer.text
    assert "Choose one" in (await simulation.slash("weekly subscribe", at=simulation.news, timezone="UTC")).text
    assert "Changed." in (await simulation.slash("weekly subscribe", at=simulation.news, day=4)).text
    assert "✅" in (await simulation.slash("weekly status")).text
    assert "with problems" not in (await simulation.slash("weekly status")).text


async def test_a_servers_unreadable_time_zone_is_reported_and_repaired(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    async with database_of(simulation) as database:
        await store(database, in_server(simulation.guild.id))
    assert f"This server's time zone `{ZONE}` is unknown to me." in (await simulation.slash("weekly status")).text
    answer = await simulation.slash("weekly subscribe", at=simulation.other)
    assert "Choose another one with `/weekly settings`." in answer.text
    await simulation.slash("weekly settings", timezone="Europe/Berlin")
    assert "all good" in (await simulation.slash("weekly status")).text


# Exports and copies


@pytest.fixture
async def unreadable_source(source: Database) -> Database:
    """Add unreadable values to the rows of the source database."""
    await store(
        source,
        in_channel(21, timezone=ZONE, weekday=9, at="25:99", last_zone=ZONE),
        in_server(GUILD, "Nowhere/Else"),
        update(steps).where(steps.c.name == StepName.PIN).values(name="react"),
        update(deliveries).values(state="archived", form="hologram"),
        update(notices).values(kind="praised"),
        update(attempts).values(outcome="teleported"),
    )
    return source


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_an_export_keeps_unreadable_values(unreadable_source: Database, kind: str, tmp_path: Path) -> None:
    with empty_database_url(kind, tmp_path, "target.db") as url:
        target = Database(url)
        await import_(target, await export_of(unreadable_source), no_progress)
        assert await all_rows(target) == await all_rows(unreadable_source)
        await target.close()


async def test_a_copy_keeps_unreadable_values(unreadable_source: Database, tmp_path: Path) -> None:
    if not unreadable_source.is_sqlite:
        pytest.skip("copies are made from SQLite")
    with empty_database_url("postgresql", tmp_path) as url:
        target = Database(url)
        await copy(unreadable_source, target, no_progress)
        assert await all_rows(target) == await all_rows(unreadable_source)
        await target.close()


async def test_each_unreadable_value_is_reported_with_its_channels(bot: Bot) -> None:
    for channel_id in (CHANNEL, OTHER, THIRD):
        await bot.subscribe(channel_id)
    await store(bot.process.database, in_server(GUILD), in_channel(THIRD, timezone="UTC", at="25:99"))
    assert [str(each) for each in await unreadable_options(bot.process.database)] == [
        f"2 channels, such as {CHANNEL}, have the time zone '{ZONE}', which can't be read here",
        f"The channel {THIRD} has the time '25:99', which can't be read here",
    ]


# As a process


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def test_a_bot_with_an_unreadable_row_posts_to_all_other_channels(place: Place) -> None:
    good, bad = place.guild.add_text_channel("good"), place.guild.add_text_channel("bad")
    elsewhere = place.server.add_guild("Elsewhere").add_text_channel("weekly")
    slot = await place.enter(bad, good, elsewhere)
    async with place.database() as database:
        await store(database, in_channel(bad.id, timezone=ZONE))
    place.more = {"WEEKBOT_LOG_LEVEL": "WARNING"}
    async with place.running(slot + timedelta(seconds=5)) as bot:
        await posted(place, good, elsewhere)
        assert f"time zone `{ZONE}` is unknown to me" in await next_log_line(bot, "no posts to this channel")
        status = await place.status(good)
        assert f"time zone `{ZONE}` is unknown to me. Choose another one with `/weekly subscribe`." in status
        answer = await place.server.interact(bad, "weekly subscribe", {"timezone": "UTC"})
        assert "Changed." in answer.text
        await posted(place, bad)
    assert [len(posts(place, channel)) for channel in (good, bad, elsewhere)] == [1, 1, 1]
