"""The machine on which the figures were measured."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

import psutil

LIBRARIES = ("discord.py", "aiohttp", "sqlalchemy", "aiosqlite", "pydantic", "rapidfuzz")


def machine() -> dict[str, str]:
    return {
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
        "RAM": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "OS": _system(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    } | {library: version(library) for library in LIBRARIES}


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:  # not Linux
        return platform.platform(terse=True)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
