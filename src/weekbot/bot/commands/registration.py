"""The commands that Discord lists: registered until they are those of this version."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import discord
from discord import app_commands
from discord.http import Route

from weekbot.bot.commands import all_commands
from weekbot.bot.commands.translator import CommandTranslator
from weekbot.bot.services import Services
from weekbot.delivery.retry import pause_after
from weekbot.discord_io.errors import expect_list, map_errors
from weekbot.runtime.errors import WeekbotError
from weekbot.store.metadata import Metadata

log = logging.getLogger(__name__)

REGISTERED = "commands"
"""The fact that holds the digest of what was registered last."""
LONGEST_PAUSE = timedelta(minutes=12)  # and a quarter of that, as pauses are spread
ENTRY_POINT = 4  # the type of the command that opens an application's activity
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
_OF_ENTRY_POINTS = (
    "id",
    "name",
    "name_localizations",
    "description",
    "description_localizations",
    "default_member_permissions",
    "integration_types",
    "contexts",
    "handler",
    "type",
)


class Registration:
    """Has Discord list the commands of this version, and tries for as long as it takes.

    `trouble` is why the last attempt failed, None after a success or before the first attempt. `on_replaced` is called
    if Discord lists other commands although this database registered its own last.
    """

    def __init__(
        self, tree: app_commands.CommandTree[Any], facts: Metadata, on_replaced: Callable[[], object] = lambda: None
    ) -> None:
        self._tree = tree
        self._facts = facts
        self._on_replaced = on_replaced
        self.done = False
        self.trouble: str | None = None

    async def keep_trying(self) -> None:
        """Return when Discord lists the commands. The client must be logged in."""
        for attempt in count(1):
            try:
                await self._register()
            except WeekbotError as error:
                wait = pause_after(error, attempt, LONGEST_PAUSE)
                if str(error) != self.trouble:
                    log.warning(
                        "commands cannot be registered: %s; trying again in %.0f s", error, wait.total_seconds()
                    )
                self.trouble = str(error)
                await asyncio.sleep(wait.total_seconds())
            else:
                self.done, self.trouble = True, None
                return

    async def _register(self) -> None:
        """Raises the errors of `outcomes`."""
        client, ours = self._tree.client, await payloads(self._tree)
        with map_errors():
            theirs = await listed(client)
            if differing := "; ".join(differences(ours, theirs)):
                await self._note_replaced(ours, theirs)
                await client.http.bulk_upsert_global_commands(client.application_id or 0, [*ours, *_kept(theirs)])
        if differing:
            log.info("registered %d commands, as Discord's list %s", len(ours), differing)
        await self._facts.put(REGISTERED, digest_of(client.application_id, ours))

    async def look(self) -> None:
        """See whether the commands are still listed, once they are registered. Raises the errors of `outcomes`."""
        if not self.done:
            return
        ours = await payloads(self._tree)
        with map_errors():
            theirs = await listed(self._tree.client)
        if any(differences(ours, theirs)):
            await self._note_replaced(ours, theirs)

    async def _note_replaced(self, ours: Sequence[Payload], theirs: Sequence[Payload]) -> None:
        """Call `on_replaced`, unless another version of weekbot, or none, registered last with this database."""
        own = digest_of(self._tree.client.application_id, ours)
        if theirs and await self._facts.get(REGISTERED) == own:
            self._on_replaced()


def _kept(theirs: Sequence[Payload]) -> list[dict[str, Any]]:
    """What somebody else's activity begins with, which Discord doesn't let anybody leave out."""
    return [
        {key: each[key] for key in _OF_ENTRY_POINTS if each.get(key) is not None}
        for each in theirs
        if each.get("type") == ENTRY_POINT
    ]


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
    """As Discord has them; raises discord.HTTPException and ValueError. The client must be logged in."""
    route = Route("GET", "/applications/{application_id}/commands", application_id=client.application_id)
    return expect_list(await client.http.request(route, params={"with_localizations": "true"}))


def differences(ours: Sequence[Payload], theirs: Sequence[Payload]) -> Iterator[str]:
    """What Discord's list lacks, has in another form, and has too many."""
    beside = [each for each in theirs if each.get("type") != ENTRY_POINT]
    own, known = ({each["name"]: _essence(each) for each in commands} for commands in (ours, beside))
    if lacking := [name for name in own if name not in known]:
        yield f"lacks {_named(lacking)}"
    if other := [name for name in own if name in known and own[name] != known[name]]:
        yield f"has a different version of {_named(other)}"
    if strange := [name for name in known if name not in own]:
        yield f"has {_named(strange)}, which weekbot doesn't have"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"/{name}" for name in names)


def _essence(node: Payload) -> dict[str, Any]:
    """What members see of a command, an option or a choice; Discord leaves out, and adds, what says nothing."""
    plain = {key: node[key] for key in _SAME if node.get(key) is not None and node[key] is not False}
    inner = {key: [_essence(each) for each in node.get(key) or ()] for key in ("options", "choices")}
    who = node.get("default_member_permissions")
    types = sorted(node.get("channel_types") or ())
    return {**plain, **inner, "channel_types": types, "who": None if who is None else str(who)}
