"""Every command and button that changes something, each in its own server of the loopback Discord."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.contextvars import get_contextvars

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, Interaction, Message
from discord_server.message import Flag
from discord_server.permission import BOT_DEFAULT, Permission
from places import app_online, until
from weekbot.app import App, build
from weekbot.bot.cards import custom_ids, member_cards
from weekbot.db.tables import deliveries, guilds, progress, subscriptions
from weekbot.discord_io.rest_client import use_addresses
from weekbot.runtime.clock import SystemClock
from weekbot.settings import Settings

HOME = "home"
LEDGER = (subscriptions, deliveries)
VARIES = {
    "id",
    *("subscription_id", "guild_id", "channel_id", "ordinal", "message_id", "message_channel_id", "version"),
    *("slot", "retry_at", "first_attempt_at", "attempt_at", "sent_at", "check_at", "last_slot"),
}
"""Columns whose values depend on the server or on the time."""


@dataclass
class Place:
    """A server with its own channel, for one change."""

    server: DiscordServer
    app: App
    guild: Guild
    channel: Channel

    def use(self, command: str, **options: Any) -> Interaction:
        return self.server.invoke(self.channel, command, options)

    async def use_and_wait(self, command: str, **options: Any) -> Interaction:
        return await self.server.interact(self.channel, command, options)

    async def message(self) -> Message:
        """Return the channel's post."""
        [post] = [each for each in self.channel.history() if "This week" in each.text]
        return post

    async def state(self) -> dict[str, Any]:
        """Return everything that a change could affect, without values that differ between servers."""
        async with self.app.repositories.subscriptions._database.read() as connection:
            rows = [await self._rows(connection, table) for table in LEDGER]
            settings = await connection.execute(select(guilds).where(guilds.c.guild_id == self.guild.id))
            own = await connection.execute(select(progress).where(progress.c.member_id == self.guild.owner.user.id))
            return {
                "ledger": rows,
                "settings": [(row.timezone, row.notices_channel_id is not None) for row in settings],
                "progress": [(row.topic, row.finished_at is not None, row.quiz_right) for row in own],
                "posts": len([each for each in self.channel.history() if "This week" in each.text]),
                "followed": len(self.followed()),
            }

    def followed(self) -> list[Any]:
        home = next(each for each in self.server.world.guilds.values() if each.name == HOME)
        [channel] = [each for each in home.channels.values() if each.name == "news"]
        return [each for each in channel.followers if each.channel is self.channel]

    async def _rows(self, connection: AsyncConnection, table: Any) -> list[dict[str, Any]]:
        query = select(table)
        if table is not subscriptions:
            query = query.join(subscriptions)
        found = await connection.execute(query.where(subscriptions.c.guild_id == self.guild.id))
        return [{name: value for name, value in row.items() if name not in VARIES} for row in found.mappings()]


Uses: TypeAlias = Callable[[Place], Interaction]
Given: TypeAlias = Callable[[Place], Awaitable[object]]


@dataclass(frozen=True)
class Change:
    """A change by a command or a button; `given` sets up its initial state."""

    name: str
    use: Uses
    given: Given


async def nothing(_: Place) -> None:
    pass


async def subscribed(place: Place) -> None:
    await place.use_and_wait("weekly subscribe", track="web", start="flask")


async def paused(place: Place) -> None:
    await subscribed(place)
    await place.use_and_wait("weekly pause")


async def chosen(place: Place) -> None:
    await subscribed(place)
    await place.use_and_wait("weekly next", topic="numpy")


async def posted(place: Place) -> None:
    await subscribed(place)
    await place.use_and_wait("weekly post")


async def finished(place: Place) -> None:
    await posted(place)
    await place.server.click(await place.message(), custom_ids.finished("flask"))


def command(name: str, given: Given = subscribed, **options: Any) -> Change:
    return Change(f"/{name}", lambda place: place.use(name, **options), given)


