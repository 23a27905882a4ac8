"""Repositories: each reads and writes one kind of row."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Delete, Executable, Row, Select, Update

from weekbot.db.database import Database

T = TypeVar("T")


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def _rows(self, query: Executable) -> Sequence[Row[*tuple[Any, ...]]]:
        async with self._database.read() as connection:
            return (await connection.execute(query)).all()

    async def _values(self, query: Select[T]) -> Sequence[T]:
        async with self._database.read() as connection:
            return (await connection.scalars(query)).all()

    async def _execute(self, statement: Update | Delete) -> int:
        """Execute the statement in its own transaction, and return the number of rows that it changed."""
        async with self._database.write() as connection:
            return (await connection.execute(statement)).rowcount
