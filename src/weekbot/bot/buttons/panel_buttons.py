"""Buttons of the status panel, for moderators only."""

import logging

from weekbot.bot.buttons.base import Button, Press
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.card import Card
from weekbot.bot.cards.status_panel import gone_card, manage_card
from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.moderation import Moderation
from weekbot.bot.responses import Interaction, guild_of, is_undeliverable, member_language, redraw, say, show_message
from weekbot.bot.services import Services
from weekbot.domain.subscription_rules import NotSubscribedError

log = logging.getLogger(__name__)

ACTIONS = {"pause": Moderation.pause, "resume": Moderation.resume, "unsubscribe": Moderation.unsubscribe}
ACTIONS_ON_NEXT = {"post": Moderation.post, "skip": Moderation.skip}


async def _show_status(services: Services, interaction: Interaction, press: Press) -> None:
    guild, tr = guild_of(interaction), member_language(interaction)
    here = await services.store.subscriptions.effective_channel(*channel_ref(interaction))
    await redraw(interaction, await services.overview.card(tr, guild, here, int(press["first"])))


async def _manage(services: Services, interaction: Interaction, press: Press) -> None:
    channel_id = await _channel_id(services, interaction, press)
    await redraw(interaction, await _panel(services, interaction, channel_id))


async def _preview(services: Services, interaction: Interaction, press: Press) -> None:
    preview = await services.moderation.preview(await _channel_id(services, interaction, press))
    await show_message(interaction, preview, private=True)


async def _act(services: Services, interaction: Interaction, press: Press) -> None:
    """Perform one of the actions on a channel, then show the result in the panel."""
    channel_id = await _channel_id(services, interaction, press)
    result = await _result(services.moderation, interaction, press, channel_id)
    try:
        await redraw(interaction, await _panel_after(services, interaction, channel_id, result))
    except Exception as error:  # the change was made; an error message would invite the member to repeat it
        if not is_undeliverable(error):
            log.exception("the panel could not be drawn")
            await say(interaction, result)


async def _channel_id(services: Services, interaction: Interaction, press: Press) -> int:
    """Return the channel in the custom id. Raises NotSubscribedError if this server never subscribed it."""
    found = await services.store.subscriptions.of_channel(int(press["channel"]))
    if found is None or found.guild_id != interaction.guild_id:
        raise NotSubscribedError
    return found.channel_id


async def _result(moderation: Moderation, interaction: Interaction, press: Press, channel_id: int) -> str:
    tr, action = member_language(interaction), press["action"]
    if action in ACTIONS:
        return (await ACTIONS[action](moderation, tr, channel_id)).text
    return (await ACTIONS_ON_NEXT[action](moderation, tr, channel_id, interaction.id, press["topic"])).text


async def _panel_after(services: Services, interaction: Interaction, channel_id: int, result: str) -> Card:
    try:
        return await _panel(services, interaction, channel_id, result)
    except NotSubscribedError:
        return gone_card(member_language(interaction), result)


async def _panel(services: Services, interaction: Interaction, channel_id: int, result: str | None = None) -> Card:
    tr, subscription = member_language(interaction), await services.moderation.subscription(channel_id)
    return manage_card(tr, await services.overview.of_channel(tr, subscription), result)


BUTTONS = (
    Button(custom_ids.STATUS, _show_status, for_moderators=True),
    Button(custom_ids.MANAGE, _manage, for_moderators=True),
    Button(custom_ids.PREVIEW, _preview, for_moderators=True),
    Button(custom_ids.ACTION, _act, for_moderators=True, changes=True, redraws=True),
)
