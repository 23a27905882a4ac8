"""The page with the figures: fills in `page.md`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import fanout, growth, latency, results, startup, trouble

KINDS = {"command": "`/framework`", "autocomplete": "its autocomplete"}
TIMES = {"fanout": "during a fan-out", "quiet": "with nothing else to do"}
BARE = "bare loop, the card, 48/s"
FRAMEWORK_TARGET, AUTOCOMPLETE_TARGET, TICK_TARGET, LOADING_TARGET = 25.0, 5.0, 1.5, 1.5
LOCKED_TARGET = 2.0
MOVING_TARGET = 120.0  # seconds
STARTUP_TARGET = 1.3  # times a bare bot

PAGE = Path(__file__).with_name("page.md")


def write(path: Path) -> None:
    """Write the page; raise FileNotFoundError if a part was never measured."""
    parts = {part: results.read(part) for part in results.PARTS}
    figures = {part: result["figures"] for part, result in parts.items()}
    dates = {f"{part}_date": _day(result) for part, result in parts.items()}
    machine = ", ".join(f"{name} {value}" for name, value in parts["fanout"]["machine"].items())
    values = _fanout(figures["fanout"]) | _latency(figures["latency"]) | _tick(figures["tick"])
    values |= _loading(figures["loading"]) | _presses(figures["presses"]) | _moving(figures["moving"])
    values |= _postgresql(figures["postgresql"]) | _startup(figures["startup"]) | _growth(figures["growth"])
    values |= _locked(figures["locked"]) | _trouble(figures["trouble"])
    page = PAGE.read_text("utf-8")
    path.write_text(page.format(machine=machine, **dates, **values), "utf-8")


def _day(result: dict[str, Any]) -> str:
    return f"{result['date']} (load average before: {result['load']})"


def _fanout(ways: list[dict[str, Any]]) -> dict[str, Any]:
    head = ["way", "posts/s", "429s", "lost", "doubled", "CPU, ms a post", "sending"]
    names = ["way", "per_second", "too_many", "lost", "doubled", "cpu_ms", "cpu_sending_ms"]
    weekbot, bare = ways[0], next(way for way in ways if way["way"] == BARE)
    return {
        "fanout": _table(head, ([way[name] for name in names] for way in ways)),
        "cpu_ratio": weekbot["cpu_ms"] / bare["cpu_ms"],
        "cpu_sending_ratio": weekbot["cpu_sending_ms"] / bare["cpu_sending_ms"],
        "settling": fanout.SETTLING_SECONDS,
        "channels": fanout.CONDITIONS.channels,
    }


def _latency(times: dict[str, Any]) -> dict[str, Any]:
    columns = ["count", "p50", "p99", "max"]
    rows = (
        [KINDS[kind], TIMES[time], place, *(found[column] for column in columns)]
        for kind in KINDS
        for time in TIMES
        for place, kinds in times[time].items()
        for found in [kinds[kind]]
    )
    inside = times["fanout"]["in the bot"]
    return {
        "latency": _table(["what", "when", "where", *columns], rows),
        "broadcast": latency.BROADCAST.channels,
        "framework_target": FRAMEWORK_TARGET,
        "framework_verdict": _verdict(inside["command"]["p99"], FRAMEWORK_TARGET),
        "autocomplete_target": AUTOCOMPLETE_TARGET,
        "autocomplete_verdict": _verdict(inside["autocomplete"]["p99"], AUTOCOMPLETE_TARGET),
    }


def _tick(figures: dict[str, Any]) -> dict[str, Any]:
    sizes = figures["sizes"]
    rows = (
        [f"{size['subscriptions']:,}", size["median"], min(size["ticks"]), max(size["ticks"]), size["idle_median"]]
        for size in sizes
    )
    ratio = sizes[-1]["median"] / sizes[0]["median"]
    scans = "; ".join(figures["scans"])
    return {
        "tick": _table(["subscriptions", "median", "least", "most", "median with none due"], rows),
        "due": figures["due"],
        "ticks": len(sizes[0]["ticks"]),
        "tick_ratio": ratio,
        "tick_target": TICK_TARGET,
        "tick_verdict": _verdict(ratio, TICK_TARGET),
        "scans": f"An idle tick reads whole tables: {scans}."
        if scans
        else "An idle tick reads no table from end to end.",
    }


def _trouble(figures: dict[str, Any]) -> dict[str, Any]:
    beside = {
        (0, False): "none",
        (trouble.FAILING, False): "{count:,}, which succeed",
        (trouble.FAILING, True): "{count:,}, which fail",
    }
    rows = (
        [beside[row["failing"], row["fails"]].format(count=row["failing"]), f"{row['seconds']:.1f}"]
        for row in figures["failing"]
    )
    limits = (
        [row["what"], " and ".join(f"{pause:.0f} s" for pause in row["pauses"]), row["within"], _seconds(row["after"])]
        for row in figures["limits"]
    )
    return {
        "failing": _table(["other channels", f"until {trouble.HEALTHY} healthy ones have their posts, s"], rows),
        "limits": _table(["limit met by", "pauses", "requests within", "next request after, s"], limits),
        "a_server": trouble.A_SERVER,
        "others": trouble.OTHERS,
    }


def _seconds(after: Sequence[float]) -> str:
    return ", ".join(f"{seconds:.2f}" for seconds in after)


def _startup(figures: dict[str, Any]) -> dict[str, Any]:
    sizes = figures["sizes"]
    least, most = sizes[0], sizes[-1]
    ratios = {name: _ratio(most, name) for name in ("seconds", "memory")}
    slopes = {bot: _slope(least, most, bot) for bot in startup.BOTS}
    return {
        "startup": _table(
            ["servers", "bot", "start to READY", "computing", "memory"], (row for size in sizes for row in _bots(size))
        ),
        "runs": len(most["bare"]["all_seconds"]),
        "startup_settling": startup.SETTLING_SECONDS,
        "guild_channels": startup.CHANNELS,
        "guilds": most["guilds"],
        "startup_target": STARTUP_TARGET,
        **{f"startup_{name}": ratio for name, ratio in ratios.items()},
        **{f"startup_{name}_verdict": _verdict(ratio, STARTUP_TARGET) for name, ratio in ratios.items()},
        **{f"startup_slope_{bot}": slope for bot, slope in slopes.items()},
    }


def _bots(size: dict[str, Any]) -> Iterable[Sequence[object]]:
    for name in startup.BOTS:
        bot = size[name]
        yield size["guilds"], name, f"{bot['seconds']:.2f} s", f"{bot['cpu']:.2f} s", f"{bot['memory']:.0f} MiB"
    ratios = (f"{_ratio(size, figure):.2f}" for figure in ("seconds", "cpu", "memory"))
    yield size["guilds"], "weekbot ÷ bare", *ratios


def _ratio(size: dict[str, Any], figure: str) -> float:
    return float(size["weekbot"][figure] / size["bare"][figure])


def _slope(least: dict[str, Any], most: dict[str, Any], bot: str) -> float:
    """Return the MiB for each thousand servers."""
    more = most[bot]["memory"] - least[bot]["memory"]
    return float(more / (most["guilds"] - least["guilds"]) * 1000)


def _growth(figures: dict[str, Any]) -> dict[str, Any]:
    head = ["database", "bytes a delivery", "bytes a step", "rows a call", "call, s", "longest, s"]
    names = ["delivery", "step", "deleted", "median", "most"]
    rows = ([kind, *(each[name] for name in names)] for kind, each in figures["kinds"].items())
    return {
        "growth": _table(head, rows),
        "growth_subscriptions": figures["subscriptions"],
        "growth_weeks": figures["weeks"],
        "growth_calls": growth.CALLS,
    }


def _loading(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "topics": figures["topics"],
        "loading": figures["median"],
        "loading_least": min(figures["runs"]),
        "loading_most": max(figures["runs"]),
        "loading_runs": len(figures["runs"]),
        "loading_target": LOADING_TARGET,
        "loading_verdict": _verdict(figures["median"], LOADING_TARGET),
    }


def _presses(figures: dict[str, Any]) -> dict[str, Any]:
    head, names = ["run", "answered", "counted", "median, s", "slowest, s"], ["answered", "counted", "median", "most"]
    rows = ([str(number), *(run[name] for name in names)] for number, run in enumerate(figures["runs"], 1))
    return {"members": figures["members"], "presses": _table(head, rows)}


def _locked(figures: dict[str, Any]) -> dict[str, Any]:
    values = {f"locked_{name}": value for name, value in figures.items()}
    verdict = _verdict(figures["acknowledged"], LOCKED_TARGET)
    return values | {"locked_target": LOCKED_TARGET, "locked_verdict": verdict}


def _moving(figures: dict[str, Any]) -> dict[str, Any]:
    values = {f"moving_{name}": value for name, value in figures.items()}
    return values | {"moving_target": MOVING_TARGET, "moving_verdict": _verdict(figures["seconds"], MOVING_TARGET)}


def _postgresql(figures: dict[str, Any]) -> dict[str, Any]:
    sizes = figures["sizes"]
    rows = ([f"{size['subscriptions']:,}", size["median"], size["idle_median"]] for size in sizes)
    ratio = sizes[-1]["median"] / sizes[0]["median"]
    return {
        "postgresql": _table(["subscriptions", "median", "median with none due"], rows),
        "postgresql_ticks": figures["ticks"],
        "postgresql_ratio": ratio,
        "postgresql_verdict": _verdict(ratio, TICK_TARGET),
    }


def _verdict(figure: float, most: float) -> str:
    return "met" if figure <= most else "**missed**"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
