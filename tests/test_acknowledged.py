"""Acknowledge, then change: every command and button that changes something, under whatever goes wrong meanwhile.

The whole bot is online at the loopback Discord. Each case has a server of its own, in which what a fault leaves behind
is compared with what the same use leaves behind when all goes well.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from discord import app_commands
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.contextvars import get_contextvars

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, Interaction, Message, request_fault
from discord_server.permission import BOT_DEFAULT, Permission
from places import app_online, until
from weekbot.app import App, build
from weekbot.bot import buttons, custom_ids, member_buttons, member_cards, status_buttons
from weekbot.bot.client import use_addresses
from weekbot.clock import SystemClock
from weekbot.settings import Settings
from weekbot.store.database import Database
from weekbot.store.tables import deliveries, guilds, progress, subscriptions

CALLBACK, FOLLOW_UP = r"/interactions/\d+/[^/]+/callback$", r"/webhooks/\d+/"
HOME = "home"
LEDGER = (subscriptions, deliveries)
VARIES = {
    "id",
    *("subscription_id", "guild_id", "channel_id", "ordinal", "message_id", "message_channel_id", "version"),
    *("slot", "retry_at", "first_attempt_at", "attempt_at", "sent_at", "check_at", "last_slot"),
}
"""Columns that differ from one server, or from one moment, to the other."""


@dataclass
class Place:
    """A server with a channel of its own, in which one thing is changed."""

    server: DiscordServer
    app: App
    guild: Guild
    channel: Channel

    def use(self, command: str, **options: Any) -> Interaction:
        return self.server.invoke(self.channel, command, options)

    async def used(self, command: str, **options: Any) -> Interaction:
        return await self.server.interact(self.channel, command, options)

    async def message(self) -> Message:
        """The channel's post."""
        [post] = [each for each in self.channel.history() if "This week" in each.text]
        return post

    async def state(self) -> dict[str, Any]:
        """All that a use could have changed, without what differs from server to server."""
        async with self.app.services.subscriptions._database.read() as connection:
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
    """Something that is changed by a command or a press; `given` brings about what it starts from."""

    name: str
    use: Uses
    given: Given
    shown: list[Interaction | Message] = field(default_factory=list)


async def nothing(_: Place) -> None:
    pass


async def subscribed(place: Place) -> None:
    await place.used("weekly subscribe", track="web", start="flask")


async def paused(place: Place) -> None:
    await subscribed(place)
    await place.used("weekly pause")


async def chosen(place: Place) -> None:
    await subscribed(place)
    await place.used("weekly next", topic="numpy")


async def posted(place: Place) -> None:
    await subscribed(place)
    await place.used("weekly post")


async def finished(place: Place) -> None:
    await posted(place)
    await place.server.click(await place.message(), custom_ids.finished("flask"))


def command(name: str, given: Given = subscribed, **options: Any) -> Change:
    return Change(f"/{name}", lambda place: place.use(name, **options), given)


def press(custom_id: Callable[[Place], str], given: Given, name: str) -> Change:
    """A press on a message that has the button, as an older panel or post may."""

    def use(place: Place) -> Interaction:
        id_ = custom_id(place)
        button = {"type": 2, "style": 2, "label": "Press", "custom_id": id_}
        body = {"content": "A message with a button", "components": [{"type": 1, "components": [button]}]}
        return place.server.press(place.channel.post(place.server.world.bot, body), id_)

    return Change(name, use, given)


def do(action: str, given: Given, topic: str | None = None) -> Change:
    return press(lambda place: custom_ids.do(action, place.channel.id, topic), given, f"button {action}")


def of_members(name: str, custom_id: str, given: Given) -> Change:
    return press(lambda _: custom_id, given, f"button {name}")


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
    do("post", subscribed, "flask"),
    do("skip", subscribed, "flask"),
    do("pause", subscribed),
    do("resume", paused),
    do("unsubscribe", subscribed),
    of_members("finished", custom_ids.finished("flask"), posted),
    of_members("unfinished", custom_ids.take_back("flask"), finished),
    press(right_answer, posted, "button answer"),
    of_members("forget", custom_ids.forget("yes"), finished),
]
READING = {
    *("framework", "compare", "topic current", "topic list", "topic show", "topic random", "progress", "help"),
    *("privacy export", "privacy delete", "weekly preview", "weekly status"),
}


class Discord:
    """The loopback Discord with the bot, to which servers are added."""

    def __init__(self, server: DiscordServer, app: App, path: Path) -> None:
        self.server = server
        self.app = app
        self.path = path
        self.early: list[str] = []
        """Writes that began before what they were made for was acknowledged."""
        self._watched: list[Interaction] = []

    async def place(self, change: Change) -> Place:
        guild = self.server.add_guild(change.name, BOT_DEFAULT | Permission.MANAGE_WEBHOOKS)
        channel = guild.add_text_channel("weekly")
        await until(lambda: self.app.client.get_channel(channel.id))
        place = Place(self.server, self.app, guild, channel)
        await change.given(place)
        return place

    def watch(self, interaction: Interaction) -> Interaction:
        """Nothing may be written before it is acknowledged."""
        self._watched.append(interaction)
        return interaction

    def unwatch(self, interaction: Interaction) -> None:
        self._watched.remove(interaction)

    def writes(self) -> None:
        writer = get_contextvars().get("interaction")
        unacknowledged = (each for each in self._watched if each.acknowledged is None)
        self.early += [f"{each.event['data']}" for each in unacknowledged if each.id == writer]

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Another program holds SQLite's write lock."""
        with closing(sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)) as other:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    async def answered(self, *interactions: Interaction) -> None:
        for each in interactions:
            await self.server.until(lambda each=each: each.answered, f"an answer to {each.event['data']}")  # type: ignore[misc]


