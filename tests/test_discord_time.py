"""The server clock, when the machine's clock or Discord's `Date` headers are wrong."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import MONDAY, FakeClock
from weekbot.discord_io import server_time
from weekbot.discord_io.server_time import TOLERANCE_SECONDS, ServerClock

NEAR = timedelta(seconds=1)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


class World:
    """The true time, with the loop's clock advancing at the same rate."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.machine = FakeClock(MONDAY)
        self.time = ServerClock(self.machine)

    @property
    def true(self) -> datetime:
        return MONDAY + timedelta(seconds=self.passed)

    def let_pass(self, **by: float) -> None:
        self.passed += timedelta(**by).total_seconds()
        self.machine.move(**by)

    def respond(self, wrong: timedelta = timedelta()) -> None:
        self.time.observe(format_datetime(self.true + wrong, usegmt=True))

    def is_right(self) -> bool:
        return abs(self.time.now() - self.true) <= NEAR


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(server_time, "loop_now", lambda: 1000 + world.passed)
    return world


def test_a_clock_that_agrees_is_used_unchanged(world: World) -> None:
    assert world.time.now() == MONDAY
    world.machine.move(seconds=3)
    world.respond()
    assert world.time.now() == MONDAY + timedelta(seconds=3)
    assert not world.time.in_doubt


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, 3 * HOUR, -timedelta(minutes=4)])
def test_the_first_response_corrects_a_wrong_clock(world: World, wrong: timedelta) -> None:
    world.machine.instant += wrong
    world.respond()
    world.let_pass(minutes=7)
    assert world.is_right()
    assert abs(world.time.error - wrong) <= NEAR
    world.machine.instant -= wrong
    assert world.is_right()
    world.respond()
    assert not world.time.error


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, timedelta(seconds=90)])
def test_a_clock_that_was_set_is_in_doubt_and_not_used(world: World, wrong: timedelta) -> None:
    world.respond()
    world.machine.instant += wrong
    doubts = [world.time.in_doubt]
    assert world.is_right()
    world.respond()
    doubts.append(world.time.in_doubt)
    assert world.is_right()
    world.machine.instant -= wrong
    doubts.append(world.time.in_doubt)
    world.respond()
    doubts.append(world.time.in_doubt)
    assert world.is_right()
    assert doubts == [True, True, True, False]  # while the clock disagrees


def test_a_suspended_process_trusts_the_clock_if_a_response_agrees(world: World) -> None:
    """The loop's clock stops, too, for example in a paused virtual machine."""
    world.respond()
    world.machine.move(hours=5)
    doubts = [world.time.in_doubt]
    world.respond(5 * HOUR)
    assert world.time.now() == MONDAY + 5 * HOUR
    assert [*doubts, world.time.in_doubt] == [True, False]


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, timedelta(seconds=90)])
def test_temporarily_wrong_responses_are_ignored(world: World, wrong: timedelta) -> None:
    world.respond()
    for _ in range(20):
        world.let_pass(minutes=1)
        world.respond(wrong)
        assert world.is_right()
    assert not world.time.in_doubt


def test_the_next_response_corrects_a_wrong_first_one(world: World) -> None:
    world.respond(-YEAR)
    world.let_pass(seconds=1)
    assert world.time.in_doubt  # so that another request is sent even if nothing seems to be due
    world.respond()
    assert world.is_right()
    assert not world.time.in_doubt


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Foo 2026 08:00:00 GMT", "Mon, 23 Nov 99999 08:00:00 GMT"])
def test_an_invalid_date_is_ignored(world: World, date: str | None) -> None:
    world.time.observe(date)
    assert world.time.now() == MONDAY


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["machine", "answer"]), st.integers(-(10**6), 10**6), st.floats(0, 3600)), max_size=30
    )
)
def test_either_the_clock_or_a_response_may_be_wrong(steps: list[tuple[str, int, float]]) -> None:
    """A wrong response is ignored while the clock is right; a wrong clock is ignored after a right response."""
    world = World()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server_time, "loop_now", lambda: 1000 + world.passed)
        world.respond()
        for source, wrong, seconds in steps:
            world.let_pass(seconds=seconds)
            if source == "answer":
                world.respond(timedelta(seconds=wrong))
            else:
                world.machine.instant += timedelta(seconds=wrong)
                world.respond()
                assert abs(world.time.now() - world.true).total_seconds() <= TOLERANCE_SECONDS
                world.machine.instant = world.true
            world.respond()
            assert abs(world.time.now() - world.true).total_seconds() <= TOLERANCE_SECONDS


def test_the_time_is_in_utc(world: World) -> None:
    world.respond(YEAR)
    assert world.time.now().tzinfo is UTC
