"""The alert rules, evaluated by Prometheus: each fires when it should, and none in a normal week."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
WEEK = "alerts_week_test.yml"
FILES = ("alerts_test.yml", WEEK)
ALERT_NAMES = re.compile(r'ALERTS\{alertname=~?"(?P<names>[^"]+)"')
METRIC = re.compile(r"\b(?:weekbot_\w+|process_\w+|up)\b")

promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")


def parsed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in parsed("alerts.yml")["groups"] for rule in group["rules"]]


ALERTS = [rule["alert"] for rule in rules()]


def expectations() -> Iterator[tuple[str, bool]]:
    """Yield each alert in a test, and whether it is expected to fire."""
    for test in parsed("alerts_test.yml")["tests"]:
        for each in test["promql_expr_test"]:
            if named := ALERT_NAMES.search(each["expr"]):
                yield from (
                    (alert, bool(each["exp_samples"])) for alert in ALERTS if re.fullmatch(named["names"], alert)
                )


def run(*arguments: str) -> None:
    result = subprocess.run(["promtool", *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert result.returncode == 0, result.stdout + result.stderr


@promtool
def test_prometheus_can_read_the_rules() -> None:
    run("check", "rules", "alerts.yml")


@promtool
@pytest.mark.parametrize("name", FILES)
def test_each_alert_fires_when_it_should_and_not_otherwise(name: str) -> None:
    run("test", "rules", name)


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "stays silent"])
@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_case_in_which_it(alert: str, fires: bool) -> None:
    assert (alert, fires) in set(expectations())


def test_the_normal_week_has_every_metric_of_the_alerts() -> None:
    used = {name for rule in rules() for name in METRIC.findall(rule["expr"])}
    [week] = parsed(WEEK)["tests"]
    assert used <= {each["series"].partition("{")[0] for each in week["input_series"]}


def test_each_series_of_the_tests_is_used_by_an_alert() -> None:
    used = {name for rule in rules() for name in METRIC.findall(rule["expr"])}
    named = {
        each["series"].partition("{")[0]
        for name in FILES
        for test in parsed(name)["tests"]
        for each in test["input_series"]
    }
    assert named <= used
