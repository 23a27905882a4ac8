"""Single facts that outlive a restart, such as which commands were registered last."""

from sqlalchemy import select

from weekbot.db.database import Database
from weekbot.db.tables import facts
from weekbot.db.upsert import insert_into


class Metadata:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        async with self._database.read() as connection:
            return await connection.scalar(select(facts.c.value).where(facts.c.name == name))

    async def put(self, name: str, value: str) -> None:
        async with self._database.write() as connection:
            new = insert_into(connection, facts).values(name=name, value=value)
            await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
