"""A member's progress: topics finished, quizzes answered, and everything stored about the member."""

from collections.abc import Callable
from dataclasses import dataclass

from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.repositories import Repositories
from weekbot.bot.responses import Interaction
from weekbot.content.library import Library, reading_order
from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.planning import order_of
from weekbot.domain.progress import UTC_ZONE, Progress, ProgressSummary, RecordedProgress, summarize_progress
from weekbot.domain.unreadable_options import zone_named
from weekbot.runtime.clock import Clock


@dataclass(frozen=True)
class MemberProgress:
    """Every method records or reads the progress of the member who sent the interaction."""

    library: Callable[[], Library]
    store: Repositories
    clock: Clock

    async def finish(self, interaction: Interaction, topic: Topic) -> tuple[RecordedProgress, ProgressSummary]:
        """Record that the member has finished the topic; the first time counts."""
        library, now = self.library(), self.clock.now()
        kept = await self._add(interaction, topic, Progress(interaction.user.id, topic.slug, finished_at=now))
        order = reading_order(library.tracks[EVERYTHING], topic.slug)
        return kept, summarize_progress(kept.rows, library, now, order, kept.zone)

    async def answer_quiz(self, interaction: Interaction, topic: Topic, *, right: bool) -> RecordedProgress:
        """Record an answer to the topic's quiz; the first one counts."""
        answer = Progress(interaction.user.id, topic.slug, quiz_right=right, quiz_at=self.clock.now())
        return await self._add(interaction, topic, answer)

    async def take_back(self, interaction: Interaction, topic: Topic) -> None:
        library, member_id = self.library(), interaction.user.id
        for row in await self.store.members.of(member_id):
            if library.find(row.topic) is topic:
                await self.store.members.take_back(member_id, row.topic)

    async def record(self, interaction: Interaction) -> ProgressSummary:
        """Return the member's record; the next topic follows the order of the channel's track."""
        channel_id = await self.store.subscriptions.effective_channel(*channel_ref(interaction))
        subscription = await self.store.subscriptions.of_channel(channel_id)
        rows, library = await self.store.members.of(interaction.user.id), self.library()
        order = order_of(library, subscription.options) if subscription and subscription.active else None
        settings = await self.store.guilds.settings(interaction.guild_id) if interaction.guild_id else GuildSettings()
        return summarize_progress(rows, library, self.clock.now(), order, zone_named(settings.timezone) or UTC_ZONE)

    async def _add(self, interaction: Interaction, topic: Topic, progress: Progress) -> RecordedProgress:
        """Record progress on the topic, which may be stored under a former name."""
        library = self.library()
        return await self.store.members.add(
            progress, lambda name: library.find(name) is topic, interaction.guild_id, interaction.created_at
        )
