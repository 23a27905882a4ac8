"""`weekbot content republish`: posts of a corrected topic are edited, in processes of their own, over real HTTP."""

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
RED = "A small core for web applications, corrected."


@dataclass
class Press:
    """A Discord, a database and a content folder, with posts of Flask in it; and the command."""

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
        """A post of the topic in each channel, as the bot sent and recorded it; earlier versions recorded no form."""
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
        lines[[line.startswith("summary:") for line in lines].index(True)] = f"summary: {RED}"
        path.write_text("\n".join(lines), "utf-8")

    def corrected(self) -> int:
        return sum(RED in message.text for message in self.posts)

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
        """What the command says, which is no traceback."""
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
    """The request by which discord.py sends the message."""
    view = message["view"]
    embeds = [embed.to_dict() for embed in message.get("embeds", [])]
    flags = int(Flag.COMPONENTS_V2) if view.has_components_v2() else 0
    body = {"components": view.to_components(), "flags": flags, "embeds": embeds}
    return body | {"content": message.get("content")}


@pytest.fixture
async def press(tmp_path: Path) -> AsyncIterator[Press]:
    shutil.copytree(CONTENT, tmp_path / "content")
    database = Database(f"sqlite:///{tmp_path / 'weekbot.db'}")
    await database.upgrade()
    async with DiscordServer() as server:
        server.changes.timeout = 120
        yield Press(server, server.add_guild("Pythonistas"), database, tmp_path)
        assert not server.unknown_requests
    await database.close()


def channels(press: Press, count: int) -> list[Channel]:
    return [press.guild.add_text_channel(f"weekly-{number}") for number in range(count)]


def shown_before(posts: Sequence[Message]) -> list[list[str]]:
    return [message.custom_ids for message in posts]


async def test_two_hundred_copies_are_edited_once_within_the_budget_also_after_a_kill(press: Press) -> None:
    await press.post_flask(*channels(press, 200))
    custom_ids = shown_before(press.posts)
    press.correct()
    first = await press.start("flask")
    await press.server.until(lambda: press.corrected() >= 50, "a quarter of the copies")
    first.kill()
    await first.communicate()
    by_the_first = press.edited()
    assert "copies to edit" in await press.republish()
    assert press.corrected() == 200
    assert shown_before(press.posts) == custom_ids
    assert 200 <= press.edited() <= 200 + by_the_first
    assert press.server.report()["rate_limited"] == 0
    again = press.edited()
    assert "0 copies to edit" in await press.republish()
    assert press.edited() == again


async def test_a_dry_run_counts_and_needs_no_token(press: Press) -> None:
    await press.post_flask(*channels(press, 3))
    press.correct()
    said = await press.republish("flask", "--dry-run", WEEKBOT_DISCORD_TOKEN="")
    assert "Flask was posted 3 times; 3 copies to edit." in said
    assert (press.edited(), press.corrected()) == (0, 0)


async def test_a_topic_that_was_not_changed_is_not_edited(press: Press) -> None:
    await press.post_flask(*channels(press, 2))
    assert "Flask was posted 2 times; 0 copies to edit." in await press.republish()
    assert press.edited() == 0


async def test_a_copy_whose_version_was_not_recorded_is_edited_once(press: Press) -> None:
    await press.post_flask(*channels(press, 1), recorded=False)
    assert "1 edited." in await press.republish()
    assert "0 copies to edit" in await press.republish()
    assert press.edited() == 1


async def test_copies_of_both_forms_are_edited_in_their_own_and_those_who_follow_read_it(press: Press) -> None:
    """One was posted by a version that knew a single form, and two were found in the history."""
    for form in PostForm:
        await press.post_flask(*channels(press, 2), form=form)
        await press.post_flask(*channels(press, 1), form=form, recorded=False)
    await press.post_flask(*channels(press, 1), form_recorded=False)
    follower = press.guild.add_text_channel("follower")
    published = next(message for message in press.posts if message.embeds)
    Follower(follower, press.server.world.bot).repeat(published)
    forms = [Flag.COMPONENTS_V2 in message.flags for message in press.posts]
    custom_ids = shown_before(press.posts)
    press.correct()
    assert "Flask was posted 7 times; 7 copies to edit." in await press.republish("flask", "--dry-run")
    assert "7 edited." in await press.republish()
    assert press.corrected() == press.edited() == 7
    assert [Flag.COMPONENTS_V2 in message.flags for message in press.posts] == forms
    assert shown_before(press.posts) == custom_ids
    assert [RED in message.text for message in press.server.messages_in(follower)] == [True]
    assert "0 copies to edit" in await press.republish()
    assert press.edited() == 7


