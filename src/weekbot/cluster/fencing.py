"""Fencing: the database refuses writes of a process whose term as the leader is over."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.errors import FencedError
from weekbot.db.metadata import increment_entry
from weekbot.db.tables import metadata_entries

TERM = "term"
"""The metadata entry that holds the latest term."""


class Fencing:
    """`term` is this process's last one as the leader, 0 before the first."""

    def __init__(self) -> None:
        self.term = 0
        self._refused_term = 0

    @property
    def is_superseded(self) -> bool:
        """True if the database has refused a write because a later term has begun."""
        return 0 < self.term == self._refused_term

    async def begin(self, connection: AsyncConnection) -> None:
        """Begin a term. Waits for open transactions of the previous one, which can't write any more afterwards."""
        self.term = await increment_entry(connection, TERM)

    async def check(self, connection: AsyncConnection) -> None:
        """Keep the next term from beginning until this transaction ends. Raises FencedError if it already has."""
        entries = metadata_entries.c
        current = select(entries.value).where(entries.name == TERM).with_for_update(read=True)
        if await connection.scalar(current) != str(self.term):
            self._refused_term = self.term
            raise FencedError
