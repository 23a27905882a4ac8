"""Conversion of a member's input to the data of an interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .channel import Channel
from .command import Command
from .component import BUTTON, TEXT_SELECT
from .guild import Guild
from .message import Message
from .payload import Payload
from .role import Role
from .thread import Thread
from .user import Member


class OptionKind(IntEnum):
    """Discord's types of command options."""

    SUB_COMMAND = 1
    SUB_COMMAND_GROUP = 2
    STRING = 3
    INTEGER = 4
    BOOLEAN = 5
    USER = 6
    CHANNEL = 7
    ROLE = 8
    MENTIONABLE = 9


# The fields that Discord documents for a thread as an option's value.
THREAD_FIELDS = (
    "id",
    "type",
    "name",
    "parent_id",
    "flags",
    "guild_id",
    "rate_limit_per_user",
    "thread_metadata",
    "permissions",
    "app_permissions",
)

NESTED = (OptionKind.SUB_COMMAND, OptionKind.SUB_COMMAND_GROUP)


@dataclass
class Resolved:
    """The objects to which an interaction's data refers."""

    guild: Guild
    member: Member
    documented: bool = False
    found: dict[str, Payload] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        """Return a value as in the data, and record the object to which it refers."""
        if isinstance(value, Channel):
            self._keep("channels", value.id, self._channel(value))
        elif isinstance(value, Role):
            self._keep("roles", value.id, value.payload())
        elif isinstance(value, Member):
            self._keep("users", value.id, value.user.payload())
            self._keep("members", value.id, value.payload())
        else:
            return value
        return str(value.id)

    def _channel(self, channel: Channel) -> Payload:
        may = self.guild.permissions_of(self.member, channel), self.guild.bot_permissions(channel)
        permissions, app_permissions = (str(int(each)) for each in may)
        full = channel.payload() | {"permissions": permissions, "app_permissions": app_permissions}
        only_some = self.documented and isinstance(channel, Thread)
        return {key: full[key] for key in THREAD_FIELDS} if only_some else full

    def _keep(self, group: str, key: int, payload: Payload) -> None:
        self.found.setdefault(group, {})[str(key)] = payload


@dataclass
class Invocation:
    """A slash command with a member's options."""

    command: Command
    path: Sequence[str]
    values: Mapping[str, Any]
    resolved: Resolved
    focused: str | None = None
    unchecked: bool = False

    def data(self) -> Payload:
        """Return the data of the interaction."""
        schema, names = self._schema()
        options = self._options(schema)
        for name, kind in reversed(names):
            options = [{"name": name, "type": int(kind), "options": options}]
        data: Payload = {"id": str(self.command.id), "name": self.path[0], "type": 1, "options": options}
        # Discord doesn't resolve objects during autocomplete.
        return data | ({"resolved": self.resolved.found} if self.resolved.found and not self.focused else {})

    def _schema(self) -> tuple[list[Payload], list[tuple[str, OptionKind]]]:
        schema: list[Payload] = self.command.body.get("options") or []
        names = []
        for number, name in enumerate(self.path[1:], 2):
            child = next((each for each in schema if each["name"] == name and each["type"] in NESTED), None)
            if child is None:
                child = self._child_unless_checked(is_last=number == len(self.path))
            names.append((name, OptionKind(child["type"])))
            schema = child.get("options") or []
        if any(each["type"] in NESTED for each in schema) and not self.unchecked:
            raise LookupError(f"/{' '.join(self.path)} needs a sub-command")
        return schema, names

    def _child_unless_checked(self, *, is_last: bool) -> Payload:
        if not self.unchecked:
            raise LookupError(f"/{' '.join(self.path)} is not registered")
        return {"type": int(OptionKind.SUB_COMMAND if is_last else OptionKind.SUB_COMMAND_GROUP)}

    def _options(self, schema: list[Payload]) -> list[Payload]:
        known = {option["name"]: option for option in schema}
        if not self.unchecked:
            self._check(known)
        guessed = {name: {"name": name, "type": int(_kind(value))} for name, value in self.values.items()}
        return [self._option((guessed | known)[name], value) for name, value in self.values.items()]

    def _check(self, known: Mapping[str, Payload]) -> None:
        if unknown := self.values.keys() - known.keys():
            raise LookupError(f"/{' '.join(self.path)} has no options {sorted(unknown)}")
        required = {name for name, option in known.items() if option.get("required")}
        if not self.focused and (missing := required - self.values.keys()):
            raise ValueError(f"/{' '.join(self.path)} requires the options {sorted(missing)}")
        if self.focused and not known[self.focused].get("autocomplete"):
            raise ValueError(f"{self.focused} has no autocomplete")
        for name, value in self.values.items():
            choices = [choice["value"] for choice in known[name].get("choices") or []]
            if choices and value not in choices and name != self.focused:
                raise ValueError(f"{name} takes one of {choices}, not {value!r}")

    def _option(self, option: Payload, value: Any) -> Payload:
        named = {"name": option["name"], "type": option["type"]}
        if option["name"] == self.focused:
            return named | {"value": value, "focused": True}
        return named | {"value": self.resolved.value(value)}


# A bool is an int as well.
GUESSES: Sequence[tuple[type, OptionKind]] = (
    (bool, OptionKind.BOOLEAN),
    (int, OptionKind.INTEGER),
    (Channel, OptionKind.CHANNEL),
    (Role, OptionKind.ROLE),
    (Member, OptionKind.USER),
)


def _kind(value: Any) -> OptionKind:
    """Guess the type of an unregistered option."""
    return next((kind for of, kind in GUESSES if isinstance(value, of)), OptionKind.STRING)


def click_data(
    message: Message, custom_id: str, values: Sequence[Any] | None, resolved: Resolved, *, unchecked: bool = False
) -> Payload:
    """Return the data of a click on a button, or of a choice in a select menu."""
    component = _component(message, custom_id, values, unchecked=unchecked)
    if component.get("disabled") and not unchecked:
        raise ValueError(f"{custom_id} is disabled")
    data: Payload = {"custom_id": custom_id, "component_type": component["type"], "id": component["id"]}
    if component["type"] == BUTTON:
        return data
    return data | {"values": [resolved.value(value) for value in values or ()], "resolved": resolved.found}


def _component(message: Message, custom_id: str, values: Sequence[Any] | None, *, unchecked: bool) -> Payload:
    try:
        return message.component(custom_id)
    except LookupError:
        if not unchecked:
            raise
        return {"type": BUTTON if values is None else TEXT_SELECT, "id": 1}
