"""The file with the raw answers, for the maintainers: it holds no secret, and nothing that others wrote."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import IO, Any

from weekbot.rehearse.payload import Payload
from weekbot.rehearse.transcript import Exchange
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import Redactor

WITHHELD = "withheld"


@dataclass
class RawFile:
    """JSON Lines: a line with the versions, then one for each exchange and each result, as they happen."""

    path: Path
    file: IO[str]
    redactor: Redactor
    own_id: int

    def __post_init__(self) -> None:
        self.write({name: version(name) for name in ("weekbot", "discord.py", "aiohttp")})

    def add_exchange(self, exchange: Exchange) -> None:
        """Withhold an ordinary answer that describes the account or the server."""
        needed = exchange.part is not None or not exchange.ok
        answer = shareable(exchange.answer, self.own_id) if needed else WITHHELD
        self.write({**asdict(exchange), "at": str(exchange.at), "answer": answer})

    def write(self, line: Payload) -> None:
        self.file.write(self.redactor.redact(json.dumps(line, ensure_ascii=False)) + "\n")
        self.file.flush()


@contextmanager
def raw_file(path: Path, redactor: Redactor, own_id: int) -> Iterator[RawFile]:
    """Create the file for the bot with that id. Raises WeekbotError if the name is taken, or nothing can be written."""
    try:
        file = open(path, "x", encoding="utf-8", opener=partial(os.open, mode=0o600))  # noqa: SIM115 - closed below
    except FileExistsError:
        raise WeekbotError(f"{path} already exists; choose another name.") from None
    except OSError as error:
        raise WeekbotError(f"{path} cannot be written: {error.strerror or error}.") from error
    with file:
        yield RawFile(path, file, redactor, own_id)


def usual_path(day: date) -> Path:
    suffixes = (f"-{number}" if number > 1 else "" for number in count(1))
    paths = (Path(f"weekbot-rehearsal-{day}{suffix}.jsonl") for suffix in suffixes)
    return next(path for path in paths if not path.exists())


def shareable(answer: Any, own_id: int) -> Any:
    """Return the answer without what others wrote or own, except the copies of published messages."""
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
