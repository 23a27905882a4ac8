"""The recipes of docs/operating.md, followed exactly around a slot: no post is lost or duplicated."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from postgres import empty_database_url
from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING
from weekbot.db.database import Database
from weekbot.domain.schedule import WEEK

from .harness import SLOT, Place, place_in
from .recipes import DOCUMENT, Operator, recipe
from .test_two_ledgers import topics

pytestmark = pytest.mark.chaos

CHANNELS = 10
RESTART_MINUTES = 5  # after the slot, until the bots are restarted
SYSTEMD, COMPOSE = {"weekbot": dict[str, str]()}, {"bot-a": dict[str, str](), "bot-b": dict[str, str]()}
SQLITE, TWICE, MOVING = "Backups", "Twice, over PostgreSQL", "Moving to PostgreSQL"

At = Callable[[str], AbstractAsyncContextManager[Place]]


@pytest.fixture
def at(tmp_path: Path) -> At:
    """Return a function that creates a place with that kind of database and ten subscribed channels."""

    @asynccontextmanager
    async def create(kind: str) -> AsyncIterator[Place]:
        with empty_database_url(kind, tmp_path) as url:
            async with place_in(tmp_path, Random(1), url) as place:
                place.add_channels(guilds=2, channels=CHANNELS // 2)
                await place.subscribe(place.channels)
                yield place

    return create


async def run_week(place: Place, number: int) -> None:
    """Start the clock at the slot, and wait for all posts."""
    slot = SLOT + number * WEEK
    place.clock.start(slot)
    await place.settled(slot)


async def check_topics(place: Place, weeks: int, library: Library) -> None:
    """Check that each channel had one post a week, in order."""
    expected = list(library.tracks[EVERYTHING].topics[:weeks])
    assert Counter(tuple(topics(place, channel)) for channel in place.channels) == {tuple(expected): CHANNELS}


async def check_restore(
    operator: Operator, library: Library, before: list[str], after: list[str], services: str
) -> None:
    """Back up, let a week pass, and restore; the bots are restarted five minutes after the next slot."""
    place = operator.place
    await operator.follow([f"{services.format('start')}"])
    await run_week(place, 0)
    await place.database.close()  # otherwise SQLite keeps data in another file, which a plain copy lacks
    await operator.follow(before)
    await run_week(place, 1)
    place.clock.advance(minutes=RESTART_MINUTES)
    await place.database.close()
    await operator.follow(after)
    await place.settled(SLOT + WEEK)
    await check_topics(place, 2, library)
    await run_week(place, 2)
    await check_topics(place, 3, library)
    entries = await place.ledger.entries()
    assert [entry.state for entry in entries] == ["sent"] * (3 * CHANNELS)
    await operator.follow([f"{services.format('stop')}"])


async def test_backup_and_restore_of_sqlite_loses_no_post(at: At, library: Library) -> None:
    async with at("sqlite") as place:
        backup, *rest = recipe(SQLITE, "db backup")
        await check_restore(Operator(place, SYSTEMD), library, [backup], rest, "sudo systemctl {} weekbot")


async def test_a_manual_copy_of_sqlite_loses_no_post(at: At, library: Library) -> None:
    async with at("sqlite") as place:
        stop, *_, start = lines = recipe(SQLITE, "mark-restored")
        [put] = [line for line in lines if line.startswith("cp ")]
        copy = [stop, "cp weekbot.db backup.db", start]
        assert put == "cp backup.db weekbot.db"
        await check_restore(Operator(place, SYSTEMD), library, copy, lines, "sudo systemctl {} weekbot")


async def test_backup_and_restore_of_postgresql_loses_no_post(at: At, library: Library) -> None:
    async with at("postgresql") as place:
        dump, *rest = recipe(TWICE, "pg_dump")
        await check_restore(Operator(place, COMPOSE), library, [dump], rest, "docker compose {} bot-a bot-b")


async def test_a_copy_to_postgresql_loses_no_post(at: At, library: Library, tmp_path: Path) -> None:
    async with at("sqlite") as place:
        with empty_database_url("postgresql", tmp_path) as url:
            documented_url = "postgresql://user:password@host/name"
            operator = Operator(place, SYSTEMD, {documented_url: f"'{url}'", ". .venv/bin/activate": ":"})
            await operator.follow(["sudo systemctl start weekbot"])
            await run_week(place, 0)
            await operator.follow(["sudo systemctl stop weekbot", *recipe(MOVING, "db copy")])
            place.clock.start(SLOT + WEEK)  # the slot is due while no bot runs
            place.database_url = url
            async with Database(url) as place.database:
                await operator.follow(["sudo systemctl start weekbot"])
                await place.settled(SLOT + WEEK)
                await run_week(place, 2)
                await operator.follow(["sudo systemctl stop weekbot"])
                assert {entry.state for entry in await place.ledger.entries()} == {"sent"}
        await check_topics(place, 3, library)


async def follow_during_slot(operator: Operator, lines: list[str], library: Library) -> None:
    """Follow the lines while the posts of the second slot are slowly being sent."""
    place = operator.place
    await operator.follow(["docker compose start bot-a bot-b"])
    await run_week(place, 0)
    place.server.latency = 0.3
    place.clock.start(SLOT + WEEK)
    await place.server.until(partial(_has_begun, place), "a first post of the second slot")
    await operator.follow(lines)
    await place.settled(SLOT + WEEK)
    await check_topics(place, 2, library)
    await operator.follow(["docker compose stop bot-a bot-b"])
    await check_topics(place, 2, library)


def _has_begun(place: Place) -> bool:
    return any(len(place.posts(channel)) > 1 for channel in place.channels)


async def test_a_failover_loses_no_post(at: At, library: Library) -> None:
    async with at("postgresql") as place:
        settings = {name: {"WEEKBOT_REQUESTS_PER_SECOND": "4"} for name in COMPOSE}
        await follow_during_slot(Operator(place, settings), recipe(TWICE, "compose kill"), library)


async def test_an_upgrade_loses_no_post(at: At, library: Library) -> None:
    async with at("postgresql") as place:
        settings = {name: {"WEEKBOT_REQUESTS_PER_SECOND": "4"} for name in COMPOSE}
        lines = recipe("Upgrading without a gap", "up -d --build")
        await follow_during_slot(Operator(place, settings), lines, library)


async def test_three_processes_on_several_hosts_lose_no_post(at: At, library: Library) -> None:
    """Each process has the documented line of settings."""
    line = re.compile(r"^WEEKBOT_SHARD_COUNT=(\d) WEEKBOT_SHARD_IDS=([\d,]+)$", re.MULTILINE)
    settings = line.findall(DOCUMENT.read_text("utf-8"))
    assert len(settings) == 3
    hosts = {
        f"host-{number}": {"WEEKBOT_SHARD_COUNT": count, "WEEKBOT_SHARD_IDS": ids}
        for number, (count, ids) in enumerate(settings)
    }
    async with at("postgresql") as place:
        place.server.world.shards = 3
        operator = Operator(place, hosts)
        await operator.follow([f"docker compose start {' '.join(hosts)}"])
        await run_week(place, 0)
        await operator.follow(["docker compose kill host-0"])
        await run_week(place, 1)
        await operator.follow(["docker compose start host-0"])
        await run_week(place, 2)
        await operator.follow([f"docker compose stop {' '.join(hosts)}"])
        await check_topics(place, 3, library)
        assert {entry.state for entry in await place.ledger.entries()} == {"sent"}
