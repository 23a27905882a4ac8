"""What commands and buttons work with."""

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.bot.cards.topic_cards import Card
from weekbot.bot.footnotes import Footnotes
from weekbot.bot.guild_registry import GuildRegistry
from weekbot.bot.home_channel import Following
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.bot.pinged_roles import PingedRoles
from weekbot.bot.place import Place, place_of
from weekbot.bot.responses import Interaction, server_of
from weekbot.bot.welcome import Welcome
from weekbot.content.library import Library
from weekbot.content.model import Topic, translated
from weekbot.delivery.manual import ManualDeliveries
from weekbot.delivery.reopening import Reopening
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.planning import coming_topic
from weekbot.domain.progress import UTC_ZONE
from weekbot.domain.subscriptions import Subscription
from weekbot.domain.unreadable_options import zone_named
from weekbot.i18n.language import Language
from weekbot.runtime.clock import Clock
from weekbot.store.deliveries import Deliveries
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions


@dataclass(frozen=True)
class Services:
    library: Callable[[], Library]
    subscriptions: Subscriptions
    deliveries: Deliveries
    footnotes: Footnotes
    steps: Steps
    post_cards: RenderedPosts
    guilds: Guilds
    members: Members
    manual: ManualDeliveries
    inspection: ChannelChecks
    membership: GuildRegistry
    welcome: Welcome
    pinged_roles: PingedRoles
    reopening: Reopening
    following: Following
    improvement: Callable[[Topic, str], str | None]
    usage: UsageMetrics
    clock: Clock

    def title(self, tr: Language, slug: str) -> str:
        """The topic's title, also where it was renamed since; its slug where it has left the content."""
        topic = self.library().find(slug)
        return translated(topic, tr.locale).title if topic else slug

    async def effective_channel(self, place: Place, *, ended_too: bool = False) -> int:
        """The id of the channel whose subscription applies to the place."""
        return await self.subscriptions.effective_channel(place.channel_id, place.parent_id, ended_too=ended_too)

    async def zone_of(self, guild_id: int | None) -> ZoneInfo:
        """The server's time zone; UTC outside of servers, or if it can't be read."""
        settings = await self.guilds.settings(guild_id) if guild_id else GuildSettings()
        return zone_named(settings.timezone) or UTC_ZONE

    async def lookup(self, tr: Language, library: Library, topic: Topic, place: Place) -> Card:
        """The topic's card; its footnote says when and where this channel had it, if the database answers in time."""
        had = await self.footnotes.of(library, topic, place)
        return topic_cards.lookup(tr, topic, library.related(topic), had, self.improvement(topic, tr.locale))

    async def coming_topic(self, subscription: Subscription) -> Topic:
        """The topic of the subscription's next post."""
        had = await self.deliveries.used_topics(subscription)
        library = self.library()
        return library.topics[coming_topic(library, subscription, had).topic]


async def channel_here(interaction: Interaction, services: Services) -> object:
    """The channel that a command was used in; for the thread of a post, that post's channel."""
    here, id_ = interaction.channel, await services.effective_channel(place_of(interaction))
    return here if here is None or here.id == id_ else server_of(interaction).get_channel(id_) or here
