"""Responses to interactions: sends them, and turns errors into sentences."""

import functools
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp
import discord
from discord import app_commands
from discord.ui import LayoutView

from weekbot.bot.cards.formatting import cut
from weekbot.discord_io.errors import MESSAGE_GONE, THREAD_ARCHIVED
from weekbot.discord_io.sender import MessageArguments
from weekbot.i18n.language import N_, Language, language_of
from weekbot.runtime.errors import WeekbotError, describe

log = logging.getLogger(__name__)

MANAGE_SERVER_NEEDED = N_("You need the **Manage Server** permission for this.")
ONLY_IN_SERVERS = N_("This works only in a server.")
OUTDATED = N_(
    "This command is from an older version. Reload Discord in a minute, then try again; `/help` shows the commands."
)
UNSEEN = N_("I can't see what you chose. Give me access in the channel's settings, then try again.")
UNEXPECTED = N_(
    "Something went wrong on my side; it's logged as `{id}`. Try again, and report that ID to the bot's operator."
)
MAX_CHARACTERS = 2000
MAX_CHOICE_CHARACTERS = 100
UNDELIVERABLE = {
    0,  # no error code, as when a proxy refuses the request or Discord has an outage
    10015,  # unknown webhook: the interaction's token has expired
    10062,  # unknown interaction: it was not answered in time
    40060,  # answered already
    50027,  # invalid webhook token
    MESSAGE_GONE,
    THREAD_ARCHIVED,
}
"""Discord's error codes for a response that is too late, or whose message or thread is gone."""
PARSERS = {("http_trace.py", "_json_or_text"), ("interactions.py", "_update")}
"""The files and functions that parse Discord's confirmation of a response."""

Interaction = discord.Interaction[Any]
Callback = TypeVar("Callback", bound=Callable[..., Coroutine[Any, Any, None]])


class NotInServerError(WeekbotError):
    """Add me to this server first: <{link}>. If I'm already here, I'm still starting up: try again in a minute."""


def log_fields(interaction: Interaction) -> dict[str, object]:
    """Return the log fields that identify the interaction, but not the member."""
    data = cast("dict[str, object]", interaction.data or {})
    pressed = {"pressed": data["custom_id"]} if "custom_id" in data else {"command": data.get("name")}
    return {"interaction": interaction.id, "guild": interaction.guild_id, "channel": interaction.channel_id} | pressed


def member_language(interaction: Interaction) -> Language:
    """Return the language of texts that only the member reads."""
    return language_of(f"{interaction.locale.value}")  # discord.py doesn't guarantee the value's type


def server_language(interaction: Interaction) -> Language:
    """Return the language of texts that the whole channel reads; in direct messages, the member's."""
    return language_of(f"{(interaction.guild_locale or interaction.locale).value}")


def require_moderator(interaction: Interaction) -> None:
    """Raises MissingPermissions."""
    if not interaction.permissions.manage_guild:
        raise app_commands.MissingPermissions(["manage_guild"])


def is_acknowledged(interaction: Interaction) -> bool:
    """Return whether Discord has a first response, even one whose confirmation was lost."""
    return interaction.response.is_done() or bool(interaction.extras.get("acknowledged"))


def guild_of(interaction: Interaction) -> discord.Guild:
    """Return the cached server. Raises NoPrivateMessage outside servers, and NotInServerError."""
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    # interaction.guild may be a stub
    guild: discord.Guild | None = interaction.client.get_guild(interaction.guild_id)
    if guild is None or guild.unavailable:
        raise NotInServerError(link=interaction.client.invite_link())
    return guild


async def say(interaction: Interaction, text: str, *, private: bool = True) -> None:
    await show_message(interaction, {"content": cut(text, MAX_CHARACTERS)}, private=private)


async def show(interaction: Interaction, card: LayoutView, *, private: bool = False) -> None:
    await show_message(interaction, {"view": card}, private=private)


async def show_message(interaction: Interaction, message: MessageArguments, *, private: bool = False) -> None:
    """Respond with a message; if the interaction was acknowledged before, as a follow-up."""
    if is_acknowledged(interaction):
        await interaction.followup.send(**message, ephemeral=private)
    else:
        await interaction.response.send_message(**message, ephemeral=private)


