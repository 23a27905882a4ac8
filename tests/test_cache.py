"""The client's cache of servers and channels."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, Permission, World
from fakes import FakeClock
from places import app_online, until
from weekbot.app import build
from weekbot.bot.gateway.client import Weekbot
from weekbot.discord_io.rest_client import use_addresses
from weekbot.settings import Settings


@asynccontextmanager
async def connected(server: DiscordServer, folder: Path, clock: FakeClock) -> AsyncIterator[Weekbot]:
    use_addresses(server.api_url, server.gateway_url)
    settings = Settings(database_url=f"sqlite:///{folder / 'weekbot.db'}", content_dir=CONTENT)
    async with build(settings, clock) as app, app.client, app_online(app, server):
        yield app.client


@pytest.fixture
async def server(clock: FakeClock) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(World(clock=clock.now)) as server:
        yield server


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.add_guild("Pythonistas")


def known(client: Weekbot, channel: Channel) -> discord.TextChannel:
    found = client.get_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


def may_send(client: Weekbot, channel: Channel) -> bool:
    found = known(client, channel)
    return found.permissions_for(found.guild.me).send_messages


async def test_unused_fields_of_a_channel_are_not_cached(
    server: DiscordServer, guild: Guild, tmp_path: Path, clock: FakeClock
) -> None:
    before = guild.add_text_channel("weekly")
    before.topic = "What we talk about. " * 50
    async with connected(server, tmp_path, clock) as client:
        later = guild.add_text_channel("later")
        await until(lambda: client.get_channel(later.id))
        for channel in (before, later):
            assert (known(client, channel).name, known(client, channel).topic) == ("", None)
            assert known(client, channel).mention == channel.mention
        before.edit({"name": "renamed", "topic": "Something else"})
        before.forbid()
        await until(lambda: not may_send(client, before))
        assert (known(client, before).name, known(client, before).topic) == ("", None)


async def test_channels_share_equal_overwrites_until_they_differ(
    server: DiscordServer, guild: Guild, tmp_path: Path, clock: FakeClock
) -> None:
    muted, also_muted, open_, also_open = (guild.add_text_channel(f"weekly-{number}") for number in range(4))
    for channel in (muted, also_muted):
        channel.forbid()
    async with connected(server, tmp_path, clock) as client:
        channels = [muted, also_muted, open_, also_open]
        assert [may_send(client, channel) for channel in channels] == [False, False, True, True]
        assert len({id(known(client, channel)._overwrites) for channel in channels}) == 2
        muted.overwrite(guild.bot_role, allow=Permission.SEND_MESSAGES)
        open_.forbid()
        await until(lambda: may_send(client, muted) and not may_send(client, open_))
        assert [may_send(client, channel) for channel in channels] == [True, False, False, True]


async def test_an_updated_server_is_cached_without_unused_fields(
    server: DiscordServer, guild: Guild, tmp_path: Path, clock: FakeClock
) -> None:
    async with connected(server, tmp_path, clock) as client:
        update = guild.payload() | {"features": ["NEWS", "COMMUNITY"], "preferred_locale": "de"}
        guild.emit("GUILD_UPDATE", update)
        await until(lambda: client.guilds[0].preferred_locale is discord.Locale.german)
        assert (client.guilds[0].name, client.guilds[0].features) == ("Pythonistas", [])


@pytest.mark.parametrize("ago", [timedelta(minutes=10), timedelta(hours=50), timedelta(days=45)], ids=str)
async def test_the_time_of_a_last_message_is_rounded_up(
    server: DiscordServer, guild: Guild, tmp_path: Path, clock: FakeClock, ago: timedelta
) -> None:
    channel, written = guild.add_text_channel("weekly"), clock.now() - ago
    channel.post(guild.owner.user, {"content": "hello"}, message_id=server.world.snowflakes.at(written))
    async with connected(server, tmp_path, clock) as client:
        last = known(client, channel).last_message_id
    assert last is not None
    assert timedelta() <= discord.utils.snowflake_time(last) - written <= ago


async def test_last_messages_of_similar_age_share_one_id(
    server: DiscordServer, guild: Guild, tmp_path: Path, clock: FakeClock
) -> None:
    channels = [guild.add_text_channel(f"weekly-{number}") for number in range(2)]
    hour = clock.now().replace(minute=0, second=0) - timedelta(hours=50)
    for number, channel in enumerate(channels):
        written = hour + timedelta(minutes=10 * number)
        channel.post(guild.owner.user, {"content": "hello"}, message_id=server.world.snowflakes.at(written))
    async with connected(server, tmp_path, clock) as client:
        one, other = (known(client, channel).last_message_id for channel in channels)
    assert one is other is not None
