"""Named values that outlive a restart, such as which commands were registered last."""

from weekbot.db.metadata import get_entry, put_entry
from weekbot.store.repository import Repository


class Metadata(Repository):
    async def get(self, name: str) -> str | None:
        async with self._database.read() as connection:
            return await get_entry(connection, name)

    async def put(self, name: str, value: str) -> None:
        async with self._database.write() as connection:
            await put_entry(connection, name, value)
