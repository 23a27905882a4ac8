"""What happens while a bot connects to the gateway, instead of a session that begins or goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Step: TypeAlias = Literal["HELLO", "IDENTIFY", "RESUME"]


@dataclass(frozen=True)
class Handshake:
    """A step: the gateway's HELLO, of which the shard is not known yet, or what the bot sends."""

    name: Step
    shard: int | None = None

    @property
    def key(self) -> str:
        """Return what chance depends on."""
        return f"{self.name} {self.shard}"


@dataclass(frozen=True)
class HandshakeFault:
    """What happens at a step: the connection is closed, the session is invalid, or nothing comes.

    `invalid` tells whether the invalid session can be resumed.
    """

    kind: str
    close: int | None = None
    invalid: bool | None = None

    def fits(self, _step: Handshake) -> bool:
        """Tell whether it can happen at a step, which it always can."""
        return True


def closed(code: int) -> HandshakeFault:
    """Close the connection; 1006 is for one that breaks off without a closing frame."""
    return HandshakeFault(f"closed with {code}", close=code)


def invalid_session(*, resumable: bool = False) -> HandshakeFault:
    """Say that the session is invalid; unless it can be resumed, it is forgotten."""
    return HandshakeFault("invalid session, resumable" if resumable else "invalid session", invalid=resumable)


def silence() -> HandshakeFault:
    """Send nothing, and keep the connection."""
    return HandshakeFault("silence")
