"""Answers interactions that discord.py can't parse, using only their ids and tokens."""

from collections.abc import Mapping
from typing import Any

import discord
from discord.http import Route

from weekbot.bot.responses import incident, options_of, suggestions
from weekbot.i18n.language import language_of
from weekbot.runtime.errors import raised_at

PRIVATE = discord.MessageFlags(ephemeral=True).value


async def answer_unread(client: discord.Client, data: Mapping[str, Any], error: Exception) -> None:
    """Answer privately with the id of the log line. Raises the errors of discord.py's requests.

    Without a valid id there is no address to answer at; that the event cannot be read has been logged.
    """
    if not str(data.get("id")).isdecimal():
        return
    tr = language_of(str(data.get("locale")))
    sentence = incident(tr, "an interaction cannot be read (%r, %s)", error, raised_at(error))
    route = Route("POST", "/interactions/{id}/{token}/callback", id=data["id"], token=data["token"])
    await client.http.request(route, json=_answer(data, sentence))


def _answer(data: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    if data.get("type") == discord.InteractionType.autocomplete.value:
        offered = suggestions(sentence, options_of(data.get("data")))
        kind = discord.InteractionResponseType.autocomplete_result
        return {"type": kind.value, "data": {"choices": [choice.to_dict() for choice in offered]}}
    kind = discord.InteractionResponseType.channel_message
    return {"type": kind.value, "data": {"content": sentence, "flags": PRIVATE}}
