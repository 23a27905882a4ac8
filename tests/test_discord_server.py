"""The tests' own Discord against the real discord.py."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import aiohttp
import discord
import pytest
import yarl
from discord import app_commands, ui
from discord.gateway import DiscordWebSocket
from discord.http import Route

from discord_server import Channel, DiscordServer, Flag, Guild, Permission, Thread
from discord_server.interaction import InteractionKind
from discord_server.message import FOLLOW_NOTICE
from discord_server.snowflake import moment

MESSAGES = "/channels/{channel_id}/messages"

FRUIT = ["apple", "apricot", "banana"]


class Bot(discord.AutoShardedClient):
    """A bot with a command of each relevant kind."""

    def __init__(self, **options: Any) -> None:
        super().__init__(intents=discord.Intents(guilds=True), guild_ready_timeout=0.05, **options)
        self.tree = app_commands.CommandTree(self)
        add_commands(self.tree)
        self.received: list[str] = []
        self.new_event = asyncio.Event()

    async def setup_hook(self) -> None:
        self.add_view(Buttons())
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify immediately, without the five seconds between shards that Discord requires."""

    async def on_socket_event_type(self, event: str) -> None:
        self.received.append(event)
        self.new_event.set()

    async def wait_for_event(self, event: str) -> None:
        """Wait for an event, unless it has already been received."""
        async with asyncio.timeout(5):
            while event not in self.received:
                self.new_event.clear()
                await self.new_event.wait()