async def redraw(interaction: Interaction, card: LayoutView) -> None:
    """Replace the message whose button was pressed; if it is gone, show the card privately."""
    try:
        if is_acknowledged(interaction):
            await interaction.edit_original_response(view=card)
        else:
            await interaction.response.edit_message(view=card)
    except discord.HTTPException as error:
        if error.code not in (MESSAGE_GONE, THREAD_ARCHIVED):
            raise
        await show(interaction, card, private=True)


def explains_mistakes(callback: Callback) -> Callback:
    """Decorate a command's callback: a WeekbotError becomes a private response, other errors reach the tree."""

    @functools.wraps(callback)
    async def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            await callback(*arguments, **options)
        except WeekbotError as error:
            interaction = interaction_in(arguments)
            await say(interaction, member_language(interaction).error(error))

    return cast("Callback", wrapped)


def interaction_in(arguments: Sequence[object]) -> Interaction:
    """Return the interaction among the arguments of a callback, which may be a method."""
    return next(argument for argument in arguments if isinstance(argument, discord.Interaction))


def is_undeliverable(error: Exception) -> bool:
    """Return whether a second attempt to respond is pointless. Logs the error in that case.

    The response was too late, was given already, or Discord is unavailable.
    """
    refused = isinstance(error, discord.HTTPException) and error.code in UNDELIVERABLE
    if undeliverable := refused or is_unconfirmed(error):
        log.warning("a response could not be sent: %s", describe(error))
    return undeliverable


def is_unconfirmed(error: Exception) -> bool:
    """Return whether Discord may have taken the response: the connection was cut, or its confirmation is unreadable."""
    return isinstance(error, (aiohttp.ClientError, OSError)) or _is_parse_error(error)


def _is_parse_error(error: Exception) -> bool:
    """Return whether discord.py raised the error while it parsed Discord's confirmation."""
    if not isinstance(error, (ValueError, LookupError, TypeError, AttributeError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return any((Path(frame.filename).name, frame.name) in PARSERS for frame in frames)


async def explain(interaction: Interaction, error: Exception) -> None:
    """Respond privately with what went wrong. Raises nothing."""
    cause = _cause(error)
    if not is_undeliverable(cause):
        await try_to_send(_answer(interaction, cause))


async def try_to_send(response: Awaitable[object]) -> None:
    """Await a last response. If it fails, the error is logged, because there is nobody left to tell."""
    try:
        await response
    except Exception as failure:
        if not is_undeliverable(failure):
            log.exception("a response could not be sent")


def _cause(error: Exception) -> Exception:
    """Return the original error, without discord.py's wrapper."""
    if isinstance(error, app_commands.CommandInvokeError):
        return error.original
    if isinstance(error, app_commands.TransformerError) and isinstance(error.__cause__, WeekbotError):
        return error.__cause__
    return error


def incident(tr: Language, message: str, *details: object, error: Exception | None = None) -> str:
    """Log the message with the error's traceback. Returns a sentence for the member with the id of the log entry."""
    id_ = secrets.token_hex(4)
    log.error(message, *details, exc_info=error, extra={"incident": id_})
    return tr(UNEXPECTED, id=id_)


async def _answer(interaction: Interaction, error: Exception) -> None:
    """Show what went wrong; during autocompletion, only a suggestion can show it."""
    tr = member_language(interaction)
    sentence = _sentence(tr, error) or incident(tr, "unexpected error", error=error)
    if interaction.type is not discord.InteractionType.autocomplete:
        await say(interaction, sentence)
    elif not interaction.response.is_done():
        await interaction.response.autocomplete(suggestions(sentence, options_of(interaction.data)))


def suggestions(sentence: str, options: Sequence[Mapping[str, Any]]) -> list[app_commands.Choice[str]]:
    """Return the sentence as the only suggestion. Choosing it keeps what the member typed."""
    typed = focused(options)
    if typed is None or not isinstance(typed.get("value"), str):
        return []
    value = cut(typed["value"], MAX_CHOICE_CHARACTERS) or "?"
    return [app_commands.Choice(name=cut(sentence, MAX_CHOICE_CHARACTERS), value=value)]


def focused(options: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the option that is being typed, including a subcommand's."""
    for option in (each for each in options if isinstance(each, Mapping)):
        if found := option if option.get("focused") else focused(option.get("options") or ()):
            return found
    return None


def options_of(data: object) -> Sequence[Mapping[str, Any]]:
    """Return the options in an interaction's data, which may have any form."""
    return (data.get("options") if isinstance(data, Mapping) else None) or ()


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
