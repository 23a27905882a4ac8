"""Acknowledges interactions: Discord confirms a first response before anything is changed for a member."""

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, cast

import discord

from weekbot.bot.responses import Interaction, explains_mistakes, interaction_in, is_acknowledged, is_unconfirmed
from weekbot.delivery.errors import AmbiguousError
from weekbot.discord_io.foreign_responses import ALREADY_ACKNOWLEDGED
from weekbot.discord_io.http_trace import single_attempt
from weekbot.runtime.errors import WeekbotError

MAX_REMEMBERED: Final = 10_000
TIMEOUT_SECONDS = 2.0  # Discord waits three seconds for an acknowledgement
Callback = TypeVar("Callback", bound=Callable[..., Coroutine[Any, Any, None]])


class UnconfirmedAcknowledgementError(WeekbotError):
    """Discord didn't confirm my answer, so I changed nothing. Try again."""


class ReceivedInteractions:
    """Remembers recent interactions: Discord may deliver one twice, for example after a session is resumed."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def is_new(self, interaction_id: int) -> bool:
        """Record the interaction. Returns whether it is delivered for the first time."""
        if interaction_id in self._ids:
            return False
        self._ids[interaction_id] = None
        if len(self._ids) > MAX_REMEMBERED:
            self._ids.popitem(last=False)
        return True


async def acknowledge(interaction: Interaction, *, redraws: bool = False) -> None:
    """Return once Discord has confirmed the acknowledgement.

    The member sees a private "thinking…" until the response; with `redraws`, the message whose button was pressed
    stays unchanged until then. Raises discord.HTTPException or UnconfirmedAcknowledgementError; in that case change
    nothing, because the member sees a failure and tries again.
    """
    if is_acknowledged(interaction):
        return
    try:
        await _defer(interaction, redraws=redraws)
    except Exception as error:
        if not _may_have_arrived(error):
            raise
        await _confirm(interaction, redraws=redraws)


async def take_over(interaction: Interaction) -> bool:
    """Acknowledge the interaction. Returns False if another process has responded to it.

    Autocompletion isn't acknowledged: a second response does no harm.
    """
    try:
        if interaction.type is not discord.InteractionType.autocomplete:
            await acknowledge(interaction, redraws=interaction.type is discord.InteractionType.component)
    except (discord.HTTPException, UnconfirmedAcknowledgementError):
        return False
    return True


async def _confirm(interaction: Interaction, *, redraws: bool) -> None:
    """Acknowledge again. The error "already acknowledged" confirms the first attempt.

    After any other error the first attempt may still have arrived, so responses are sent as follow-ups.
    """
    try:
        await _defer(interaction, redraws=redraws)
    except Exception as error:
        interaction.extras["acknowledged"] = True
        if not (isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED):
            raise UnconfirmedAcknowledgementError from error


async def _defer(interaction: Interaction, *, redraws: bool) -> None:
    """Raises TimeoutError (an OSError) if Discord doesn't respond in time: a late change would be a surprise."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        with single_attempt():
            await interaction.response.defer(ephemeral=True, thinking=not redraws)


def _may_have_arrived(error: Exception) -> bool:
    """Return whether the outcome is unknown: the connection was cut, or a proxy responded."""
    if isinstance(error, discord.HTTPException):
        return not error.code
    return isinstance(error, AmbiguousError) or is_unconfirmed(error)


def acknowledges_first(callback: Callback) -> Callback:
    """Decorate a command's callback that changes something; mistakes are explained as by `explains_mistakes`."""

    @functools.wraps(callback)
    async def acknowledged(*arguments: Any, **options: Any) -> None:
        await acknowledge(interaction_in(arguments))
        await callback(*arguments, **options)

    return explains_mistakes(cast("Callback", acknowledged))
