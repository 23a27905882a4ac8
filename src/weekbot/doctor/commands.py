"""The slash commands: whether Discord lists those of this version."""

import asyncio
from collections.abc import AsyncIterator

import discord

from weekbot.bot.registration import described, differences, digest_of, listed, payloads
from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.doctor.finding import Finding, error, ok, warning
from weekbot.doctor.records import Records

PATIENCE_SECONDS = 15


async def of_commands(client: discord.Client, home_channel_id: int | None, records: Records) -> AsyncIterator[Finding]:
    """Raises the errors of `outcomes`, and TimeoutError."""
    ours = await payloads(described(client, home_channel_id))
    async with asyncio.timeout(PATIENCE_SECONDS):
        with errors_told_apart():
            theirs = await listed(client)
    differing = "; ".join(differences(ours, theirs))
    if not differing:
        yield ok("commands", f"Discord lists all {len(ours)} commands of this version")
    elif not theirs:
        yield warning("commands", "Discord lists none yet; `weekbot run` will register them.")
    elif await records.registered() == digest_of(client.application_id, ours):
        cause = "Something else has registered commands with this token since weekbot did"
        remedy = "Stop it, then restart weekbot, which registers its own"
        yield error("commands", f"Discord's list {differing}. {cause}. {remedy}.")
    else:
        yield warning("commands", f"Discord's list {differing}; weekbot registers its own when it starts. Restart it.")
