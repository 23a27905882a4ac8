"""The figures as one picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks import results
from benchmarks.fanout import CONDITIONS

WIDTH_PIXELS, HEIGHT_PIXELS, DPI = 1000, 860, 100
OURS, OTHERS, LOST, QUIET, INK = "#5865F2", "#B5BAC1", "#D9534F", "#C7CCF8", "#2B2D31"
COLUMNS = (("too_many", "429s", 70), ("lost", "lost", 80), ("doubled", "doubled", 92))
"""The columns beside the bars: the figure, its heading, and its right edge on the axis."""
NOT_SHOWN = ("bare loop, a short text, 48/s",)
KINDS = {"command": "/framework\n(target: p99 at most 25)", "autocomplete": "its autocomplete\n(target: p99 at most 5)"}
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
    """Draw the picture; raise FileNotFoundError if a part was never measured."""
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
    axes.set_title(f"{CONDITIONS.channels} channels are due at once: posts a second")
    shown = [way for way in ways if way["way"] not in NOT_SHOWN]
    ranked = sorted(shown, key=lambda way: (_ours(way), not way["lost"], -way["too_many"], way["per_second"]))
    rates = [way["per_second"] for way in ranked]
    colours = [OURS if _ours(way) else OTHERS for way in ranked]
    bars = axes.barh([way["way"] for way in ranked], rates, color=colours, height=0.68)
    axes.bar_label(bars, fmt="%.1f", padding=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    for name, heading, x in COLUMNS:
        axes.text(x, len(ranked) - 0.35, heading, ha="right", weight="bold")
        for place, way in enumerate(ranked):
            axes.text(x, place, f"{way[name]:,}", ha="right", va="center", color=LOST if way[name] else INK)
    axes.axvline(CONDITIONS.limit, ymax=0.93, color=INK, linewidth=0.8, linestyle=":")
    axes.text(CONDITIONS.limit, len(ranked) - 0.35, "Discord's limit", ha="center")
    axes.set_xlim(0, COLUMNS[-1][2])
    axes.set_ylim(-0.6, len(ranked))
    axes.set_xticks(range(0, CONDITIONS.limit + 1, 10))
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _ours(way: dict[str, Any]) -> bool:
    return bool(way["way"].startswith("weekbot"))


def _latency(axes: Any, kinds: dict[str, dict[str, float]]) -> None:
    axes.set_title("Answers during a fan-out, in the bot (ms)")
    for place, kind in enumerate(KINDS):
        for offset, name, colour in ((-0.2, "p50", QUIET), (0.2, "p99", OURS)):
            axes.bar(place + offset, kinds[kind][name], width=0.38, color=colour)
            axes.text(place + offset, kinds[kind][name], f"{name}: {kinds[kind][name]:.1f}", ha="center", va="bottom")
    axes.set_xticks(range(len(KINDS)), list(KINDS.values()))
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)


def _tick(axes: Any, sizes: list[dict[str, Any]]) -> None:
    axes.set_title("A tick with 10 due (ms, median)")
    for place, size in enumerate(sizes):
        axes.bar(place, size["median"], width=0.6, color=OURS)
        axes.text(place, size["median"], f"{size['median']:.0f}", ha="center", va="bottom")
    axes.set_xticks(range(len(sizes)), [f"{size['subscriptions']:,}" for size in sizes])
    axes.set_xlabel("subscriptions in the database")
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)
