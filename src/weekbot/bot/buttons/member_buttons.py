"""Buttons for members: finish a topic, take its quiz, and delete everything stored about them."""

from weekbot.bot.buttons.base import Button, Press, find_topic
from weekbot.bot.cards import custom_ids, member_cards
from weekbot.bot.cards.card import note
from weekbot.bot.member_progress import MemberProgress
from weekbot.bot.responses import Interaction, member_language, redraw, show
from weekbot.content.model import Topic
from weekbot.runtime.errors import WeekbotError


class QuizChangedError(WeekbotError):
    """This quiz has changed. Press *Quiz me* again."""


class _MemberHandler(Button):
    def __init__(self, progress: MemberProgress) -> None:
        self._progress = progress

    def _topic(self, press: Press) -> Topic:
        return find_topic(self._progress.library(), press["slug"])


class FinishedButton(_MemberHandler):
    template = custom_ids.FINISHED
    changes = True

    async def respond(self, interaction: Interaction, press: Press) -> None:
        topic = self._topic(press)
        kept, record = await self._progress.finish(interaction, topic)
        card = member_cards.finished(member_language(interaction), topic, kept.row, record, new=kept.new)
        await show(interaction, card, private=True)


class TakeBackButton(_MemberHandler):
    template = custom_ids.TAKE_BACK
    changes = redraws = True

    async def respond(self, interaction: Interaction, press: Press) -> None:
        topic = self._topic(press)
        await self._progress.take_back(interaction, topic)
        await redraw(interaction, member_cards.taken_back(member_language(interaction), topic))


class QuizButton(_MemberHandler):
    template = custom_ids.QUIZ

    async def respond(self, interaction: Interaction, press: Press) -> None:
        await show(interaction, member_cards.quiz(member_language(interaction), self._topic(press)), private=True)


class QuizAnswerButton(_MemberHandler):
    template = custom_ids.ANSWER
    changes = redraws = True

    async def respond(self, interaction: Interaction, press: Press) -> None:
        topic, chosen = self._topic(press), int(press["answer"])
        quiz = topic.body.quiz
        if press["quiz"] != member_cards.quiz_digest(quiz):
            raise QuizChangedError
        kept = await self._progress.answer_quiz(interaction, topic, right=chosen == quiz.right)
        await redraw(interaction, member_cards.quiz_result(member_language(interaction), topic, chosen, new=kept.new))


class ForgetButton(_MemberHandler):
    template = custom_ids.FORGET
    changes = redraws = True

    async def respond(self, interaction: Interaction, press: Press) -> None:
        tr = member_language(interaction)
        text = tr("Nothing was deleted.")
        if press["sure"] == "yes":
            await self._progress.members.forget(interaction.user.id, interaction.created_at)
            text = tr("Deleted. No data is stored about you anymore.")
        await redraw(interaction, note(text))


def member_buttons(progress: MemberProgress) -> list[Button]:
    kinds = (FinishedButton, TakeBackButton, QuizButton, QuizAnswerButton, ForgetButton)
    return [kind(progress) for kind in kinds]
