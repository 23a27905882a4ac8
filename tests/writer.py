"""Write many rows in one statement, repeatedly, until stopped: `python writer.py URL NAME`."""

import asyncio
import sys
from itertools import count

from sqlalchemy import bindparam, insert, update

from weekbot.db import postgresql
from weekbot.db.database import Database
from weekbot.db.tables import metadata_entries

PAUSE_SECONDS = 1  # the maximum within a transaction
ROWS = 500
_UPDATE = (
    update(metadata_entries).where(metadata_entries.c.name == bindparam("_name")).values(value=bindparam("_value"))
)


async def write(url: str, name: str) -> None:
    """Write rows; a line on stdout announces the start."""
    postgresql.IDLE_IN_TRANSACTION_SECONDS = PAUSE_SECONDS
    async with Database(url) as database:
        async with database.write() as connection:
            await connection.execute(insert(metadata_entries).values(name=name, value="0"))
        sys.stdout.write("writes\n")
        sys.stdout.flush()
        for number in count():
            async with database.write() as connection:
                await connection.execute(_UPDATE, [{"_name": name, "_value": str(number)}] * ROWS)


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
