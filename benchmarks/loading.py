"""Loading: how long reading and checking a thousand topics takes, as at start, at each save and in the check."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.thousand import TOPICS, content_of_a_thousand
from weekbot.content.loading.folder import load_library

RUNS = 15


async def measure() -> dict[str, Any]:
    """The median and each run's seconds for the whole folder."""
    with content_of_a_thousand() as folder:
        runs = []
        for _ in range(RUNS):
            begun = time.perf_counter()
            load_library(folder)
            runs.append(round(time.perf_counter() - begun, 3))
    print(runs, flush=True)
    return {"topics": TOPICS, "median": median(runs), "runs": runs}
