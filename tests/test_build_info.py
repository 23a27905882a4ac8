"""The version and the commit for each kind of installation, and the last line of a JSON log."""

import json
import logging
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from weekbot import __version__
from weekbot.cli.terminal import log_final_error
from weekbot.ops.metrics import Metrics
from weekbot.runtime import build_info, log
from weekbot.runtime.errors import WeekbotError


@pytest.fixture(autouse=True)
def no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Remove all sources of the commit."""
    monkeypatch.setattr(build_info, "FILE", tmp_path / "COMMIT")
    monkeypatch.setattr(build_info, "ROOT", tmp_path)
    build_info.build_info.cache_clear()
    yield
    build_info.build_info.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ("git", *author, *arguments)
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: S603


def test_the_commit_is_unknown_without_a_source() -> None:
    assert build_info.build_info() == {"version": __version__, "commit": "unknown"}


def test_the_commit_of_a_build_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "COMMIT").write_text("0123abc\n")
    assert build_info.build_info()["commit"] == "0123abc"


def test_the_commit_of_a_clone_is_read_from_git(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "One")
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert build_info.build_info()["commit"] == head
    build_info.build_info.cache_clear()
    (tmp_path / "file").write_text("another")
    assert build_info.build_info()["commit"] == f"{head}-dirty"


def test_the_commit_of_an_empty_clone_is_unknown(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert build_info.build_info()["commit"] == "unknown"


def test_the_metric_has_the_version_and_the_commit() -> None:
    metrics = Metrics()
    metrics.built({"version": "1.2", "commit": "0123abc"})
    assert 'weekbot_build_info{commit="0123abc",version="1.2"} 1.0' in metrics.text().decode()


def log_json() -> None:
    log.configure("INFO", "json", fields={"version": "1.2", "commit": "0123abc"})


@pytest.mark.parametrize("error", [WeekbotError("A mistake.\nAnother."), RuntimeError("a bug")])
def test_a_commands_final_error_is_one_json_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    with pytest.raises(typer.Exit) as end, log_final_error("json"):
        raise error
    assert end.value.exit_code == 1
    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["level"], line["version"], line["commit"]) == ("error", "1.2", "0123abc")
    assert ("exception" in line) is isinstance(error, RuntimeError)
    assert line["message"] == (str(error) if isinstance(error, WeekbotError) else "unexpected error; weekbot exits")


def test_a_console_log_leaves_an_error_unchanged() -> None:
    with pytest.raises(WeekbotError, match=r"^A mistake\.$"), log_final_error("console"):
        raise WeekbotError("A mistake.")


def test_an_exit_is_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    with pytest.raises(typer.Exit) as end, log_final_error("json"):
        raise typer.Exit(3)
    assert end.value.exit_code == 3
    assert capsys.readouterr().err == ""


def test_a_python_warning_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(False)  # because pytest handles warnings itself
        log_json()
        warnings.warn("old", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["level"] == "warning"
    assert "UserWarning: old" in line["message"]
