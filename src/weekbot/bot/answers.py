"""Answers to members: one place that sends them, and turns errors into sentences."""

import functools
import logging
import secrets
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp
import discord
from discord import app_commands
from discord.ui import LayoutView

from weekbot.bot.text import cut
from weekbot.delivery.sender import Arguments
from weekbot.errors import WeekbotError, said
from weekbot.language import N_, Language, language_of

log = logging.getLogger(__name__)

MANAGE_SERVER_NEEDED = N_("You need the **Manage Server** permission for this.")
ONLY_IN_SERVERS = N_("This works in a server only.")
OUTDATED = N_("This command has just changed. Wait a minute, reload Discord, and try again.")
UNSEEN = N_("I cannot see what you chose. Let me see that channel in its settings, then try again.")
UNEXPECTED = N_(
    "Something went wrong on my side; it is logged as `{id}`. Try again, and give the bot's operator that id."
)
MOST_CHARACTERS = 2000
ANSWERED, EXPIRED = 40060, 10062  # Discord's codes
READERS = {("wire.py", "_json_or_text"), ("interactions.py", "_update")}
"""Where discord.py reads what Discord says to an answer: the files and the functions."""

Interaction = discord.Interaction[Any]
Callback = TypeVar("Callback", bound=Callable[..., Coroutine[Any, Any, None]])


def ids_of(interaction: Interaction) -> dict[str, object]:
    """What names it in a log; who it was is nobody's business there."""
    data = cast("dict[str, object]", interaction.data or {})
    pressed = {"pressed": data["custom_id"]} if "custom_id" in data else {"command": data.get("name")}
    return {"interaction": interaction.id, "guild": interaction.guild_id, "channel": interaction.channel_id} | pressed


def member_language(interaction: Interaction) -> Language:
    """For what only the member reads."""
    return language_of(str(interaction.locale))


def server_language(interaction: Interaction) -> Language:
    """For what the whole channel reads; in a direct message it is the member's."""
    return language_of(str(interaction.guild_locale or interaction.locale))


def require_moderator(interaction: Interaction) -> None:
    """Raises MissingPermissions."""
    if not interaction.permissions.manage_guild:
        raise app_commands.MissingPermissions(["manage_guild"])


def is_acknowledged(interaction: Interaction) -> bool:
    """Whether Discord has a first answer; discord.py doesn't know of one whose confirmation was lost."""
    return interaction.response.is_done() or bool(interaction.extras.get("acknowledged"))


async def say(interaction: Interaction, text: str, *, private: bool = True) -> None:
    """Answer with a text, also after a deferral."""
    short = cut(text, MOST_CHARACTERS)
    if is_acknowledged(interaction):
        await interaction.followup.send(short, ephemeral=private)
    else:
        await interaction.response.send_message(short, ephemeral=private)


async def show(interaction: Interaction, card: LayoutView, *, private: bool = False) -> None:
    """Answer with a card."""
    await show_message(interaction, {"view": card}, private=private)


async def show_message(interaction: Interaction, message: Arguments, *, private: bool = False) -> None:
    """Answer with any message."""
    if is_acknowledged(interaction):
        await interaction.followup.send(**message, ephemeral=private)
    else:
        await interaction.response.send_message(**message, ephemeral=private)


async def redraw(interaction: Interaction, card: LayoutView) -> None:
    """Put the card in place of the message whose button was pressed."""
    if is_acknowledged(interaction):
        await interaction.edit_original_response(view=card)
    else:
        await interaction.response.edit_message(view=card)


def answered(callback: Callback) -> Callback:
    """A command's callback that tells the member about a mistake; everything else is for the tree's `on_error`."""

    @functools.wraps(callback)
    async def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            await callback(*arguments, **options)
        except WeekbotError as error:
            interaction = next(argument for argument in arguments if isinstance(argument, discord.Interaction))
            await say(interaction, member_language(interaction).error(error))

    return cast("Callback", wrapped)


def is_lost(error: BaseException | None) -> bool:
    """Whether Discord took no answer, as it had one, had none for too long, or was away; that is logged.

    A refusal without one of Discord's codes is a proxy's, or comes with its trouble.
    """
    refused = isinstance(error, discord.HTTPException) and error.code in (0, ANSWERED, EXPIRED)
    lost = refused or isinstance(error, (aiohttp.ClientError, OSError)) or is_unread(error)
    if error and lost:
        log.warning("an answer could not be given: %s", said(error))
    return lost


def is_unread(error: BaseException | None) -> bool:
    """Whether it was raised while discord.py read what Discord said to an answer, which may be shown all the same."""
    if not isinstance(error, (ValueError, LookupError, TypeError, AttributeError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return any((Path(frame.filename).name, frame.name) in READERS for frame in frames)


async def explain(interaction: Interaction, error: Exception) -> None:
    """Answer privately with what went wrong; what nobody foresaw is logged under an id that the member is given."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if is_lost(cause):
        return
    tr = member_language(interaction)
    sentence = _sentence(tr, cause)
    if sentence is None:
        incident = secrets.token_hex(4)
        log.error("unexpected error", exc_info=cause, extra={"incident": incident})
        sentence = tr(UNEXPECTED, id=incident)
    try:
        await say(interaction, sentence)
    except (discord.HTTPException, aiohttp.ClientError, OSError) as failure:
        log.warning("an answer could not be given: %s", said(failure))


def _sentence(tr: Language, error: Exception) -> str | None:
    if isinstance(error, WeekbotError):
        return tr.error(error)
    return next((tr(text) for kind, text in _SENTENCES.items() if isinstance(error, kind)), None)


_SENTENCES: dict[type[Exception], str] = {
    app_commands.MissingPermissions: MANAGE_SERVER_NEEDED,
    app_commands.NoPrivateMessage: ONLY_IN_SERVERS,
    app_commands.TransformerError: UNSEEN,
    app_commands.CommandNotFound: OUTDATED,
    app_commands.CommandSignatureMismatch: OUTDATED,
}
