"""The loopback Discord in its own process, for benchmarks: `PYTHONPATH=tests python -m discord_server`.

It prints one line of JSON with its addresses and contents, and serves until SIGTERM or SIGINT; then it prints
another one with a report of the requests. GET /_report, beside the API, returns the same report at any time.
"""

import argparse
import asyncio
import gc
import json
import signal
import sys

from .payload import Payload
from .rate_limit import PER_SECOND, RateLimits
from .server import DiscordServer
from .start_limit import IDENTIFY_SECONDS, StartLimit
from .world import World


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m discord_server", description="A Discord on a loopback port.")
    parser.add_argument("--guilds", type=int, default=1)
    parser.add_argument("--channels", type=int, default=1, help="text channels of each guild")
    parser.add_argument("--shards", type=int, default=1, help="how many /gateway/bot recommends")
    parser.add_argument("--latency", type=float, nargs=2, default=(0.0, 0.0), metavar=("MIN", "MAX"), help="in seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the latencies")
    parser.add_argument("--per-second", type=int, default=PER_SECOND, help="the global rate limit; 0 for no limits")
    parser.add_argument("--identify-seconds", type=float, default=IDENTIFY_SECONDS, help="between two shards")
    parser.add_argument("--posts", type=int, default=1, help="how many are expected in each channel")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="check against the OpenAPI document; fail in the end")
    return parser.parse_args()


def build(options: argparse.Namespace) -> DiscordServer:
    """Return a server with guilds and channels."""
    world = World(shards=options.shards, starts=StartLimit(seconds=options.identify_seconds))
    limits = RateLimits(options.per_second) if options.per_second else None
    server = DiscordServer(world, port=options.port, check=options.check, limits=limits, record=False)
    server.rest.latencies = tuple(options.latency)
    server.rest.random.seed(options.seed)
    server.expected_posts = options.posts
    for guild_number in range(options.guilds):
        guild = server.add_guild(f"guild {guild_number}")
        for number in range(options.channels):
            guild.add_text_channel(f"channel-{number}")
    return server


def description(server: DiscordServer) -> Payload:
    """Return a server's addresses and contents."""
    guilds = server.world.guilds
    return {
        "api_url": server.api_url,
        "gateway_url": server.gateway_url,
        "report_url": server.report_url,
        "token": server.token,
        "application_id": str(server.world.application.id),
        "channels": {str(guild.id): [str(channel_id) for channel_id in guild.channels] for guild in guilds.values()},
    }


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    server = build(arguments())
    gc.freeze()  # collections of a large world would make the bot appear slow
    async with server:
        _print(description(server))
        await stop.wait()
        _print(server.report())


def _print(payload: Payload) -> None:
    sys.stdout.write(json.dumps(payload) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
