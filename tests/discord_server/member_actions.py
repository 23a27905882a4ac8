"""Actions of members: they use commands, type, and click."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from .changes import Changes
from .channel import Channel
from .command import Command
from .gateway import Gateway
from .interaction import Interaction, InteractionKind
from .invocation import Invocation, Resolved, click_data
from .message import Message
from .payload import Payload
from .user import Member
from .world import World


class How(TypedDict, total=False):
    """Options of a member's action.

    `member` defaults to the guild's owner. `prepare` is called with the interaction before the bot receives it, for
    example with Interaction.expire. An `unchecked` command or component need not exist, as with an old or broken
    client. If `documented`, chosen threads have only the fields that
    Discord documents.
    """

    member: Member | None
    member_permissions: int | None
    prepare: Callable[[Interaction], object]
    unchecked: bool
    documented: bool


class MemberActions:
    """Plays the members of a world. Members, roles and channels are passed as objects."""

    world: World
    gateway: Gateway
    changes: Changes

    async def interact(
        self,
        channel: Channel,
        command: str,
        options: Mapping[str, Any] | None = None,
        *,
        deferred_too: bool = True,
        **how: Unpack[How],
    ) -> Interaction:
        """Use a slash command, and wait for the response, even if it is deferred."""
        interaction = self.invoke(channel, command, options, **how)
        return await self._answered(interaction, f"an answer to /{command}", deferred_too=deferred_too)

    def invoke(
        self, channel: Channel, command: str, options: Mapping[str, Any] | None = None, **how: Unpack[How]
    ) -> Interaction:
        """Use a slash command."""
        invocation = self._invocation(channel, command, options or {}, how)
        return self._begin(InteractionKind.COMMAND, channel, None, invocation.data(), how)

    async def autocomplete(
        self,
        channel: Channel,
        command: str,
        options: Mapping[str, Any],
        *,
        focused: str | None = None,
        **how: Unpack[How],
    ) -> list[Payload]:
        """Type an option (the last one unless another is focused), and return the bot's choices."""
        interaction = self.type_option(channel, command, options, focused=focused, **how)
        return (await self._answered(interaction, f"choices for /{command}")).choices

    def type_option(
        self,
        channel: Channel,
        command: str,
        options: Mapping[str, Any],
        *,
        focused: str | None = None,
        **how: Unpack[How],
    ) -> Interaction:
        """Type an option."""
        invocation = self._invocation(channel, command, options, how)
        invocation.focused = focused or list(options)[-1]
        return self._begin(InteractionKind.AUTOCOMPLETE, channel, None, invocation.data(), how)

    async def click(
        self,
        target: Message | Interaction,
        custom_id: str,
        values: Sequence[Any] | None = None,
        *,
        deferred_too: bool = True,
        **how: Unpack[How],
    ) -> Interaction:
        """Click a button or choose in a select menu of a message, and wait for the response."""
        interaction = self.press(target, custom_id, values, **how)
        return await self._answered(interaction, f"an answer to {custom_id}", deferred_too=deferred_too)

    def press(
        self,
        target: Message | Interaction,
        custom_id: str,
        values: Sequence[Any] | None = None,
        **how: Unpack[How],
    ) -> Interaction:
        """Click a button or choose in a select menu."""
        message = target.answer if isinstance(target, Interaction) else target
        if message is None:
            raise LookupError("there is no message to click on")
        resolved = self._resolved(message.channel, how)
        data = click_data(message, custom_id, values, resolved, unchecked=how.get("unchecked", False))
        return self._begin(InteractionKind.COMPONENT, message.channel, message, data, how)

    async def submit(
        self, channel: Channel, custom_id: str, components: Sequence[Payload] = (), **how: Unpack[How]
    ) -> Interaction:
        """Submit a modal, and wait for the response."""
        data: Payload = {"custom_id": custom_id, "components": list(components)}
        interaction = self._begin(InteractionKind.MODAL, channel, None, data, how)
        return await self._answered(interaction, f"an answer to {custom_id}")

    def replay(self, interaction: Interaction) -> None:
        """Send an interaction to the bot again."""
        self.gateway.dispatch(interaction.channel.guild.id, "INTERACTION_CREATE", interaction.event)

    def _invocation(self, channel: Channel, command: str, options: Mapping[str, Any], how: How) -> Invocation:
        path, unchecked = command.split(), how.get("unchecked", False)
        registered = self._registered(path[0], channel.guild.id, unchecked=unchecked)
        return Invocation(registered, path, options, self._resolved(channel, how), unchecked=unchecked)

    def _registered(self, name: str, guild_id: int, *, unchecked: bool) -> Command:
        try:
            return self.world.commands.named(name, guild_id)
        except LookupError:
            if not unchecked:
                raise
            return Command(self.world.snowflakes.next(), 0, self.world.snowflakes.next(), {"name": name})

    def _resolved(self, channel: Channel, how: How) -> Resolved:
        return Resolved(channel.guild, _member(channel, how), documented=how.get("documented", False))

    def _begin(
        self, kind: InteractionKind, channel: Channel, message: Message | None, data: Payload, how: How
    ) -> Interaction:
        interaction = self.world.begin(kind, channel, _member(channel, how), message)
        how.get("prepare", _nothing)(interaction)
        self._dispatch(interaction, data, how.get("member_permissions"))
        return interaction

    def _dispatch(self, interaction: Interaction, data: Payload, permissions: int | None) -> None:
        guild = interaction.channel.guild
        if not any(session.serves(guild.id) for session in self.gateway.connected()):
            raise RuntimeError(f"no bot is connected for {guild.name}")
        interaction.event = interaction.payload(data, permissions)
        self.replay(interaction)

    async def _answered(self, interaction: Interaction, what: str, *, deferred_too: bool = True) -> Interaction:
        def met() -> bool:
            return interaction.answered if deferred_too else interaction.callback is not None

        await self.changes.until(met, what)
        return interaction


def _member(channel: Channel, how: How) -> Member:
    return how.get("member") or channel.guild.owner


def _nothing(_interaction: Interaction) -> None:
    pass
