"""Start the demo, and keep it running until it is told to stop."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from weekbot.app import App, build
from weekbot.demo.channel_clock import ChannelClock
from weekbot.demo.cleanup import tidy
from weekbot.demo.live_page import LivePage
from weekbot.demo.scenario import World, make_world, subscribe
from weekbot.demo.simulation import page, settings_of_one_run, simulated, text_channel
from weekbot.domain.schedule import WEEK
from weekbot.runtime.clock import FastClock
from weekbot.runtime.signals import stop_signal
from weekbot.runtime.tasks import wait_for_first
from weekbot.scheduler import delivering

TICK = timedelta(seconds=0.25)
CATCH_UP_HOURS = 24 * 6  # a slow machine may be virtual days late


async def demo(*, port: int, week_seconds: float, on_ready: Callable[[str], None]) -> None:
    """Serve the page on the loopback interface until SIGINT or SIGTERM; `on_ready` gets its address.

    Raises WeekbotError where the port is taken.
    """
    stop = stop_signal()
    clock = FastClock(WEEK.total_seconds() / week_seconds)
    channel_clock = ChannelClock(clock)
    with settings_of_one_run(catch_up_hours=CATCH_UP_HOURS) as settings:
        async with build(settings, clock) as app, simulated(app, channel_clock) as env:
            world = make_world(env, week_seconds)
            await subscribe(app, world)
            async with (
                page(env, world.channel, world.viewers, port) as preview,
                _living(app, world, LivePage(env, preview, channel_clock)),
            ):
                on_ready(preview.url)
                await wait_for_first(stop.wait(), preview.wait_closed())


@asynccontextmanager
async def _living(app: App, world: World, live: LivePage) -> AsyncIterator[None]:
    """Posts come, the page follows, and the channel stays short, until the block ends."""
    async with live.kept(tidy(text_channel(app, world.channel))), delivering(app, TICK):
        yield
