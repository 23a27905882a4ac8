"""Wires what members see: commands, buttons and event handlers, all added to the client."""

from dataclasses import dataclass

from weekbot.bot.buttons.member_buttons import member_buttons
from weekbot.bot.buttons.panel_buttons import panel_buttons
from weekbot.bot.buttons.routing import ButtonRouter
from weekbot.bot.buttons.topic_buttons import topic_buttons
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.bot.commands import all_commands
from weekbot.bot.commands.topic import TopicServices
from weekbot.bot.commands.weekly import WeeklyServices
from weekbot.bot.gateway.client import Weekbot
from weekbot.bot.gateway.command_tree import CommandTree
from weekbot.bot.home_channel import HomeChannel
from weekbot.bot.member_progress import MemberProgress
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.bot.moderation import Moderation
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.upcoming_topics import UpcomingTopics
from weekbot.bot.weekly_overview import WeeklyOverview
from weekbot.delivery.manual import ManualDeliveries
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.runtime.clock import Clock
from weekbot.store.deliveries import Deliveries
from weekbot.store.follows import Follows
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions


@dataclass(frozen=True, kw_only=True)
class Repositories:
    """The parts of the store that commands and buttons read and write."""

    subscriptions: Subscriptions
    deliveries: Deliveries
    steps: Steps
    guilds: Guilds
    members: Members
    follows: Follows


def add_interface(
    client: Weekbot,
    repositories: Repositories,
    lookup: TopicLookup,
    *,
    manual: ManualDeliveries,
    renderer: RenderedPosts,
    checks: ChannelChecks,
    home_channel_id: int | None,
    metrics: UsageMetrics,
    clock: Clock,
) -> CommandTree:
    """Add the commands and buttons to the client. Returns the commands."""
    subscriptions, deliveries = repositories.subscriptions, repositories.deliveries
    upcoming = UpcomingTopics(lookup.library, deliveries)
    home_channel = HomeChannel(client, home_channel_id, repositories.follows, clock)
    progress = MemberProgress(
        library=lookup.library,
        members=repositories.members,
        subscriptions=subscriptions,
        guilds=repositories.guilds,
        clock=clock,
    )
    moderation = Moderation(
        subscriptions=subscriptions,
        deliveries=deliveries,
        guilds=repositories.guilds,
        manual=manual,
        renderer=renderer,
        upcoming=upcoming,
        lookup=lookup,
        clock=clock,
    )
    overview = WeeklyOverview(
        subscriptions=subscriptions,
        deliveries=deliveries,
        steps=repositories.steps,
        guilds=repositories.guilds,
        checks=checks,
        home_channel=home_channel,
        upcoming=upcoming,
        lookup=lookup,
    )
    buttons = [*topic_buttons(lookup), *member_buttons(progress), *panel_buttons(moderation, overview)]
    client.event(ButtonRouter(buttons).on_interaction)
    topics, weekly = TopicServices(lookup, upcoming, subscriptions), WeeklyServices(moderation, overview, home_channel)
    commands = all_commands(
        lambda: topics, lambda: progress, lambda: weekly, has_home_channel=home_channel_id is not None
    )
    return CommandTree(client, commands, metrics)
