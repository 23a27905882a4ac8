"""The slash commands, compared with those of this version."""

from collections.abc import AsyncIterator

import discord

from weekbot.bot.commands.registration import described, differences, digest_of, fetch_registered, payloads
from weekbot.ops.doctor.database import Records
from weekbot.ops.doctor.finding import Finding, error, ok, warning
from weekbot.ops.doctor.guard import answer_to


async def check_commands(
    client: discord.Client, home_channel_id: int | None, records: Records
) -> AsyncIterator[Finding]:
    """Raises delivery errors, and TimeoutError."""
    ours = await payloads(described(client, has_home_channel=home_channel_id is not None))
    theirs = await answer_to(fetch_registered(client))
    differing = "; ".join(differences(ours, theirs))
    if not differing:
        yield ok("commands", f"Discord lists all {len(ours)} commands of this version")
    elif not theirs:
        yield warning("commands", "Discord lists none yet; `weekbot run` will register them.")
    elif await records.registered_digest() == digest_of(client.application_id, ours):
        cause = "Something else has registered commands with this token since weekbot did"
        remedy = "Stop it, then restart weekbot, which registers its own"
        yield error("commands", f"Discord's list {differing}. {cause}. {remedy}.")
    else:
        yield warning("commands", f"Discord's list {differing}; weekbot registers its own when it starts. Restart it.")
