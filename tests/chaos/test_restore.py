"""A restore with real processes after a hundred posts: none is lost, duplicated or out of order."""

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
        place.add_channels(guilds=1, channels=25)
        await place.subscribe(place.channels[:10])
        await place.subscribe(place.channels[10:], pin=True)
        yield place


async def save_backup(place: Place) -> None:
    with atomic_output(place.folder / "backup.db", force=False) as copy:
        back_up(place.database, copy, place.clock.now())


async def restore_backup(place: Place) -> None:
    assert "Restored" in await place.command("db", "restore", "backup.db", "--force")


async def save_export(place: Place) -> None:
    with (place.folder / "backup.jsonl").open("wb") as file:
        await export(place.database, file, place.clock.now())


async def restore_export(place: Place) -> None:
    (place.folder / "weekbot.db").unlink()
    assert "Imported" in await place.command("import", "backup.jsonl")


async def save_copy(place: Place) -> None:
    """Copy the file of the unused database."""
    shutil.copy(place.folder / "weekbot.db", place.folder / "backup.db")


async def restore_copy(place: Place) -> None:
    shutil.copy(place.folder / "backup.db", place.folder / "weekbot.db")


KINDS = [
    pytest.param(save_backup, restore_backup, id="backup"),
    pytest.param(save_export, restore_export, id="export"),
    pytest.param(save_copy, restore_copy, id="copy"),
]
Act = Callable[[Place], Awaitable[None]]


@pytest.mark.parametrize(("save", "restore"), KINDS)
async def test_posts_after_a_backup_are_neither_duplicated_nor_lost(
    place: Place, library: Library, save: Act, restore: Act
) -> None:
    async with place.running():
        await run_week(place, 0)
        if save is not save_copy:
            await save(place)
    if save is save_copy:
        await place.database.close()
        await save(place)
    async with place.running():
        for week in range(1, WEEKS + 1):
            await run_week(place, week)
        await post_now(place)
    before = topics(place)
    assert sum(map(len, before.values())) == len(place.channels) * (1 + WEEKS) + 1

    await place.database.close()
    await restore(place)
    async with place.running():
        await look_ups_done(place)
        assert topics(place) == before
        await run_week(place, WEEKS + 1)

    in_order = list(library.tracks[EVERYTHING].topics[: WEEKS + 3])
    expected = {channel.id: in_order[: WEEKS + 2] for channel in place.channels}
    assert topics(place) == expected | {place.channels[0].id: in_order}
    entries = await place.ledger.entries()
    assert {entry.state for entry in entries} == {"sent"}
    assert len(entries) == len(place.channels) * (WEEKS + 2) + 1
    assert [len(channel.pins) for channel in place.channels[10:20]] == [1] * 10


async def run_week(place: Place, week: int) -> None:
    slot = SLOT + week * WEEK
    place.clock.start(slot)
    await place.settled(slot)


async def post_now(place: Place) -> None:
    place.clock.advance(hours=50)
    answer = await place.server.interact(place.channels[0], "weekly post")
    assert "Posted" in answer.text, answer.text


async def look_ups_done(place: Place) -> None:
    """Wait until all channels were looked up and the found posts have their steps."""
    await place.settled(SLOT + WEEKS * WEEK)


def topics(place: Place) -> dict[int, list[str]]:
    """Return the topics of each channel's posts, the oldest first."""
    return {channel.id: _topics(place, channel) for channel in place.channels}


def _topics(place: Place, channel: Channel) -> list[str]:
    ids = [custom_id for post in place.posts(channel) for custom_id in post.custom_ids]
    return [custom_id.rpartition(":")[2] for custom_id in ids if custom_id.startswith(POST_MARK)]