class Buttons(ui.View):
    """Two persistent buttons."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @ui.button(label="Count", custom_id="count")
    async def count(self, interaction: discord.Interaction, _button: ui.Button[Buttons]) -> None:
        assert interaction.message is not None
        await interaction.response.edit_message(content=interaction.message.content + "!")

    @ui.button(label="Whisper", custom_id="whisper")
    async def whisper(self, interaction: discord.Interaction, _button: ui.Button[Buttons]) -> None:
        await interaction.response.defer()
        await interaction.followup.send("psst", ephemeral=True)


def add_commands(tree: app_commands.CommandTree[Any]) -> None:
    @tree.command(description="Answers at once.")
    async def hello(interaction: discord.Interaction, name: str, times: int = 1) -> None:
        await interaction.response.send_message(f"hello {name} " * times, view=Buttons())

    @tree.command(description="Answers later.")
    async def later(interaction: discord.Interaction, private: bool) -> None:
        await interaction.response.defer(ephemeral=private, thinking=True)
        await interaction.followup.send("first")
        await interaction.followup.send("second")

    @tree.command(description="Promises and edits.")
    async def edited(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="done")

    @tree.command(description="Sends a file.")
    async def export(interaction: discord.Interaction) -> None:
        file = discord.File(io.BytesIO(b"{}"), "data.json")
        await interaction.response.send_message(file=file, ephemeral=True)

    async def complete(_interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=fruit, value=fruit) for fruit in FRUIT if fruit.startswith(typed)]

    @tree.command(description="Completes.")
    @app_commands.autocomplete(name=complete)
    async def fruit(interaction: discord.Interaction, name: str) -> None:
        await interaction.response.send_message(name)

    weekly = app_commands.Group(name="weekly", description="A group.")

    @weekly.command(description="Takes a channel and a role.")
    async def subscribe(
        interaction: discord.Interaction, channel: discord.TextChannel, role: discord.Role, who: discord.Member
    ) -> None:
        may_manage = interaction.permissions.manage_guild
        await interaction.response.send_message(f"{channel.mention} {role.name} {who.name} {may_manage}")

    tree.add_command(weekly)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        yield server
        assert server.unknown_requests == []


@asynccontextmanager
async def running(server: DiscordServer, **options: Any) -> AsyncIterator[Bot]:
    bot = Bot(**options)
    task = asyncio.create_task(bot.start(server.token))
    try:
        await server.ready()
        yield bot
    finally:
        await bot.close()
        await task


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.add_guild("Pythonistas")


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.add_text_channel("general")


@pytest.fixture
async def bot(server: DiscordServer, channel: Channel) -> AsyncIterator[Bot]:
    async with running(server) as bot:
        await bot.wait_for_event("GUILD_CREATE")
        yield bot


def text_channel(bot: Bot, channel: Channel) -> discord.TextChannel:
    found = bot.get_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


def card(custom_id: str) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    row: ui.ActionRow[ui.LayoutView] = ui.ActionRow(ui.Button(label="Done", custom_id=custom_id))
    view.add_item(ui.Container(ui.TextDisplay("# Flask"), row))
    return view


def buttons(custom_id: str) -> ui.View:
    return ui.View(timeout=None).add_item(ui.Button(label="Done", custom_id=custom_id))


# The gateway


async def test_a_bot_logs_in_and_knows_its_guilds_and_channels(bot: Bot, guild: Guild, channel: Channel) -> None:
    await bot.wait_until_ready()

    found = bot.get_guild(guild.id)
    assert found is not None
    assert found.me.guild_permissions.send_messages
    assert [each.name for each in found.text_channels] == ["general"]
    assert text_channel(bot, channel).permissions_for(found.me).pin_messages


async def test_a_heartbeat_is_acknowledged(bot: Bot) -> None:
    assert bot.latency != float("inf")


@pytest.mark.usefixtures("guild")
async def test_a_wrong_token_is_refused(server: DiscordServer) -> None:
    bot = Bot()
    with pytest.raises(discord.LoginFailure):
        await bot.start("wrong")
    await bot.close()
    assert [(each.authorised, each.status) for each in server.requests] == [(False, 401)]


async def test_the_gateway_refuses_a_wrong_token(server: DiscordServer) -> None:
    bot = Bot(shard_count=1)
    await bot.login(server.token)
    server.world.token = "changed"
    with pytest.raises(discord.ConnectionClosed) as refusal:
        await bot.connect()
    assert refusal.value.code == 4004


async def test_privileged_intents_are_refused(server: DiscordServer) -> None:
    bot = discord.AutoShardedClient(intents=discord.Intents(members=True))
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await bot.start(server.token)
    await bot.close()


@pytest.mark.parametrize("shard_count", [None, 2])
async def test_each_shard_sees_its_guilds(server: DiscordServer, shard_count: int | None) -> None:
    server.world.shards = 2
    guilds = [server.add_guild(f"guild {number}") for number in range(4)]

    async with running(server, shard_count=shard_count) as bot:
        await bot.wait_until_ready()
        assert {each.id: each.shard_id for each in bot.guilds} == {guild.id: guild.id >> 22 & 1 for guild in guilds}
        assert {session.shard: session.shards for session in server.gateway.connected()} == {0: 2, 1: 2}


async def test_a_dropped_bot_resumes_and_receives_missed_events(server: DiscordServer, bot: Bot, guild: Guild) -> None:
    dropping = asyncio.create_task(server.drop())
    await server.until(lambda: not server.gateway.connected())
    missed = guild.add_text_channel("created meanwhile")
    await dropping

    await bot.wait_for_event("RESUMED")
    assert bot.get_channel(missed.id) is not None
    assert bot.received.count("READY") == 1
    assert [session.resumed for session in server.gateway.connected()] == [1]


async def test_a_bot_starts_a_new_session_after_a_lost_one(server: DiscordServer, bot: Bot, guild: Guild) -> None:
    bot.received.clear()
    await server.drop(resumable=False)

    await bot.wait_for_event("GUILD_CREATE")
    assert "READY" in bot.received
    assert "RESUMED" not in bot.received


async def test_changes_in_a_guild_are_sent_as_events(
    bot: Bot, server: DiscordServer, guild: Guild, channel: Channel
) -> None:
    await bot.wait_until_ready()
    found = text_channel(bot, channel)

    channel.forbid(Permission.SEND_MESSAGES)
    await bot.wait_for_event("CHANNEL_UPDATE")
    assert not found.permissions_for(found.guild.me).send_messages

    role = guild.add_role("learners")
    await bot.wait_for_event("GUILD_ROLE_CREATE")
    assert found.guild.get_role(role.id) is not None

    channel.delete()
    await bot.wait_for_event("CHANNEL_DELETE")
    assert bot.get_channel(channel.id) is None

    await found.guild.leave()
    await bot.wait_for_event("GUILD_DELETE")
    assert list(bot.guilds) == []
    assert not guild.joined


async def test_an_outage_does_not_remove_the_guild(bot: Bot, guild: Guild) -> None:
    await bot.wait_until_ready()

    guild.go_down()
    await bot.wait_for_event("GUILD_DELETE")
    assert [each.unavailable for each in bot.guilds] == [True]

    bot.received.clear()
    guild.come_back()
    await bot.wait_for_event("GUILD_CREATE")
    assert [each.unavailable for each in bot.guilds] == [False]


# Commands and interactions


async def test_commands_are_registered(bot: Bot, server: DiscordServer) -> None:
    weekly = server.world.commands.named("weekly", 0)
    assert [option["name"] for option in weekly.body["options"]] == ["subscribe"]
    again = {command.name: command.id for command in await bot.tree.sync()}
    assert again["weekly"] == weekly.id
    assert {command.name for command in await bot.tree.fetch_commands()} == again.keys()


async def test_a_command_gets_a_response(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    response = await server.interact(channel, "hello", {"name": "Ada", "times": 2})

    assert response.text == "hello Ada hello Ada "
    assert not response.ephemeral
    assert server.messages_in(channel) == [response.answer]


@pytest.mark.parametrize("private", [True, False])
async def test_a_deferred_command_gets_a_response(
    bot: Bot, server: DiscordServer, channel: Channel, private: bool
) -> None:
    response = await server.interact(channel, "later", {"private": private})
    await server.until(lambda: response.followups)

    assert response.text == "first"
    assert response.ephemeral is private
    assert [message.text for message in response.followups] == ["second"]


async def test_a_deferred_response_is_edited(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    assert (await server.interact(channel, "edited")).text == "done"


async def test_a_response_can_have_a_file(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    response = await server.interact(channel, "export")

    assert response.answer is not None
    assert [(each.filename, each.content) for each in response.answer.attachments] == [("data.json", b"{}")]
    assert server.messages_in(channel) == []


async def test_a_subcommand_gets_resolved_objects(
    bot: Bot, server: DiscordServer, guild: Guild, channel: Channel
) -> None:
    role, member = guild.add_role("learners"), guild.add_member("bob")
    options = {"channel": channel, "role": role, "who": member}

    owners = await server.interact(channel, "weekly subscribe", options)
    others = await server.interact(channel, "weekly subscribe", options, member=member)
    managers = await server.interact(
        channel, "weekly subscribe", options, member=member, member_permissions=Permission.MANAGE_GUILD
    )

    assert owners.text == f"{channel.mention} learners bob True"
    assert others.text.endswith("False")
    assert managers.text.endswith("True")


async def test_an_option_is_autocompleted(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    choices = await server.autocomplete(channel, "fruit", {"name": "ap"})
    assert [choice["value"] for choice in choices] == ["apple", "apricot"]


async def test_a_button_updates_its_message(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    response = await server.interact(channel, "hello", {"name": "Ada"})
    clicked = await server.click(response, "count")

    assert clicked.answer is response.answer
    assert clicked.text == "hello Ada !"


async def test_a_button_can_have_a_private_response(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    response = await server.interact(channel, "hello", {"name": "Ada"})
    clicked = await server.click(response, "whisper")

    assert clicked.text == "psst"
    assert clicked.ephemeral
    assert server.messages_in(channel) == [response.answer]


@pytest.mark.parametrize(
    ("command", "options"),
    [("helo", {}), ("weekly", {}), ("weekly unsubscribe", {}), ("hello", {"nam": "Ada"}), ("hello", {})],
)
async def test_an_impossible_command_raises_an_error(
    bot: Bot, server: DiscordServer, channel: Channel, command: str, options: dict[str, str]
) -> None:
    with pytest.raises((LookupError, ValueError), match=command.split()[0]):
        await server.interact(channel, command, options)


@pytest.mark.parametrize(("seconds", "answered"), [(3, True), (4, False)])
async def test_an_interaction_expires_after_three_seconds(
    bot: Bot, server: DiscordServer, channel: Channel, seconds: int, answered: bool
) -> None:
    interaction = server.world.begin(InteractionKind.COMMAND, channel, channel.guild.owner, None)
    created = moment(interaction.id)
    server.world.clock = lambda: created + timedelta(seconds=seconds)
    acknowledging = bot.http.request(
        Route("POST", f"/interactions/{interaction.id}/{interaction.token}/callback"), json={"type": 5}
    )
    if answered:
        await acknowledging
        assert interaction.acknowledged
    else:
        with pytest.raises(discord.NotFound, match="10062"):
            await acknowledging


async def test_an_interaction_token_is_valid_for_fifteen_minutes(
    bot: Bot, server: DiscordServer, channel: Channel
) -> None:
    interaction = await server.interact(channel, "edited")
    created = moment(interaction.id)
    edit = Route("PATCH", f"/webhooks/{server.world.application.id}/{interaction.token}/messages/@original")
    server.world.clock = lambda: created + timedelta(minutes=15)
    await bot.http.request(edit, json={"content": "in time"})
    server.world.clock = lambda: created + timedelta(minutes=15, seconds=1)
    with pytest.raises(discord.HTTPException, match="50027"):
        await bot.http.request(edit, json={"content": "too late"})
    assert interaction.text == "in time"


# Messages


async def test_a_repeated_nonce_makes_one_message(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    found = text_channel(bot, channel)
    first = await found.send(view=card("delivery:1"), nonce="1")
    second = await found.send(view=card("delivery:1"), nonce="1")
    third = await found.send(view=card("delivery:2"), nonce="2")

    assert (first.id, first.nonce) == (second.id, "1")
    assert [message.id for message in server.messages_in(channel)] == [first.id, third.id]


async def test_a_nonce_expires(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    found, start = text_channel(bot, channel), server.world.clock()
    await found.send("once", nonce="1")
    server.world.clock = lambda: start + server.world.nonce_window + timedelta(minutes=1)
    await found.send("twice", nonce="1")

    assert [message.text for message in server.messages_in(channel)] == ["once", "twice"]


async def test_history_has_components_but_no_nonce(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    server.rest.limits = None  # otherwise discord.py would wait for the fifth message
    found = text_channel(bot, channel)
    sent = [await found.send(view=card(f"delivery:{number}"), nonce=str(number)) for number in range(5)]

    [newest] = [message async for message in found.history(limit=1)]
    after = [message async for message in found.history(after=sent[1])]
    before = [message async for message in found.history(before=sent[2])]
    around = [message async for message in found.history(around=sent[2], limit=3)]

    assert newest.nonce is None
    assert isinstance(newest.components[0], discord.Container)
    row = newest.components[0].children[1]
    assert isinstance(row, discord.ActionRow)
    assert row.children[0].custom_id == "delivery:4"
    assert [message.id for message in after] == [message.id for message in sent[2:]]
    assert [message.id for message in before] == [sent[1].id, sent[0].id]
    assert [message.id for message in around] == [sent[3].id, sent[2].id, sent[1].id]


async def test_a_message_is_fetched_edited_and_deleted(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    message = await text_channel(bot, channel).send("draft")
    await message.edit(content="final")
    fetched = await message.channel.fetch_message(message.id)
    assert (fetched.content, fetched.edited_at is not None) == ("final", True)

    await message.delete()
    with pytest.raises(discord.NotFound) as error:
        await message.channel.fetch_message(message.id)
    assert error.value.code == 10008


@dataclass
class TextId:
    """A role in allowed_mentions with a text id, as documented by Discord; discord.py would send a number."""

    id: Any


async def test_only_allowed_mentions_ping(bot: Bot, server: DiscordServer, guild: Guild, channel: Channel) -> None:
    chosen, other = guild.add_role("learners"), guild.add_role("others")
    text = f"<@&{chosen.id}> <@&{other.id}> @everyone"
    allowed = discord.AllowedMentions(everyone=False, users=False, roles=[TextId(str(chosen.id))])
    sent = await text_channel(bot, channel).send(text, allowed_mentions=allowed)

    assert channel.messages[sent.id].pinged_roles == [chosen.id]
    assert not sent.mention_everyone


async def test_a_thread_is_opened_and_archived(bot: Bot, server: DiscordServer, guild: Guild, channel: Channel) -> None:
    message = await text_channel(bot, channel).send("topic")
    thread = await message.create_thread(name="Flask")
    await thread.send("discuss")

    assert [each.text for each in server.messages_in(guild.threads[thread.id])] == ["", "discuss"]
    assert thread.id == message.id
    assert [each.id for each in await thread.guild.active_threads()] == [thread.id]
    await bot.wait_for_event("THREAD_CREATE")

    await thread.edit(archived=True)
    assert await thread.guild.active_threads() == []
    assert [each.id async for each in text_channel(bot, channel).archived_threads()] == [thread.id]
    await thread.send("wakes it")
    assert not guild.threads[thread.id].archived
    with pytest.raises(discord.HTTPException, match="160004"):
        await message.create_thread(name="again")


async def test_a_forum_accepts_posts_with_tags(bot: Bot, server: DiscordServer, guild: Guild) -> None:
    forum = guild.add_forum("topics", tags=["web", "data"], requires_tag=True)
    await bot.wait_for_event("CHANNEL_CREATE")
    found = bot.get_channel(forum.id)
    assert isinstance(found, discord.ForumChannel)

    post = await found.create_thread(name="Flask", view=card("delivery:1"), applied_tags=[found.available_tags[0]])
    with pytest.raises(discord.HTTPException, match="40067"):
        await found.create_thread(name="Django", content="untagged")

    thread = guild.threads[post.thread.id]
    assert (thread.name, thread.applied_tags) == ("Flask", [forum.tag("web").id])
    assert [message.custom_ids for message in server.messages_in(thread)] == [["delivery:1"]]
    assert post.message.id == post.thread.id
    assert [type(each) for each in guild.threads.values()] == [Thread]


async def test_a_message_is_pinned_and_unpinned(bot: Bot, channel: Channel) -> None:
    found = text_channel(bot, channel)
    first, second = await found.send("first"), await found.send("second")
    await first.pin()
    await second.pin()
    assert [message.id async for message in found.pins()] == [second.id, first.id]

    await second.unpin()
    assert [message.id for message in channel.pins] == [first.id]
    await bot.wait_for_event("CHANNEL_PINS_UPDATE")


async def test_an_announcement_is_published_once(bot: Bot, server: DiscordServer, guild: Guild) -> None:
    news = guild.add_announcement_channel("news")
    await bot.wait_for_event("CHANNEL_CREATE")
    message = await text_channel(bot, news).send("news")
    await message.publish()

    assert Flag.CROSSPOSTED in news.messages[message.id].flags
    with pytest.raises(discord.HTTPException, match="40033"):
        await message.publish()


async def test_a_published_message_appears_in_following_channels(
    bot: Bot, server: DiscordServer, guild: Guild, channel: Channel
) -> None:
    guild.bot_role.permissions |= Permission.MANAGE_WEBHOOKS
    news = guild.add_announcement_channel("news")
    await bot.wait_for_event("CHANNEL_CREATE")
    webhook = await found_news(bot, news).follow(destination=text_channel(bot, channel))
    message = await found_news(bot, news).send("news", embed=discord.Embed(title="Flask"), view=buttons("delivery:1"))
    assert [each.kind for each in server.messages_in(channel)] == [FOLLOW_NOTICE]

    await message.publish()
    [copy, _] = [message async for message in text_channel(bot, channel).history()]
    assert copy.flags.is_crossposted
    assert (copy.webhook_id, copy.author.name) == (webhook.id, "Pythonistas #news")
    assert copy.reference is not None
    assert copy.reference.message_id == message.id

    await message.edit(content="newer")
    [_, crossposted] = server.messages_in(channel)
    assert crossposted.text == "newer\nFlask"
    assert crossposted.components == []
    await message.delete()
    assert Flag.SOURCE_MESSAGE_DELETED in crossposted.flags


def found_news(bot: Bot, channel: Channel) -> discord.TextChannel:
    found = text_channel(bot, channel)
    assert found.is_news()
    return found


@pytest.mark.usefixtures("bot")
async def test_following_requires_an_announcement_channel_and_a_permission(
    bot: Bot, guild: Guild, channel: Channel
) -> None:
    news = guild.add_announcement_channel("news")
    with pytest.raises(discord.Forbidden, match="50013"):
        await bot.http.follow_webhook(news.id, webhook_channel_id=channel.id)
    guild.bot_role.permissions |= Permission.MANAGE_WEBHOOKS
    with pytest.raises(discord.HTTPException, match="50024"):
        await bot.http.follow_webhook(channel.id, webhook_channel_id=channel.id)


# Refusals and faults


@pytest.mark.parametrize(
    ("break_channel", "code"),
    [
        (lambda channel: channel.forbid(Permission.SEND_MESSAGES), 50013),
        (lambda channel: channel.forbid(Permission.VIEW_CHANNEL), 50001),
        (lambda channel: channel.delete(), 10003),
        (lambda channel: channel.guild.kick_bot(), 50001),
    ],
)
async def test_a_broken_channel_refuses_messages(
    bot: Bot, channel: Channel, break_channel: Callable[[Channel], None], code: int
) -> None:
    found = text_channel(bot, channel)
    break_channel(channel)
    with pytest.raises(discord.HTTPException) as error:
        await found.send("anybody?")
    assert error.value.code == code


async def test_a_malformed_request_is_refused(bot: Bot, server: DiscordServer, channel: Channel) -> None:
    with pytest.raises(discord.HTTPException, match="50035"):
        await bot.http.request(Route("POST", "/channels/{channel_id}/threads", channel_id=channel.id), json=[])
    server.violations.clear()


async def test_an_empty_message_is_refused(bot: Bot, channel: Channel) -> None:
    with pytest.raises(discord.HTTPException, match="50006"):
        await text_channel(bot, channel).send("")


Send: TypeAlias = Callable[[], Awaitable[object]]


@pytest.fixture
def send(bot: Bot, channel: Channel) -> Send:
    return lambda: text_channel(bot, channel).send("hello", nonce="1")


async def test_a_request_can_be_made_to_fail(server: DiscordServer, channel: Channel, send: Send) -> None:
    server.fail_next("POST", r"/messages$", 503, times=2)
    for _ in range(2):
        with pytest.raises(discord.DiscordServerError):
            await send()
    await send()
    assert [each.status for each in server.sent("POST", MESSAGES)] == [503, 503, 200]


async def test_discord_py_waits_for_a_rate_limit(server: DiscordServer, channel: Channel, send: Send) -> None:
    server.fail_next("POST", r"/messages$", 429)
    await send()
    assert [each.status for each in server.sent("POST", MESSAGES)] == [429, 200]


async def test_a_failed_request_may_have_taken_effect(server: DiscordServer, channel: Channel, send: Send) -> None:
    server.fail_next("POST", r"/messages$", 503, takes_effect=True)
    with pytest.raises(discord.DiscordServerError):
        await send()
    assert len(server.messages_in(channel)) == 1


@pytest.mark.parametrize("takes_effect", [True, False])
async def test_a_connection_can_be_cut(server: DiscordServer, channel: Channel, send: Send, takes_effect: bool) -> None:
    server.cut_next("POST", r"/messages$", takes_effect=takes_effect)
    with pytest.raises(aiohttp.ClientConnectionError):
        await send()
    assert len(server.messages_in(channel)) == takes_effect
    await send()
    assert len(server.messages_in(channel)) == 1


async def test_requests_are_recorded(server: DiscordServer, channel: Channel, send: Send) -> None:
    server.latency = 0.001
    await send()

    [request] = server.sent("POST", MESSAGES)
    assert request.authorised
    assert request.call.path == f"/channels/{channel.id}/messages"
    assert (request.call.body["content"], request.call.body["enforce_nonce"]) == ("hello", True)
    assert str(request) == f"POST /channels/{channel.id}/messages → 200"


async def test_an_unknown_request_is_recorded(server: DiscordServer, bot: Bot) -> None:
    with pytest.raises(discord.NotFound):
        await bot.http.request(Route("GET", "/nothing/here"))
    assert [str(request) for request in server.unknown_requests] == ["GET /nothing/here → 404"]
    server.requests.clear()
    server.violations.clear()


async def test_a_timeout_names_the_expected_event(server: DiscordServer) -> None:
    server.changes.timeout = 0.01
    with pytest.raises(TimeoutError, match="a bot to identify"):
        await server.ready()
