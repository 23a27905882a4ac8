"""From what a member would type or click to the data of an interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .channel import Channel
from .command import Command
from .component import BUTTON
from .guild import Guild
from .message import Message
from .payload import Payload
from .role import Role
from .user import Member


class OptionKind(IntEnum):
    """Discord's numbers for the types of options that matter here."""

    SUB_COMMAND = 1
    SUB_COMMAND_GROUP = 2
    USER = 6
    CHANNEL = 7
    ROLE = 8
    MENTIONABLE = 9


NESTED = (OptionKind.SUB_COMMAND, OptionKind.SUB_COMMAND_GROUP)


@dataclass
class Resolved:
    """The objects that an interaction's data refers to."""

    guild: Guild
    member: Member
    found: dict[str, Payload] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        """Return how data names a value, and remember what it names."""
        if isinstance(value, Channel):
            permissions = self.guild.permissions_of(self.member, value)
            self._keep("channels", value.id, value.payload() | {"permissions": str(int(permissions))})
        elif isinstance(value, Role):
            self._keep("roles", value.id, value.payload())
        elif isinstance(value, Member):
            self._keep("users", value.id, value.user.payload())
            self._keep("members", value.id, value.payload())
        else:
            return value
        return str(value.id)

    def _keep(self, group: str, key: int, payload: Payload) -> None:
        self.found.setdefault(group, {})[str(key)] = payload


@dataclass
class Invocation:
    """A slash command as a member fills it in."""

    command: Command
    path: Sequence[str]
    values: Mapping[str, Any]
    resolved: Resolved
    focused: str | None = None

    def data(self) -> Payload:
        """Return the data of the interaction."""
        schema, names = self._schema()
        options = self._options(schema)
        for name, kind in reversed(names):
            options = [{"name": name, "type": int(kind), "options": options}]
        data: Payload = {"id": str(self.command.id), "name": self.path[0], "type": 1, "options": options}
        # Discord resolves nothing while a member is still typing.
        return data | ({"resolved": self.resolved.found} if self.resolved.found and not self.focused else {})

    def _schema(self) -> tuple[list[Payload], list[tuple[str, OptionKind]]]:
        schema: list[Payload] = self.command.body.get("options") or []
        names = []
        for name in self.path[1:]:
            child = next((each for each in schema if each["name"] == name and each["type"] in NESTED), None)
            if child is None:
                raise LookupError(f"/{' '.join(self.path)} is not registered")
            names.append((name, OptionKind(child["type"])))
            schema = child.get("options") or []
        if any(each["type"] in NESTED for each in schema):
            raise LookupError(f"/{' '.join(self.path)} needs a sub-command")
        return schema, names

    def _options(self, schema: list[Payload]) -> list[Payload]:
        known = {option["name"]: option for option in schema}
        if unknown := self.values.keys() - known.keys():
            raise LookupError(f"/{' '.join(self.path)} has no options {sorted(unknown)}")
        required = {name for name, option in known.items() if option.get("required")}
        if not self.focused and (missing := required - self.values.keys()):
            raise ValueError(f"/{' '.join(self.path)} requires the options {sorted(missing)}")
        return [self._option(known[name], value) for name, value in self.values.items()]

    def _option(self, option: Payload, value: Any) -> Payload:
        if option["name"] == self.focused:
            if not option.get("autocomplete"):
                raise ValueError(f"{self.focused} has no autocomplete")
            return {"name": option["name"], "type": option["type"], "value": value, "focused": True}
        choices = [choice["value"] for choice in option.get("choices") or []]
        if choices and value not in choices:
            raise ValueError(f"{option['name']} takes one of {choices}, not {value!r}")
        return {"name": option["name"], "type": option["type"], "value": self.resolved.value(value)}


def click_data(message: Message, custom_id: str, values: Sequence[Any] | None, resolved: Resolved) -> Payload:
    """Return the data of a click on a button, or of choosing in a select menu."""
    component = message.component(custom_id)
    if component.get("disabled"):
        raise ValueError(f"{custom_id} is disabled")
    data: Payload = {"custom_id": custom_id, "component_type": component["type"], "id": component["id"]}
    if component["type"] == BUTTON:
        return data
    return data | {"values": [resolved.value(value) for value in values or ()], "resolved": resolved.found}
