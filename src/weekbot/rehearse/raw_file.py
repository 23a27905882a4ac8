"""The file with the raw answers, which can be sent to the maintainers: no secret is in it, nor what others wrote."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import IO, Any

from weekbot.errors import WeekbotError
from weekbot.log import Blotter
from weekbot.rehearse.finding import Finding
from weekbot.rehearse.payload import Payload
from weekbot.rehearse.transcript import Exchange

WITHHELD = "withheld"


class RawFile:
    """JSON Lines: a line with the versions, then one for each exchange and each finding, as they come."""

    def __init__(self, path: Path, file: IO[str], blotter: Blotter, own_id: int) -> None:
        self.path = path
        self._own_id = own_id
        self._file = file
        self._blotter = blotter
        self._write({name: version(name) for name in ("weekbot", "discord.py", "aiohttp")})

    def add_exchange(self, exchange: Exchange) -> None:
        """Without the answer if that is about the account or the server, and Discord answered as usual."""
        needed = exchange.part is not None or not exchange.ok
        answer = shareable(exchange.answer, self._own_id) if needed else WITHHELD
        self._write({**asdict(exchange), "at": str(exchange.at), "answer": answer})

    def add_finding(self, finding: Finding) -> None:
        self._write(asdict(finding))

    def _write(self, line: Payload) -> None:
        self._file.write(self._blotter.blot(json.dumps(line, ensure_ascii=False)) + "\n")
        self._file.flush()


@contextmanager
def raw_file(path: Path, blotter: Blotter, own_id: int) -> Iterator[RawFile]:
    """A new file, of the bot with that id. Raises WeekbotError if the name is taken or nothing can be written there."""
    with _opened(path) as file:
        yield RawFile(path, file, blotter, own_id)


def _opened(path: Path) -> IO[str]:
    try:
        return open(path, "x", encoding="utf-8", opener=_private)
    except FileExistsError:
        raise WeekbotError(f"{path} already exists; choose another name.") from None
    except OSError as error:
        raise WeekbotError(f"{path} cannot be written: {error.strerror or error}.") from error


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def usual_path(day: date) -> Path:
    """In the working directory; numbered if there is one of that day already."""
    name = f"weekbot-rehearsal-{day}"
    numbered = (Path(f"{name}-{number}.jsonl") for number in count(2))
    path = Path(f"{name}.jsonl")
    while path.exists():
        path = next(numbered)
    return path


def shareable(answer: Any, own_id: int) -> Any:
    """The answer with nothing in it that somebody else wrote or owns but the copies of published messages."""
    if isinstance(answer, list):
        return [shareable(each, own_id) for each in answer]
    if not isinstance(answer, dict):
        return answer
    if _is_somebody_elses(answer, own_id):
        return {"id": answer.get("id"), "type": answer.get("type"), WITHHELD: "somebody else's"}
    return {key: shareable(value, own_id) for key, value in answer.items()}


def _is_somebody_elses(part: Payload, own_id: int) -> bool:
    author = part.get("author")
    owner_id = author.get("id") if isinstance(author, dict) else part.get("owner_id")
    is_copy = "webhook_id" in part and "message_reference" in part
    return owner_id not in (None, str(own_id)) and not is_copy
