"""One process at a time sends what a database holds."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from weekbot.store.database import Database
from weekbot.store.sole_use import InUseError, sole_use


async def test_a_second_one_is_kept_out_until_the_first_has_ended(url: str) -> None:
    first, second = Database(url), Database(url)
    async with sole_use(first):
        with pytest.raises(InUseError):
            async with sole_use(second):
                pass
    async with sole_use(second):
        pass
    await first.close()
    await second.close()


async def test_it_is_let_go_when_what_is_done_under_it_fails(url: str) -> None:
    database = Database(url)
    with pytest.raises(ZeroDivisionError):
        async with sole_use(database):
            raise ZeroDivisionError
    async with sole_use(database, timedelta(seconds=1)):
        pass
    await database.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_session_that_was_cut_no_longer_keeps_others_out(url: str) -> None:
    first, second = Database(url), Database(url)
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    async with sole_use(first):
        async with second.write() as connection:
            await connection.execute(cut)
        async with sole_use(second, timedelta(seconds=2)):
            pass
    await first.close()
    await second.close()