async def test_copies_of_both_forms_that_were_not_changed_are_not_edited(press: Press) -> None:
    for form in PostForm:
        await press.post_flask(*channels(press, 1), form=form)
    await press.post_flask(*channels(press, 1), form_recorded=False)
    assert "Flask was posted 3 times; 0 copies to edit." in await press.republish()
    assert press.edited() == 0


async def test_a_copy_posted_under_an_older_name_is_found_by_the_alias(press: Press) -> None:
    await press.post_flask(*channels(press, 1), topic="microframework")
    press.correct()
    assert "1 edited." in await press.republish()
    assert press.corrected() == 1


async def test_an_edit_pings_nobody(press: Press) -> None:
    await press.post_flask(*channels(press, 1))
    press.correct()
    await press.republish()
    [request] = press.server.sent("PATCH", EDITS)
    assert request.call.body["allowed_mentions"] == {"parse": []}


async def test_a_copy_that_was_deleted_is_done_with(press: Press) -> None:
    await press.post_flask(*channels(press, 2))
    press.posts[0].delete()
    press.correct()
    assert "2 edited." in await press.republish()
    assert "0 copies to edit" in await press.republish()


async def test_a_refused_copy_is_named_and_tried_again_by_the_next_run(press: Press) -> None:
    closed, opened = channels(press, 2)
    await press.post_flask(closed, opened)
    press.correct()
    closed.forbid(Permission.VIEW_CHANNEL)
    said = await press.republish(exit_code=1)
    assert "1 edited." in said
    [line] = [line for line in said.splitlines() if "not corrected: weekbot cannot see the channel" in line]
    assert f"channel={closed.id}" in line
    assert "1 copies still show another text" in said
    closed.overwrites.clear()
    assert "1 edited." in await press.republish()


async def test_a_post_in_an_archived_forum_thread_is_edited_and_archived_again(press: Press) -> None:
    forum = press.guild.add_forum("showcase")
    bot = press.server.world.bot
    thread = Thread.open(forum, bot, press.server.world.snowflakes.next(), {"name": "This week: Flask"})
    thread.publish()
    await press.post_flask(thread)
    thread.edit({"archived": True})
    press.correct()
    assert "1 edited." in await press.republish()
    assert press.corrected() == 1
    assert thread.archived


async def test_an_edit_whose_answer_was_lost_is_made_again(press: Press) -> None:
    await press.post_flask(*channels(press, 2))
    press.correct()
    press.server.cut_next("PATCH", r"/messages/\d+$", takes_effect=True)
    process = await press.start("flask")
    await press.server.until(lambda: press.corrected() == 2, "both copies")
    process.kill()
    await process.communicate()
    await press.republish()
    assert "0 copies to edit" in await press.republish()


async def test_the_running_bot_edits_them_itself(press: Press) -> None:
    await press.post_flask(*channels(press, 5))
    async with press.bot_running():
        press.correct()
        said = await press.republish()
    assert "it edits them itself" in said
    assert "5 edited." in said
    assert (press.corrected(), press.edited()) == (5, 5)


async def test_a_bot_that_starts_meanwhile_goes_on_with_it(press: Press) -> None:
    await press.post_flask(*channels(press, 150))
    press.correct()
    process = await press.start("flask", WEEKBOT_REQUESTS_PER_SECOND="10")
    await press.server.until(lambda: press.corrected() >= 10, "some copies")
    async with press.bot_running():
        said, errors = await process.communicate()
    assert (process.returncode, press.corrected()) == (0, 150), errors.decode()
    assert "150 edited." in said.decode()


async def test_copies_in_a_server_that_was_left_are_left_alone(press: Press) -> None:
    await press.post_flask(*channels(press, 1))
    await Guilds(press.database).mark_left([press.guild.id], MONDAY)
    press.correct()
    assert "Flask was posted 0 times" in await press.republish()


async def test_a_topic_that_is_none_is_a_sentence(press: Press) -> None:
    assert "There is no topic flsk; did you mean flask, " in await press.republish("flsk", exit_code=1)


async def test_a_wrong_token_is_a_sentence(press: Press) -> None:
    await press.post_flask(*channels(press, 1))
    press.correct()
    said = await press.republish("flask", exit_code=1, WEEKBOT_DISCORD_TOKEN="wrong")
    assert "Discord does not accept WEEKBOT_DISCORD_TOKEN" in said
    assert await Republication(press.database).next_at() is None


async def test_a_second_bot_on_the_same_database_is_refused(press: Press) -> None:
    async with press.bot_running():
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, str(RUN_AT), "0"),
            env=press.environment,
            cwd=press.folder,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await second.communicate()
    assert second.returncode == 1
    assert "Another weekbot is running with this database" in errors.decode()
