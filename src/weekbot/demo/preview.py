"""`weekbot content preview`: a topic as Discord shows it, updated whenever its file is saved."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path

import discord

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.card import note, problems
from weekbot.bot.cards.post_renderer import PREVIEW_ID, RenderedPosts
from weekbot.content.library import Library
from weekbot.content.loading.folder import Draft, read_draft
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.content.model import Topic
from weekbot.demo.simulation import serve_page, simulate, text_channel
from weekbot.discord_io.sender import MessageArguments
from weekbot.domain.deliveries import PostForm
from weekbot.i18n.language import Language, language_of
from weekbot.runtime.clock import FastClock
from weekbot.runtime.signals import stop_signal
from weekbot.runtime.tasks import wait_for_first


async def preview(directory: Path, name: str, *, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page until SIGINT or SIGTERM; `on_ready` gets its URL. Raises WeekbotError if the port is taken.

    `name` is the slug of a topic, or of a translation such as `flask.de`.
    """
    stop, drawing = stop_signal(), _Drawing(name)
    live = LiveLibrary(directory, drawing.read)
    async with simulate(FastClock(1), live) as (app, env):
        guild = env.create_guild("Preview", shard_id=0)
        channel = guild.create_text_channel(name, topic="Save the file to see it here")
        writer = guild.add_member(env.create_user("writer", global_name="You"))
        shown_in = text_channel(app, channel)
        await drawing.draw(shown_in)
        async with serve_page(env, channel, [writer], port, partial(drawing.follow, live, shown_in)) as page:
            on_ready(page.url)
            await wait_for_first(stop.wait(), page.wait_closed())


class _Drawing:
    """Reads the draft and shows it in a channel; messages whose form stays are edited."""

    draft: Draft

    def __init__(self, name: str) -> None:
        self._name = name
        self._messages: list[discord.Message] = []

    def read(self, directory: Path) -> Library:
        self.draft = read_draft(directory, self._name)
        return self.draft.library

    async def follow(self, live: LiveLibrary, channel: discord.TextChannel) -> None:
        async for _ in live.changes():
            await self.draw(channel)

    async def draw(self, channel: discord.TextChannel) -> None:
        sheet = list(_sheet(self.draft))
        kept = list(takewhile(_can_edit, zip(self._messages, sheet, strict=False)))
        for message in self._messages[len(kept) :]:
            await message.delete()
        for message, content in kept:
            await message.edit(**content)
        new = [await channel.send(**content) for content in sheet[len(kept) :]]
        self._messages = [message for message, _ in kept] + new


def _can_edit(pair: tuple[discord.Message, MessageArguments]) -> bool:
    message, content = pair
    return bool(message.flags.components_v2 == content["view"].has_components_v2())


def _sheet(draft: Draft) -> Iterator[MessageArguments]:
    if draft.problems:
        yield {"view": problems(draft.problems)}
    if draft.topic:
        yield from _posts(draft.topic, draft.locale)
        yield from ({"view": card} for card in _answers(language_of(draft.locale), draft.topic, draft.library))


def _posts(topic: Topic, locale: str | None) -> Iterator[MessageArguments]:
    names = {PostForm.COMPONENTS: "The weekly post", PostForm.EMBED: "The weekly post with `publish`"}
    for form, name in names.items():
        yield {"view": note(f"**{name}**")}
        yield RenderedPosts().render(topic, PREVIEW_ID, None, locale, form)


def _answers(tr: Language, topic: Topic, library: Library) -> Iterator[discord.ui.LayoutView]:
    yield note("**The answer to /framework**")
    yield topic_cards.lookup(tr, topic, library.related(topic))
    yield note("**Its sections**")
    yield from (topic_cards.section(tr, topic, name) for name in topic_cards.section_names(tr, topic))
