"""Group commit: what is written close together shares one transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.store.database import Database

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Gathers items for as long as `linger`, and writes them together."""

    def __init__(
        self, database: Database, write: Callable[[AsyncConnection, list[Item]], Awaitable[None]], linger: timedelta
    ) -> None:
        self._database = database
        self._write = write
        self._linger = linger
        self._items: list[Item] = []
        self._commit: asyncio.Task[None] | None = None

    async def put(self, item: Item) -> None:
        """Return when the item is committed, or raise what kept its group from being so."""
        self._items.append(item)
        if self._commit is None:
            self._commit = asyncio.create_task(self._commit_soon())
        await asyncio.shield(self._commit)

    async def _commit_soon(self) -> None:
        await asyncio.sleep(self._linger.total_seconds())
        items, self._items, self._commit = self._items, [], None
        async with self._database.write() as connection:
            await self._write(connection, items)
