"""The dashboard, the alert rules and the documents name exactly the metrics that `/metrics` serves."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from weekbot.ops.metrics import Metrics

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"\b(?:weekbot|process)_[a-z_]+\b")
ON_LINUX = {
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
}
HISTOGRAM_SUFFIX = re.compile(r"_(bucket|sum|count)$")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def served() -> set[str]:
    """Return the names of all series and histograms."""
    metrics = Metrics()
    metrics.looked_up("flask")
    metrics.requested(200, True)
    metrics.built({"version": "1", "commit": "unknown"})
    metrics.conditions({"gateway": True})
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    names = {re.split(r"[{ ]", line)[0] for line in lines}
    return {name for each in names for name in (each, HISTOGRAM_SUFFIX.sub("", each))} | ON_LINUX


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text("deploy/grafana.json"))["panels"]
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text("deploy/alerts.yml"))["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (target["expr"] for panel in panels() for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in rules())


def test_the_dashboard_and_the_alerts_query_existing_metrics() -> None:
    queried = {name for expression in expressions() for name in NAME.findall(expression)}
    assert queried
    assert queried <= served()


@pytest.mark.parametrize("name", ["docs/metrics.md", "deploy/alerts.yml", "deploy/grafana.json"])
def test_every_name_in_the_file_is_a_metric(name: str) -> None:
    assert set(NAME.findall(text(name))) <= served()


def test_the_document_has_a_line_for_each_weekbot_metric() -> None:
    described = set(re.findall(r"^\| `(weekbot_\w+)`", text("docs/metrics.md"), re.MULTILINE))
    own = {name for name in served() if name.startswith("weekbot_")}
    parts = {name for name in own if name.endswith("_created") or HISTOGRAM_SUFFIX.sub("", name) in own - {name}}
    assert described == own - parts


def test_each_panel_has_its_own_place_and_a_query() -> None:
    places: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not places & cells
        assert place["x"] + place["w"] <= 24
        places |= cells
        assert panel["type"] == "row" or panel["targets"]
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_each_alert_has_a_summary_and_an_action() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["action"].endswith(".")


def test_each_condition_of_readiness_is_described() -> None:
    source = text("src/weekbot/ops/readiness.py")
    conditions = re.findall(r'^            "(\w+)": [\w.]+\(', source, re.MULTILINE)
    assert len(conditions) == 9
    described = re.findall(
        r"^\| `(\w+)` \|", text("docs/metrics.md").partition("## Ready")[2].partition("## Metrics")[0], re.MULTILINE
    )
    assert described == conditions
