"""The services that commands and buttons leave their work to."""

from collections.abc import Callable
from dataclasses import dataclass

from weekbot.bot.home_channel import HomeChannel
from weekbot.bot.member_progress import MemberProgress
from weekbot.bot.moderation import Moderation
from weekbot.bot.repositories import Repositories
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.upcoming_topics import UpcomingTopics
from weekbot.bot.weekly_overview import WeeklyOverview


@dataclass(frozen=True, kw_only=True)
class Services:
    store: Repositories
    lookup: TopicLookup
    upcoming: UpcomingTopics
    progress: MemberProgress
    moderation: Moderation
    overview: WeeklyOverview
    home_channel: HomeChannel


# Commands call these when they are used, because `described_commands` has no services.
GetServices = Callable[[], Services]
GetLookup = Callable[[], TopicLookup]
