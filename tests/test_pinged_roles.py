"""Deleted roles: posts no longer ping them, and moderators get one notice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, World
from discord_server.role import Role
from fakes import FakeClock
from places import app_online, until
from weekbot.app import App, build
from weekbot.db.database import Database
from weekbot.discord_io.rest_client import use_addresses
from weekbot.domain import subscription_rules
from weekbot.domain.notices import NoticeKind
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.settings import Settings
from weekbot.store.notices import Notices
from weekbot.store.pinged_roles import RolePings
from weekbot.store.subscriptions import Subscriptions

ROLES = "/guilds/{guild_id}/roles"
LEASE = timedelta(seconds=40)


# The store


@pytest.fixture
def pings(database: Database) -> RolePings:
    return RolePings(database)


async def subscribe(
    subscriptions: Subscriptions, clock: FakeClock, channel_id: int, guild_id: int = 1, role_id: int | None = 7
) -> Subscription:
    def build(current: Subscription | None, timezone: str) -> Subscription:
        return subscription_rules.subscribe(
            current, guild_id, channel_id, timezone, Choices(ping_role_id=role_id), clock.now()
        )

    return (await subscriptions.put(guild_id, channel_id, build)).after


async def claimed_notices(database: Database, clock: FakeClock) -> list[tuple[int, NoticeKind]]:
    claimed = await Notices(database).claim(clock.now(), LEASE, 10)
    return [(notice.subscription.channel_id, notice.kind) for notice in claimed]


async def test_each_pinged_role_is_listed_once(
    pings: RolePings, subscriptions: Subscriptions, clock: FakeClock
) -> None:
    for channel_id, guild_id, role_id in ((11, 1, 7), (12, 1, 7), (13, 1, None), (14, 1, 8), (15, 2, 7)):
        await subscribe(subscriptions, clock, channel_id, guild_id, role_id)
    assert await pings.roles() == [(1, 7), (1, 8), (2, 7)]


async def test_forgetting_a_role_clears_it_in_the_server_and_sends_one_notice_for_each_channel(
    pings: RolePings, subscriptions: Subscriptions, clock: FakeClock, database: Database
) -> None:
    for channel_id, guild_id, role_id in ((11, 1, 7), (12, 1, 7), (14, 1, 8), (15, 2, 7)):
        await subscribe(subscriptions, clock, channel_id, guild_id, role_id)
    assert await pings.forget(1, 7, clock.now()) == 2
    assert await pings.forget(1, 7, clock.now()) == 0
    assert await pings.roles() == [(1, 8), (2, 7)]
    assert sorted(await claimed_notices(database, clock)) == [(11, NoticeKind.ROLE_GONE), (12, NoticeKind.ROLE_GONE)]


async def test_forgetting_a_role_changes_no_other_option(
    pings: RolePings, subscriptions: Subscriptions, clock: FakeClock
) -> None:
    before = await subscribe(subscriptions, clock, 11)
    await pings.forget(1, 7, clock.now())
    assert await subscriptions.of_channel(11) == replace(before, options=replace(before.options, ping_role_id=None))


async def test_an_unsubscribed_channel_forgets_the_role_without_a_notice(
    pings: RolePings, subscriptions: Subscriptions, clock: FakeClock, database: Database
) -> None:
    await subscribe(subscriptions, clock, 11)
    await subscriptions.change(11, subscription_rules.unsubscribe)
    await pings.forget(1, 7, clock.now())
    assert await pings.roles() == []
    assert await claimed_notices(database, clock) == []


# On Discord


@dataclass
class Place:
    """A server with a role that its two weekly channels ping, and a system channel."""

    server: DiscordServer
    guild: Guild
    clock: FakeClock
    folder: Path
    role: Role
    channels: list[Channel]
    system: Channel

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Running"]:
        settings = Settings(
            database_url=f"sqlite:///{self.folder / 'weekbot.db'}", content_dir=CONTENT, requests_per_second=10_000
        )
        async with build(settings, self.clock) as app, app.client, app_online(app, self.server):
            yield Running(self, app)

    def delete_role(self) -> None:
        del self.guild.roles[self.role.id]
        self.guild.emit("GUILD_ROLE_DELETE", {"guild_id": str(self.guild.id), "role_id": str(self.role.id)})

    def notices(self) -> list[str]:
        return [message.text for message in self.system.history() if "pinged was deleted" in message.text]


@dataclass
class Running:
    place: Place
    app: App

    async def subscribe(self) -> None:
        for channel in self.place.channels:
            await subscribe(
                self.app.repositories.subscriptions,
                self.place.clock,
                channel.id,
                self.place.guild.id,
                self.place.role.id,
            )

    async def pinged(self) -> list[int | None]:
        found = await self.app.repositories.subscriptions.of_guild(self.place.guild.id)
        return [each.options.ping_role_id for each in found]

    async def has_forgotten(self) -> None:
        async with asyncio.timeout(10):
            while any(await self.pinged()):  # noqa: ASYNC110 - an event handler does it
                await asyncio.sleep(0.01)


@pytest.fixture
async def place(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Place]:
    async with DiscordServer(World(clock=clock.now)) as server:
        use_addresses(server.api_url, server.gateway_url)
        guild = server.add_guild("Pythonistas")
        guild.system_channel = guild.add_text_channel("system")
        channels = [guild.add_text_channel(name) for name in ("weekly", "other")]
        role = guild.add_role("learners", mentionable=True)
        yield Place(server, guild, clock, tmp_path, role, channels, guild.system_channel)
        assert not server.unknown_requests


async def test_a_deleted_role_is_no_longer_pinged_and_moderators_get_one_notice(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe()
        place.delete_role()
        await bot.has_forgotten()
        for _ in range(2):
            await bot.app.dispatcher.run()
        assert len(place.notices()) == len(place.channels)
        assert not place.server.sent("GET", ROLES)


async def test_a_post_after_the_deletion_has_no_ping(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe()
        place.delete_role()
        await bot.has_forgotten()
        bot.app.leader_gate.open()
        place.clock.move(hours=1)
        await bot.app.dispatcher.run()
    [post] = place.channels[0].history()
    assert not post.pinged_roles
    assert f"<@&{place.role.id}>" not in str(post.payload())


async def test_a_role_deleted_while_the_bot_was_offline_is_detected_at_the_start(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe()
    place.delete_role()
    async with place.running() as bot:
        await bot.has_forgotten()
    assert len(place.server.sent("GET", ROLES)) == 1


async def test_the_preflight_detects_a_deleted_role_without_another_warning(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe()
        del place.guild.roles[place.role.id]
        client = bot.app.client.get_guild(place.guild.id)
        assert client is not None
        client._remove_role(place.role.id)  # as if the event had been lost
        found = await bot.app.repositories.subscriptions.of_guild(place.guild.id)
        place.clock.instant = found[0].next_slot.instant - timedelta(hours=23)
        await bot.app.preflight.run()
        assert await bot.pinged() == [None, None]
        await bot.app.dispatcher.run()
        assert len(place.notices()) == len(place.system.history()) == 2
    assert len(place.server.sent("GET", ROLES)) == 1


async def test_no_role_is_forgotten_during_a_servers_outage(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe()
        place.guild.go_down()
        del place.guild.roles[place.role.id]
        known = bot.app.client.get_guild(place.guild.id)
        assert known is not None
        await until(lambda: known.unavailable)
        await bot.app.pinged_roles.check_all()
        assert await bot.pinged() == [place.role.id] * 2
    assert not place.server.sent("GET", ROLES)


@pytest.mark.parametrize("trouble", [None, (503, None), (403, None), (200, {})], ids=str)
async def test_a_role_missing_only_from_the_cache_is_kept(place: Place, trouble: tuple[int, object] | None) -> None:
    async with place.running() as bot:
        await bot.subscribe()
        known = bot.app.client.get_guild(place.guild.id)
        assert known is not None
        known._remove_role(place.role.id)
        if trouble:
            place.server.fail_next("GET", f"/guilds/{place.guild.id}/roles$", *trouble, times=5)
        await bot.app.pinged_roles.check_all()
        assert await bot.pinged() == [place.role.id] * 2
