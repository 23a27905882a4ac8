"""Acknowledge, then change: Discord confirms that it has an answer before anything is changed for a member."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, cast

import aiohttp
import discord

from weekbot.bot.answers import Interaction, answered, is_acknowledged, is_unread
from weekbot.delivery.outcomes import OutcomeUnknownError
from weekbot.delivery.wire import sent_once

REMEMBERED: Final = 10_000
ANSWERED: Final = 40060  # Discord's code
Callback = TypeVar("Callback", bound=Callable[..., Coroutine[Any, Any, None]])


class ReceivedInteractions:
    """The latest interactions: Discord may deliver one again, as after a session was resumed."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def is_new(self, interaction_id: int) -> bool:
        """Whether it is delivered for the first time; it isn't new any more from then on."""
        if interaction_id in self._ids:
            return False
        self._ids[interaction_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True


async def acknowledge(interaction: Interaction, *, redraws: bool = False) -> None:
    """Return once Discord has confirmed that the interaction is acknowledged.

    The member sees a private "thinking…" until the answer; with `redraws` the message whose button was pressed stays
    as it is until it is redrawn. Raises discord.HTTPException, aiohttp.ClientError, OSError or OutcomeUnknownError:
    nothing may be changed then, as the member sees a failure and tries again.
    """
    if is_acknowledged(interaction):
        return
    try:
        await _defer(interaction, redraws=redraws)
    except Exception as error:
        if not _may_have_arrived(error):
            raise
        await _confirm(interaction, redraws=redraws)


async def is_unanswered(interaction: Interaction) -> bool:
    """Whether no other process has answered; from then on none can. What is completed is simply completed again."""
    if interaction.type is discord.InteractionType.autocomplete:
        return True
    try:
        await acknowledge(interaction, redraws=interaction.type is discord.InteractionType.component)
    except discord.HTTPException:
        return False
    return True


async def _confirm(interaction: Interaction, *, redraws: bool) -> None:
    """Acknowledge once more; that it is acknowledged already confirms the first attempt."""
    try:
        await _defer(interaction, redraws=redraws)
    except discord.HTTPException as error:
        if error.code != ANSWERED:
            raise
        interaction.extras["acknowledged"] = True


async def _defer(interaction: Interaction, *, redraws: bool) -> None:
    with sent_once():
        await interaction.response.defer(ephemeral=True, thinking=not redraws)


def _may_have_arrived(error: Exception) -> bool:
    """Whether no clear answer came: the connection was cut, or a proxy answered."""
    if isinstance(error, discord.HTTPException):
        return not error.code
    return isinstance(error, (aiohttp.ClientError, OSError, OutcomeUnknownError)) or is_unread(error)


def changes(callback: Callback) -> Callback:
    """A command's callback that changes something: `answered`, and acknowledged before it is called."""

    @functools.wraps(callback)
    async def acknowledged(*arguments: Any, **options: Any) -> None:
        interaction = next(argument for argument in arguments if isinstance(argument, discord.Interaction))
        await acknowledge(interaction)
        await callback(*arguments, **options)

    return answered(cast("Callback", acknowledged))
