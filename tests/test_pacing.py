"""The pace of requests, measured on the event loop's own clock, which here runs only as far as it has to."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import simulated
from weekbot.discord_io.rate_limiter import RateLimiter

RATE = 200
ROUNDING = 1e-3  # of one turn
ALMOST_ALL = 0.995  # of the rate is used
AT_ONCE = 1.5  # turns: one, and half a turn to catch up with timers that woke late

pauses = st.lists(st.floats(min_value=0, max_value=0.2), min_size=1, max_size=60)


async def turn_at(pace: RateLimiter, moment: float) -> float:
    """Ask for a turn at that moment; the moment at which it was granted."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(moment - loop.time())
    await pace.acquire()
    return loop.time()


async def turns_at(asked: list[float], rate: float = RATE) -> list[float]:
    """Ask for a turn at each of the moments, counted from now; the moments at which they were granted, in order."""
    pace = RateLimiter(rate)
    start = asyncio.get_running_loop().time()
    return sorted(await asyncio.gather(*(turn_at(pace, start + moment) for moment in asked)))


def most_above(granted: list[float], rate: float) -> float:
    """By how much the busiest of all windows exceeds `rate * window` turns."""
    return max(
        (last - first + 1) - rate * (granted[last] - granted[first])
        for first in range(len(granted))
        for last in range(first, len(granted))
    )


@pytest.mark.parametrize("late", [0, 0.001, 0.1])
@pytest.mark.parametrize("rate", [1, 48, RATE])
def test_a_broadcast_never_exceeds_the_rate_in_any_window(rate: float, late: float) -> None:
    granted = simulated(turns_at([0.0] * 300, rate), late)

    assert len(granted) == 300
    assert most_above(granted, rate) < AT_ONCE + ROUNDING


@given(pauses, st.floats(min_value=0, max_value=0.02))
@settings(max_examples=50, deadline=None)
def test_however_requests_come_no_window_exceeds_the_rate(pauses: list[float], late: float) -> None:
    asked = [sum(pauses[: number // 3]) for number in range(3 * len(pauses))]

    granted = simulated(turns_at(asked), late)

    assert len(granted) == len(asked)
    assert most_above(granted, RATE) < AT_ONCE + ROUNDING


def test_a_quiet_hour_saves_up_no_burst() -> None:
    granted = simulated(turns_at([0.0] + [3600.0] * 50))

    assert granted[1] >= granted[0] + 3599
    assert granted[-1] - granted[1] >= (50 - AT_ONCE - ROUNDING) / RATE


def test_a_broadcast_uses_almost_all_of_the_rate() -> None:
    granted = simulated(turns_at([0.0] * 300))

    assert granted[-1] - granted[0] <= 299 / RATE / ALMOST_ALL


@pytest.mark.parametrize(("rate", "late"), [(48, 0.001), (48, 0.01), (RATE, 0.0024)])
def test_timers_that_wake_up_to_half_a_turn_late_cost_nothing_in_the_long_run(rate: float, late: float) -> None:
    granted = simulated(turns_at([0.0] * 1000, rate), late)

    assert granted[-1] - granted[0] <= 999 / rate / ALMOST_ALL + late


def test_turns_are_granted_in_the_order_they_were_asked_for() -> None:
    async def in_order() -> list[int]:
        pace = RateLimiter(RATE)
        order: list[int] = []

        async def ask(number: int) -> None:
            await pace.acquire()
            order.append(number)

        await asyncio.gather(*(ask(number) for number in range(50)))
        return order

    assert simulated(in_order()) == list(range(50))


def test_a_request_that_was_given_up_holds_nobody_up() -> None:
    async def with_one_given_up() -> list[float]:
        pace = RateLimiter(RATE)
        loop = asyncio.get_running_loop()
        first = await turn_at(pace, loop.time())
        given_up = asyncio.ensure_future(pace.acquire())
        waiting = asyncio.ensure_future(turn_at(pace, loop.time()))
        await asyncio.sleep(0)
        given_up.cancel()
        return [first, await waiting]

    first, second = simulated(with_one_given_up())
    assert second - first <= 1 / RATE + ROUNDING / RATE


# Room for more


async def room_after(pace: RateLimiter) -> float:
    """How long it takes until there is room, in seconds."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await pace.wait_for_capacity()
    return loop.time() - start


async def queued(pace: RateLimiter, count: int) -> list[asyncio.Task[None]]:
    """So many requests that wait for their turn, after one that had it."""
    await pace.acquire()
    waiting = [asyncio.create_task(pace.acquire()) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize("count", [0, 1, 5])
def test_there_is_room_while_few_wait(count: int) -> None:
    async def few() -> float:
        pace = RateLimiter(50)
        waiting = await queued(pace, count)
        after = await room_after(pace)
        await asyncio.gather(*waiting)
        return after

    assert simulated(few()) < ROUNDING / 50


def test_there_is_room_again_when_those_who_wait_leave_within_a_tenth_of_a_second() -> None:
    async def many() -> tuple[float, int]:
        pace = RateLimiter(50)
        waiting = await queued(pace, 30)
        after = await room_after(pace)
        left = sum(not each.done() for each in waiting)
        await asyncio.gather(*waiting)
        return after, left

    after, left = simulated(many())
    assert left in (4, 5)
    assert abs(after - 25 / 50) <= 1 / 50


def test_requests_that_were_given_up_take_up_no_room() -> None:
    async def given_up() -> float:
        pace = RateLimiter(50)
        waiting = await queued(pace, 30)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return await room_after(pace)

    assert simulated(given_up()) < ROUNDING / 50


def test_at_the_slowest_pace_there_is_room_for_two() -> None:
    async def slow() -> tuple[float, float]:
        pace = RateLimiter(1)
        two = await queued(pace, 2)
        with_two = await room_after(pace)
        third = asyncio.ensure_future(pace.acquire())
        await asyncio.sleep(0)
        with_three = await room_after(pace)
        await asyncio.gather(*two, third)
        return with_two, with_three

    with_two, with_three = simulated(slow())
    assert with_two < ROUNDING
    assert with_three >= 0.5 - ROUNDING
