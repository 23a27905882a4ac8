"""The figures as one picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks import results

WIDTH_PIXELS, HEIGHT_PIXELS, DPI = 1000, 860, 100
OURS, OTHERS, LOST, QUIET, INK = "#5865F2", "#B5BAC1", "#D9534F", "#C7CCF8", "#2B2D31"
KINDS = {"command": "/framework", "autocomplete": "its autocomplete"}
STYLE = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "text.color": INK,
    "axes.labelcolor": INK,
}


def draw(path: Path) -> None:
    """Raises FileNotFoundError where a part was never measured."""
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(WIDTH_PIXELS / DPI, HEIGHT_PIXELS / DPI),
            dpi=DPI,
            layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12),
        )
        top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1])
        left, right = bottom.subplots(1, 2)
        _fanout(top.subplots(), results.read("fanout")["figures"])
        _latency(left, results.read("latency")["figures"]["fanout"]["in the bot"])
        _tick(right, results.read("tick")["figures"]["sizes"])
        figure.savefig(path)


def _fanout(axes: Any, ways: list[dict[str, Any]]) -> None:
    axes.set_title("600 channels are due at once: posts a second (Discord takes 50 requests a second)")
    ranked = sorted(ways, key=lambda way: (_ours(way), not way["lost"], -way["too_many"], way["per_second"]))
    rates = [way["per_second"] for way in ranked]
    axes.barh(
        [way["way"] for way in ranked], rates, color=[OURS if _ours(way) else OTHERS for way in ranked], height=0.7
    )
    for place, way in enumerate(ranked):
        trouble = way["lost"] or way["too_many"]
        axes.text(way["per_second"] + 0.6, place, _outcome(way), va="center", color=LOST if trouble else INK)
    axes.axvline(50, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(0, 92)
    axes.set_xticks(range(0, 51, 10))
    axes.tick_params(axis="y", length=0)


def _ours(way: dict[str, Any]) -> bool:
    return bool(way["way"].startswith("weekbot"))


def _outcome(way: dict[str, Any]) -> str:
    parts = [f"{way['per_second']:.1f}/s", f"{way['too_many']:,} × 429", f"{way['lost']} lost"]
    return ", ".join([*parts, f"{way['doubled']} doubled"] if way["doubled"] else parts)


def _latency(axes: Any, kinds: dict[str, dict[str, float]]) -> None:
    axes.set_title("Answers during a fan-out, in the bot: ms")
    for place, kind in enumerate(KINDS):
        for offset, name, colour in ((-0.2, "p50", QUIET), (0.2, "p99", OURS)):
            axes.bar(place + offset, kinds[kind][name], width=0.38, color=colour)
            axes.text(place + offset, kinds[kind][name], f"{name}: {kinds[kind][name]:.1f}", ha="center", va="bottom")
    axes.set_xticks(range(len(KINDS)), list(KINDS.values()))
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)


def _tick(axes: Any, sizes: list[dict[str, Any]]) -> None:
    axes.set_title("A tick with 10 due among …: ms")
    for place, size in enumerate(sizes):
        axes.bar(place, size["median"], width=0.6, color=OURS)
        axes.text(place, size["median"], f"{size['median']:.0f}", ha="center", va="bottom")
    axes.set_xticks(range(len(sizes)), [f"{size['subscriptions']:,}" for size in sizes])
    axes.set_xlabel("subscriptions (median tick)")
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)
