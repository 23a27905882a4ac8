"""The bot's application."""

from dataclasses import dataclass

from .payload import Payload
from .user import User

MESSAGE_CONTENT = 1 << 18 | 1 << 19


@dataclass(frozen=True)
class Application:
    """An application; its bot has the same ID, as usual."""

    id: int
    name: str
    owner: User
    public_key: str = "0" * 64
    flags: int = 0

    @property
    def reads_content(self) -> bool:
        """Return whether the Message Content intent is on, so that the bot can read others' messages."""
        return bool(self.flags & MESSAGE_CONTENT)

    def payload(self, bot: User, guilds: int) -> Payload:
        """Return the application as its own bot sees it."""
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "description": "",
            "type": None,
            "bot": bot.payload(),
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": self.public_key,
            "flags": self.flags,
            "flags_new": str(self.flags),
            "owner": self.owner.payload(),
            "team": None,
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "approximate_guild_count": guilds,
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": [],
        }
