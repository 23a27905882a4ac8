"""Cancelled tasks are awaited, and no error is dropped."""

import asyncio

import pytest

from weekbot.runtime.tasks import cancel_and_wait, wait_for_first


async def until_cancelled(ended: list[str], error: Exception | None = None) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.append("ended")
        if error:
            raise error


async def test_the_other_tasks_end_after_the_first_one() -> None:
    ended = list[str]()
    await wait_for_first(asyncio.sleep(0), until_cancelled(ended))
    assert ended == ["ended"]


async def test_the_error_of_the_first_task_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        await wait_for_first(fail(), asyncio.Event().wait())


async def test_an_error_during_a_cancellation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    task = asyncio.create_task(until_cancelled([], OSError("disk full")))
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert [record.getMessage() for record in caplog.records] == ["a task failed while it was cancelled"]
    assert "disk full" in caplog.text


async def test_a_task_that_failed_earlier_keeps_its_error_for_its_owner() -> None:
    async def fail() -> None:
        raise ValueError("earlier")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    await cancel_and_wait(task)
    with pytest.raises(ValueError, match="earlier"):
        task.result()
