"""The rate limiter, measured on the event loop's clock, which jumps to the next timer in these tests."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import simulated
from weekbot.discord_io.rate_limiter import RateLimiter

RATE = 200
ROUNDING = 1e-3  # of the interval between two requests
ALMOST_ALL = 0.995  # of the rate is used
BURST = 1.5  # requests: one, and half a request to catch up with timers that wake late

pauses = st.lists(st.floats(min_value=0, max_value=0.2), min_size=1, max_size=60)


async def acquired_at(limiter: RateLimiter, moment: float) -> float:
    """Call `acquire` at that moment, and return the moment at which it returns."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(moment - loop.time())
    await limiter.acquire()
    return loop.time()


async def all_acquired_at(moments: list[float], rate: float = RATE) -> list[float]:
    """Call `acquire` at each of the moments from now, and return the sorted moments at which it returns."""
    limiter = RateLimiter(rate)
    start = asyncio.get_running_loop().time()
    return sorted(await asyncio.gather(*(acquired_at(limiter, start + moment) for moment in moments)))


def largest_excess(acquired: list[float], rate: float) -> float:
    """Return by how many requests the busiest window exceeds `rate * window`."""
    return max(
        (last - first + 1) - rate * (acquired[last] - acquired[first])
        for first in range(len(acquired))
        for last in range(first, len(acquired))
    )


@pytest.mark.parametrize("late", [0, 0.001, 0.1])
@pytest.mark.parametrize("rate", [1, 48, RATE])
def test_a_broadcast_never_exceeds_the_rate_in_any_window(rate: float, late: float) -> None:
    acquired = simulated(all_acquired_at([0.0] * 300, rate), late)

    assert len(acquired) == 300
    assert largest_excess(acquired, rate) < BURST + ROUNDING


@given(pauses, st.floats(min_value=0, max_value=0.02))
@settings(max_examples=50, deadline=None)
def test_no_window_exceeds_the_rate_for_any_arrivals(pauses: list[float], late: float) -> None:
    moments = [sum(pauses[: number // 3]) for number in range(3 * len(pauses))]

    acquired = simulated(all_acquired_at(moments), late)

    assert len(acquired) == len(moments)
    assert largest_excess(acquired, RATE) < BURST + ROUNDING


def test_an_idle_hour_does_not_allow_a_larger_burst() -> None:
    acquired = simulated(all_acquired_at([0.0] + [3600.0] * 50))

    assert acquired[1] >= acquired[0] + 3599
    assert acquired[-1] - acquired[1] >= (50 - BURST - ROUNDING) / RATE


def test_a_broadcast_uses_almost_all_of_the_rate() -> None:
    acquired = simulated(all_acquired_at([0.0] * 300))

    assert acquired[-1] - acquired[0] <= 299 / RATE / ALMOST_ALL


@pytest.mark.parametrize(("rate", "late"), [(48, 0.001), (48, 0.01), (RATE, 0.0024)])
def test_late_timers_do_not_lower_the_rate_in_the_long_run(rate: float, late: float) -> None:
    acquired = simulated(all_acquired_at([0.0] * 1000, rate), late)

    assert acquired[-1] - acquired[0] <= 999 / rate / ALMOST_ALL + late


def test_requests_leave_in_the_order_of_their_arrival() -> None:
    async def in_order() -> list[int]:
        limiter = RateLimiter(RATE)
        order: list[int] = []

        async def ask(number: int) -> None:
            await limiter.acquire()
            order.append(number)

        await asyncio.gather(*(ask(number) for number in range(50)))
        return order

    assert simulated(in_order()) == list(range(50))


def test_a_cancelled_request_does_not_delay_the_next() -> None:
    async def with_one_cancelled() -> list[float]:
        limiter = RateLimiter(RATE)
        loop = asyncio.get_running_loop()
        first = await acquired_at(limiter, loop.time())
        cancelled = asyncio.ensure_future(limiter.acquire())
        waiting = asyncio.ensure_future(acquired_at(limiter, loop.time()))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        return [first, await waiting]

    first, second = simulated(with_one_cancelled())
    assert second - first <= 1 / RATE + ROUNDING / RATE


# Capacity


async def capacity_after(limiter: RateLimiter) -> float:
    """Return the seconds until there is capacity."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await limiter.wait_for_capacity()
    return loop.time() - start


async def queued(limiter: RateLimiter, count: int) -> list[asyncio.Task[None]]:
    """Return `count` waiting requests, after one that has left."""
    await limiter.acquire()
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize("count", [0, 1, 5])
def test_there_is_capacity_while_few_requests_wait(count: int) -> None:
    async def few() -> float:
        limiter = RateLimiter(50)
        waiting = await queued(limiter, count)
        after = await capacity_after(limiter)
        await asyncio.gather(*waiting)
        return after

    assert simulated(few()) < ROUNDING / 50


def test_there_is_capacity_when_the_waiting_requests_leave_within_a_tenth_of_a_second() -> None:
    async def many() -> tuple[float, int]:
        limiter = RateLimiter(50)
        waiting = await queued(limiter, 30)
        after = await capacity_after(limiter)
        left = sum(not each.done() for each in waiting)
        await asyncio.gather(*waiting)
        return after, left

    after, left = simulated(many())
    assert left in (4, 5)
    assert abs(after - 25 / 50) <= 1 / 50


def test_cancelled_requests_do_not_use_capacity() -> None:
    async def cancelled() -> float:
        limiter = RateLimiter(50)
        waiting = await queued(limiter, 30)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return await capacity_after(limiter)

    assert simulated(cancelled()) < ROUNDING / 50


def test_two_requests_may_wait_at_the_lowest_rate() -> None:
    async def slow() -> tuple[float, float]:
        limiter = RateLimiter(1)
        two = await queued(limiter, 2)
        with_two = await capacity_after(limiter)
        third = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        with_three = await capacity_after(limiter)
        await asyncio.gather(*two, third)
        return with_two, with_three

    with_two, with_three = simulated(slow())
    assert with_two < ROUNDING
    assert with_three >= 0.5 - ROUNDING
