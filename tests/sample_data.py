"""Sample rows in every table of a database."""

from datetime import timedelta

from sqlalchemy import insert

from fakes import GUILD, MONDAY, SLOT, Bot, FakeClock
from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.db.tables import reconciliations, refusals
from weekbot.domain.progress import Progress
from weekbot.store.follows import Follows
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.metadata import Metadata


async def insert_sample_data(url: str, library: Library, clock: FakeClock) -> None:
    bot = Bot(url, library, clock)
    await bot.subscribe(21, pin=True, thread=True, ping_role_id=10**18)
    other = await bot.subscribe(22, start_topic="flask")
    bot.sender.closed.add(22)
    await bot.tick(SLOT)
    await bot.process.close()
    database = Database(url)
    await Members(database).add(Progress(1, "flask", MONDAY, True, MONDAY + timedelta(microseconds=1)))
    await Follows(database).add(GUILD, 33, MONDAY)
    await Metadata(database).put("commands", "a digest: \N{SNOWMAN} \"'\\\n")
    await Guilds(database).save_locales({GUILD: "pt-BR"})
    waiting = {"subscription_id": other.id, "since": MONDAY, "restored": False, "attempts": 1, "retry_at": SLOT}
    refused = {"topic": "dash", "version": "1", "channel_id": 22, "reason": "too long", "refused_at": SLOT}
    async with database.write() as connection:
        await connection.execute(insert(reconciliations).values(waiting))
        await connection.execute(insert(refusals).values(refused))
    await database.close()
