"""Group commit: what is written close together shares one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Gathers items for as long as `linger`, and writes them together; `write` gives a result for each, in order."""

    def __init__(
        self,
        database: Database,
        write: Callable[[AsyncConnection, list[Item]], Awaitable[Sequence[Result]]],
        linger: timedelta,
    ) -> None:
        self._database = database
        self._write = write
        self._linger = linger
        self._items: list[Item] = []
        self._commit: asyncio.Task[Sequence[Result]] | None = None
        self._under_way: set[asyncio.Task[Sequence[Result]]] = set()

    async def put(self, item: Item) -> Result:
        """The item's result when it is committed; raises what kept its group from being so."""
        place = len(self._items)
        self._items.append(item)
        if self._commit is None:
            self._commit = asyncio.create_task(self._commit_soon())
            self._under_way.add(self._commit)
            self._commit.add_done_callback(self._under_way.discard)
        return (await asyncio.shield(self._commit))[place]

    async def settle(self) -> None:
        """Return when everything that was put before is committed or has failed."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _commit_soon(self) -> Sequence[Result]:
        await asyncio.sleep(self._linger.total_seconds())
        items, self._items, self._commit = self._items, [], None
        async with self._database.write() as connection:
            return await self._write(connection, items)
