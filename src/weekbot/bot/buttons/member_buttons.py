"""Buttons for members: finish a topic, take its quiz, and delete everything stored about them."""

from weekbot.bot.buttons.base import Button, Press, topic_of
from weekbot.bot.cards import custom_ids, member_cards
from weekbot.bot.cards.card import note
from weekbot.bot.responses import Interaction, member_language, redraw, show
from weekbot.bot.services import Services
from weekbot.runtime.errors import WeekbotError


class QuizChangedError(WeekbotError):
    """This quiz has changed. Press *Quiz me* again."""


async def _finish(services: Services, interaction: Interaction, press: Press) -> None:
    topic = topic_of(services, press)
    kept, record = await services.progress.finish(interaction, topic)
    card = member_cards.finished(member_language(interaction), topic, kept.row, record, new=kept.new)
    await show(interaction, card, private=True)


async def _take_back(services: Services, interaction: Interaction, press: Press) -> None:
    topic = topic_of(services, press)
    await services.progress.take_back(interaction, topic)
    await redraw(interaction, member_cards.taken_back(member_language(interaction), topic))


async def _show_quiz(services: Services, interaction: Interaction, press: Press) -> None:
    await show(interaction, member_cards.quiz(member_language(interaction), topic_of(services, press)), private=True)


async def _answer_quiz(services: Services, interaction: Interaction, press: Press) -> None:
    topic, chosen = topic_of(services, press), int(press["answer"])
    quiz = topic.body.quiz
    if press["quiz"] != member_cards.quiz_digest(quiz):
        raise QuizChangedError
    kept = await services.progress.answer_quiz(interaction, topic, right=chosen == quiz.right)
    await redraw(interaction, member_cards.quiz_result(member_language(interaction), topic, chosen, new=kept.new))


async def _forget(services: Services, interaction: Interaction, press: Press) -> None:
    tr = member_language(interaction)
    text = tr("Nothing was deleted.")
    if press["sure"] == "yes":
        await services.store.members.forget(interaction.user.id, interaction.created_at)
        text = tr("Deleted. No data is stored about you anymore.")
    await redraw(interaction, note(text))


BUTTONS = (
    Button(custom_ids.FINISHED, _finish, changes=True),
    Button(custom_ids.TAKE_BACK, _take_back, changes=True, redraws=True),
    Button(custom_ids.QUIZ, _show_quiz),
    Button(custom_ids.ANSWER, _answer_quiz, changes=True, redraws=True),
    Button(custom_ids.FORGET, _forget, changes=True, redraws=True),
)
