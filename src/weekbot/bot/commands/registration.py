"""Registers the slash commands with Discord, and compares Discord's list with them."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import discord
from discord import app_commands
from discord.http import Route

from weekbot.bot.commands import described_commands
from weekbot.bot.commands.translator import CommandTranslator
from weekbot.delivery.retry import pause_after
from weekbot.discord_io.errors import expect_list, map_errors
from weekbot.runtime.errors import WeekbotError
from weekbot.store.metadata import Metadata

log = logging.getLogger(__name__)

REGISTERED = "commands"
"""The metadata key of the digest of the commands that were registered last."""
MAX_PAUSE = timedelta(minutes=12)  # plus up to a quarter of random delay
ENTRY_POINT = 4  # the type of a command that launches an activity
Payload = Mapping[str, Any]
_NAMES = ("name", "description", "type", "name_localizations", "description_localizations")
_COMPARED = (*_NAMES, "value", "required", "autocomplete", "min_value", "max_value", "min_length", "max_length")
_ENTRY_POINT_FIELDS = (*_NAMES, "id", "default_member_permissions", "integration_types", "contexts", "handler")


class Registration:
    """Registers the tree's commands, and retries until it succeeds.

    `trouble` is why the last attempt failed; None before the first attempt and after a success. `on_replaced` is
    called if another program has replaced the commands.
    """

    def __init__(
        self, tree: app_commands.CommandTree[Any], metadata: Metadata, on_replaced: Callable[[], object] = lambda: None
    ) -> None:
        self.tree = tree
        self._metadata = metadata
        self._on_replaced = on_replaced
        self.done = False
        self.trouble: str | None = None

    async def keep_trying(self) -> None:
        """Return once the commands are registered. The client must be logged in."""
        for attempt in count(1):
            try:
                await self._register()
            except WeekbotError as error:
                wait = pause_after(error, attempt, MAX_PAUSE)
                if str(error) != self.trouble:
                    log.warning("commands can't be registered: %s; retrying in %.0f s", error, wait.total_seconds())
                self.trouble = str(error)
                await asyncio.sleep(wait.total_seconds())
            else:
                self.done, self.trouble = True, None
                return

    async def _register(self) -> None:
        """Raises delivery errors."""
        client, ours = self.tree.client, await payloads(self.tree)
        with map_errors():
            theirs = await fetch_registered(client)
            if differing := "; ".join(differences(ours, theirs)):
                await self._report_replaced(ours, theirs)
                commands = [*ours, *_entry_points(theirs)]
                await client.http.bulk_upsert_global_commands(client.application_id or 0, commands)
        if differing:
            log.info("registered %d commands, because Discord's list %s", len(ours), differing)
        await self._metadata.put(REGISTERED, digest_of(client.application_id, ours))

    async def check(self) -> None:
        """Check whether the registered commands are still listed. Raises delivery errors."""
        if not self.done:
            return
        ours = await payloads(self.tree)
        with map_errors():
            theirs = await fetch_registered(self.tree.client)
        if any(differences(ours, theirs)):
            await self._report_replaced(ours, theirs)

    async def _report_replaced(self, ours: Sequence[Payload], theirs: Sequence[Payload]) -> None:
        """Call `on_replaced` if the last registration of this database's processes was the same as this one."""
        own = digest_of(self.tree.client.application_id, ours)
        if theirs and await self._metadata.get(REGISTERED) == own:
            self._on_replaced()


def _entry_points(theirs: Sequence[Payload]) -> list[dict[str, Any]]:
    """Return the command that launches an activity, which Discord doesn't allow to be removed."""
    return [
        {key: each[key] for key in _ENTRY_POINT_FIELDS if each.get(key) is not None}
        for each in theirs
        if each.get("type") == ENTRY_POINT
    ]


def described(client: discord.Client, *, has_home_channel: bool) -> app_commands.CommandTree[discord.Client]:
    """Return a tree with the commands' descriptions; the commands can't be used."""
    tree = app_commands.CommandTree(client)
    for command in described_commands(has_home_channel=has_home_channel):
        tree.add_command(command)
    return tree


async def payloads(tree: app_commands.CommandTree[Any]) -> list[dict[str, Any]]:
    """Return the commands in Discord's format, in every language."""
    translator = CommandTranslator()
    return [await command.get_translated_payload(tree, translator) for command in tree.get_commands()]


def digest_of(application_id: int | None, payload: Sequence[Payload]) -> str:
    return hashlib.sha256(json.dumps([application_id, payload], sort_keys=True).encode()).hexdigest()


async def fetch_registered(client: discord.Client) -> list[Payload]:
    """Fetch Discord's list of commands. The client must be logged in. Raises discord.HTTPException and ValueError."""
    route = Route("GET", "/applications/{application_id}/commands", application_id=client.application_id)
    return expect_list(await client.http.request(route, params={"with_localizations": "true"}))


def differences(ours: Sequence[Payload], theirs: Sequence[Payload]) -> Iterator[str]:
    """Describe what Discord's list lacks, what it has in another form, and what it has in addition."""
    commands = [each for each in theirs if each.get("type") != ENTRY_POINT]
    own, registered = ({each["name"]: _visible(each) for each in each_list} for each_list in (ours, commands))
    if lacking := [name for name in own if name not in registered]:
        yield f"lacks {_named(lacking)}"
    if other := [name for name in own if name in registered and own[name] != registered[name]]:
        yield f"has a different version of {_named(other)}"
    if foreign := [name for name in registered if name not in own]:
        yield f"has {_named(foreign)}, which weekbot doesn't have"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"/{name}" for name in names)


def _visible(node: Payload) -> dict[str, Any]:
    """Return what members see of a command, option or choice, without the defaults that Discord adds or omits."""
    plain = {key: node[key] for key in _COMPARED if node.get(key) is not None and node[key] is not False}
    inner = {key: [_visible(each) for each in node.get(key) or ()] for key in ("options", "choices")}
    permissions = node.get("default_member_permissions")
    types = sorted(node.get("channel_types") or ())
    return {**plain, **inner, "channel_types": types, "permissions": None if permissions is None else str(permissions)}
