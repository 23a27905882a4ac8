"""`weekbot run` that measures its response times to members: `python -m benchmarks.response_times FILE`.

The time is measured from the gateway message with the interaction in discord.py to the write of the response's body
to its socket. At the end, FILE contains the seconds by interaction type.
"""

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, cast

import aiohttp
from discord.gateway import DiscordWebSocket
from discord.state import ConnectionState

from weekbot.discord_io.http_trace import HttpTrace
from weekbot.run import run
from weekbot.runtime import log
from weekbot.runtime.clock import SystemClock
from weekbot.settings import load_settings

ANSWER = re.compile(r"/interactions/(\d+)/.*/callback$")
KINDS = {2: "command", 4: "autocomplete"}


class ResponseTimer:
    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {kind: [] for kind in KINDS.values()}
        self._received_at = 0.0
        self._open: dict[str, tuple[str, float]] = {}

    def install(self) -> None:
        """Instrument all clients that are created from now on."""
        gateway, state, trace = cast("Any", DiscordWebSocket), cast("Any", ConnectionState), cast("Any", HttpTrace)
        receive, parse, config_of = gateway.received_message, state.parse_interaction_create, trace.config

        async def received_message(socket: object, message: object, /) -> None:
            self._received_at = time.perf_counter()
            await receive(socket, message)

        def parse_interaction_create(state: object, data: Any) -> None:
            self._open[data["id"]] = KINDS[data["type"]], self._received_at
            parse(state, data)

        def instrumented(http_trace: HttpTrace) -> aiohttp.TraceConfig:
            config: aiohttp.TraceConfig = config_of(http_trace)
            config.on_request_chunk_sent.append(self._sent)
            return config

        gateway.received_message = received_message
        state.parse_interaction_create = parse_interaction_create
        trace.config = instrumented

    async def _sent(self, _: object, __: object, request: aiohttp.TraceRequestChunkSentParams) -> None:
        if (answer := ANSWER.search(request.url.path)) and answer[1] in self._open:
            kind, received_at = self._open.pop(answer[1])
            self.seconds[kind].append(time.perf_counter() - received_at)


def main() -> None:
    timer = ResponseTimer()
    timer.install()
    log.configure("INFO", "console")
    asyncio.run(run(load_settings(), SystemClock()))
    Path(sys.argv[1]).write_text(json.dumps(timer.seconds), "utf-8")


if __name__ == "__main__":
    main()
