"""Faults while a bot connects to the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Step: TypeAlias = Literal["HELLO", "IDENTIFY", "RESUME"]


@dataclass(frozen=True)
class Handshake:
    """A step: the gateway's HELLO, before the shard is known, or the bot's IDENTIFY or RESUME."""

    name: Step
    shard: int | None = None

    @property
    def key(self) -> str:
        """Return the key on which random faults depend."""
        return f"{self.name} {self.shard}"


@dataclass(frozen=True)
class HandshakeFault:
    """A fault at a step: the connection is closed, the session is invalid, or nothing is sent.

    `invalid` is true if the invalid session can be resumed.
    """

    kind: str
    close: int | None = None
    invalid: bool | None = None

    def applies_to(self, _step: Handshake) -> bool:
        """Return whether the fault can happen at a step; it always can."""
        return True


def closed(code: int) -> HandshakeFault:
    """Close the connection; 1006 stands for one that breaks without a close frame."""
    return HandshakeFault(f"closed with {code}", close=code)


def invalid_session(*, resumable: bool = False) -> HandshakeFault:
    """Invalidate the session; unless resumable, it is forgotten."""
    return HandshakeFault("invalid session, resumable" if resumable else "invalid session", invalid=resumable)


def silence() -> HandshakeFault:
    """Send nothing, and keep the connection open."""
    return HandshakeFault("silence")
