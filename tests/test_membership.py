"""Servers that are left and joined again: the whole bot on the loopback Discord, with a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import discord
import pytest
from sqlalchemy import func, select

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, Permission, World
from discord_server.gateway import Op
from fakes import FakeClock
from places import app_online, until
from weekbot.app import App, build
from weekbot.bot.welcome import Welcome
from weekbot.db import tables
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.discord_io.guild_registry import RETENTION
from weekbot.discord_io.rest_client import use_addresses
from weekbot.domain import subscription_rules
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.settings import Settings

MESSAGES = "/channels/{channel_id}/messages"
LIST = "/users/@me/guilds"


async def silent(_: Welcome, __: discord.Guild) -> None:
    """Greet nobody, so that only the tests' own messages are sent."""


@dataclass
class Place:
    """A loopback Discord with two servers, a channel in each, and where the bot's database is kept between two runs."""

    server: DiscordServer
    clock: FakeClock
    folder: Path
    guild: Guild
    other: Guild
    channel: Channel
    elsewhere: Channel

    @asynccontextmanager
    async def running(self, shards: int = 1, shard_ids: tuple[int, ...] | None = None) -> AsyncIterator["Running"]:
        """The bot, online."""
        settings = Settings(
            database_url=f"sqlite:///{self.folder / 'weekbot.db'}",
            content_dir=CONTENT,
            requests_per_second=10_000,
            shard_count=shards,
            shard_ids=shard_ids,
        )
        with patch.object(Welcome, "greet", silent):
            async with build(settings, self.clock) as app, app.client, app_online(app, self.server):
                await app.guild_registry.reconcile()
                app.leader_gate.open()
                yield Running(self, app)
                await handlers_ended()  # else one may hold a connection to the database that is closed below


async def handlers_ended() -> None:
    """Wait for the handlers of events, which discord.py runs as tasks of these names."""
    handlers = [task for task in asyncio.all_tasks() if task.get_name().startswith("discord.py: on_")]
    await asyncio.gather(*handlers)


@dataclass
class Running:
    place: Place
    app: App

    async def subscribe(self, *channels: Channel) -> None:
        now = self.place.clock.now()

        for channel in channels:

            def build(current: Subscription | None, zone: str, channel: Channel = channel) -> Subscription:
                return subscription_rules.subscribe(
                    current, channel.guild.id, channel.id, zone, Choices(track="web"), now
                )

            await self.app.repositories.subscriptions.put(channel.guild.id, channel.id, build)

    async def subscription(self, channel: Channel) -> Subscription:
        found = await self.app.repositories.subscriptions.of_channel(channel.id)
        assert found is not None
        return found

    async def next_week(self) -> None:
        """Pass to the next slot, with all that is done before and in it."""
        slot = (await self.subscription(self.place.channel)).next_slot.instant
        for ahead in (timedelta(days=1), timedelta(hours=1), timedelta()):
            self.place.clock.instant = slot - ahead
            await self.app.preflight.run()
            await self.app.dispatcher.run()

    async def looks_for_an_hour(self) -> None:
        """Look twice which servers the bot is in."""
        await self.app.guild_registry.reconcile()
        self.place.clock.move(hours=1)
        await self.app.guild_registry.reconcile()

    async def away(self) -> set[int]:
        return await self.app.repositories.guilds.left_ids()

    async def knows_away(self, *guilds: Guild) -> None:
        """Wait until it is recorded that just these servers were left."""
        async with asyncio.timeout(10):
            while await self.away() != {guild.id for guild in guilds}:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    async def begins_another_session(self, shard: int = 0) -> None:
        """Take a shard its session, and wait until it has begun another one."""
        ready = asyncio.create_task(self.app.client.wait_for("shard_ready", timeout=10))
        [session] = [each for each in self.place.server.gateway.connected() if each.shard == shard]
        assert session.connection
        del self.place.server.gateway.sessions[session.id]
        session.connection.send({"op": Op.INVALID_SESSION, "d": False})
        await ready

    async def count(self) -> dict[str, int]:
        """How many rows each table holds, where it holds any."""
        async with self.app.repositories.guilds._database.read() as connection:
            counts = {
                each.name: await connection.scalar(select(func.count()).select_from(each))
                for each in tables.metadata.sorted_tables
                if each is not tables.metadata_entries
            }
        return {name: count for name, count in counts.items() if count}


