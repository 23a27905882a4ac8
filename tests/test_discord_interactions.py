"""The loopback Discord's interactions: duplicated, late, from other guilds, or with deleted objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bare_client import Answer, ask
from discord_server import Channel, DiscordServer, Guild, Interaction
from discord_server.invocation import THREAD_FIELDS
from discord_server.routes.interactions import CALLBACK
from discord_server.thread import Thread

SECONDS = 10


class Bot(discord.AutoShardedClient):
    """Records all interactions, and responds to none."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True), guild_ready_timeout=0.05)
        self.tree = app_commands.CommandTree(self)
        add_commands(self.tree)
        self.received: list[discord.Interaction] = []
        self.new_interaction = asyncio.Event()

    async def setup_hook(self) -> None:
        await self.tree.sync()
        self.tree.clear_commands(guild=None)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.received.append(interaction)
        self.new_interaction.set()

    async def wait_for_interactions(self, number: int = 1) -> list[discord.Interaction]:
        async with asyncio.timeout(SECONDS):
            while len(self.received) < number:
                self.new_interaction.clear()
                await self.new_interaction.wait()
        return self.received


def add_commands(tree: app_commands.CommandTree[Any]) -> None:
    async def no_choices(_: discord.Interaction, __: str) -> list[app_commands.Choice[str]]:
        return []

    @tree.command(description="Takes a day.")
    @app_commands.choices(day=[app_commands.Choice(name="Monday", value="mon")])
    async def weekly(interaction: discord.Interaction, day: str) -> None: ...

    @tree.command(description="Takes a channel and a name.")
    @app_commands.autocomplete(name=no_choices)
    async def show(interaction: discord.Interaction, channel: discord.Thread, name: str) -> None: ...


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        yield server


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.add_guild("Pythonistas")


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.add_text_channel("general")


@pytest.fixture
async def bot(server: DiscordServer, channel: Channel) -> AsyncIterator[Bot]:
    bot = Bot()
    task = asyncio.create_task(bot.start(server.token))
    await server.ready()
    yield bot
    await bot.close()
    await task


def acknowledge(server: DiscordServer, interaction: Interaction) -> Any:
    return ask(server, "POST", f"/interactions/{interaction.id}/{interaction.token}/callback", {"type": 5})


def follow_up(server: DiscordServer, interaction: Interaction) -> Any:
    return ask(server, "POST", f"/webhooks/{server.world.application.id}/{interaction.token}", {"content": "hello"})


def outcome(answer: Answer) -> tuple[int, int | None]:
    return answer.status, answer.json["code"] if answer.text else None


