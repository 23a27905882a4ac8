"""The guild registry: servers that the bot leaves and rejoins. The whole bot with the loopback Discord."""

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


async def no_greeting(_: Welcome, __: discord.Guild) -> None:
    """Send no greeting, so that only the tests' own messages are sent."""


@dataclass
class Place:
    """A loopback Discord with two servers, a channel in each, and a folder for the bot's database."""

    server: DiscordServer
    clock: FakeClock
    folder: Path
    guild: Guild
    other: Guild
    channel: Channel
    elsewhere: Channel

    @asynccontextmanager
    async def running(self, shards: int = 1, shard_ids: tuple[int, ...] | None = None) -> AsyncIterator["Running"]:
        """Run the bot, online."""
        settings = Settings(
            database_url=f"sqlite:///{self.folder / 'weekbot.db'}",
            content_dir=CONTENT,
            requests_per_second=10_000,
            shard_count=shards,
            shard_ids=shard_ids,
        )
        with patch.object(Welcome, "greet", no_greeting):
            async with build(settings, self.clock) as app, app.client, app_online(app, self.server):
                await app.guild_registry.reconcile()
                app.leader_gate.open()
                yield Running(self, app)
                await handlers_ended()  # one may still use the database, which is closed below


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
        """Move the clock to the next slot; run the preflight and the dispatcher on the way."""
        slot = (await self.subscription(self.place.channel)).next_slot.instant
        for ahead in (timedelta(days=1), timedelta(hours=1), timedelta()):
            self.place.clock.instant = slot - ahead
            await self.app.preflight.run()
            await self.app.dispatcher.run()

    async def reconcile_for_an_hour(self) -> None:
        """Reconcile twice, an hour apart."""
        await self.app.guild_registry.reconcile()
        self.place.clock.move(hours=1)
        await self.app.guild_registry.reconcile()

    async def left_ids(self) -> set[int]:
        return await self.app.repositories.guilds.left_ids()

    async def has_recorded_left(self, *guilds: Guild) -> None:
        """Wait until exactly these servers are recorded as left."""
        async with asyncio.timeout(10):
            while await self.left_ids() != {guild.id for guild in guilds}:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)

    async def begin_another_session(self, shard: int = 0) -> None:
        """Invalidate a shard's session, and wait until the shard has started another one."""
        ready = asyncio.create_task(self.app.client.wait_for("shard_ready", timeout=10))
        [session] = [each for each in self.place.server.gateway.connected() if each.shard == shard]
        assert session.connection
        del self.place.server.gateway.sessions[session.id]
        session.connection.send({"op": Op.INVALID_SESSION, "d": False})
        await ready

    async def count(self) -> dict[str, int]:
        """Return the number of rows of each table that isn't empty."""
        async with self.app.repositories.guilds._database.read() as connection:
            counts = {
                each.name: await connection.scalar(select(func.count()).select_from(each))
                for each in tables.metadata.sorted_tables
                if each is not tables.metadata_entries
            }
        return {name: count for name, count in counts.items() if count}


async def identify_at_once(*_: object, **__: object) -> None:
    """Replaces discord.py's pause of five seconds between two sessions."""


