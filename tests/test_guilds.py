"""The guild registry: settings of servers, and the data of servers that the bot has left."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from fakes import GUILD, MONDAY, SLOT, Bot, FakeClock
from weekbot.db.database import Database
from weekbot.db.tables import deliveries, guilds, notices, steps, subscriptions
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.guild_registry import RETENTION, GuildRegistry
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import State
from weekbot.domain.guilds import GuildSettings
from weekbot.store.guilds import Guilds
from weekbot.store.subscriptions import Subscriptions

T = TypeVar("T")
ELSEWHERE, ANOTHER = 2, 3
MINUTE = timedelta(minutes=1)
REFUSED = PermanentError("weekbot cannot see the channel")
CUT = AmbiguousError("the connection was cut")
DOWN = RetryableError("Discord cannot be reached")


@pytest.fixture
def store(bot: Bot) -> Guilds:
    return bot.process.guilds


@dataclass
class Servers:
    """The servers that the bot is in according to Discord; `error` is raised instead."""

    present: set[int] = field(default_factory=set)
    error: Exception | None = None

    def cached_guild_ids(self) -> set[int]:
        return set()

    async def fetch_guild_ids(self) -> set[int]:
        return self._answer(self.present)

    async def excludes_bot(self, guild_id: int) -> bool:
        return self._answer(guild_id not in self.present)

    def guild_locales(self) -> dict[int, str]:
        return {}

    def _answer(self, answer: T) -> T:
        if self.error:
            raise self.error
        return answer


@pytest.fixture
def servers() -> Servers:
    return Servers({GUILD, ELSEWHERE, ANOTHER})


@pytest.fixture
def registry(store: Guilds, servers: Servers, clock: FakeClock) -> GuildRegistry:
    return GuildRegistry(store, servers, clock)


async def counts(database: Database) -> list[int]:
    """Return the number of rows in each table with data of servers."""
    async with database.read() as connection:
        tables = (guilds, subscriptions, deliveries, steps, notices)
        return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def run_servers(bot: Bot, *guild_ids: int) -> None:
    """Run two channels of each server: one has a post and a pin, the other a refusal and a notice."""
    for guild_id in guild_ids:
        await bot.subscribe(10 * guild_id + 1, guild_id=guild_id, pin=True)
    await bot.tick(SLOT)
    for guild_id in guild_ids:
        await bot.subscribe(10 * guild_id + 2, guild_id=guild_id, at=(SLOT + MINUTE).time())
    bot.sender.before = [REFUSED for _ in guild_ids]
    await bot.tick(SLOT + MINUTE)


# Settings


async def test_a_server_without_settings_uses_utc_and_its_system_channel(store: Guilds) -> None:
    assert await store.settings(GUILD) == GuildSettings("UTC", None)


async def test_settings_are_stored_per_server(bot: Bot, store: Guilds) -> None:
    await bot.process.subscriptions.reschedule_guild(GUILD, "Asia/Tokyo", MONDAY)
    await store.set_notice_channel(GUILD, 10**18)
    await store.set_notice_channel(GUILD, 10**18 + 1)
    await store.set_notice_channel(ELSEWHERE, 10**18 + 2)

    assert await store.settings(GUILD) == GuildSettings("Asia/Tokyo", 10**18 + 1)
    assert await store.settings(ELSEWHERE) == GuildSettings("UTC", 10**18 + 2)
    assert await store.settings(ANOTHER) == GuildSettings()


async def test_a_subscription_has_its_servers_notice_channel(bot: Bot, store: Guilds) -> None:
    before = await bot.subscribe()

    await store.set_notice_channel(GUILD, 10**18)

    assert before.guild_notices_id is None
    assert (await bot.subscription()).guild_notices_id == 10**18


# Leaving and rejoining


async def test_a_server_is_present_until_it_is_left_and_after_it_is_rejoined(bot: Bot, store: Guilds) -> None:
    await bot.subscribe()
    await bot.subscribe(21, guild_id=ELSEWHERE)
    assert (await store.present_ids(), await store.left_ids()) == ({GUILD, ELSEWHERE}, set())

    await store.mark_left([GUILD], MONDAY)
    assert (await store.present_ids(), await store.left_ids()) == ({ELSEWHERE}, {GUILD})
    assert (await bot.subscription()).guild_left
    assert not (await bot.subscription(21)).guild_left

    await store.mark_joined([GUILD], MONDAY)
    assert (await store.present_ids(), await store.left_ids()) == ({GUILD, ELSEWHERE}, set())
    assert not (await bot.subscription()).guild_left


async def test_servers_without_data_are_not_recorded(bot: Bot, store: Guilds) -> None:
    await store.mark_joined([GUILD], MONDAY)
    await store.mark_left([GUILD], MONDAY)

    assert await counts(bot.process.database) == [0, 0, 0, 0, 0]


async def test_servers_left_and_joined_unnoticed_are_detected(
    bot: Bot, store: Guilds, registry: GuildRegistry, servers: Servers
) -> None:
    for number, guild_id in enumerate((GUILD, ELSEWHERE, ANOTHER)):
        await bot.subscribe(20 + number, guild_id=guild_id)
    await registry.left(ELSEWHERE)
    servers.present = {ELSEWHERE, ANOTHER, 99}

    await registry.reconcile()
    assert (await store.present_ids(), await store.left_ids()) == ({GUILD, ELSEWHERE, ANOTHER}, set())
    bot.clock.move(hours=1)
    await registry.reconcile()

    assert (await store.present_ids(), await store.left_ids()) == ({ELSEWHERE, ANOTHER}, {GUILD})


@pytest.mark.parametrize("error", [DOWN, CUT, REFUSED], ids=["not sent", "unknown", "refused"])
async def test_no_server_is_marked_as_left_or_deleted_without_discords_answer(
    bot: Bot, store: Guilds, registry: GuildRegistry, servers: Servers, error: Exception
) -> None:
    await bot.subscribe()
    await bot.subscribe(21, guild_id=ELSEWHERE)
    await registry.left(ELSEWHERE)
    bot.clock.move(days=100)
    servers.present, servers.error = set(), error

    await registry.reconcile()

    assert (await store.present_ids(), await store.left_ids()) == ({GUILD}, {ELSEWHERE})


async def test_a_server_that_was_rejoined_unnoticed_is_not_deleted_after_thirty_days(
    bot: Bot, store: Guilds, registry: GuildRegistry
) -> None:
    await bot.subscribe()
    await registry.left(GUILD)
    bot.clock.move(days=100)

    await registry.reconcile()

    assert await store.present_ids() == {GUILD}


async def test_repeated_checks_do_not_restart_the_retention_period(
    bot: Bot, store: Guilds, registry: GuildRegistry, servers: Servers
) -> None:
    await bot.subscribe()
    servers.present = set()
    for _ in range(31):  # it counts as left from the second check on
        await registry.reconcile()
        bot.clock.move(days=1)
    assert await store.left_ids() == {GUILD}

    bot.clock.move(seconds=1)
    await registry.reconcile()

    assert await store.left_ids() == set()


async def test_a_rejoined_server_is_inspected_immediately(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe(weekday=6)
    await registry.left(GUILD)
    bot.process.inspection.problems = {11: "the channel is gone"}
    await bot.process.preflight.run()
    assert bot.process.inspection.inspected == []

    await registry.joined(GUILD)
    await bot.process.preflight.run()

    assert bot.process.inspection.inspected == [11]


# Deliveries


async def test_a_server_that_was_left_gets_neither_requests_nor_notices(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe()
    await registry.left(GUILD)

    await bot.weeks(2)

    last = await bot.last()
    assert (bot.sender.sends, bot.sender.look_ups, bot.process.notice_sender.posts) == (0, 0, 0)
    assert (last.state, last.reason) == (State.BLOCKED, "weekbot is no longer in the server")


async def test_a_rejoined_server_keeps_its_settings_and_loses_no_topic(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe(ping_role_id=5)
    await bot.weeks(1)
    await registry.left(GUILD)
    await bot.weeks(3)

    await registry.joined(GUILD)
    await bot.weeks(2)

    assert bot.topics() == ["flask", "django", "dash"]
    subscription = await bot.subscription()
    assert (subscription.options.ping_role_id, subscription.blocked) == (5, None)


async def test_a_rejoined_server_gets_no_notice_about_its_absence(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe()
    await registry.left(GUILD)
    await bot.weeks(1)

    await registry.joined(GUILD)
    await bot.tick(minutes=1)

    assert bot.process.notice_sender.posts == 0


async def test_a_refusal_in_a_rejoined_server_is_reported(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe()
    await registry.left(GUILD)
    await bot.weeks(1)
    await registry.joined(GUILD)
    bot.sender.closed = {11}

    await bot.weeks(2)

    assert len(bot.process.notice_sender.sent) == 1


async def test_a_pending_post_is_blocked_when_its_server_is_left(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=5))]
    await bot.tick(SLOT)
    await registry.left(GUILD)

    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.sender.sends == 1
    assert (await bot.last()).state is State.BLOCKED


async def test_a_post_with_an_unknown_outcome_is_unverified_when_its_server_is_left(
    bot: Bot, registry: GuildRegistry
) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT]
    bot.sender.before = [None, RetryableError("Discord asked weekbot to wait", timedelta(minutes=5))]
    await bot.tick(SLOT)
    await registry.left(GUILD)

    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.sender.look_ups == 0
    assert (await bot.last()).state is State.UNVERIFIED


# Deleting data


async def test_a_servers_data_is_deleted_thirty_days_after_leaving(
    bot: Bot, registry: GuildRegistry, servers: Servers
) -> None:
    await run_servers(bot, GUILD)
    servers.present = set()
    await registry.left(GUILD)
    before = await counts(bot.process.database)

    bot.clock.move(days=RETENTION.days)
    await registry.reconcile()
    assert await counts(bot.process.database) == before == [1, 2, 2, 1, 1]

    bot.clock.move(seconds=1)
    await registry.reconcile()
    assert await counts(bot.process.database) == [0, 0, 0, 0, 0]


async def test_deleting_a_server_keeps_the_data_of_others(bot: Bot, registry: GuildRegistry, servers: Servers) -> None:
    await run_servers(bot, GUILD, ELSEWHERE)
    assert await counts(bot.process.database) == [2, 4, 4, 2, 2]
    servers.present = {ELSEWHERE}
    await registry.left(GUILD)
    bot.clock.move(days=31)

    await registry.reconcile()

    assert await counts(bot.process.database) == [1, 2, 2, 1, 1]
    assert {each.channel_id for each in await bot.process.subscriptions.of_guild(ELSEWHERE)} == {21, 22}


async def test_a_rejoined_server_is_not_deleted(bot: Bot, registry: GuildRegistry) -> None:
    await bot.subscribe()
    await registry.left(GUILD)
    bot.clock.move(days=29)
    await registry.joined(GUILD)
    bot.clock.move(days=29)

    await registry.reconcile()

    assert (await bot.subscription()).channel_id == 11


async def test_a_deleted_server_starts_over(bot: Bot, store: Guilds, registry: GuildRegistry, servers: Servers) -> None:
    await bot.process.subscriptions.reschedule_guild(GUILD, "Asia/Tokyo", MONDAY)
    await bot.subscribe()
    await bot.weeks(2)
    servers.present = set()
    await registry.left(GUILD)
    bot.clock.move(days=31)
    await registry.reconcile()

    await bot.subscribe()
    await bot.weeks(1)

    assert await store.settings(GUILD) == GuildSettings()
    assert bot.topics() == ["flask", "django", "flask"]


async def test_unsubscribing_does_not_delete_a_server(bot: Bot, store: Guilds, registry: GuildRegistry) -> None:
    await bot.subscribe()
    await bot.change(subscription_rules.unsubscribe)
    bot.clock.move(days=100)

    await registry.reconcile()

    assert await store.present_ids() == {GUILD}
    assert await Subscriptions(bot.process.database).of_channel(11) is not None
