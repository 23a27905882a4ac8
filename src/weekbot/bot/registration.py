"""What Discord is told of the commands, and how that differs from what it lists."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import discord
from discord import app_commands
from discord.http import Route

from weekbot.bot.command_words import CommandTranslator
from weekbot.bot.commands import all_commands
from weekbot.bot.services import Services

REGISTERED = "commands"
"""The fact that holds the digest of what was registered last."""
Payload = Mapping[str, Any]
_SAME = (
    "name",
    "description",
    "type",
    "value",
    "required",
    "autocomplete",
    "name_localizations",
    "description_localizations",
    "min_value",
    "max_value",
    "min_length",
    "max_length",
)


def described(client: discord.Client, home_channel_id: int | None) -> app_commands.CommandTree[discord.Client]:
    """The commands as they are described, not to be used: where there is a home channel, with the one to follow it."""
    tree = app_commands.CommandTree(client)
    following = SimpleNamespace(home_channel_id=home_channel_id)
    for command in all_commands(cast("Services", SimpleNamespace(following=following))):
        tree.add_command(command)
    return tree


async def payloads(tree: app_commands.CommandTree[Any]) -> list[dict[str, Any]]:
    """As Discord takes them, in every language."""
    translator = CommandTranslator()
    return [await command.get_translated_payload(tree, translator) for command in tree.get_commands()]


def digest_of(application_id: int | None, payload: Sequence[Payload]) -> str:
    return hashlib.sha256(json.dumps([application_id, payload], sort_keys=True).encode()).hexdigest()


async def listed(client: discord.Client) -> list[Payload]:
    """As Discord has them; raises discord.HTTPException. The client must be logged in."""
    route = Route("GET", "/applications/{application_id}/commands", application_id=client.application_id)
    found: list[Payload] = await client.http.request(route, params={"with_localizations": "true"})
    return found


def differences(ours: Sequence[Payload], theirs: Sequence[Payload]) -> Iterator[str]:
    """What Discord's list lacks, has in another form, and has too many."""
    own, known = ({each["name"]: _essence(each) for each in commands} for commands in (ours, theirs))
    if lacking := [name for name in own if name not in known]:
        yield f"lacks {_named(lacking)}"
    if other := [name for name in own if name in known and own[name] != known[name]]:
        yield f"has another form of {_named(other)}"
    if strange := [name for name in known if name not in own]:
        yield f"has {_named(strange)}, which weekbot has not"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"/{name}" for name in names)


def _essence(node: Payload) -> dict[str, Any]:
    """What members see of a command, an option or a choice; Discord leaves out, and adds, what says nothing."""
    plain = {key: node[key] for key in _SAME if node.get(key) is not None and node[key] is not False}
    inner = {key: [_essence(each) for each in node.get(key) or ()] for key in ("options", "choices")}
    who = node.get("default_member_permissions")
    types = sorted(node.get("channel_types") or ())
    return {**plain, **inner, "channel_types": types, "who": None if who is None else str(who)}