async def test_an_interaction_can_be_sent_twice(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    interaction = server.invoke(channel, "weekly", {"day": "mon"})
    server.replay(interaction)
    first, second = await bot.wait_for_interactions(2)

    assert first.id == second.id == interaction.id
    assert first.data == second.data
    answers = [await acknowledge(server, interaction) for _ in range(2)]
    assert [outcome(answer) for answer in answers] == [(204, None), (400, 40060)]


async def test_an_interaction_can_expire_before_it_is_sent(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    interaction = server.invoke(channel, "weekly", {"day": "mon"}, prepare=Interaction.expire)
    await bot.wait_for_interactions()
    assert outcome(await acknowledge(server, interaction)) == (404, 10062)
    assert outcome(await follow_up(server, interaction)) == (401, 50027)


async def test_an_interaction_can_expire_after_its_first_response(
    bot: Bot, server: DiscordServer, channel: Channel
) -> None:
    interaction = server.invoke(channel, "weekly", {"day": "mon"})
    assert outcome(await acknowledge(server, interaction)) == (204, None)
    interaction.expire()
    assert outcome(await follow_up(server, interaction)) == (401, 50027)


async def test_another_program_can_acknowledge_an_interaction(
    bot: Bot, server: DiscordServer, channel: Channel
) -> None:
    interaction = server.invoke(channel, "weekly", {"day": "mon"}, prepare=Interaction.acknowledge_elsewhere)
    assert outcome(await acknowledge(server, interaction)) == (400, 40060)
    assert (await follow_up(server, interaction)).status == 204
    assert interaction.text == "hello"
    assert [each.status for each in server.sent("POST", CALLBACK)] == [400]


# From other guilds


async def test_a_command_can_be_from_a_guild_without_the_bot(bot: Bot, server: DiscordServer) -> None:
    elsewhere = server.add_guild("Elsewhere", joined=False)
    interaction = server.invoke(elsewhere.add_text_channel("general"), "weekly", {"day": "mon"})
    [received] = await bot.wait_for_interactions()

    assert bot.get_guild(elsewhere.id) is None
    assert received.guild_id == elsewhere.id
    assert interaction.event["authorizing_integration_owners"] == {"1": str(elsewhere.owner.id)}
    assert received.app_permissions.value == 0
    assert outcome(await acknowledge(server, interaction)) == (204, None)
    answer = await ask(server, "GET", f"/guilds/{elsewhere.id}")
    assert outcome(answer) == (404, 10004)


async def test_a_command_can_be_from_a_guild_that_is_still_loading(bot: Bot, server: DiscordServer) -> None:
    late = server.add_guild("Late", available=False)
    server.invoke(late.add_text_channel("general"), "weekly", {"day": "mon"})
    [received] = await bot.wait_for_interactions()
    assert received.guild_id == late.id
    assert bot.get_guild(late.id) is None


# With missing objects


@pytest.fixture
def thread(server: DiscordServer, channel: Channel) -> Thread:
    thread = Thread.open(channel, server.world.bot, server.world.snowflakes.next(), {"name": "corner"})
    thread.publish()
    return thread


@pytest.mark.parametrize("documented", [True, False])
async def test_a_thread_can_have_only_the_documented_fields(
    bot: Bot, server: DiscordServer, channel: Channel, thread: Thread, documented: bool
) -> None:
    options = {"channel": thread, "name": "Flask"}
    interaction = server.invoke(channel, "show", options, documented=documented)
    fields = interaction.event["data"]["resolved"]["channels"][str(thread.id)].keys()
    assert (fields == set(THREAD_FIELDS)) is documented
    assert fields >= set(THREAD_FIELDS)


async def test_a_choices_name_can_be_sent_as_its_value(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    with pytest.raises(ValueError, match="day takes one of"):
        server.invoke(channel, "weekly", {"day": "Monday"})
    interaction = server.invoke(channel, "weekly", {"day": "Monday"}, unchecked=True)
    assert interaction.event["data"]["options"] == [{"name": "day", "type": 3, "value": "Monday"}]


async def test_a_command_can_have_been_removed(bot: Bot, server: DiscordServer, guild: Guild, channel: Channel) -> None:
    with pytest.raises(LookupError, match="no command /learn"):
        server.invoke(channel, "learn start now")
    options = {"name": "x", "often": 2, "private": True, "where": channel, "who": guild.owner, "ping": guild.bot_role}
    interaction = server.invoke(channel, "learn start now", options, unchecked=True)
    [group] = interaction.event["data"]["options"]
    [command] = group["options"]
    assert (group["type"], command["type"]) == (2, 1)
    assert [option["type"] for option in command["options"]] == [3, 4, 5, 7, 6, 8]
    [received] = await bot.wait_for_interactions()
    assert received.data == interaction.event["data"]


async def test_an_option_of_a_removed_command_can_be_autocompleted(
    bot: Bot, server: DiscordServer, channel: Channel
) -> None:
    with pytest.raises(LookupError, match="no options"):
        server.type_option(channel, "show", {"title": "Fl"})
    interaction = server.type_option(channel, "show", {"title": "Fl"}, unchecked=True)
    assert interaction.event["data"]["options"] == [{"name": "title", "type": 3, "value": "Fl", "focused": True}]


@pytest.mark.parametrize(("values", "kind"), [(None, 2), (["flask"], 3)])
async def test_a_custom_id_can_be_unknown(
    bot: Bot, server: DiscordServer, channel: Channel, values: list[str] | None, kind: int
) -> None:
    message = channel.post(server.world.bot, {"content": "an old post"})
    with pytest.raises(LookupError, match="custom_id"):
        server.press(message, "weekbot:more:abc", values)
    interaction = server.press(message, "weekbot:more:abc", values, unchecked=True)
    data = interaction.event["data"]
    assert (data["custom_id"], data["component_type"], data.get("values")) == ("weekbot:more:abc", kind, values)
    assert interaction.event["message"]["id"] == str(message.id)
    await bot.wait_for_interactions()
