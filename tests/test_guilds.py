"""Servers: their settings, and what becomes of what is kept of those that the bot is no longer in."""

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
    """The servers that the bot is in, by Discord's list and answers; or why Discord doesn't say."""

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
def membership(store: Guilds, servers: Servers, clock: FakeClock) -> GuildRegistry:
    return GuildRegistry(store, servers, clock)


async def counts(database: Database) -> list[int]:
    """How many rows there are in each table that belongs to servers."""
    async with database.read() as connection:
        tables = (guilds, subscriptions, deliveries, steps, notices)
        return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def lived_in(bot: Bot, *guild_ids: int) -> None:
    """Two channels of each server have had their slots: one a post and a pin, the other a refusal and a notice."""
    for guild_id in guild_ids:
        await bot.subscribe(10 * guild_id + 1, guild_id=guild_id, pin=True)
    await bot.tick(SLOT)
    for guild_id in guild_ids:
        await bot.subscribe(10 * guild_id + 2, guild_id=guild_id, at=(SLOT + MINUTE).time())
    bot.sender.before = [REFUSED for _ in guild_ids]
    await bot.tick(SLOT + MINUTE)


# Settings


async def test_a_server_that_has_set_nothing_is_in_utc_and_told_in_its_system_channel(store: Guilds) -> None:
    assert await store.settings(GUILD) == GuildSettings("UTC", None)


async def test_what_a_server_has_set_is_kept_and_is_no_other_servers(bot: Bot, store: Guilds) -> None:
    await bot.process.subscriptions.reschedule_guild(GUILD, "Asia/Tokyo", MONDAY)
    await store.set_notice_channel(GUILD, 10**18)
    await store.set_notice_channel(GUILD, 10**18 + 1)
    await store.set_notice_channel(ELSEWHERE, 10**18 + 2)

    assert await store.settings(GUILD) == GuildSettings("Asia/Tokyo", 10**18 + 1)
    assert await store.settings(ELSEWHERE) == GuildSettings("UTC", 10**18 + 2)
    assert await store.settings(ANOTHER) == GuildSettings()


async def test_a_subscription_knows_where_its_server_wants_to_be_told(bot: Bot, store: Guilds) -> None:
    before = await bot.subscribe()

    await store.set_notice_channel(GUILD, 10**18)

    assert before.guild_notices_id is None
    assert (await bot.subscription()).guild_notices_id == 10**18


# Leaving and coming back


async def test_a_server_is_present_until_it_is_left_and_again_when_it_is_joined(bot: Bot, store: Guilds) -> None:
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


async def test_servers_of_which_nothing_is_kept_come_and_go_without_a_trace(bot: Bot, store: Guilds) -> None:
    await store.mark_joined([GUILD], MONDAY)
    await store.mark_left([GUILD], MONDAY)

    assert await counts(bot.process.database) == [0, 0, 0, 0, 0]


async def test_those_left_and_joined_unseen_are_found_out(
    bot: Bot, store: Guilds, membership: GuildRegistry, servers: Servers
) -> None:
    for number, guild_id in enumerate((GUILD, ELSEWHERE, ANOTHER)):
        await bot.subscribe(20 + number, guild_id=guild_id)
    await membership.left(ELSEWHERE)
    servers.present = {ELSEWHERE, ANOTHER, 99}

    await membership.reconcile()
    assert (await store.present_ids(), await store.left_ids()) == ({GUILD, ELSEWHERE, ANOTHER}, set())
    bot.clock.move(hours=1)
    await membership.reconcile()

    assert (await store.present_ids(), await store.left_ids()) == ({ELSEWHERE, ANOTHER}, {GUILD})


@pytest.mark.parametrize("error", [DOWN, CUT, REFUSED], ids=["not sent", "unknown", "refused"])
async def test_where_discord_does_not_tell_none_is_taken_for_left_and_none_is_forgotten(
    bot: Bot, store: Guilds, membership: GuildRegistry, servers: Servers, error: Exception
) -> None:
    await bot.subscribe()
    await bot.subscribe(21, guild_id=ELSEWHERE)
    await membership.left(ELSEWHERE)
    bot.clock.move(days=100)
    servers.present, servers.error = set(), error

    await membership.reconcile()

    assert (await store.present_ids(), await store.left_ids()) == ({GUILD}, {ELSEWHERE})


async def test_a_server_that_is_back_after_more_than_thirty_days_unseen_is_not_forgotten(
    bot: Bot, store: Guilds, membership: GuildRegistry
) -> None:
    await bot.subscribe()
    await membership.left(GUILD)
    bot.clock.move(days=100)

    await membership.reconcile()

    assert await store.present_ids() == {GUILD}


async def test_looking_again_does_not_make_the_time_begin_anew_for_those_left_before(
    bot: Bot, store: Guilds, membership: GuildRegistry, servers: Servers
) -> None:
    await bot.subscribe()
    servers.present = set()
    for _ in range(31):  # it counts as left from the second look on
        await membership.reconcile()
        bot.clock.move(days=1)
    assert await store.left_ids() == {GUILD}

    bot.clock.move(seconds=1)
    await membership.reconcile()

    assert await store.left_ids() == set()


async def test_a_server_that_is_joined_again_is_looked_at_at_once(bot: Bot, membership: GuildRegistry) -> None:
    await bot.subscribe(weekday=6)
    await membership.left(GUILD)
    bot.process.inspection.problems = {11: "the channel is gone"}
    await bot.process.preflight.run()
    assert bot.process.inspection.looks == []

    await membership.joined(GUILD)
    await bot.process.preflight.run()

    assert bot.process.inspection.looks == [11]


