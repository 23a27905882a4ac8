"""A database with due subscriptions."""

import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from weekbot.db.database import Database
from weekbot.domain.schedule import Weekly, slot_in, week_of
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.store.subscriptions import Build, Subscriptions

UTC_ZONE = ZoneInfo("UTC")


@asynccontextmanager
async def due(channels: Iterable[tuple[int, int]], start_topic: str) -> AsyncIterator[str]:
    """Create a database and yield its URL; each channel is (server ID, channel ID), and gets `start_topic`."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'weekbot.db'}"
        database = Database(url)
        await database.upgrade()
        subscriptions = Subscriptions(database)
        for guild_id, channel_id in channels:
            await subscriptions.put(guild_id, channel_id, always(due_subscription(guild_id, channel_id, start_topic)))
        await database.close()
        yield url


def always(subscription: Subscription) -> Build:
    """Return a builder that replaces any subscription with this one."""
    return lambda _, __: subscription


def due_subscription(guild_id: int, channel_id: int, start_topic: str | None = None) -> Subscription:
    """Return a subscription whose slot was a minute ago."""
    then = datetime.now(UTC) - timedelta(minutes=1)
    weekly = Weekly(then.weekday(), time(then.hour, then.minute), UTC_ZONE)
    options = Options("everything", weekly.weekday, weekly.at, start_topic=start_topic)
    return Subscription(
        0, guild_id, channel_id, options, "UTC", round=1, next_slot=slot_in(weekly, week_of(then, UTC_ZONE))
    )
