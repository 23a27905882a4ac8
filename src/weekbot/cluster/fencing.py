"""The fence: of the processes that believe that they send, the database takes what the last one says."""

from sqlalchemy import BigInteger, String, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.errors import FencedError
from weekbot.db.tables import facts
from weekbot.db.upsert import insert_into

TERM = "term"
"""The fact that counts how often the sending has begun."""


class Fencing:
    """`term` is what the sending of this process is numbered by, 0 before it has sent anything."""

    def __init__(self) -> None:
        self.term = 0
        self._refused_term = 0

    @property
    def is_over(self) -> bool:
        """Whether the database has refused this term because a later one has begun."""
        return 0 < self.term == self._refused_term

    async def begin(self, connection: AsyncConnection) -> None:
        """Begin a term. What the one before is writing at this moment is waited for; nothing more is taken from it."""
        following = cast(cast(facts.c.value, BigInteger) + 1, String)
        new = insert_into(connection, facts).values(name=TERM, value="1")
        statement = new.on_conflict_do_update(index_elements=["name"], set_={"value": following})
        self.term = int(str(await connection.scalar(statement.returning(facts.c.value))))

    async def check(self, connection: AsyncConnection) -> None:
        """Raises FencedError where this term is over; else no other begins until the transaction has ended."""
        current = select(facts.c.value).where(facts.c.name == TERM).with_for_update(read=True)
        if await connection.scalar(current) != str(self.term):
            self._refused_term = self.term
            raise FencedError