def press_button(custom_id: Callable[[Place], str], given: Given, name: str) -> Change:
    """Press a button on a message that has it, as an older panel or post may."""

    def use(place: Place) -> Interaction:
        id_ = custom_id(place)
        button = {"type": 2, "style": 2, "label": "Press", "custom_id": id_}
        text, row = {"type": 10, "content": "A message with a button"}, {"type": 1, "components": [button]}
        body = {"flags": int(Flag.COMPONENTS_V2), "components": [text, row]}
        return place.server.press(place.channel.post(place.server.world.bot, body), id_)

    return Change(name, use, given)


def panel_button(action: str, given: Given, topic: str | None = None) -> Change:
    return press_button(lambda place: custom_ids.action(action, place.channel.id, topic), given, f"button {action}")


def member_button(name: str, custom_id: str, given: Given) -> Change:
    return press_button(lambda _: custom_id, given, f"button {name}")


def right_answer(place: Place) -> str:
    quiz = place.app.live.current.topics["flask"].body.quiz
    return custom_ids.answer("flask", member_cards.quiz_digest(quiz), quiz.right)


CHANGES = [
    command("weekly subscribe", nothing, track="web", start="django"),
    command("weekly unsubscribe"),
    command("weekly pause"),
    command("weekly resume", paused),
    command("weekly skip"),
    command("weekly post"),
    command("weekly next", topic="numpy"),
    command("weekly reset", chosen, option="next"),
    command("weekly settings", timezone="Asia/Tokyo"),
    command("weekly follow", nothing),
    panel_button("post", subscribed, "flask"),
    panel_button("skip", subscribed, "flask"),
    panel_button("pause", subscribed),
    panel_button("resume", paused),
    panel_button("unsubscribe", subscribed),
    member_button("finished", custom_ids.finished("flask"), posted),
    member_button("unfinished", custom_ids.take_back("flask"), finished),
    press_button(right_answer, posted, "button answer"),
    member_button("forget", custom_ids.forget("yes"), finished),
]


class Discord:
    """The loopback Discord with the bot; tests add servers to it."""

    def __init__(self, server: DiscordServer, app: App, path: Path) -> None:
        self.server = server
        self.app = app
        self.path = path
        self.early_writes: list[str] = []
        """Writes that began before their interaction was acknowledged."""
        self._interactions: list[Interaction] = []

    async def place(self, change: Change) -> Place:
        guild = self.server.add_guild(change.name, BOT_DEFAULT | Permission.MANAGE_WEBHOOKS)
        channel = guild.add_text_channel("weekly")
        await until(lambda: self.app.client.get_channel(channel.id))
        place = Place(self.server, self.app, guild, channel)
        await change.given(place)
        return place

    def watch(self, interaction: Interaction) -> Interaction:
        """Record a write that begins before the interaction is acknowledged."""
        self._interactions.append(interaction)
        return interaction

    def unwatch(self, interaction: Interaction) -> None:
        self._interactions.remove(interaction)

    def record_write(self) -> None:
        writer = get_contextvars().get("interaction")
        unacknowledged = (each for each in self._interactions if each.acknowledged is None)
        self.early_writes += [f"{each.event['data']}" for each in unacknowledged if each.id == writer]

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold SQLite's write lock, as another program would."""
        with closing(sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)) as other:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    async def wait_until_answered(self, *interactions: Interaction) -> None:
        for each in interactions:
            await self.server.until(lambda each=each: each.answered, f"an answer to {each.event['data']}")  # type: ignore[misc]


@asynccontextmanager
async def online(folder: Path) -> AsyncIterator[Discord]:
    """Run the bot with an SQLite file in the folder, and with a channel to follow."""
    path = folder / "weekbot.db"
    async with DiscordServer() as server:
        server.changes.timeout = 10
        use_addresses(server.api_url, server.gateway_url)
        home = server.add_guild(HOME).add_announcement_channel("news")
        settings = Settings(database_url=f"sqlite:///{path}", content_dir=CONTENT, home_channel_id=home.id)
        async with build(settings, SystemClock()) as app, app.client, app_online(app, server):
            app.leader_gate.open()
            yield Discord(server, app, path)
        assert not server.unknown_requests
