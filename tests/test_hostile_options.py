"""Random values for every text option: each gets one response, within Discord's limits.

Hypothesis generates a few dozen values for each command; `make hostile` tries a thousand.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from discord_server.component import texts
from fakes import FakeClock
from simulation import Simulation, simulated

VALUES = int(os.environ.get("WEEKBOT_TEST_HOSTILE_VALUES", "30"))
MAX_TYPED = 6000  # Discord's limit for a text option
PIECES = [
    *("@everyone", "@here", "<@1>", "<@&1>", "<#1>", "<t:0:R>", "</weekly post:1>", "<:x:1>"),
    *("```", "`", "**", "__", "~~", "||", "> ", "# ", "-# ", "\n", "\r", "\\", "[a](https://evil.example)"),
    *("\u202e", "\u200b", "\u0000", "مرحبا", "שלום", "🦄", "👩\u200d👩\u200d👧", "{slot}", "%s", "{0}", "x" * 200),
    *("flask", "django", "25:99", "09:00", "utc+2", "Europe/Berlin", "web"),
]
typed = st.one_of(
    st.text(min_size=1, max_size=200),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join),
    st.sampled_from(PIECES).map(lambda piece: (piece * MAX_TYPED)[:MAX_TYPED]),
).filter(lambda text: bool(text.strip()))

COMMANDS: dict[str, list[str]] = {
    "framework": ["name"],
    "compare": ["first", "second"],
    "topic show": ["name"],
    "topic list": ["track"],
    "weekly next": ["topic"],
    "weekly subscribe": ["track", "time", "timezone", "start"],
    "weekly settings": ["timezone"],
}
WITHOUT_AUTOCOMPLETE = {"time"}


def generate(count: int) -> list[str]:
    """Return `count` values from Hypothesis; the same in each run."""
    values: list[str] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(typed)
    def collect(value: str) -> None:
        values.append(value)

    collect()
    return values


@pytest.fixture
async def simulation(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Simulation]:
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe")
        yield simulation


def test_every_command_with_a_text_option_is_tested(simulation: Simulation) -> None:
    found: dict[str, list[str]] = {}
    for command in simulation.app.registration.tree.walk_commands():
        parameters = getattr(command, "parameters", [])
        text_options = [each.name for each in parameters if each.type.name == "string" and not each.choices]
        if text_options:
            found[command.qualified_name] = text_options
    assert found == COMMANDS


@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
async def test_any_text_gets_one_response_within_limits_that_pings_nobody(
    simulation: Simulation, command: str, options: list[str]
) -> None:
    for number, value in enumerate(generate(VALUES)):
        option = options[number % len(options)]
        other_options: dict[str, Any] = dict.fromkeys(options, "flask") if command == "compare" else {}
        before = len(simulation.bodies("/callback"))
        answer = await simulation.slash(command, **{**other_options, option: value})
        bodies = simulation.bodies("/callback")[before:]
        assert len(bodies) == 1, value
        data = bodies[0]["data"]
        assert data.get("allowed_mentions", {"parse": []}) == {"parse": []}, value
        assert 0 < len(answer.text) <= 4000, value
        assert len(answer.message.content) <= 2000, value
        assert all(0 < len(text) <= 4000 for text in texts(answer.components)), value
        assert "Something went wrong" not in answer.text, value


@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
async def test_autocompletion_of_any_text_stays_within_limits(
    simulation: Simulation, command: str, options: list[str]
) -> None:
    completed = [option for option in options if option not in WITHOUT_AUTOCOMPLETE]
    for number, value in enumerate(generate(VALUES)):
        option = completed[number % len(completed)]
        offered = await simulation.moderator.autocomplete(simulation.text, command, option, value)
        assert len(offered) <= 25, value
        for choice in offered:
            assert 1 <= len(choice["name"]) <= 100, value
            assert 1 <= len(str(choice["value"])) <= 100, value