async def begin_at_once(*_: object, **__: object) -> None:
    """Instead of the five seconds that discord.py lets pass between two sessions."""


@pytest.fixture
async def place(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(discord.Client, "before_identify_hook", begin_at_once)
    async with DiscordServer(World(clock=clock.now), limits=None) as server:
        use_addresses(server.api_url, server.gateway_url)
        guild, other = server.add_guild("Pythonistas"), server.add_guild("Others")
        channels = guild.add_text_channel("weekly"), other.add_text_channel("weekly")
        guild.system_channel, other.system_channel = guild.add_text_channel("system"), other.add_text_channel("system")
        yield Place(server, clock, tmp_path, guild, other, *channels)
        assert not server.unknown_requests


def titles(channel: Channel) -> list[str]:
    """What the posts in the channel are about, in order."""
    lines = [line for message in channel.history() for line in message.text.splitlines()]
    return [line.removeprefix("## This week: ") for line in lines if line.startswith("## This week: ")]


def messages_sent(place: Place) -> int:
    return len(place.server.sent("POST", MESSAGES))


# Noticing


async def test_a_server_that_puts_the_bot_out_is_recorded_as_left_until_it_is_invited_again(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        assert (await bot.subscription(place.channel)).guild_left
        assert not (await bot.subscription(place.elsewhere)).guild_left
        place.guild.invite_bot()
        await bot.knows_away()
        assert not (await bot.subscription(place.channel)).guild_left


async def test_a_server_that_was_left_and_joined_unseen_is_noticed_after_the_next_start(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
    place.guild.kick_bot()
    async with place.running() as bot:
        await bot.looks_for_an_hour()
        assert await bot.away() == {place.guild.id}
    place.guild.invite_bot()
    place.other.kick_bot()
    async with place.running() as bot:
        assert not await bot.away()
        await bot.looks_for_an_hour()
        assert await bot.away() == {place.other.id}


async def test_a_server_that_was_left_while_no_session_told_it_is_noticed_all_the_same(place: Place) -> None:
    """discord.py goes on knowing a server that a new session does not name."""
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.joined = False
        await bot.begins_another_session()
        await bot.looks_for_an_hour()
        assert await bot.away() == {place.guild.id}


async def test_a_server_that_was_joined_while_no_session_told_it_is_noticed_all_the_same(place: Place) -> None:
    """discord.py tells of a shard's new session neither that it is ready nor which servers have been joined."""
    place.server.world.shards = 2
    async with place.running(2) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        place.guild.joined = True
        await bot.begins_another_session(shard=0)
        await bot.app.guild_registry.reconcile()
        assert not await bot.away()


async def test_an_outage_is_no_leaving(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.go_down()
        place.other.kick_bot()  # is recorded later than an outage would be
        await bot.knows_away(place.other)
        before = await bot.subscription(place.channel)
    async with place.running() as bot:
        assert await bot.away() == {place.other.id}
        place.guild.come_back()
        await until(lambda: all(not guild.unavailable for guild in bot.app.client.guilds))
        assert replace(await bot.subscription(place.channel), guild_locale=None) == before


async def test_a_server_with_an_outage_is_not_left_though_discords_list_lacks_it(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.go_down()
        await until(lambda: any(guild.unavailable for guild in bot.app.client.guilds))
        place.server.fail_next("GET", LIST, 200, [place.other.own_payload()])
        await bot.app.guild_registry.reconcile()
        assert not await bot.away()


async def test_servers_of_other_processes_are_not_taken_for_left(place: Place) -> None:
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
    async with place.running(2, (1,)) as bot:
        assert [guild.id for guild in bot.app.client.guilds] == [place.other.id]
        assert not await bot.away()
        assert await ChannelChecks(bot.app.client)(await bot.subscription(place.channel)) is None


# Forgetting


async def test_what_is_kept_of_a_server_is_deleted_thirty_days_after_it_was_left_and_nothing_of_others(
    place: Place,
) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        for channel in (place.channel, place.elsewhere):
            await bot.app.repositories.guilds.set_notice_channel(channel.guild.id, channel.id)
        await bot.next_week()
        for channel in (place.channel, place.elsewhere):
            channel.forbid(Permission.SEND_MESSAGES)
        place.guild.add_text_channel("last")
        await until(lambda: len(bot.app.client.guilds[0].text_channels) == 3)
        await bot.next_week()
        both = await bot.count()
        assert both == {"guilds": 2, "subscriptions": 2, "deliveries": 4, "attempts": 2, "notices": 4}
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        place.clock.instant += RETENTION
        await bot.app.guild_registry.reconcile()
        assert await bot.count() == both
        place.clock.move(seconds=1)
        await bot.app.guild_registry.reconcile()
        assert await bot.count() == {name: count // 2 for name, count in both.items()}
        assert (await bot.subscription(place.elsewhere)).guild_notices_id == place.elsewhere.id
        assert not await bot.away()


async def test_a_server_that_came_back_in_time_is_not_forgotten(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        place.guild.invite_bot()
        await bot.knows_away()
        place.clock.instant += 2 * RETENTION
        await bot.app.guild_registry.reconcile()
        assert await bot.subscription(place.channel)


async def test_the_instant_of_the_leaving_stays_over_restarts(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
    place.clock.move(days=29)
    async with place.running() as bot:
        assert (await bot.subscription(place.channel)).guild_left
    place.clock.move(days=2)
    async with place.running() as bot:
        assert await bot.count() == {}


async def test_nothing_is_deleted_of_a_server_that_the_bot_is_in(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
    place.guild.invite_bot()
    place.clock.instant += 2 * RETENTION
    async with place.running() as bot:
        assert not (await bot.subscription(place.channel)).guild_left


@pytest.mark.parametrize("status", [403, 503])
async def test_while_discord_does_not_tell_nothing_is_deleted(place: Place, status: int) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        place.clock.instant += 2 * RETENTION
        place.server.fail_next("GET", LIST, status)
        await bot.app.guild_registry.reconcile()
        assert (await bot.subscription(place.channel)).guild_left
        await bot.app.guild_registry.reconcile()
        assert await bot.count() == {}


# Posts


def requests_elsewhere(place: Place) -> int:
    """Those that don't ask whether a server was left."""
    return len([each for each in place.server.requests if each.route != "/guilds/{guild_id}"])


async def test_a_left_server_is_not_posted_to_nor_told_and_goes_on_with_its_topic_when_the_bot_is_back(
    place: Place,
) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        await bot.next_week()
        assert titles(place.channel) == ["Flask"]
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        before = requests_elsewhere(place)
        await bot.next_week()
        await bot.next_week()
        assert requests_elsewhere(place) == before
        assert await bot.count() == {"guilds": 1, "subscriptions": 1, "deliveries": 3, "attempts": 2}
        place.guild.invite_bot()
        await bot.knows_away()
        await bot.next_week()
        assert titles(place.channel) == ["Flask", "Django"]
        assert messages_sent(place) == 2
        assert (await bot.subscription(place.channel)).blocked is None


async def test_a_post_that_waits_is_not_sent_when_its_server_was_left_meanwhile(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.server.fail_next("POST", r"/channels/\d+/messages$", 429, times=1000)
        await bot.next_week()
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        before = requests_elsewhere(place)
        place.server.rest.faults.pending.clear()
        place.clock.move(hours=1)
        await bot.app.dispatcher.run()
        assert requests_elsewhere(place) == before
        place.guild.invite_bot()
        await bot.knows_away()
        await bot.next_week()
        assert titles(place.channel) == ["Flask"]


async def test_when_the_bot_is_back_it_looks_at_once_whether_all_is_well(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        slot = (await bot.subscription(place.channel)).next_slot.instant
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        place.clock.instant = slot - timedelta(hours=20)
        await bot.app.preflight.run()
        place.channel.forbid(Permission.SEND_MESSAGES)
        place.guild.invite_bot()
        await bot.knows_away()
        await bot.app.preflight.run()
        await bot.app.dispatcher.run()
        assert place.guild.system_channel
        [warning] = place.guild.system_channel.history()
        assert "weekbot is missing Send Messages" in warning.text


async def test_other_servers_get_their_posts_while_one_is_left(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.kick_bot()
        await bot.knows_away(place.guild)
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]
        assert titles(place.channel) == []
