"""Answers to members: one place that sends them, and turns errors into sentences."""

import functools
import logging
import secrets
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp
import discord
from discord import app_commands
from discord.ui import LayoutView

from weekbot.bot.cards.text import cut
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
MOST_CHARACTERS = 2000
MOST_CHARACTERS_OF_CHOICE = 100
LOST = {
    0,  # no error code, as when a proxy refuses the request or Discord has an outage
    10015,  # unknown webhook: the interaction's token has expired
    10062,  # unknown interaction: it was not answered in time
    40060,  # answered already
    50027,  # invalid webhook token
    MESSAGE_GONE,
    THREAD_ARCHIVED,
}
"""Discord's codes for an answer that is too late, or whose message or thread is gone."""
READERS = {("http_trace.py", "_json_or_text"), ("interactions.py", "_update")}
"""Where discord.py reads what Discord says to an answer: the files and the functions."""

Interaction = discord.Interaction[Any]
Callback = TypeVar("Callback", bound=Callable[..., Coroutine[Any, Any, None]])


class NotInServerError(WeekbotError):
    """Add me to this server first: <{link}>. If I'm already here, I'm still starting up: try again in a minute."""


def ids_of(interaction: Interaction) -> dict[str, object]:
    """What names it in a log; who it was is nobody's business there."""
    data = cast("dict[str, object]", interaction.data or {})
    pressed = {"pressed": data["custom_id"]} if "custom_id" in data else {"command": data.get("name")}
    return {"interaction": interaction.id, "guild": interaction.guild_id, "channel": interaction.channel_id} | pressed


def member_language(interaction: Interaction) -> Language:
    """For what only the member reads."""
    return language_of(f"{interaction.locale.value}")  # discord.py doesn't guarantee the value's type


def server_language(interaction: Interaction) -> Language:
    """For what the whole channel reads; in a direct message it is the member's."""
    return language_of(f"{(interaction.guild_locale or interaction.locale).value}")


def require_moderator(interaction: Interaction) -> None:
    """Raises MissingPermissions."""
    if not interaction.permissions.manage_guild:
        raise app_commands.MissingPermissions(["manage_guild"])


def is_acknowledged(interaction: Interaction) -> bool:
    """Whether Discord has a first answer; discord.py doesn't know of one whose confirmation was lost."""
    return interaction.response.is_done() or bool(interaction.extras.get("acknowledged"))


def server_of(interaction: Interaction) -> discord.Guild:
    """The server as the bot knows it. Raises NoPrivateMessage outside of servers, and NotInServerError."""
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    # `interaction.guild` may be a stub.
    guild: discord.Guild | None = interaction.client.get_guild(interaction.guild_id)
    if guild is None or guild.unavailable:
        raise NotInServerError(link=interaction.client.invite_link())
    return guild


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


async def show_message(interaction: Interaction, message: MessageArguments, *, private: bool = False) -> None:
    """Answer with any message."""
    if is_acknowledged(interaction):
        await interaction.followup.send(**message, ephemeral=private)
    else:
        await interaction.response.send_message(**message, ephemeral=private)


async def redraw(interaction: Interaction, card: LayoutView) -> None:
    """Put the card in place of the message whose button was pressed; if that is gone, show the card privately."""
    try:
        if is_acknowledged(interaction):
            await interaction.edit_original_response(view=card)
        else:
            await interaction.response.edit_message(view=card)
    except discord.HTTPException as error:
        if error.code not in (MESSAGE_GONE, THREAD_ARCHIVED):
            raise
        await show(interaction, card, private=True)


def answered(callback: Callback) -> Callback:
    """A command's callback that tells the member about a mistake; everything else is for the tree's `on_error`."""

    @functools.wraps(callback)
    async def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            await callback(*arguments, **options)
        except WeekbotError as error:
            interaction = interaction_in(arguments)
            await say(interaction, member_language(interaction).error(error))

    return cast("Callback", wrapped)


def interaction_in(arguments: Sequence[object]) -> Interaction:
    """The interaction among the arguments of a command's callback, which may be a method."""
    return next(argument for argument in arguments if isinstance(argument, discord.Interaction))


def is_lost(error: BaseException | None) -> bool:
    """Whether Discord didn't take the answer: it was a second one, too late, or Discord was unavailable. Logs that."""
    refused = isinstance(error, discord.HTTPException) and error.code in LOST
    lost = refused or is_cut(error)
    if error and lost:
        log.warning("an answer could not be given: %s", describe(error))
    return lost


def is_cut(error: BaseException | None) -> bool:
    """Whether the connection was cut, or what Discord said can't be read: it may have taken the answer."""
    return isinstance(error, (aiohttp.ClientError, OSError)) or _is_unread(error)


def _is_unread(error: BaseException | None) -> bool:
    """Whether it was raised while discord.py read what Discord said to an answer, which may be shown all the same."""
    if not isinstance(error, (ValueError, LookupError, TypeError, AttributeError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return any((Path(frame.filename).name, frame.name) in READERS for frame in frames)


async def explain(interaction: Interaction, error: Exception) -> None:
    """Answer privately with what went wrong. Raises nothing."""
    cause = _cause(error)
    if is_lost(cause):
        return
    tr = member_language(interaction)
    try:
        await _answer(interaction, _sentence(tr, cause) or incident(tr, "unexpected error", error=cause))
    except Exception as failure:
        if not is_lost(failure):
            log.exception("an answer could not be given")


def _cause(error: Exception) -> Exception:
    """The original error, without discord.py's wrapper."""
    if isinstance(error, app_commands.CommandInvokeError):
        return error.original
    if isinstance(error, app_commands.TransformerError) and isinstance(error.__cause__, WeekbotError):
        return error.__cause__
    return error


def incident(tr: Language, message: str, *details: object, error: Exception | None = None) -> str:
    """Log the message, with the error's traceback. Returns a sentence for the member, with the id of the log line."""
    id_ = secrets.token_hex(4)
    log.error(message, *details, exc_info=error, extra={"incident": id_})
    return tr(UNEXPECTED, id=id_)


async def _answer(interaction: Interaction, sentence: str) -> None:
    """Show the sentence; while an option is being typed, that is possible only as a suggestion."""
    if interaction.type is not discord.InteractionType.autocomplete:
        await say(interaction, sentence)
    elif not interaction.response.is_done():
        await interaction.response.autocomplete(suggestions(sentence, options_of(interaction.data)))


def suggestions(sentence: str, options: Sequence[Mapping[str, Any]]) -> list[app_commands.Choice[str]]:
    """Return the sentence as the only suggestion; choosing it keeps the text that was typed."""
    typed = focused(options)
    if typed is None or not isinstance(typed.get("value"), str):
        return []
    value = cut(typed["value"], MOST_CHARACTERS_OF_CHOICE) or "?"
    return [app_commands.Choice(name=cut(sentence, MOST_CHARACTERS_OF_CHOICE), value=value)]


def focused(options: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The option that is being typed, including a subcommand's."""
    for option in (each for each in options if isinstance(each, Mapping)):
        if found := option if option.get("focused") else focused(option.get("options") or ()):
            return found
    return None


def options_of(data: object) -> Sequence[Mapping[str, Any]]:
    """The options in an interaction's data, whatever that is."""
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
