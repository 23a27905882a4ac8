"""The figures as files: `results/PART.json`, each with the date and the machine of the measurement."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

PARTS = (
    *("fanout", "latency", "tick", "startup", "loading", "presses", "locked", "moving", "postgresql", "growth"),
    "trouble",
)
FOLDER = Path(__file__).with_name("results")


def write(part: str, figures: object, load: float) -> None:
    """Save a part's figures; `load` is the machine's load average before the measurement, which should be near 0."""
    FOLDER.mkdir(exist_ok=True)
    result = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "load": load, "machine": machine(), "figures": figures}
    _path(part).write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def read(part: str) -> dict[str, Any]:
    """Return `date`, `load`, `machine` and `figures`; raise FileNotFoundError for a part that was never measured."""
    found: dict[str, Any] = json.loads(_path(part).read_text("utf-8"))
    return found


def _path(part: str) -> Path:
    return FOLDER / f"{part}.json"
