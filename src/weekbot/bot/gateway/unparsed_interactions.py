"""Responds to interactions that discord.py can't parse, using only their ids and tokens."""

from collections.abc import Mapping
from typing import Any

import discord
from discord.http import Route

from weekbot.bot.responses import incident, options_of, suggestions, try_to_send
from weekbot.i18n.language import language_of
from weekbot.runtime.errors import raised_at

PRIVATE = discord.MessageFlags(ephemeral=True).value


async def respond_unparsed(client: discord.Client, data: Mapping[str, Any], error: Exception) -> None:
    """Respond privately with the id of the log entry.

    An interaction without a valid id has no address to respond to.
    """
    if not str(data.get("id")).isdecimal():
        return
    tr = language_of(str(data.get("locale")))
    sentence = incident(tr, "an interaction can't be parsed (%r, %s)", error, raised_at(error))
    route = Route("POST", "/interactions/{id}/{token}/callback", id=data["id"], token=data["token"])
    await try_to_send(client.http.request(route, json=_response(data, sentence)))


def _response(data: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    if data.get("type") == discord.InteractionType.autocomplete.value:
        offered = suggestions(sentence, options_of(data.get("data")))
        kind = discord.InteractionResponseType.autocomplete_result
        return {"type": kind.value, "data": {"choices": [choice.to_dict() for choice in offered]}}
    kind = discord.InteractionResponseType.channel_message
    return {"type": kind.value, "data": {"content": sentence, "flags": PRIVATE}}
