"""The pace of requests, measured on the event loop's own clock, which here runs only as far as it has to."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weekbot.delivery.pacing import Pace

RATE = 200
ROUNDING = 1e-3  # of one turn

pauses = st.lists(st.floats(min_value=0, max_value=0.2), min_size=1, max_size=60)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that moves its clock to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        self.moment = 1000.0
        super().__init__(_Selector(self.move))

    def time(self) -> float:
        return self.moment

    def move(self, seconds: float) -> None:
        # Real time passes between two looks at the clock, however little.
        self.moment += max(seconds, 1e-7)


class _Selector(selectors.SelectSelector):
    def __init__(self, move: Callable[[float], None]) -> None:
        super().__init__()
        self._move = move

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self._move(timeout or 0)
        return ready


def simulated(work: Coroutine[Any, Any, list[float]]) -> list[float]:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)


async def turn_at(pace: Pace, moment: float) -> float:
    """Ask for a turn at that moment; the moment at which it was granted."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(moment - loop.time())
    await pace.turn()
    return loop.time()


async def turns_at(asked: list[float], rate: float = RATE) -> list[float]:
    """Ask for a turn at each of the moments, counted from now; the moments at which they were granted, in order."""
    pace = Pace(rate)
    start = asyncio.get_running_loop().time()
    return sorted(await asyncio.gather(*(turn_at(pace, start + moment) for moment in asked)))


def most_above(granted: list[float], rate: float) -> float:
    """By how much the busiest of all windows exceeds `rate * window + 1` turns."""
    return max(
        (last - first + 1) - (rate * (granted[last] - granted[first]) + 1)
        for first in range(len(granted))
        for last in range(first, len(granted))
    )


@pytest.mark.parametrize("rate", [1, 48, RATE])
def test_a_broadcast_never_exceeds_the_rate_in_any_window(rate: float) -> None:
    granted = simulated(turns_at([0.0] * 300, rate))

    assert len(granted) == 300
    assert most_above(granted, rate) < ROUNDING


@given(pauses)
@settings(max_examples=50, deadline=None)
def test_however_requests_come_no_window_exceeds_the_rate(pauses: list[float]) -> None:
    asked = [sum(pauses[: number // 3]) for number in range(3 * len(pauses))]

    granted = simulated(turns_at(asked))

    assert len(granted) == len(asked)
    assert most_above(granted, RATE) < ROUNDING


def test_a_quiet_hour_saves_up_no_burst() -> None:
    granted = simulated(turns_at([0.0] + [3600.0] * 50))

    assert granted[-1] - granted[1] >= 49 / RATE - ROUNDING


def test_a_broadcast_uses_all_of_the_rate() -> None:
    granted = simulated(turns_at([0.0] * 300))

    assert granted[-1] - granted[0] <= 299 / RATE + ROUNDING


def test_turns_are_granted_in_the_order_they_were_asked_for() -> None:
    async def in_order() -> list[float]:
        pace = Pace(RATE)
        order: list[float] = []

        async def ask(number: float) -> None:
            await pace.turn()
            order.append(number)

        await asyncio.gather(*(ask(number) for number in range(50)))
        return order

    assert simulated(in_order()) == list(range(50))


def test_a_request_that_was_given_up_holds_nobody_up() -> None:
    async def with_one_given_up() -> list[float]:
        pace = Pace(RATE)
        loop = asyncio.get_running_loop()
        first = await turn_at(pace, loop.time())
        given_up = asyncio.ensure_future(pace.turn())
        waiting = asyncio.ensure_future(turn_at(pace, loop.time()))
        await asyncio.sleep(0)
        given_up.cancel()
        return [first, await waiting]

    first, second = simulated(with_one_given_up())
    assert second - first <= 1 / RATE + ROUNDING / RATE
