"""Users, and members of guilds."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from .payload import Payload
from .role import Role

JOINED = datetime(2020, 1, 1, tzinfo=UTC).isoformat()


@dataclass(frozen=True)
class User:
    """A user, human or bot."""

    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"

    def payload(self) -> Payload:
        """Return the user as everyone sees it."""
        return {
            "id": str(self.id),
            "username": self.name,
            "discriminator": "0",
            "global_name": None,
            "avatar": None,
            "primary_guild": None,
            "bot": self.bot,
            "flags": 0,
            "public_flags": 0,
        }

    def own_payload(self) -> Payload:
        """Return the user as it sees itself."""
        private = {"verified": True, "mfa_enabled": False, "locale": self.locale, "email": None}
        return self.payload() | private


@dataclass
class Member:
    """A user in a guild."""

    user: User
    roles: list[Role] = field(default_factory=list)

    @property
    def id(self) -> int:
        """Return the user's id."""
        return self.user.id

    def payload(self) -> Payload:
        """Return the member without its user, as Discord resolves it."""
        return {
            "roles": [str(role.id) for role in self.roles],
            "nick": None,
            "avatar": None,
            "banner": None,
            "joined_at": JOINED,
            "premium_since": None,
            "communication_disabled_until": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }

    def full_payload(self) -> Payload:
        """Return the member with its user."""
        return self.payload() | {"user": self.user.payload()}
