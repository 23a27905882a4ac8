"""`weekbot content republish` as a process: edits the posts of a corrected topic over real HTTP."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Flag, Guild, Message, Permission
from discord_server.follower import Follower
from discord_server.thread import Thread
from fakes import MONDAY
from processes import RUN_AT
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.content.loading.folder import load_library
from weekbot.db.database import Database
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Plan, PostForm
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.guilds import Guilds
from weekbot.store.republication import Republication
from weekbot.store.subscriptions import Subscriptions

pytestmark = pytest.mark.chaos

EDITS = "/channels/{channel_id}/messages/{message_id}"
CORRECTED = "A small core for web applications, corrected."


@dataclass
class Republisher:
    """Runs the command with a Discord, a database and a content folder with posts of Flask."""

    server: DiscordServer
    guild: Guild
    database: Database
    folder: Path
    posts: list[Message] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "WEEKBOT_CONTENT_DIR": str(self.folder / "content"),
            "WEEKBOT_DATABASE_URL": f"sqlite:///{self.folder / 'weekbot.db'}",
            "WEEKBOT_DISCORD_API_URL": self.server.api_url,
            "WEEKBOT_DISCORD_GATEWAY_URL": self.server.gateway_url,
            "WEEKBOT_DISCORD_TOKEN": self.server.token,
        }

    async def post_flask(
        self,
        *channels: Channel,
        topic: str = "flask",
        recorded: bool = True,
        form: PostForm = PostForm.COMPONENTS,
        form_recorded: bool = True,
    ) -> None:
        """Add a sent and recorded post to each channel; earlier versions recorded no form."""
        library, cards = load_library(CONTENT), RenderedPosts()
        subscriptions, deliveries = Subscriptions(self.database), Deliveries(self.database)
        for channel in channels:
            subscription = (await subscriptions.put(self.guild.id, channel.id, self._build(channel))).after
            delivery = await deliveries.claim_manual(
                subscription, lambda *_: Plan(topic, 1), MONDAY, timedelta(seconds=1)
            )
            assert delivery is not None
            flask = library.topics["flask"]
            post = body_of(cards.render(flask, delivery.id, None, None, form))
            message = channel.post(self.server.world.bot, post)
            version = cards.version(flask, None, form) if recorded else None
            known_form = form if recorded and form_recorded else None
            await deliveries.record_sent(delivery, message.id, channel.id, [], MONDAY, version, known_form)
            self.posts.append(message)

    def _build(self, channel: Channel) -> Any:
        def build(current: Subscription | None, timezone: str) -> Subscription:
            return subscription_rules.subscribe(current, self.guild.id, channel.id, timezone, Choices(), MONDAY)

        return build

    def correct(self) -> None:
        """Save another summary in Flask's file."""
        path = self.folder / "content" / "topics" / "flask.md"
        lines = path.read_text("utf-8").split("\n")
        lines[[line.startswith("summary:") for line in lines].index(True)] = f"summary: {CORRECTED}"
        path.write_text("\n".join(lines), "utf-8")

    def corrected(self) -> int:
        return sum(CORRECTED in message.text for message in self.posts)

    def edited(self) -> int:
        return len(self.server.sent("PATCH", EDITS))

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "weekbot", "content", "republish", *arguments)
        return await asyncio.create_subprocess_exec(
            *command,
            env=self.environment | environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def republish(self, *arguments: str, exit_code: int = 0, **environment: str) -> str:
        """Run the command, and return its output without a traceback."""
        process = await self.start(*(arguments or ("flask",)), **environment)
        output, errors = (text.decode() for text in await process.communicate())
        assert process.returncode == exit_code, errors
        assert "Traceback" not in errors
        return output + errors

    @asynccontextmanager
    async def bot_running(self) -> AsyncIterator[None]:
        bot = await asyncio.create_subprocess_exec(
            sys.executable, str(RUN_AT), "0", "0.5", env=self.environment, cwd=self.folder
        )
        try:
            await self.server.ready()
            yield
        finally:
            bot.send_signal(signal.SIGTERM)
            assert await bot.wait() == 0


def body_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return the request body with which discord.py sends the message."""
    view = message["view"]
    embeds = [embed.to_dict() for embed in message.get("embeds", [])]
    flags = int(Flag.COMPONENTS_V2) if view.has_components_v2() else 0
    body = {"components": view.to_components(), "flags": flags, "embeds": embeds}
    return body | {"content": message.get("content")}


@pytest.fixture
async def republisher(tmp_path: Path) -> AsyncIterator[Republisher]:
    shutil.copytree(CONTENT, tmp_path / "content")
    database = Database(f"sqlite:///{tmp_path / 'weekbot.db'}")
    await database.upgrade()
    async with DiscordServer() as server:
        server.changes.timeout = 120
        yield Republisher(server, server.add_guild("Pythonistas"), database, tmp_path)
        assert not server.unknown_requests
    await database.close()


def channels(republisher: Republisher, count: int) -> list[Channel]:
    return [republisher.guild.add_text_channel(f"weekly-{number}") for number in range(count)]


def custom_ids_of(posts: Sequence[Message]) -> list[list[str]]:
    return [message.custom_ids for message in posts]


async def test_two_hundred_posts_are_edited_within_the_rate_limit_despite_a_kill(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 200))
    custom_ids = custom_ids_of(republisher.posts)
    republisher.correct()
    first = await republisher.start("flask")
    await republisher.server.until(lambda: republisher.corrected() >= 50, "a quarter of the posts")
    first.kill()
    await first.communicate()
    edited_first = republisher.edited()
    assert "copies to edit" in await republisher.republish()
    assert republisher.corrected() == 200
    assert custom_ids_of(republisher.posts) == custom_ids
    assert 200 <= republisher.edited() <= 200 + edited_first
    assert republisher.server.report()["rate_limited"] == 0
    before = republisher.edited()
    assert "0 copies to edit" in await republisher.republish()
    assert republisher.edited() == before


async def test_a_dry_run_counts_the_posts_without_a_token(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 3))
    republisher.correct()
    output = await republisher.republish("flask", "--dry-run", WEEKBOT_DISCORD_TOKEN="")
    assert "Flask was posted 3 times; 3 copies to edit." in output
    assert (republisher.edited(), republisher.corrected()) == (0, 0)


async def test_posts_of_an_unchanged_topic_are_not_edited(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 2))
    assert "Flask was posted 2 times; 0 copies to edit." in await republisher.republish()
    assert republisher.edited() == 0


async def test_a_post_without_a_recorded_version_is_edited_once(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 1), recorded=False)
    assert "1 edited." in await republisher.republish()
    assert "0 copies to edit" in await republisher.republish()
    assert republisher.edited() == 1


async def test_posts_are_edited_in_their_own_form_and_in_following_channels(republisher: Republisher) -> None:
    """One post was sent by a version with a single form, and two were found in the history."""
    for form in PostForm:
        await republisher.post_flask(*channels(republisher, 2), form=form)
        await republisher.post_flask(*channels(republisher, 1), form=form, recorded=False)
    await republisher.post_flask(*channels(republisher, 1), form_recorded=False)
    follower = republisher.guild.add_text_channel("follower")
    published = next(message for message in republisher.posts if message.embeds)
    Follower(follower, republisher.server.world.bot).repeat(published)
    forms = [Flag.COMPONENTS_V2 in message.flags for message in republisher.posts]
    custom_ids = custom_ids_of(republisher.posts)
    republisher.correct()
    assert "Flask was posted 7 times; 7 copies to edit." in await republisher.republish("flask", "--dry-run")
    assert "7 edited." in await republisher.republish()
    assert republisher.corrected() == republisher.edited() == 7
    assert [Flag.COMPONENTS_V2 in message.flags for message in republisher.posts] == forms
    assert custom_ids_of(republisher.posts) == custom_ids
    assert [CORRECTED in message.text for message in republisher.server.messages_in(follower)] == [True]
    assert "0 copies to edit" in await republisher.republish()
    assert republisher.edited() == 7


async def test_unchanged_posts_of_both_forms_are_not_edited(republisher: Republisher) -> None:
    for form in PostForm:
        await republisher.post_flask(*channels(republisher, 1), form=form)
    await republisher.post_flask(*channels(republisher, 1), form_recorded=False)
    assert "Flask was posted 3 times; 0 copies to edit." in await republisher.republish()
    assert republisher.edited() == 0


async def test_a_post_with_an_older_topic_name_is_found_by_the_alias(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 1), topic="microframework")
    republisher.correct()
    assert "1 edited." in await republisher.republish()
    assert republisher.corrected() == 1


async def test_an_edit_pings_nobody(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 1))
    republisher.correct()
    await republisher.republish()
    [request] = republisher.server.sent("PATCH", EDITS)
    assert request.call.body["allowed_mentions"] == {"parse": []}


async def test_a_deleted_post_counts_as_edited(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 2))
    republisher.posts[0].delete()
    republisher.correct()
    assert "2 edited." in await republisher.republish()
    assert "0 copies to edit" in await republisher.republish()


async def test_a_refused_edit_is_reported_and_retried_by_the_next_run(republisher: Republisher) -> None:
    closed, opened = channels(republisher, 2)
    await republisher.post_flask(closed, opened)
    republisher.correct()
    closed.forbid(Permission.VIEW_CHANNEL)
    output = await republisher.republish(exit_code=1)
    assert "1 edited." in output
    [line] = [line for line in output.splitlines() if "not corrected: weekbot cannot see the channel" in line]
    assert f"channel={closed.id}" in line
    assert "1 copies still show another text" in output
    closed.overwrites.clear()
    assert "1 edited." in await republisher.republish()


async def test_a_post_in_an_archived_forum_thread_is_edited_and_archived_again(republisher: Republisher) -> None:
    forum = republisher.guild.add_forum("showcase")
    bot = republisher.server.world.bot
    thread = Thread.open(forum, bot, republisher.server.world.snowflakes.next(), {"name": "This week: Flask"})
    thread.publish()
    await republisher.post_flask(thread)
    thread.edit({"archived": True})
    republisher.correct()
    assert "1 edited." in await republisher.republish()
    assert republisher.corrected() == 1
    assert thread.archived


async def test_an_edit_with_a_lost_response_is_repeated(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 2))
    republisher.correct()
    republisher.server.cut_next("PATCH", r"/messages/\d+$", takes_effect=True)
    process = await republisher.start("flask")
    await republisher.server.until(lambda: republisher.corrected() == 2, "both posts")
    process.kill()
    await process.communicate()
    await republisher.republish()
    assert "0 copies to edit" in await republisher.republish()


async def test_a_running_bot_edits_the_posts(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 5))
    async with republisher.bot_running():
        republisher.correct()
        output = await republisher.republish()
    assert "it edits them itself" in output
    assert "5 edited." in output
    assert (republisher.corrected(), republisher.edited()) == (5, 5)


async def test_a_bot_that_starts_meanwhile_continues_the_republication(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 150))
    republisher.correct()
    process = await republisher.start("flask", WEEKBOT_REQUESTS_PER_SECOND="10")
    await republisher.server.until(lambda: republisher.corrected() >= 10, "some posts")
    async with republisher.bot_running():
        output, errors = await process.communicate()
    assert (process.returncode, republisher.corrected()) == (0, 150), errors.decode()
    assert "150 edited." in output.decode()


async def test_posts_in_a_left_server_are_not_edited(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 1))
    await Guilds(republisher.database).mark_left([republisher.guild.id], MONDAY)
    republisher.correct()
    assert "Flask was posted 0 times" in await republisher.republish()


async def test_an_unknown_topic_is_a_one_sentence_error(republisher: Republisher) -> None:
    assert "There is no topic flsk; did you mean flask, " in await republisher.republish("flsk", exit_code=1)


async def test_an_invalid_token_is_a_one_sentence_error(republisher: Republisher) -> None:
    await republisher.post_flask(*channels(republisher, 1))
    republisher.correct()
    output = await republisher.republish("flask", exit_code=1, WEEKBOT_DISCORD_TOKEN="wrong")
    assert "Discord does not accept WEEKBOT_DISCORD_TOKEN" in output
    assert await Republication(republisher.database).next_at() is None


async def test_a_second_bot_on_the_same_database_is_refused(republisher: Republisher) -> None:
    async with republisher.bot_running():
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, str(RUN_AT), "0"),
            env=republisher.environment,
            cwd=republisher.folder,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await second.communicate()
    assert second.returncode == 1
    assert "Another weekbot is running with this database" in errors.decode()
