"""Buttons by which members work through a week: finished, quiz, and what is kept about them."""

from weekbot.bot.buttons.topic_buttons import Pressed
from weekbot.bot.cards import custom_ids, member_cards, topic_cards
from weekbot.bot.responses import Interaction, member_language, redraw, show
from weekbot.content.library import Library, reading_order
from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.progress import Progress, RecordedProgress, summarize_progress
from weekbot.runtime.errors import WeekbotError
from weekbot.store.members import Members


class QuizChangedError(WeekbotError):
    """This quiz has changed. Press *Quiz me* again."""


class FinishedButton(Pressed, template=custom_ids.FINISHED):
    changes = True

    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, services = self.topic(library), interaction.client.services
        now = services.clock.now()
        news = Progress(interaction.user.id, topic.slug, finished_at=now)
        kept = await _add(interaction, library, topic, news)
        order = reading_order(library.tracks[EVERYTHING], topic.slug)
        record = summarize_progress(kept.rows, library, now, order, kept.zone)
        card = member_cards.finished(member_language(interaction), topic, kept.row, record, new=kept.new)
        await show(interaction, card, private=True)


async def _add(interaction: Interaction, library: Library, topic: Topic, news: Progress) -> RecordedProgress:
    """Record the member's progress on the topic, which may be stored under a former name."""
    members: Members = interaction.client.services.members
    return await members.add(
        news, lambda name: library.find(name) is topic, interaction.guild_id, interaction.created_at
    )


class TakeBack(Pressed, template=custom_ids.TAKE_BACK):
    changes = redraws = True

    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, members = self.topic(library), interaction.client.services.members
        for row in await members.of(interaction.user.id):
            if library.find(row.topic) is topic:
                await members.take_back(interaction.user.id, row.topic)
        await redraw(interaction, member_cards.taken_back(member_language(interaction), topic))


class QuizMe(Pressed, template=custom_ids.QUIZ):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        await show(interaction, member_cards.quiz(member_language(interaction), self.topic(library)), private=True)


class QuizAnswer(Pressed, template=custom_ids.ANSWER):
    changes = redraws = True

    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, services = self.topic(library), interaction.client.services
        asked, chosen = topic.body.quiz, int(self.match["answer"])
        if self.match["quiz"] != member_cards.quiz_digest(asked):
            raise QuizChangedError
        right, now = chosen == asked.right, services.clock.now()
        news = Progress(interaction.user.id, topic.slug, quiz_right=right, quiz_at=now)
        kept = await _add(interaction, library, topic, news)
        await redraw(interaction, member_cards.quiz_result(member_language(interaction), topic, chosen, new=kept.new))


class Forget(Pressed, template=custom_ids.FORGET):
    changes = redraws = True

    async def answer(self, interaction: Interaction, _: Library) -> None:
        tr = member_language(interaction)
        text = tr("Nothing was deleted.")
        if self.match["sure"] == "yes":
            await interaction.client.services.members.forget(interaction.user.id, interaction.created_at)
            text = tr("Deleted. No data is stored about you anymore.")
        await redraw(interaction, topic_cards.note(text))


ALL = [FinishedButton, TakeBack, QuizMe, QuizAnswer, Forget]
