"""Acknowledge, then change: Discord confirms that it has an answer before anything is changed for a member."""

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, cast

import discord

from weekbot.bot.responses import Interaction, answered, interaction_in, is_acknowledged, is_cut
from weekbot.delivery.errors import AmbiguousError
from weekbot.discord_io.foreign_responses import ALREADY_ACKNOWLEDGED
from weekbot.discord_io.http_trace import single_attempt
from weekbot.runtime.errors import WeekbotError

REMEMBERED: Final = 10_000
LONGEST_SECONDS = 2.0  # of an acknowledgement, for which Discord waits three seconds
Callback = TypeVar("Callback", bound=Callable[..., Coroutine[Any, Any, None]])


class UnconfirmedError(WeekbotError):
    """Discord didn't confirm my answer, so I changed nothing. Try again."""


class ReceivedInteractions:
    """Remembers the latest interactions: Discord may deliver one twice, for example after a session is resumed."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def is_new(self, interaction_id: int) -> bool:
        """Whether the interaction is delivered for the first time. Each call records the id."""
        if interaction_id in self._ids:
            return False
        self._ids[interaction_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True


async def acknowledge(interaction: Interaction, *, redraws: bool = False) -> None:
    """Return once Discord has confirmed that the interaction is acknowledged.

    The member sees a private "thinking…" until the answer; with `redraws` the message whose button was pressed stays
    as it is until it is redrawn. Raises discord.HTTPException or UnconfirmedError: nothing may be changed then, as the
    member sees a failure and tries again.
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
    """Whether no other process has answered; none can afterwards. Autocompletion is simply answered again."""
    if interaction.type is discord.InteractionType.autocomplete:
        return True
    try:
        await acknowledge(interaction, redraws=interaction.type is discord.InteractionType.component)
    except (discord.HTTPException, UnconfirmedError):
        return False
    return True


async def _confirm(interaction: Interaction, *, redraws: bool) -> None:
    """Acknowledge once more. The error "already acknowledged" confirms the first attempt.

    Otherwise the first attempt may still have arrived, so whatever is said to the member is sent as a follow-up.
    """
    try:
        await _defer(interaction, redraws=redraws)
    except Exception as error:
        interaction.extras["acknowledged"] = True
        if not (isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED):
            raise UnconfirmedError from error


async def _defer(interaction: Interaction, *, redraws: bool) -> None:
    """Raises TimeoutError, an OSError, if Discord doesn't answer: a change that comes late would surprise."""
    async with asyncio.timeout(LONGEST_SECONDS):
        with single_attempt():
            await interaction.response.defer(ephemeral=True, thinking=not redraws)


def _may_have_arrived(error: Exception) -> bool:
    """Whether the outcome is unknown: the connection was cut, or a proxy answered."""
    if isinstance(error, discord.HTTPException):
        return not error.code
    return isinstance(error, AmbiguousError) or is_cut(error)


def changes(callback: Callback) -> Callback:
    """Decorate a command's callback that changes something: acknowledge first, then call it as `answered` does."""

    @functools.wraps(callback)
    async def acknowledged(*arguments: Any, **options: Any) -> None:
        await acknowledge(interaction_in(arguments))
        await callback(*arguments, **options)

    return answered(cast("Callback", acknowledged))
