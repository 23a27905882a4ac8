"""A client of the loopback Discord without a Discord library, which sees responses byte by byte."""

import asyncio
import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from discord_server import DiscordServer

SECONDS = 10


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def date(self) -> Any:
        return parsedate_to_datetime(self.headers["Date"])


async def ask(
    server: DiscordServer, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
) -> Answer:
    """Send one request with the bot's token, and return the response; an error status doesn't raise."""
    client = aiohttp.ClientSession(
        headers={"Authorization": f"Bot {server.token}"}, timeout=aiohttp.ClientTimeout(SECONDS)
    )
    client._retry_connection = False  # otherwise aiohttp repeats a GET, PUT or DELETE after a cut connection
    async with client, client.request(method, server.api_url + path, json=body, params=query) as answer:
        return Answer(answer.status, answer.headers, await answer.text())


async def ask_all(server: DiscordServer, *requests: tuple[str, str]) -> list[Answer]:
    return list(await asyncio.gather(*(ask(server, method, path) for method, path in requests)))
