"""A thousand damaged content files: each is loaded or reported with its line, and the bot keeps running."""

import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import CONTENT
from weekbot.bot.cards import topic_cards
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.content.problems import ContentError
from weekbot.i18n.language import ENGLISH

MUTANTS = 1000
KEPT = ("flask", "django", "what-is-a-framework")
FILES = (*(f"topics/{slug}.md" for slug in KEPT), "tracks.yaml")
TRACKS = """\
tracks:
  web: {title: Web, summary: Pages., topics: [flask, django]}
  everything: {title: Everything, summary: All., includes: [web], alternates: [basics]}
  basics: {title: Basics, summary: Words., topics: [what-is-a-framework]}
popular: [flask]
"""
HOSTILE = [
    b"\xff\xfe\x00",
    b"\x00",
    b"!!python/object/apply:os.system ['true']",
    b"&a [*a, *a]",
    b"*missing",
    b"<<: *base",
    b"{" * 60,
    b"[" * 5000,
    b"- " * 300,
    b"? [a]: b",
    b"\t\tkey: value",
    b"a: |\n" + b"  long\n" * 500,
    b"%YAML 9.9",
    b"--- --- ---",
    b"'",
    b'"\\ud800"',
    b"```",
    b"## Quiz",
    b"[x]: javascript:alert(1)",
    b"<script>",
    "\u202e\u0000\U0001f600".encode(),
    "\u2066\U000e0041\u200b".encode() * 9,
    "`pip install fl\u0430sk` [flask.org](https://x@fl\u0430sk.org)".encode(),
    b"[a](" * 400,
    b"1e400",
    b"9" * 5000,
    b"~",
]
WRONG_TYPES = [b"", b"[]", b"{}", b"7", b"true", b"null", b"2026-01-01", b"[[a]]", b"{a: {b: c}}", b"3.5", b"- x"]

Mutation = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def cut(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    first = rng.randrange(len(lines))
    return b"\n".join(lines[:first] + lines[first + rng.randint(1, 12) :])


def cut_off(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def double(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    line = rng.randrange(len(lines))
    return b"\n".join([*lines[: line + 1], *lines[line:]])


def retype(content: bytes, rng: random.Random) -> bytes:
    keys = list(re.finditer(rb"^(\s*[\w-]+): .*$", content, re.MULTILINE))
    if not keys:
        return poison(content, rng)
    key = rng.choice(keys)
    return content[: key.start()] + key[1] + b": " + rng.choice(WRONG_TYPES) + content[key.end() :]


def poison(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(rng.randrange(len(lines)), rng.choice(HOSTILE))
    return b"\n".join(lines)


def swell(content: bytes, rng: random.Random) -> bytes:
    """Add lines, sometimes more than ten megabytes."""
    times = 3000 if rng.random() < 0.05 else rng.randint(2, 5)
    return content * times


def shuffle(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


MUTATIONS: list[Mutation] = [flip, cut, cut_off, double, retype, poison, swell, shuffle]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "topics").mkdir()
    for slug in KEPT:
        text = (CONTENT / "topics" / f"{slug}.md").read_text("utf-8")
        related = "[django]" if slug == "flask" else "[flask]"
        (tmp_path / "topics" / f"{slug}.md").write_text(
            re.sub(r"(?m)^related: .*$", f"related: {related}", text), "utf-8"
        )
    (tmp_path / "tracks.yaml").write_text(TRACKS, "utf-8")
    return tmp_path


def mutants(folder: Path) -> Iterator[tuple[int, Path]]:
    """Damage one file at a time, and yield the seed and the file's path."""
    good = {name: (folder / name).read_bytes() for name in FILES}
    for seed in range(MUTANTS):
        rng = random.Random(seed)  # noqa: S311 - must be repeatable
        path = folder / rng.choice(FILES)
        content = good[path.relative_to(folder).as_posix()]
        for mutation in rng.sample(MUTATIONS, rng.randint(1, 2)):
            content = mutation(content, rng) or b"\n"
        path.write_bytes(content)
        yield seed, path
        path.write_bytes(good[path.relative_to(folder).as_posix()])


@pytest.mark.long
async def test_a_thousand_damaged_files_are_reported_or_loaded_completely(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveLibrary(folder)
    refused = 0
    for seed, path in mutants(folder):
        before = live.current
        caplog.clear()
        if await live.reload():
            assert sorted(live.current.topics) == sorted(KEPT), seed
        else:
            refused += 1
            assert live.current is before, seed
            assert_reported(caplog.messages, path, seed)
        assert "Flask" in str(topic_cards.lookup(ENGLISH, live.current.topics["flask"]).to_components()), seed  # type: ignore[no-untyped-call]
    assert refused > MUTANTS / 2


def assert_reported(messages: list[str], path: Path, seed: int) -> None:
    """Check that each problem has an existing file and line, and that the damaged file is among them."""
    *problems, closing = messages
    assert problems, seed
    assert closing.startswith(f"content not reloaded: {len(problems)} problem"), seed
    for problem in problems:
        place = re.match(r"(?P<path>.+?):(?P<line>\d+):(?P<column>\d+): .", problem)
        assert place, (seed, problem)
        lines = Path(place["path"]).read_bytes().count(b"\n") + 1
        assert 1 <= int(place["line"]) <= lines, (seed, problem)
        assert int(place["column"]) >= 1, (seed, problem)
    if path.name != "tracks.yaml":
        assert any(str(path) in problem for problem in problems), (seed, problems)


def test_a_folder_is_never_loaded_partially(folder: Path) -> None:
    (folder / "topics" / "flask.md").write_bytes(b"broken")
    (folder / "topics" / "django.md").write_bytes(b"\xff")
    with pytest.raises(ContentError) as error:
        LiveLibrary(folder)
    assert {problem.path.name for problem in error.value.problems} >= {"flask.md", "django.md"}


def test_a_file_of_ten_megabytes_and_a_link_out_of_the_folder_are_problems(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "django.md"
    shutil.move(folder / "topics" / "django.md", outside)
    (folder / "topics" / "django.md").symlink_to(outside)
    (folder / "topics" / "flask.md").write_bytes(b"x" * 10 * 2**20)
    with pytest.raises(ContentError) as error:
        LiveLibrary(folder)
    messages = {problem.path.name: problem.message for problem in error.value.problems}
    assert messages["django.md"] == "points outside the content folder"
    assert messages["flask.md"] == "is larger than 64 KiB"
