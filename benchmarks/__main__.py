"""`python -m benchmarks [PART…] [--only WORD]…`: measure, write the results, and render them for people."""

import argparse
import asyncio
import importlib

from benchmarks import results

PARTS = ("fanout", "latency", "tick", "startup")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="fan-out: ways with this word; only printed")
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        _measure(part, arguments.only)


def _measure(part: str, only: list[str]) -> None:
    print(f"{part} …", flush=True)
    measure = importlib.import_module(f"benchmarks.{part}").measure
    if only:
        asyncio.run(measure(only))
    else:
        results.write(part, asyncio.run(measure()))


if __name__ == "__main__":
    main()
