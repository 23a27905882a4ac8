"""PostgreSQL sessions that end with a block, and with them their locks and settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@asynccontextmanager
async def autocommit_session(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a session in which each statement is a transaction."""
    async with engine.connect() as plain:
        try:
            yield await plain.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            with suppress(SQLAlchemyError):
                await plain.invalidate()