@pytest.fixture
async def discord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Discord]:
    path = tmp_path / "weekbot.db"
    async with DiscordServer() as server:
        server.changes.timeout = 10
        use_addresses(server.api_url, server.gateway_url)
        home = server.add_guild(HOME).add_announcement_channel("news")
        settings = Settings(database_url=f"sqlite:///{path}", content_dir=CONTENT, home_channel_id=home.id)
        async with build(settings, SystemClock()) as app, app.client, app_online(app, server):
            app.turn.begin()
            discord = Discord(server, app, path)
            write = Database.write

            @asynccontextmanager
            async def noted(database: Database) -> AsyncIterator[AsyncConnection]:
                discord.writes()
                async with write(database) as connection:
                    yield connection

            monkeypatch.setattr(Database, "write", noted)
            yield discord
        assert not server.unknown_requests


# What can go wrong: each makes the same use, maybe several times, and returns the interactions that must be answered


async def nothing_wrong(_: Discord, place: Place, use: Uses) -> list[Interaction]:
    return [use(place)]


async def refused_callback(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """The acknowledgement comes too late; the member tries again."""
    before = await place.state()
    discord.server.fail_next("POST", CALLBACK, 404, {"code": 10062, "message": "Unknown interaction"})
    refused = len(discord.server.requests)
    discord.unwatch(use(place))
    await discord.server.until(lambda: any("/callback" in each.call.path for each in discord.server.requests[refused:]))
    assert await place.state() == before, "changed though the acknowledgement was refused"
    return [use(place)]


async def lost_confirmation(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord takes the acknowledgement, but its confirmation is lost; the member does the same again."""
    discord.server.cut_next("POST", CALLBACK, takes_effect=True)
    first = use(place)
    await discord.answered(first)
    return [first, use(place)]


async def lost_acknowledgement(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """A proxy answers 502 although Discord took the acknowledgement."""
    discord.server.inject("POST", CALLBACK, request_fault.html(502).carried_out())
    first = use(place)
    await discord.answered(first)
    return [first, use(place)]


async def lost_answer(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """The answer that follows the acknowledgement never arrives; the member does the same again."""
    plan = discord.server.inject("POST|PATCH", FOLLOW_UP, request_fault.refusal(404, 10015))
    use(place)
    await discord.server.until(lambda: plan.times < 1)
    return [use(place)]


async def same_event_twice(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    first = use(place)
    discord.server.replay(first)
    await discord.answered(first)
    discord.server.replay(first)
    return [first]


async def double_click(_: Discord, place: Place, use: Uses) -> list[Interaction]:
    return [use(place), use(place)]


async def locked_database(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Another program holds the write lock; the member, who sees no answer, does the same again."""
    async with discord.locked():
        both = [use(place)]
        await discord.server.until(lambda: both[0].acknowledged is not None)
        both.append(use(place))
        await discord.server.until(lambda: both[1].acknowledged is not None)
        assert [each.text for each in both if each.answered] == []
    return both


FAULTS = [
    refused_callback,
    lost_confirmation,
    lost_acknowledgement,
    lost_answer,
    same_event_twice,
    double_click,
    locked_database,
]
Fault: TypeAlias = Callable[[Discord, Place, Uses], Awaitable[list[Interaction]]]


async def left_by(discord: Discord, change: Change, fault: Fault) -> dict[str, Any]:
    """What the use leaves behind under a fault; everyone who is waiting has been answered, and only then."""
    place = await discord.place(change)
    await discord.answered(*await fault(discord, place, lambda place: discord.watch(change.use(place))))
    return await place.state()


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_changed_twice_nor_before_it_is_acknowledged(discord: Discord, fault: Fault) -> None:
    wrong = {}
    for change in CHANGES:
        expected = await left_by(discord, change, nothing_wrong)
        found = await left_by(discord, change, fault)
        if found != expected:
            wrong[change.name] = (found, expected)
    assert wrong == {}
    assert discord.early == []


# Nothing is left out


async def test_every_command_is_known_to_change_something_or_only_to_read(discord: Discord) -> None:
    found = {
        each.qualified_name
        for each in discord.app.client.tree.walk_commands()
        if isinstance(each, app_commands.Command)
    }
    assert found == READING | {each.name[1:] for each in CHANGES if each.name.startswith("/")}


def test_every_button_that_changes_something_is_tried() -> None:
    pressed = [*buttons.ALL, *member_buttons.ALL, *status_buttons.ALL]
    changing = {each for each in pressed if getattr(each, "changes", False)}
    assert changing == {*member_buttons.ALL} - {member_buttons.QuizMe}
    actions = {*status_buttons.ACTIONS, *status_buttons.ACTIONS_ON_NEXT}
    assert {f"button {each}" for each in actions} < {each.name for each in CHANGES}
