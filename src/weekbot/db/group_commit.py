"""Group commit: writes close together share one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class GroupCommit(Generic[Item, Result]):
    """Collects items for `linger`, then writes them together; `write` returns a result for each, in order."""

    database: Database
    write: Callable[[AsyncConnection, list[Item]], Awaitable[Sequence[Result]]]
    linger: timedelta
    _items: list[Item] = field(default_factory=list)
    _next_commit: asyncio.Task[Sequence[Result]] | None = None

    async def put(self, item: Item) -> Result:
        """Return the item's result once it is committed. Raises the error of the group's transaction."""
        place = len(self._items)
        self._items.append(item)
        if self._next_commit is None:
            self._next_commit = self.database.start(self._commit())
        return (await asyncio.shield(self._next_commit))[place]

    async def _commit(self) -> Sequence[Result]:
        await asyncio.sleep(self.linger.total_seconds())
        items, self._items, self._next_commit = self._items, [], None
        async with self.database.write() as connection:
            return await self.write(connection, items)
