"""Wires what members see: commands, buttons and event handlers, all added to the client."""

from weekbot.bot.buttons.routing import ButtonRouter
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.bot.commands import all_commands
from weekbot.bot.gateway.client import Weekbot
from weekbot.bot.gateway.command_tree import CommandTree
from weekbot.bot.home_channel import HomeChannel
from weekbot.bot.lateness import Lateness
from weekbot.bot.member_progress import MemberProgress
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.bot.moderation import Moderation
from weekbot.bot.repositories import Repositories
from weekbot.bot.services import Services
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.upcoming_topics import UpcomingTopics
from weekbot.bot.weekly_overview import WeeklyOverview
from weekbot.delivery.manual import ManualDeliveries
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.runtime.clock import Clock


def add_interface(
    client: Weekbot,
    store: Repositories,
    lookup: TopicLookup,
    *,
    manual: ManualDeliveries,
    renderer: RenderedPosts,
    checks: ChannelChecks,
    lateness: Lateness,
    home_channel_id: int | None,
    metrics: UsageMetrics,
    clock: Clock,
) -> CommandTree:
    """Add the commands and buttons to the client. Returns the commands."""
    upcoming = UpcomingTopics(lookup.library, store.deliveries)
    home_channel = HomeChannel(client, home_channel_id, store.follows, clock)
    services = Services(
        store=store,
        lookup=lookup,
        upcoming=upcoming,
        progress=MemberProgress(lookup.library, store, clock),
        moderation=Moderation(store, manual, renderer, upcoming, lookup, clock),
        overview=WeeklyOverview(store, checks, home_channel, upcoming, lookup, lateness),
        home_channel=home_channel,
    )
    client.event(ButtonRouter(services).on_interaction)
    commands = all_commands(lambda: services, has_home_channel=home_channel_id is not None)
    return CommandTree(client, commands, metrics)
