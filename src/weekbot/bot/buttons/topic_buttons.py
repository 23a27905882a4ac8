"""Buttons and selects that show topics."""

from weekbot.bot.buttons.base import Button, Press, topic_of
from weekbot.bot.cards import custom_ids, topic_cards
from weekbot.bot.cards.topic_lists import topic_list
from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.responses import Interaction, member_language, redraw, show
from weekbot.bot.services import Services
from weekbot.runtime.errors import WeekbotError


async def _open(services: Services, interaction: Interaction, press: Press) -> None:
    topic = topic_of(services, press)
    card = await services.lookup.card(member_language(interaction), topic, channel_ref(interaction))
    await show(interaction, card, private=True)


async def _show_section(services: Services, interaction: Interaction, press: Press) -> None:
    topic, tr = topic_of(services, press), member_language(interaction)
    if press.chosen not in topic_cards.section_names(tr, topic):
        raise WeekbotError("This topic no longer has that section.")
    await show(interaction, topic_cards.section(tr, topic, press.chosen), private=True)


async def _turn_page(services: Services, interaction: Interaction, press: Press) -> None:
    library = services.lookup.library()
    track = library.tracks.get(press["track"])
    if track is None:
        raise WeekbotError("This track is no longer available. `/topic list` shows the available tracks.")
    await redraw(interaction, topic_list(member_language(interaction), library, track, int(press["page"])))


BUTTONS = (
    Button(custom_ids.MORE, _open),
    Button(custom_ids.TOPIC, _open),
    Button(custom_ids.OPEN, _open),
    Button(custom_ids.SECTIONS, _show_section),
    Button(custom_ids.TRACK, _turn_page),
)