# What becomes of the posts


async def test_a_server_that_was_left_costs_discord_no_request_and_is_told_nothing(
    bot: Bot, membership: GuildRegistry
) -> None:
    await bot.subscribe()
    await membership.left(GUILD)

    await bot.weeks(2)

    last = await bot.last()
    assert (bot.sender.sends, bot.sender.look_ups, bot.process.board.posts) == (0, 0, 0)
    assert (last.state, last.reason) == (State.BLOCKED, "weekbot is no longer in the server")


async def test_a_server_that_is_joined_again_goes_on_with_all_its_settings_and_loses_no_topic(
    bot: Bot, membership: GuildRegistry
) -> None:
    await bot.subscribe(ping_role_id=5)
    await bot.weeks(1)
    await membership.left(GUILD)
    await bot.weeks(3)

    await membership.joined(GUILD)
    await bot.weeks(2)

    assert bot.topics() == ["flask", "django", "dash"]
    subscription = await bot.subscription()
    assert (subscription.options.ping_role_id, subscription.blocked) == (5, None)


async def test_a_server_that_is_joined_again_is_not_told_that_it_was_left(bot: Bot, membership: GuildRegistry) -> None:
    await bot.subscribe()
    await membership.left(GUILD)
    await bot.weeks(1)

    await membership.joined(GUILD)
    await bot.tick(minutes=1)

    assert bot.process.board.posts == 0


async def test_a_refusal_after_the_server_was_joined_again_is_told(bot: Bot, membership: GuildRegistry) -> None:
    await bot.subscribe()
    await membership.left(GUILD)
    await bot.weeks(1)
    await membership.joined(GUILD)
    bot.sender.closed = {11}

    await bot.weeks(2)

    assert len(bot.process.board.told) == 1


async def test_a_post_on_its_way_when_the_server_is_left_is_given_up_at_once(
    bot: Bot, membership: GuildRegistry
) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=5))]
    await bot.tick(SLOT)
    await membership.left(GUILD)

    await bot.ticks(SLOT + timedelta(hours=1))

    assert bot.sender.sends == 1
    assert (await bot.last()).state is State.BLOCKED


async def test_a_post_that_may_stand_in_a_server_that_was_left_is_unverified(
    bot: Bot, membership: GuildRegistry
) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT]
    bot.sender.before = [None, RetryableError("Discord asked weekbot to wait", timedelta(minutes=5))]
    await bot.tick(SLOT)
    await membership.left(GUILD)

    await bot.ticks(SLOT + timedelta(hours=1))

    assert bot.sender.look_ups == 0
    assert (await bot.last()).state is State.UNVERIFIED


# Forgetting


async def test_what_is_kept_of_a_server_outlives_the_leaving_by_thirty_days(
    bot: Bot, membership: GuildRegistry, servers: Servers
) -> None:
    await lived_in(bot, GUILD)
    servers.present = set()
    await membership.left(GUILD)
    before = await counts(bot.process.database)

    bot.clock.move(days=RETENTION.days)
    await membership.reconcile()
    assert await counts(bot.process.database) == before == [1, 2, 2, 1, 1]

    bot.clock.move(seconds=1)
    await membership.reconcile()
    assert await counts(bot.process.database) == [0, 0, 0, 0, 0]


async def test_forgetting_a_server_deletes_nothing_of_another(
    bot: Bot, membership: GuildRegistry, servers: Servers
) -> None:
    await lived_in(bot, GUILD, ELSEWHERE)
    assert await counts(bot.process.database) == [2, 4, 4, 2, 2]
    servers.present = {ELSEWHERE}
    await membership.left(GUILD)
    bot.clock.move(days=31)

    await membership.reconcile()

    assert await counts(bot.process.database) == [1, 2, 2, 1, 1]
    assert {each.channel_id for each in await bot.process.subscriptions.of_guild(ELSEWHERE)} == {21, 22}


async def test_a_server_that_came_back_is_not_forgotten(bot: Bot, membership: GuildRegistry) -> None:
    await bot.subscribe()
    await membership.left(GUILD)
    bot.clock.move(days=29)
    await membership.joined(GUILD)
    bot.clock.move(days=29)

    await membership.reconcile()

    assert (await bot.subscription()).channel_id == 11


async def test_a_server_that_was_forgotten_begins_anew(
    bot: Bot, store: Guilds, membership: GuildRegistry, servers: Servers
) -> None:
    await bot.process.subscriptions.reschedule_guild(GUILD, "Asia/Tokyo", MONDAY)
    await bot.subscribe()
    await bot.weeks(2)
    servers.present = set()
    await membership.left(GUILD)
    bot.clock.move(days=31)
    await membership.reconcile()

    await bot.subscribe()
    await bot.weeks(1)

    assert await store.settings(GUILD) == GuildSettings()
    assert bot.topics() == ["flask", "django", "flask"]


async def test_unsubscribing_keeps_a_server(bot: Bot, store: Guilds, membership: GuildRegistry) -> None:
    await bot.subscribe()
    await bot.change(subscription_rules.unsubscribe)
    bot.clock.move(days=100)

    await membership.reconcile()

    assert await store.present_ids() == {GUILD}
    assert await Subscriptions(bot.process.database).of_channel(11) is not None
