"""A content folder with a thousand topics, generated from one."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path

import yaml

from benchmarks.card import CONTENT, TOPIC
from weekbot.content.loading.folder import load_library

TOPICS = 1000
_FIRSTS = (
    "Amber Birch Cedar Cobalt Coral Crimson Delta Ember Fern Flint Frost Garnet Hazel Indigo Ivory Jade Juniper Lunar "
    "Maple Marble Nimbus Onyx Opal Orchid Pearl Pine Quartz Raven Ruby Saffron Silver Solar Spruce Umber Velvet Willow"
).split()
_SECONDS = (
    "Anchor Bridge Canvas Compass Engine Falcon Forge Garden Gateway Harbour Kernel Lantern Ledger Loom Mill Mirror "
    "Needle Orbit Parcel Pilot Quill Rocket Router Sail Signal Spindle Tower Turbine"
).split()


@contextmanager
def content_of_a_thousand() -> Iterator[Path]:
    """Create a folder that passes the check; raise ContentError if it doesn't."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "topics").mkdir()
        for title in titles():
            (folder / "topics" / f"{slug(title)}.md").write_text(_topic(title), "utf-8")
        slugs = [slug(title) for title in titles()]
        track = {"title": "Everything", "summary": "All topics.", "topics": slugs}
        tracks = {"tracks": {"everything": track}, "popular": slugs[:25]}
        (folder / "tracks.yaml").write_text(yaml.safe_dump(tracks, sort_keys=False), "utf-8")
        load_library(folder)
        yield folder


def titles() -> list[str]:
    return [" ".join(words) for words in islice(product(_FIRSTS, _SECONDS), TOPICS)]


def slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def aliases(title: str) -> list[str]:
    first, second = title.split()
    return [f"{second} {first}", f"py{first}{second}".lower()]


def _topic(title: str) -> str:
    text = (CONTENT / "topics" / f"{TOPIC}.md").read_text("utf-8")
    for field, value in {"title": title, "aliases": f"[{', '.join(aliases(title))}]", "related": "[]"}.items():
        text = re.sub(rf"^{field}: .*$", f"{field}: {value}", text, count=1, flags=re.MULTILINE)
    return text
