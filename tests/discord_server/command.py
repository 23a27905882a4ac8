"""A bot's registered commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .error import ApiError
from .payload import Payload
from .snowflake import Snowflakes

CHAT_INPUT = 1
ENTRY_POINT = 4
LAUNCHED_BY_DISCORD = 2


@dataclass
class Command:
    """A command of a guild, or a global one (guild 0)."""

    id: int
    guild_id: int
    version: int
    body: Payload

    @property
    def key(self) -> tuple[str, int]:
        """Return the key that is unique in its guild."""
        return _key(self.body)

    def payload(self, application_id: int) -> Payload:
        """Return the command as Discord sends it."""
        defaults = {"type": CHAT_INPUT, "description": "", "options": [], "default_member_permissions": None}
        given = {key: value for key, value in self.body.items() if value is not None}
        place = {"guild_id": str(self.guild_id)} if self.guild_id else {}
        identity = {"id": str(self.id), "application_id": str(application_id), "version": str(self.version)}
        if (permissions := given.get("default_member_permissions")) is not None:
            given["default_member_permissions"] = str(permissions)
        return defaults | given | identity | place


@dataclass
class Commands:
    """All commands by guild; 0 stands for the global ones."""

    snowflakes: Snowflakes
    scopes: dict[int, list[Command]] = field(default_factory=dict)

    def of(self, guild_id: int = 0) -> list[Command]:
        """Return the commands of a guild, or the global ones."""
        return self.scopes.setdefault(guild_id, [])

    def add_entry_point(self, name: str = "launch") -> Command:
        """Register the Entry Point command, as Discord does for an application with an Activity."""
        return self.upsert(0, {"name": name, "type": ENTRY_POINT, "handler": LAUNCHED_BY_DISCORD})

    def overwrite(self, guild_id: int, bodies: Sequence[Payload]) -> list[Command]:
        """Replace all commands as a request does, which must include the Entry Point command."""
        if ENTRY_POINT in _kinds(each.body for each in self.of(guild_id)) - _kinds(bodies):
            raise ApiError(50240)
        return self.replace(guild_id, bodies)

    def replace(self, guild_id: int, bodies: Iterable[Payload]) -> list[Command]:
        """Replace all commands; those that keep their name keep their ID.

        Tests call it to simulate another program with the bot's token.
        """
        self.scopes[guild_id] = [self._command_for(guild_id, body) for body in bodies]
        return self.scopes[guild_id]

    def upsert(self, guild_id: int, body: Payload) -> Command:
        """Register a command, or replace the one with the same key."""
        command = self._command_for(guild_id, body)
        self.scopes[guild_id] = [*(each for each in self.of(guild_id) if each.key != command.key), command]
        return command

    def _command_for(self, guild_id: int, body: Payload) -> Command:
        old = next((each for each in self.of(guild_id) if each.key == _key(body)), None)
        if old is not None and old.body == body:
            return old
        version = self.snowflakes.next()
        return Command(old.id if old else self.snowflakes.next(), guild_id, version, body)

    def get(self, guild_id: int, command_id: int) -> Command:
        """Return a command by its ID."""
        for command in self.of(guild_id):
            if command.id == command_id:
                return command
        raise ApiError(10063)

    def named(self, name: str, guild_id: int) -> Command:
        """Return the slash command that a guild's members see by that name."""
        for command in (*self.of(guild_id), *self.of()):
            if command.key == (name, CHAT_INPUT):
                return command
        known = ", ".join(sorted({each.key[0] for scope in self.scopes.values() for each in scope}))
        raise LookupError(f"no command /{name} is registered, just: {known or 'none'}")


def untranslated(node: Any) -> Any:
    """Return a part of a command's payload without its translations."""
    if isinstance(node, list):
        return [untranslated(each) for each in node]
    if isinstance(node, dict):
        return {key: untranslated(value) for key, value in node.items() if not key.endswith("_localizations")}
    return node


def _kinds(bodies: Iterable[Payload]) -> set[int]:
    return {body.get("type", CHAT_INPUT) for body in bodies}


def _key(body: Payload) -> tuple[str, int]:
    return body["name"], body.get("type", CHAT_INPUT)
