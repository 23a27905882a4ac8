"""Plays a scene in a simulated Discord with the bot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fakes import FakeClock
from locales import set_locale
from screenshots.scenes import Scene, Shown
from simulation import Simulation, simulated


@asynccontextmanager
async def played(scene: Scene) -> AsyncIterator[tuple[Simulation, Shown]]:
    with TemporaryDirectory(prefix="weekbot-scene-") as folder:
        async with simulated(Path(folder), FakeClock()) as simulation:
            simulation.env.backend.bot_user.name = "weekbot"
            for person in (simulation.member, simulation.moderator):
                set_locale(simulation.env, person, scene.locale)
            await simulation.set_system_channel(simulation.other)
            yield simulation, await scene.act(simulation)