@pytest.fixture
async def place(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(discord.Client, "before_identify_hook", identify_at_once)
    async with DiscordServer(World(clock=clock.now), limits=None) as server:
        use_addresses(server.api_url, server.gateway_url)
        guild, other = server.add_guild("Pythonistas"), server.add_guild("Others")
        channels = guild.add_text_channel("weekly"), other.add_text_channel("weekly")
        guild.system_channel, other.system_channel = guild.add_text_channel("system"), other.add_text_channel("system")
        yield Place(server, clock, tmp_path, guild, other, *channels)
        assert not server.unknown_requests


def titles(channel: Channel) -> list[str]:
    """Return the titles of the posts in the channel, in order."""
    lines = [line for message in channel.history() for line in message.text.splitlines()]
    return [line.removeprefix("## This week: ") for line in lines if line.startswith("## This week: ")]


def messages_sent(place: Place) -> int:
    return len(place.server.sent("POST", MESSAGES))


# Leaving and joining


async def test_a_server_that_kicks_the_bot_is_left_until_the_bot_is_invited_again(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        assert (await bot.subscription(place.channel)).guild_left
        assert not (await bot.subscription(place.elsewhere)).guild_left
        place.guild.invite_bot()
        await bot.has_recorded_left()
        assert not (await bot.subscription(place.channel)).guild_left


async def test_leaving_and_joining_while_offline_is_detected_after_the_next_start(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
    place.guild.kick_bot()
    async with place.running() as bot:
        await bot.reconcile_for_an_hour()
        assert await bot.left_ids() == {place.guild.id}
    place.guild.invite_bot()
    place.other.kick_bot()
    async with place.running() as bot:
        assert not await bot.left_ids()
        await bot.reconcile_for_an_hour()
        assert await bot.left_ids() == {place.other.id}


async def test_leaving_without_a_gateway_event_is_detected(place: Place) -> None:
    """discord.py keeps a server in its cache that a new session does not list."""
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.joined = False
        await bot.begin_another_session()
        await bot.reconcile_for_an_hour()
        assert await bot.left_ids() == {place.guild.id}


async def test_joining_without_a_gateway_event_is_detected(place: Place) -> None:
    """discord.py emits neither a ready event nor join events for a shard's new session."""
    place.server.world.shards = 2
    async with place.running(2) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        place.guild.joined = True
        await bot.begin_another_session(shard=0)
        await bot.app.guild_registry.reconcile()
        assert not await bot.left_ids()


async def test_an_outage_does_not_count_as_leaving(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.go_down()
        place.other.kick_bot()  # recorded after an outage would be
        await bot.has_recorded_left(place.other)
        before = await bot.subscription(place.channel)
    async with place.running() as bot:
        assert await bot.left_ids() == {place.other.id}
        place.guild.come_back()
        await until(lambda: all(not guild.unavailable for guild in bot.app.client.guilds))
        assert replace(await bot.subscription(place.channel), guild_locale=None) == before


async def test_a_server_with_an_outage_is_not_left_even_if_discords_list_lacks_it(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.go_down()
        await until(lambda: any(guild.unavailable for guild in bot.app.client.guilds))
        place.server.fail_next("GET", LIST, 200, [place.other.own_payload()])
        await bot.app.guild_registry.reconcile()
        assert not await bot.left_ids()


async def test_servers_of_other_processes_do_not_count_as_left(place: Place) -> None:
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
    async with place.running(2, (1,)) as bot:
        assert [guild.id for guild in bot.app.client.guilds] == [place.other.id]
        assert not await bot.left_ids()
        assert await ChannelChecks(bot.app.client)(await bot.subscription(place.channel)) is None


# Deletion


async def test_a_left_servers_data_is_deleted_after_thirty_days_and_no_other_data(
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
        await bot.has_recorded_left(place.guild)
        place.clock.instant += RETENTION
        await bot.app.guild_registry.reconcile()
        assert await bot.count() == both
        place.clock.move(seconds=1)
        await bot.app.guild_registry.reconcile()
        assert await bot.count() == {name: count // 2 for name, count in both.items()}
        assert (await bot.subscription(place.elsewhere)).guild_notices_id == place.elsewhere.id
        assert not await bot.left_ids()


async def test_a_server_that_the_bot_rejoins_in_time_is_not_forgotten(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        place.guild.invite_bot()
        await bot.has_recorded_left()
        place.clock.instant += 2 * RETENTION
        await bot.app.guild_registry.reconcile()
        assert await bot.subscription(place.channel)


async def test_the_time_of_leaving_survives_restarts(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
    place.clock.move(days=29)
    async with place.running() as bot:
        assert (await bot.subscription(place.channel)).guild_left
    place.clock.move(days=2)
    async with place.running() as bot:
        assert await bot.count() == {}


async def test_a_rejoined_servers_data_is_not_deleted(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
    place.guild.invite_bot()
    place.clock.instant += 2 * RETENTION
    async with place.running() as bot:
        assert not (await bot.subscription(place.channel)).guild_left


@pytest.mark.parametrize("status", [403, 503])
async def test_nothing_is_deleted_while_discord_gives_no_list(place: Place, status: int) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        place.clock.instant += 2 * RETENTION
        place.server.fail_next("GET", LIST, status)
        await bot.app.guild_registry.reconcile()
        assert (await bot.subscription(place.channel)).guild_left
        await bot.app.guild_registry.reconcile()
        assert await bot.count() == {}


# Posts


def count_other_requests(place: Place) -> int:
    """Count the requests other than those that check whether the bot is in a server."""
    return len([each for each in place.server.requests if each.route != "/guilds/{guild_id}"])


async def test_a_left_server_gets_no_posts_or_notices_and_continues_after_a_rejoin(
    place: Place,
) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        await bot.next_week()
        assert titles(place.channel) == ["Flask"]
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        before = count_other_requests(place)
        await bot.next_week()
        await bot.next_week()
        assert count_other_requests(place) == before
        assert await bot.count() == {"guilds": 1, "subscriptions": 1, "deliveries": 3, "attempts": 2}
        place.guild.invite_bot()
        await bot.has_recorded_left()
        await bot.next_week()
        assert titles(place.channel) == ["Flask", "Django"]
        assert messages_sent(place) == 2
        assert (await bot.subscription(place.channel)).blocked is None


async def test_a_pending_post_is_not_sent_after_its_server_was_left(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        place.server.fail_next("POST", r"/channels/\d+/messages$", 429, times=1000)
        await bot.next_week()
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        before = count_other_requests(place)
        place.server.rest.faults.pending.clear()
        place.clock.move(hours=1)
        await bot.app.dispatcher.run()
        assert count_other_requests(place) == before
        place.guild.invite_bot()
        await bot.has_recorded_left()
        await bot.next_week()
        assert titles(place.channel) == ["Flask"]


async def test_rejoining_a_server_triggers_a_preflight(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel)
        slot = (await bot.subscription(place.channel)).next_slot.instant
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        place.clock.instant = slot - timedelta(hours=20)
        await bot.app.preflight.run()
        place.channel.forbid(Permission.SEND_MESSAGES)
        place.guild.invite_bot()
        await bot.has_recorded_left()
        await bot.app.preflight.run()
        await bot.app.dispatcher.run()
        assert place.guild.system_channel
        [warning] = place.guild.system_channel.history()
        assert "weekbot is missing Send Messages" in warning.text


async def test_leaving_one_server_does_not_affect_posts_in_others(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.guild.kick_bot()
        await bot.has_recorded_left(place.guild)
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]
        assert titles(place.channel) == []
