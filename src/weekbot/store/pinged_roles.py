"""The roles that posts mention, and the removal of those that were deleted."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from weekbot.db.tables import subscriptions
from weekbot.domain.notices import NoticeKind
from weekbot.domain.shards import ALL, Shards
from weekbot.store import subscriptions as subs
from weekbot.store.notices import enqueue
from weekbot.store.repository import Repository
from weekbot.store.rows import LOCKED, on_shards

ROLE_GONE = "the role to ping is gone"


class RolePings(Repository):
    async def roles(self, shards: Shards = ALL) -> list[tuple[int, int]]:
        """Return the server and the id of each role that a subscription on the shards mentions."""
        guild_id, role_id = subscriptions.c.guild_id, subscriptions.c.ping_role_id
        on_these = role_id.is_not(None) & on_shards(shards, guild_id)
        query = select(guild_id, role_id).where(on_these).distinct().order_by(guild_id, role_id)
        return [(row.guild_id, row.ping_role_id) for row in await self._rows(query)]

    async def forget(self, guild_id: int, role_id: int, now: datetime) -> int:
        """Remove the role from the server's subscriptions, and enqueue a notice for each. Return their number."""
        which = (subscriptions.c.guild_id == guild_id) & (subscriptions.c.ping_role_id == role_id)
        async with self._database.write() as connection:
            ids = set(await connection.scalars(select(subscriptions.c.id).where(which)))
            found = await subs.by_ids(connection, ids, **LOCKED)
            changed = [each for each in found.values() if each.options.ping_role_id == role_id]
            without = [replace(each, options=replace(each.options, ping_role_id=None)) for each in changed]
            await subs.save_all(connection, without)
            for each in changed:
                if each.active:
                    await enqueue(connection, each.id, NoticeKind.ROLE_GONE, ROLE_GONE, now)
        return len(changed)
