"""Logging in to Discord."""

import discord
from pydantic import SecretStr

from weekbot.discord_io.errors import map_errors
from weekbot.runtime.errors import WeekbotError

RESET_STEPS = "https://discord.com/developers/applications, your application, Bot, Reset Token"
TOKEN_REFUSED = f"Discord does not accept WEEKBOT_DISCORD_TOKEN. Get a new one at {RESET_STEPS}."


class TokenError(WeekbotError):
    """The token is missing or wrong."""


def require_token(setting: SecretStr | None) -> str:
    """Return the token. Raises TokenError if it isn't set."""
    if setting and (token := setting.get_secret_value()):
        return token
    raise TokenError(f"WEEKBOT_DISCORD_TOKEN is not set. Get a token at {RESET_STEPS}.")


async def log_in(client: discord.Client, token: str) -> None:
    """Raises TokenError and delivery errors."""
    try:
        with map_errors():
            await client.login(token)
    except discord.LoginFailure:
        raise TokenError(TOKEN_REFUSED) from None
