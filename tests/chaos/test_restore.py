"""A drill with real processes: a backup, a hundred posts, a restore; none is doubled, none is lost, all in order."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from discord_server import Channel
from weekbot.cli.output_file import atomic_output
from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.schedule import WEEK
from weekbot.transfer.backup import back_up
from weekbot.transfer.export_import import export

from .harness import POST_MARK, SLOT, Place, place_in

pytestmark = pytest.mark.chaos

WEEKS = 4  # between the backup and the restore


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path, Random(1), f"sqlite:///{tmp_path / 'weekbot.db'}") as place:
        place.furnish(guilds=1, channels=25)
        await place.subscribe(place.channels[:10])
        await place.subscribe(place.channels[10:], pin=True)
        yield place


async def by_backup(place: Place) -> None:
    with atomic_output(place.folder / "backup.db", force=False) as copy:
        back_up(place.database, copy, place.clock.now())


async def from_backup(place: Place) -> None:
    assert "Restored" in await place.command("db", "restore", "backup.db", "--force")


async def by_export(place: Place) -> None:
    with (place.folder / "backup.jsonl").open("wb") as file:
        await export(place.database, file, place.clock.now())


async def from_export(place: Place) -> None:
    (place.folder / "weekbot.db").unlink()
    assert "Imported" in await place.command("import", "backup.jsonl")


async def by_hand(place: Place) -> None:
    """A plain copy, of a database that nobody uses at that moment."""
    shutil.copy(place.folder / "weekbot.db", place.folder / "backup.db")


async def from_hand(place: Place) -> None:
    shutil.copy(place.folder / "backup.db", place.folder / "weekbot.db")


KINDS = [
    pytest.param(by_backup, from_backup, id="backup"),
    pytest.param(by_export, from_export, id="export"),
    pytest.param(by_hand, from_hand, id="copy"),
]
Act = Callable[[Place], Awaitable[None]]


@pytest.mark.parametrize(("save", "bring_back"), KINDS)
async def test_what_was_posted_after_a_backup_is_neither_doubled_nor_lost(
    place: Place, library: Library, save: Act, bring_back: Act
) -> None:
    async with place.running():
        await a_week(place, 0)
        if save is not by_hand:
            await save(place)
    if save is by_hand:
        await place.database.close()
        await save(place)
    async with place.running():
        for week in range(1, WEEKS + 1):
            await a_week(place, week)
        await post_now(place)
    before = topics(place)
    assert sum(map(len, before.values())) == len(place.channels) * (1 + WEEKS) + 1

    await place.database.close()
    await bring_back(place)
    async with place.running():
        await looked_up(place)
        assert topics(place) == before
        await a_week(place, WEEKS + 1)

    in_order = list(library.tracks[EVERYTHING].topics[: WEEKS + 3])
    expected = {channel.id: in_order[: WEEKS + 2] for channel in place.channels}
    assert topics(place) == expected | {place.channels[0].id: in_order}
    entries = await place.ledger.entries()
    assert {entry.state for entry in entries} == {"sent"}
    assert len(entries) == len(place.channels) * (WEEKS + 2) + 1
    assert [len(channel.pins) for channel in place.channels[10:20]] == [1] * 10


async def a_week(place: Place, week: int) -> None:
    slot = SLOT + week * WEEK
    place.clock.start(slot)
    await place.settled(slot)


async def post_now(place: Place) -> None:
    place.clock.let_pass(hours=50)
    answer = await place.server.interact(place.channels[0], "weekly post")
    assert "Posted" in answer.text, answer.text


async def looked_up(place: Place) -> None:
    """All channels were looked at, and what is found there was followed up."""
    await place.settled(SLOT + WEEKS * WEEK)


def topics(place: Place) -> dict[int, list[str]]:
    """By channel, what its posts are about, the oldest first."""
    return {channel.id: _topics(place, channel) for channel in place.channels}


def _topics(place: Place, channel: Channel) -> list[str]:
    ids = [custom_id for post in place.posts(channel) for custom_id in post.custom_ids]
    return [custom_id.rpartition(":")[2] for custom_id in ids if custom_id.startswith(POST_MARK)]
