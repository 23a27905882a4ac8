"""`python -m benchmarks [PART…]`: measures, saves the figures, and renders the page and its picture."""

import argparse
import asyncio
import importlib
import os
from pathlib import Path
from types import ModuleType

from benchmarks import picture, report, results
from benchmarks.results import PARTS

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}. Default: all")
    parser.add_argument(
        "--only",
        action="append",
        metavar="WORD",
        help="measure only the ways of sending whose names contain this word, and print the result",
    )
    parser.add_argument("--render", action="store_true", help="render the existing figures without measuring")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if arguments.only:
        asyncio.run(_part("fanout").measure(arguments.only))
        return
    for part in () if arguments.render else arguments.parts or PARTS:
        _measure(part)
    picture.draw(DOCS / "benchmarks.png")
    report.write(DOCS / "benchmarks.md")


def _measure(part: str) -> None:
    print(f"{part} …", flush=True)
    load = round(os.getloadavg()[0], 1)
    results.write(part, asyncio.run(_part(part).measure()), load)


def _part(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    main()
