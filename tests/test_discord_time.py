"""Discord's time beside the machine's clock, either of which may be wrong."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import MONDAY, FakeClock
from weekbot.discord_io import server_time
from weekbot.discord_io.server_time import AGREES_SECONDS, ServerClock

NEAR = timedelta(seconds=1)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


class World:
    """The true time, and the loop's clock, which passes with it."""

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

    def answer(self, wrong: timedelta = timedelta()) -> None:
        self.time.observe(format_datetime(self.true + wrong, usegmt=True))

    def is_right(self) -> bool:
        return abs(self.time.now() - self.true) <= NEAR


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(server_time, "loop_now", lambda: 1000 + world.passed)
    return world


def test_a_clock_that_agrees_is_used_as_it_is(world: World) -> None:
    assert world.time.now() == MONDAY
    world.machine.move(seconds=3)
    world.answer()
    assert world.time.now() == MONDAY + timedelta(seconds=3)
    assert not world.time.in_doubt


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, 3 * HOUR, -timedelta(minutes=4)])
def test_a_clock_that_is_wrong_at_the_start_is_corrected_by_the_first_answer(world: World, wrong: timedelta) -> None:
    world.machine.instant += wrong
    world.answer()
    world.let_pass(minutes=7)
    assert world.is_right()
    assert abs(world.time.error - wrong) <= NEAR
    world.machine.instant -= wrong
    assert world.is_right()
    world.answer()
    assert not world.time.error


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, timedelta(seconds=90)])
def test_a_clock_that_is_set_meanwhile_is_doubted_and_not_believed(world: World, wrong: timedelta) -> None:
    world.answer()
    world.machine.instant += wrong
    doubts = [world.time.in_doubt]
    assert world.is_right()
    world.answer()
    doubts.append(world.time.in_doubt)
    assert world.is_right()
    world.machine.instant -= wrong
    doubts.append(world.time.in_doubt)
    world.answer()
    doubts.append(world.time.in_doubt)
    assert world.is_right()
    assert doubts == [True, True, True, False]  # as long as it disagrees


def test_a_process_that_stood_still_believes_the_clock_when_an_answer_agrees(world: World) -> None:
    """As in a virtual machine that was paused from outside: the loop's clock stood still with it."""
    world.answer()
    world.machine.move(hours=5)
    doubts = [world.time.in_doubt]
    world.answer(5 * HOUR)
    assert world.time.now() == MONDAY + 5 * HOUR
    assert [*doubts, world.time.in_doubt] == [True, False]


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, timedelta(seconds=90)])
def test_answers_that_are_wrong_for_a_while_change_nothing(world: World, wrong: timedelta) -> None:
    world.answer()
    for _ in range(20):
        world.let_pass(minutes=1)
        world.answer(wrong)
        assert world.is_right()
    assert not world.time.in_doubt


def test_a_first_answer_that_is_wrong_is_corrected_by_the_next(world: World) -> None:
    world.answer(-YEAR)
    world.let_pass(seconds=1)
    assert world.time.in_doubt  # so that there is a next one, also if nothing seems to be due
    world.answer()
    assert world.is_right()
    assert not world.time.in_doubt


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Foo 2026 08:00:00 GMT", "Mon, 23 Nov 99999 08:00:00 GMT"])
def test_what_is_no_date_is_ignored(world: World, date: str | None) -> None:
    world.time.observe(date)
    assert world.time.now() == MONDAY


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["machine", "answer"]), st.integers(-(10**6), 10**6), st.floats(0, 3600)), max_size=30
    )
)
def test_of_machine_and_answers_one_at_a_time_may_be_wrong(steps: list[tuple[str, int, float]]) -> None:
    """A wrong answer changes nothing while the machine is right; a wrong machine nothing after a right answer."""
    world = World()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server_time, "loop_now", lambda: 1000 + world.passed)
        world.answer()
        for what, wrong, seconds in steps:
            world.let_pass(seconds=seconds)
            if what == "answer":
                world.answer(timedelta(seconds=wrong))
            else:
                world.machine.instant += timedelta(seconds=wrong)
                world.answer()
                assert abs(world.time.now() - world.true).total_seconds() <= AGREES_SECONDS
                world.machine.instant = world.true
            world.answer()
            assert abs(world.time.now() - world.true).total_seconds() <= AGREES_SECONDS


def test_utc_it_is(world: World) -> None:
    world.answer(YEAR)
    assert world.time.now().tzinfo is UTC
