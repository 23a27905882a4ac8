"""Looks topics up for members: by name, with a card for the answer."""

from collections.abc import Callable
from dataclasses import dataclass

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.card import Card
from weekbot.bot.channel_ref import ChannelRef
from weekbot.bot.footnotes import Footnotes
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.content.library import Library
from weekbot.content.model import Topic, translated
from weekbot.i18n.language import Language


@dataclass(frozen=True)
class TopicLookup:
    """`improvement_url` returns the address of a topic's file in a language, if there is one."""

    library: Callable[[], Library]
    footnotes: Footnotes
    improvement_url: Callable[[Topic, str], str | None]
    metrics: UsageMetrics

    def find(self, name: str) -> Topic | None:
        """Find a topic by a name that a member typed, and count the lookup."""
        topic = self.library().find(name)
        self.metrics.looked_up(topic.slug if topic else None)
        return topic

    def title(self, tr: Language, slug: str) -> str:
        """Return the topic's title, even if it was renamed; the slug if it was removed from the content."""
        topic = self.library().find(slug)
        return translated(topic, tr.locale).title if topic else slug

    async def card(self, tr: Language, topic: Topic, channel: ChannelRef) -> Card:
        """Render the topic, with a footnote on its post in the channel if the database answers in time."""
        library = self.library()
        post = await self.footnotes.latest_post(library, topic, channel)
        return topic_cards.lookup(tr, topic, library.related(topic), post, self.improvement_url(topic, tr.locale))
