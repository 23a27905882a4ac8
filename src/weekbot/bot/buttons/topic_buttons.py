"""Buttons and selects that show topics."""

from weekbot.bot.buttons.base import Button, Press, find_topic
from weekbot.bot.cards import custom_ids, topic_cards
from weekbot.bot.cards.topic_lists import topic_list
from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.responses import Interaction, member_language, redraw, show
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.content.model import Topic
from weekbot.runtime.errors import WeekbotError


class _TopicHandler(Button):
    def __init__(self, lookup: TopicLookup) -> None:
        self._lookup = lookup

    def _topic(self, press: Press) -> Topic:
        return find_topic(self._lookup.library(), press["slug"])

    async def _show(self, interaction: Interaction, topic: Topic) -> None:
        card = await self._lookup.card(member_language(interaction), topic, channel_ref(interaction))
        await show(interaction, card, private=True)


class TopicButton(_TopicHandler):
    template = custom_ids.TOPIC

    async def respond(self, interaction: Interaction, press: Press) -> None:
        await self._show(interaction, self._topic(press))


class MoreButton(TopicButton):
    """The *More* button of a post."""

    template = custom_ids.MORE


class TopicSelect(_TopicHandler):
    template = custom_ids.OPEN

    async def respond(self, interaction: Interaction, press: Press) -> None:
        await self._show(interaction, find_topic(self._lookup.library(), press.chosen))


class SectionSelect(_TopicHandler):
    template = custom_ids.SECTIONS

    async def respond(self, interaction: Interaction, press: Press) -> None:
        topic, tr = self._topic(press), member_language(interaction)
        if press.chosen not in topic_cards.section_names(tr, topic):
            raise WeekbotError("This topic no longer has that section.")
        await show(interaction, topic_cards.section(tr, topic, press.chosen), private=True)


class TrackPageButton(_TopicHandler):
    template = custom_ids.TRACK

    async def respond(self, interaction: Interaction, press: Press) -> None:
        library = self._lookup.library()
        track = library.tracks.get(press["track"])
        if track is None:
            raise WeekbotError("This track is no longer available. `/topic list` shows the tracks that are.")
        await redraw(interaction, topic_list(member_language(interaction), library, track, int(press["page"])))


def topic_buttons(lookup: TopicLookup) -> list[Button]:
    return [kind(lookup) for kind in (MoreButton, TopicButton, TopicSelect, SectionSelect, TrackPageButton)]
