"""Takes the named pictures, or all of them: `python -m screenshots [NAME…]`."""

import asyncio
import logging
import sys
import time
from pathlib import Path

from screenshots.camera import WIDTHS, NoBrowserError, camera, pictures
from screenshots.scenes import SCENES

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"


async def main(names: list[str]) -> int:
    if unknown := set(names) - set(SCENES):
        print(f"There is no scene {', '.join(sorted(unknown))}; there are {', '.join(SCENES)}", file=sys.stderr)
        return 2
    logging.getLogger("weekbot").setLevel(logging.ERROR)  # scenes cause warnings on purpose
    try:
        async with camera() as browser:
            for name in names or SCENES:
                started = time.monotonic()
                made = await pictures(browser, SCENES[name], *WIDTHS)
                print(f"{time.monotonic() - started:5.1f} s  {save(name, made):5.0f} kB  {name}", flush=True)
    except NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def save(name: str, made: dict[str, bytes]) -> float:
    """Save the pictures, and return their size in kilobytes."""
    FOLDER.mkdir(exist_ok=True)
    for width, png in made.items():
        (FOLDER / f"{name}-{width}.png").write_bytes(png)
    return sum(map(len, made.values())) / 1000


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
