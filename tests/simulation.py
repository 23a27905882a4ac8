"""The whole bot in a simulated Discord (SimCord), with a server and its members."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import discord
from simcord import ChannelHandle, Env, GuildHandle, InteractionResult, MemberActor, ResponseMessage, RoleHandle

import leaks
from discord_server import embed, openapi
from discord_server.component import texts, walk
from fakes import FakeClock
from postgres import empty_database_url
from weekbot.app import App, build
from weekbot.bot import footnotes
from weekbot.bot.upcoming_topics import UpcomingTopics
from weekbot.cluster import leader_election
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.content.model import Topic
from weekbot.demo.live_page import ChannelClock
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import FastClock
from weekbot.settings import Settings

CONTENT = Path(__file__).parents[1] / "content"
SIMULATED_ON = os.environ.get("WEEKBOT_TEST_SIMULATED_ON", "sqlite")
"""The database backend: `sqlite` or `postgresql`."""
real_time = time.monotonic
"""PostgreSQL runs in real time, however many weeks a simulation skips."""
MANAGE_SERVER = discord.Permissions(manage_guild=True)


class Simulation:
    """The bot over a database file, in a server with a moderator and a plain member."""

    def __init__(self, env: Env, app: App, stack: AsyncExitStack, settings: Settings, clock: FakeClock) -> None:
        self.env = env
        self.app = app
        self.clock = clock
        self.settings = settings
        self._stack = stack
        self.guild: GuildHandle = env.create_guild("Pythonistas", shard_id=0)
        self.learners: RoleHandle = self.guild.create_role("Learners", mentionable=True)
        self.staff: RoleHandle = self.guild.create_role("Staff")
        moderators = self.guild.create_role("Moderators", permissions=MANAGE_SERVER)
        self.moderator: MemberActor = self.guild.add_member(env.create_user("ada"), roles=[moderators])
        self.member: MemberActor = self.guild.add_member(env.create_user("bob"))
        self.text: ChannelHandle = self.guild.create_text_channel("python-weekly")
        self.other: ChannelHandle = self.guild.create_text_channel("general")
        self.news: ChannelHandle = self.guild.create_news_channel("announcements")
        self.forum: ChannelHandle = self.guild.create_forum_channel("showcase")

    async def deliver(self) -> None:
        """Run one tick of the scheduler."""
        cast("ChannelClock", self.env.backend.clock).catch_up()
        with self.env.time_context():
            await self.app.dispatcher.run()

    async def set_system_channel(self, channel: ChannelHandle) -> None:
        """Make it the server's system channel; discord.py's own edit sends a number, which Discord refuses."""
        await self.app.client.http.edit_guild(self.guild.id, system_channel_id=str(channel.id))

    async def next_week(self, weeks: int = 1) -> None:
        """Run a tick at each of the next slots."""
        for _ in range(weeks):
            subscriptions = await self.app.repositories.subscriptions.of_guild(self.guild.id)
            self.clock.instant = max(min(each.next_slot.instant for each in subscriptions), self.clock.instant)
            await self.deliver()

    def another_server(self) -> "Simulation":
        """Return another server of the same bot, with its own members."""
        return Simulation(self.env, self.app, self._stack, self.settings, self.clock)

    async def restart(self, **settings: Any) -> None:
        """Restart the bot with the same database, content and Discord, and with changed settings."""
        old, self.settings = self.app, self.settings.model_copy(update=settings)
        await self._stack.aclose()
        self.app = await self._stack.enter_async_context(build(self.settings, self.clock, old.live))
        await _become_leader(self.app)
        await self.env.restart_bot(self.app.client)
        await self.app.registration.keep_trying()
        await old.client.close()

    async def slash(self, command: str, *, by: MemberActor | None = None, **options: Any) -> "Answer":
        """Use a command. Default: as the moderator, in the text channel."""
        channel = options.pop("at", self.text)
        return Answer(await (by or self.moderator).slash(channel, command, **options))

    async def choices(self, command: str, option: str, typed: str) -> list[str]:
        """Return the values that autocomplete offers for a partial option."""
        suggestions = await self.moderator.autocomplete(self.text, command, option, typed)
        return [str(choice["value"]) for choice in suggestions]

    async def click(
        self, message: "Answer | discord.Message", by: MemberActor | None = None, **button: str
    ) -> "Answer":
        target = message.message if isinstance(message, Answer) else message
        return Answer(await (by or self.member).click(target, **button))

    async def choose(self, message: "Answer | discord.Message", value: str) -> "Answer":
        """Choose a value in a message's only select menu."""
        target = message.message if isinstance(message, Answer) else message
        return Answer(await self.member.select(target, [value]))

    @property
    def library(self) -> Library:
        return self.app.live.current

    async def upcoming_topic(self, subscription: Subscription) -> Topic:
        return await UpcomingTopics(lambda: self.library, self.app.repositories.deliveries).topic(subscription)

    async def subscription(self, channel: ChannelHandle | None = None) -> Subscription:
        found = await self.app.repositories.subscriptions.of_channel((channel or self.text).id)
        assert found is not None
        return found

    def posts(self, channel: ChannelHandle | None = None) -> list[discord.Message]:
        """Return the weekly posts in the channel, or in the threads of a forum."""
        place = channel or self.text
        messages = [message for each in [place, *place.threads] for message in each.history()]
        return [each for each in messages if each.components and "This week:" in text_of(each)]

    def bodies(self, path: str) -> list[Any]:
        """Return the bodies of POST requests to paths with this suffix, in order."""
        return [body for _, body in self.posted(path)]

    def posted(self, path: str) -> list[tuple[str, Any]]:
        """Return the paths and bodies of POST requests to paths with this suffix, in order."""
        requests = [each for each in self.env.http_requests if each.method == "POST" and each.path.endswith(path)]
        return [(each.path, each.json) for each in requests]

    def bot_channel(self, channel: ChannelHandle) -> Any:
        """Return the channel in the bot's cache."""
        return self.app.client.get_channel(channel.id)


