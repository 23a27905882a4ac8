"""Setting the locale of simulated members."""

from pathlib import Path

import discord
import pytest

from fakes import FakeClock
from locales import set_locale
from simulation import simulated


async def test_only_the_given_member_uses_the_new_locale(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    locales = []

    async def record_locale(interaction: discord.Interaction) -> bool:
        locales.append(interaction.locale)
        return True

    async with simulated(tmp_path, clock) as simulation:
        monkeypatch.setattr(simulation.app.registration.tree, "interaction_check", record_locale)
        set_locale(simulation.env, simulation.member, "de")
        await simulation.slash("help", by=simulation.member)
        await simulation.slash("help", by=simulation.moderator)
    assert locales == [discord.Locale.german, discord.Locale.american_english]
