"""Recording the language of a member's Discord."""

from pathlib import Path

import discord
import pytest

from fakes import FakeClock
from locales import set_locale
from simulation import simulated


async def test_a_member_speaks_the_language_that_is_set_and_others_go_on_in_theirs(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    async def listen(interaction: discord.Interaction) -> bool:
        heard.append(interaction.locale)
        return True

    async with simulated(tmp_path, clock) as simulation:
        monkeypatch.setattr(simulation.app.registration.tree, "interaction_check", listen)
        set_locale(simulation.env, simulation.member, "de")
        await simulation.slash("help", by=simulation.member)
        await simulation.slash("help", by=simulation.moderator)
    assert heard == [discord.Locale.german, discord.Locale.american_english]