@dataclass(frozen=True)
class Answer:
    """The response to a member."""

    result: InteractionResult

    @property
    def message(self) -> ResponseMessage:
        message = next(iter(self.result.followups), self.result.response)
        assert message is not None, "there was no response"
        return message

    @property
    def private(self) -> bool:
        return self.message.ephemeral

    @property
    def components(self) -> list[dict[str, Any]]:
        return self.message.components

    @property
    def text(self) -> str:
        return "\n".join(filter(None, [self.message.content, *embed_texts(self.message), *texts(self.components)]))

    @property
    def labels(self) -> list[str]:
        return [each["label"] for each in walk(self.components) if each["type"] == discord.ComponentType.button.value]


def components_of(message: discord.Message) -> list[dict[str, Any]]:
    return [dict(component.to_dict()) for component in message.components]


def embed_texts(message: discord.Message | ResponseMessage) -> list[str]:
    """Return the texts of the message's embeds."""
    return embed.texts([dict(each.to_dict()) for each in message.embeds])


def text_of(message: discord.Message) -> str:
    return "\n".join(filter(None, [message.content, *embed_texts(message), *texts(components_of(message))]))


@cache
def _real_library() -> Library:
    """The real content, read once for all simulations."""
    return load_library(CONTENT)


@asynccontextmanager
async def simulated(folder: Path, clock: FakeClock, live: LiveLibrary | None = None) -> AsyncIterator[Simulation]:
    """Run the bot with the real content or `live`.

    Unexpected errors fail the test, unless it has read `env.errors`. So do requests that violate Discord's OpenAPI
    document.
    """
    long_timeout = patch.object(footnotes, "TIMEOUT_SECONDS", 60)  # so that a machine under load finds footnotes
    with empty_database_url(SIMULATED_ON, folder) as url, patch.object(leader_election, "now", real_time), long_timeout:
        settings = Settings(
            database_url=url,
            content_dir=CONTENT,
            shard_count=1,
            requests_per_second=10_000,
        )
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(
                build(settings, clock, live or LiveLibrary(CONTENT, lambda _: _real_library()))
            )
            await _become_leader(app)
            env = Env(app.client)
            env.backend.clock = ChannelClock(cast("FastClock", clock))  # it only uses the instant
            await env.start()
            await app.registration.keep_trying()
            simulation = Simulation(env, app, stack, settings, clock)
            try:
                yield simulation
            finally:
                await env.shutdown()
                await simulation.app.client.close()
            # As in simcord.run, whose context variables can't be reset in a fixture.
            env._raise_errors_since(env._errors_acknowledged)
            openapi.require_none(violations(env))
            leaks.require_none(*(str(each.json) for each in env.http_requests))


async def _become_leader(app: App) -> None:
    """Elect the app as the leader, and let it answer members of the simulation's only shard."""
    app.leader_gate.leadership.stand_for_election()
    app.client._node.connected(0)
    await anext(app.leader_gate.leadership.elected())
    app.leader_gate.open()


def violations(env: Env) -> list[str]:
    """Return the violations of Discord's OpenAPI document in the bot's requests."""
    checked = [openapi.violations(each.method, each.path, each.params, each.json) for each in env.http_requests]
    return [violation for found in checked for violation in found]
