"""Keeps the demo's channel short: drawing its page takes time with every message in it."""

import asyncio

import discord

MOST_MESSAGES = 12
EVERY_SECONDS = 5


async def tidy(channel: discord.TextChannel) -> None:
    """Take the oldest messages away, until cancelled."""
    while True:
        messages = [message async for message in channel.history(limit=100)]
        for message in messages[MOST_MESSAGES:]:
            await message.delete()
        await asyncio.sleep(EVERY_SECONDS)
