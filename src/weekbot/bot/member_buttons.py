"""Buttons by which members work through a week: finished, quiz, and what is kept about them."""

from weekbot.bot import cards, custom_ids, member_cards
from weekbot.bot.answers import Interaction, member_language, redraw, show
from weekbot.bot.buttons import Pressed
from weekbot.bot.services import Services
from weekbot.content.library import Library, reading_order
from weekbot.content.model import EVERYTHING, Topic
from weekbot.errors import WeekbotError
from weekbot.progress import record_of, row_of
from weekbot.store.members import Progress


class QuizChangedError(WeekbotError):
    """This quiz has changed since. Press *Quiz me* again."""


async def _kept(services: Services, library: Library, member_id: int, topic: Topic) -> tuple[list[Progress], Progress]:
    """All that is kept about the member, and what of the library's topic; under whatever name it stands there."""
    kept = await services.members.of(member_id)
    return kept, row_of(kept, library, topic) or Progress(member_id, topic.slug)


class Finished(Pressed, template=custom_ids.FINISHED):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, services = self.topic(library), interaction.client.services
        _, before = await _kept(services, library, interaction.user.id, topic)
        now = services.clock.now()
        if before.finished_at is None:
            await services.members.add(Progress(before.member_id, before.topic, finished_at=now))
        kept, row = await _kept(services, library, interaction.user.id, topic)
        new = before.finished_at is None and row.finished_at == now
        record = record_of(kept, library, now, reading_order(library.tracks[EVERYTHING], topic.slug))
        card = member_cards.finished(member_language(interaction), topic, row, record, new=new)
        await show(interaction, card, private=True)


class TakeBack(Pressed, template=custom_ids.TAKE_BACK):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, services = self.topic(library), interaction.client.services
        _, row = await _kept(services, library, interaction.user.id, topic)
        await services.members.take_back(interaction.user.id, row.topic)
        await redraw(interaction, member_cards.taken_back(member_language(interaction), topic))


class QuizMe(Pressed, template=custom_ids.QUIZ):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        await show(interaction, member_cards.quiz(member_language(interaction), self.topic(library)), private=True)


class QuizAnswer(Pressed, template=custom_ids.ANSWER):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, services = self.topic(library), interaction.client.services
        asked, chosen = topic.body.quiz, int(self.match["answer"])
        if self.match["quiz"] != member_cards.quiz_digest(asked):
            raise QuizChangedError
        _, before = await _kept(services, library, interaction.user.id, topic)
        now = services.clock.now()
        if before.quiz_at is None:
            right = chosen == asked.right
            await services.members.add(Progress(before.member_id, before.topic, quiz_right=right, quiz_at=now))
        _, row = await _kept(services, library, interaction.user.id, topic)
        new = before.quiz_at is None and row.quiz_at == now
        await redraw(interaction, member_cards.quiz_result(member_language(interaction), topic, chosen, new=new))


class Forget(Pressed, template=custom_ids.FORGET):
    async def answer(self, interaction: Interaction, _: Library) -> None:
        tr = member_language(interaction)
        text = tr("Nothing was deleted.")
        if self.match["sure"] == "yes":
            await interaction.client.services.members.forget(interaction.user.id)
            text = tr("Deleted. Nothing is kept about you any more.")
        await redraw(interaction, cards.note(text))


ALL = [Finished, TakeBack, QuizMe, QuizAnswer, Forget]
