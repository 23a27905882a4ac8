"""`weekbot content preview`: a topic as Discord draws it, drawn again whenever its file is saved."""

from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import discord

from weekbot.app import build
from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.card import note, problems
from weekbot.bot.cards.post_renderer import PREVIEW_ID, RenderedPosts
from weekbot.content.library import Library
from weekbot.content.loading.draft import Draft, read_draft
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.content.model import Topic
from weekbot.demo.channel_clock import ChannelClock
from weekbot.demo.live_page import LivePage
from weekbot.demo.simulation import page, settings_of_one_run, simulated, text_channel
from weekbot.discord_io.sender import Arguments
from weekbot.domain.deliveries import PostForm
from weekbot.i18n.language import Language, language_of
from weekbot.runtime.clock import FastClock
from weekbot.runtime.signals import stop_signal
from weekbot.runtime.tasks import first_of


async def preview(directory: Path, name: str, *, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page on the loopback interface until SIGINT or SIGTERM; `on_ready` gets its address.

    `name` is a topic's slug, or a translation's such as `flask.de`. What is wrong with its file stands in place of the
    topic. Raises WeekbotError where the port is taken.
    """
    stop, clock = stop_signal(), FastClock(1)
    channel_clock = ChannelClock(clock)
    drafts = _Drafts(name)
    live = LiveLibrary(directory, drafts.read)
    with settings_of_one_run() as settings:
        async with build(settings, clock, live) as app, simulated(app, channel_clock) as env:
            guild = env.create_guild("Preview", shard_id=0)
            channel = guild.create_text_channel(name, topic="Save the file, and look here")
            writer = guild.add_member(env.create_user("writer", global_name="You"))
            async with page(env, channel, [writer], port) as served:
                drawing = _Drawing(text_channel(app, channel), drafts)
                await drawing.draw()
                async with LivePage(env, served, channel_clock).kept(drawing.follow(live)):
                    on_ready(served.url)
                    await first_of(stop.wait(), served.wait_closed())


class _Drafts:
    """The draft as it was read last."""

    current: Draft

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, directory: Path) -> Library:
        self.current = read_draft(directory, self._name)
        return self.current.library


class _Drawing:
    """Keeps the channel's messages as the draft wants them; those that keep their form are edited in place."""

    def __init__(self, channel: discord.TextChannel, drafts: _Drafts) -> None:
        self._channel = channel
        self._drafts = drafts
        self._messages: list[discord.Message] = []

    async def follow(self, live: LiveLibrary) -> None:
        """Draw after each change, until cancelled."""
        async for _ in live.changes():
            await self.draw()

    async def draw(self) -> None:
        sheet = list(_sheet(self._drafts.current))
        kept = list(takewhile(_fits, zip(self._messages, sheet, strict=False)))
        for message in self._messages[len(kept) :]:
            await message.delete()
        for message, content in kept:
            await message.edit(**content)
        self._messages = self._messages[: len(kept)] + [
            await self._channel.send(**content) for content in sheet[len(kept) :]
        ]


def _fits(pair: tuple[discord.Message, Arguments]) -> bool:
    """Whether an edit can make that of the message."""
    message, content = pair
    return bool(message.flags.components_v2 == content["view"].has_components_v2())


def _sheet(draft: Draft) -> Iterator[Arguments]:
    """What is wrong with the topic, and everything that can be seen of it."""
    if draft.problems:
        yield {"view": problems(draft.problems)}
    if draft.topic:
        yield from _posts(draft.topic, draft.locale)
        yield from ({"view": card} for card in _answers(language_of(draft.locale), draft.topic, draft.library))


def _posts(topic: Topic, locale: str | None) -> Iterator[Arguments]:
    """The weekly post in each form."""
    for form, name in {
        PostForm.COMPONENTS: "The weekly post",
        PostForm.EMBED: "The weekly post with `publish`",
    }.items():
        yield {"view": note(f"**{name}**")}
        yield RenderedPosts().stamped(topic, PREVIEW_ID, None, locale, form)


def _answers(tr: Language, topic: Topic, library: Library) -> Iterator[discord.ui.LayoutView]:
    yield note("**The answer to /framework**")
    yield topic_cards.lookup(tr, topic, library.related(topic))
    yield note("**Its sections**")
    yield from (topic_cards.section(tr, topic, name) for name in topic_cards.section_names(tr, topic))
