"""Buttons and selects: answered from their custom id, so that they outlive restarts and content edits."""

import re
from typing import ClassVar

from weekbot.bot.cards import custom_ids, topic_cards
from weekbot.bot.place import place_of
from weekbot.bot.responses import Interaction, member_language, redraw, show
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.runtime.errors import WeekbotError


class TopicGoneError(WeekbotError):
    """This topic is no longer available. `/topic list` shows the topics that are."""


class Pressed:
    """A component of a card that was pressed; `match` is its custom id, `chosen` what was chosen in a select.

    If it `changes` something, the press is acknowledged first. The answer is a new private message, unless it `redraws`
    the message with the button.
    """

    changes = False
    redraws = False

    template: ClassVar[str]

    def __init_subclass__(cls, template: str | None = None) -> None:
        super().__init_subclass__()
        if template is not None:
            cls.template = template

    def __init__(self, match: re.Match[str], chosen: str = "") -> None:
        self.match = match
        self.chosen = chosen

    async def answer(self, interaction: Interaction, library: Library) -> None:
        raise NotImplementedError

    def topic(self, library: Library) -> Topic:
        """The topic in the custom id; one that was renamed is found by its alias."""
        return _topic(library, self.match["slug"])


def _topic(library: Library, name: str) -> Topic:
    topic = library.find(name)
    if topic is None:
        raise TopicGoneError
    return topic


async def _look_up(interaction: Interaction, library: Library, topic: Topic) -> None:
    tr, services = member_language(interaction), interaction.client.services
    card = await services.lookup(tr, library, topic, place_of(interaction))
    await show(interaction, card, private=True)


class TopicButton(Pressed, template=custom_ids.TOPIC):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        await _look_up(interaction, library, self.topic(library))


class More(TopicButton, template=custom_ids.MORE):
    """The same, on a post."""


class Open(Pressed, template=custom_ids.OPEN):
    """One topic of a list."""

    async def answer(self, interaction: Interaction, library: Library) -> None:
        await _look_up(interaction, library, _topic(library, self.chosen))


class Sections(Pressed, template=custom_ids.SECTIONS):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic, tr = self.topic(library), member_language(interaction)
        if self.chosen not in topic_cards.section_names(tr, topic):
            raise WeekbotError("This topic no longer has that section.")
        await show(interaction, topic_cards.section(tr, topic, self.chosen), private=True)


class TrackPage(Pressed, template=custom_ids.TRACK):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        track = library.tracks.get(self.match["track"])
        if track is None:
            raise WeekbotError("This track is no longer available. `/topic list` shows the tracks that are.")
        card = topic_cards.topic_list(member_language(interaction), library, track, int(self.match["page"]))
        await redraw(interaction, card)


ALL = [More, TopicButton, Open, Sections, TrackPage]
