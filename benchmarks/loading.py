"""Loading: the time of reading and checking a thousand topics, as at startup, at each save and in the check."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.thousand import TOPICS, content_of_a_thousand
from weekbot.content.loading.folder import load_library

RUNS = 15


async def measure() -> dict[str, Any]:
    """Return the seconds for the whole folder: the median and each run."""
    with content_of_a_thousand() as folder:
        runs = []
        for _ in range(RUNS):
            started = time.perf_counter()
            load_library(folder)
            runs.append(round(time.perf_counter() - started, 3))
    print(runs, flush=True)
    return {"topics": TOPICS, "median": median(runs), "runs": runs}
