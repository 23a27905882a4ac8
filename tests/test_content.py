"""The content folder: its contents, and the report of each mistake with its position."""

import asyncio
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTENT
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.content.markdown import unwrap
from weekbot.content.model import Framework
from weekbot.content.problems import ContentError, Problem
from weekbot.content.tracks import EVERYTHING

TOPICS = sorted(path.stem for path in (CONTENT / "topics").glob("*.md") if "." not in path.stem)
FLASK = "topics/flask.md"
TRACKS = "tracks.yaml"
SOURCES = ("start-here", "web", "data", "testing", "services")
Edit = Callable[[str], str]


# The real folder


def check_folder(folder: Path) -> list[Problem]:
    """Return the problems of all files, in the order in which they are reported."""
    try:
        load_library(folder)
    except ContentError as error:
        return error.problems
    return []


def test_the_real_content_has_no_problem() -> None:
    assert check_folder(CONTENT) == []


@pytest.mark.parametrize("slug", TOPICS)
def test_a_real_topic_is_consistent(library: Library, slug: str) -> None:
    topic = library.topics[slug]
    assert topic.slug == slug
    assert library.find(topic.title) is topic
    assert slug not in topic.related
    assert len(topic.related) == len(set(topic.related)) >= 1
    assert len(set(topic.body.week)) == 7
    assert len(set(topic.body.quiz.answers)) == 4
    assert topic.body.quiz.answers[topic.body.quiz.right]
    assert topic.reviewed.year >= 2026
    assert "\n" not in topic.body.discuss + topic.body.quiz.question + "".join(topic.body.week)


@pytest.mark.parametrize("slug", TOPICS)
def test_a_real_framework_has_plausible_facts_and_a_python_example(library: Library, slug: str) -> None:
    topic = library.topics[slug]
    if not isinstance(topic, Framework):
        assert topic.kind == "concept"
        return
    assert 1990 <= topic.first_release <= topic.reviewed.year
    assert topic.package.lower() in topic.body.first_steps.install.lower()
    if topic.body.first_steps.language == "python":
        compile(topic.body.first_steps.example, slug, "exec")


def test_a_year_has_no_repeated_topic(library: Library) -> None:
    assert len(library.tracks[EVERYTHING].topics) >= 52
    assert sorted(library.tracks[EVERYTHING].topics) == sorted(library.topics) == TOPICS


def test_everything_starts_with_start_here_and_then_alternates_tracks(library: Library) -> None:
    assert list(library.tracks) == [*SOURCES, "beyond-web", EVERYTHING]
    track_of = {slug: name for name in SOURCES for slug in library.tracks[name].topics}
    opening = library.tracks["start-here"].topics
    everything = library.tracks[EVERYTHING].topics
    assert everything[: len(opening)] == opening
    assert all(track_of[one] != track_of[other] for one, other in pairwise(everything[len(opening) - 1 :]))


def test_each_topic_is_in_exactly_one_source_track(library: Library) -> None:
    assert sorted(slug for name in SOURCES for slug in library.tracks[name].topics) == TOPICS
    assert not any(isinstance(library.topics[slug], Framework) for slug in library.tracks["start-here"].topics)


# Mistakes in copies of the content


@dataclass(frozen=True)
class Mistake:
    """An edit that plants a mistake, the planted text whose position is reported, and the message."""

    edit: Edit
    at: str
    message: str


def fact(key: str, text: str) -> Edit:
    """Replace the key's line in the front matter by the text, which may be empty."""
    return substituted(rf"^{key}:.*\n", text and text + "\n")


def more(text: str) -> Edit:
    """Add lines to the front matter, above its tags."""
    return substituted(r"^(?=tags:)", text + "\n")


def section(heading: str, text: str) -> Edit:
    """Replace the text below the heading."""
    return substituted(rf"^## {heading}\n(.|\n)*?(?=^## |\Z)", f"## {heading}\n\n{text}\n\n")


def no_section(heading: str) -> Edit:
    return substituted(rf"^## {heading}\n(.|\n)*?(?=^## |\Z)", "")


def above(heading: str, text: str) -> Edit:
    """Insert the text above the heading."""
    return substituted(rf"^(?=## {heading}\n)", text + "\n\n")


def substituted(pattern: str, text: str) -> Edit:
    def edit(before: str) -> str:
        after, count = re.subn(pattern, lambda _: text, before, count=1, flags=re.MULTILINE)
        assert count == 1, f"{pattern} is not in the file"
        return after

    return edit


def quiz(*answers: str, question: str = "Which one?") -> Edit:
    return section("Quiz", "\n".join([question, "", *(f"- {answer}" for answer in answers), "", "Because."]))


def days(*texts: str) -> Edit:
    return section("The week", "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1)))


def first_steps(install: str, example: str) -> Edit:
    blocks = {"sh": install, "python": example, "text": "done"}
    return section("First steps", "\n\n".join(f"```{kind}\n{text}\n```" for kind, text in blocks.items()))


WEEK = ["One.", "Two.", "Three.", "Four.", "Five.", "Six.", "Seven."]
BODY = "\n## What it is"
"""The line after the front matter, where a missing section is reported."""

MISTAKES = {
    "an unknown key": Mistake(more("tagz: [a]"), "tagz:", "tagz is not a known key; did you mean tags?"),
    "an unknown key without a suggestion": Mistake(more("qqq: [a]"), "qqq:", "qqq is not a known key"),
    "a missing key": Mistake(fact("licence", ""), "kind:", "licence is missing"),
    "a missing kind": Mistake(fact("kind", ""), "title:", "kind is missing; it must be framework or concept"),
    "an unknown kind": Mistake(
        fact("kind", "kind: library"), "kind:", "kind is library; it must be framework or concept"
    ),
    "an unknown category": Mistake(fact("category", "category: games"), "category:", "category must be one of"),
    "a missing section": Mistake(no_section("Discuss"), BODY, "Discuss is missing"),
    "an empty section": Mistake(section("Discuss", ""), "## Discuss", "Discuss is empty"),
    "an unknown section": Mistake(
        above("Discuss", "## The weak\n\nText."), "## The weak", "unknown section The weak; did you mean The week?"
    ),
    "an unknown section without a suggestion": Mistake(
        above("Discuss", "## 12345\n\nText."), "## 12345", "unknown section 12345; known are What it is, When to"
    ),
    "a duplicated section": Mistake(
        above("Quiz", "## Discuss \n\nWhat else?"), "## Discuss \n", "the section Discuss is duplicated"
    ),
    "a section out of order": Mistake(
        lambda text: above("The week", "## Discuss\n\nWhy?")(no_section("Discuss")(text)),
        "## The week",
        "the section The week is out of order; the order is What it is,",
    ),
    "a wrong type deep in a list": Mistake(fact("tags", "tags: [wsgi, [x]]"), "[x]", "tags[2] must be text"),
    "text where a list belongs": Mistake(fact("tags", "tags: wsgi"), "tags:", "tags must be a list"),
    "too many tags": Mistake(fact("tags", "tags: [a, b, c, d, e, f, g]"), "tags:", "tags has 7 entries, at most 6 fit"),
    "a long title": Mistake(fact("title", f"title: {'x' * 61}"), "title:", "title has 61 characters, at most 60 fit"),
    "a URL that is not https": Mistake(
        fact("homepage", "homepage: http://example.org"), "homepage:", "homepage must start with https://"
    ),
    "an invalid URL": Mistake(
        fact("docs", 'docs: "https://exam ple.org"'), "docs:", "docs must not contain U+0020 SPACE"
    ),
    "a source that is not https": Mistake(
        substituted(r"^sources:\n", "sources:\n  - https://example.org\n  - ftp://example.org\n"),
        "ftp://example.org",
        "sources[2] must start with https://",
    ),
    "a link that is not https": Mistake(
        section("When not to", "You need\nmore: [see](http://example.org)."),
        "http://example.org",
        "the link http://example.org must start with https://",
    ),
    "a link whose text has another scheme": Mistake(
        section("When not to", "See [http://example.org](https://example.org)."),
        "http://example.org",
        "the link shows http://example.org, but leads to https://example.org",
    ),
    "a link to a script": Mistake(
        section("When not to", "[Press](javascript:alert)."),
        "javascript:alert",
        "the link javascript:alert must start with https://",
    ),
    "an unknown related topic": Mistake(
        fact("related", "related: [django, cobol]"), "cobol", "related: there is no topic cobol"
    ),
    "an alias of another topic": Mistake(
        fact("aliases", "aliases: [micro, Django-ORM]"), "Django-ORM", "Django-ORM is already used by django.md"
    ),
    "an alias that is another topic's title": Mistake(
        fact("aliases", "aliases: [micro, num-py]"), "num-py", "num-py is already used by numpy.md"
    ),
    "an alias that is another topic's slug": Mistake(
        fact("aliases", "aliases: [what is a framework?]"), "what is", "what is a framework? is already used by"
    ),
    "another topic's title": Mistake(fact("title", "title: Django!"), "title:", "Django! is already used by django.md"),
    "itself as a related topic": Mistake(
        fact("related", "related: [numpy, flask ]"), "flask ]", "related contains the topic itself"
    ),
    "a long summary": Mistake(
        fact("summary", f"summary: {'x' * 160}."), "summary:", "summary has 161 characters, at most 160 fit"
    ),
    "a summary without an end": Mistake(
        fact("summary", "summary: A framework"), "summary:", "summary must be one sentence that ends with a full stop"
    ),
    "a long section": Mistake(
        section("What it is", "x" * 801), "xxx", "What it is has 801 characters, at most 800 fit"
    ),
    "a long example": Mistake(
        first_steps("pip install x", "\n".join(["line()"] * 26)),
        "line()",
        "First steps.example has 26 lines, at most 25 fit",
    ),
    "an example that is long in characters": Mistake(
        first_steps("pip install x", "x" * 801), "xxx", "First steps.example has 801 characters, at most 800 fit"
    ),
    "no example": Mistake(
        section("First steps", "```sh\npip install x\n```"), "```sh", "First steps needs three code blocks"
    ),
    "no output": Mistake(
        substituted(r"```text\n(.|\n)*?```\n", ""),
        "```sh",
        "First steps needs a third code block, what the example prints; or else not_run with the reason",
    ),
    "a long output": Mistake(substituted(r"(?<=```text\n)", "qqq\n" * 13), "qqq", "First steps.output has 17 lines"),
    "an invalid version": Mistake(
        fact("version", "version: newest"), "version:", "version must be a version such as 3.1.2"
    ),
    "an unpinned requirement": Mistake(
        more("needs: [httpx>=0.28]"), "httpx", "needs[1] must be a requirement with one exact version"
    ),
    "a requirement with a wildcard version": Mistake(
        more("needs: [httpx==0.28.*]"), "httpx", "needs[1] must be a requirement with one exact version"
    ),
    "a command without a file": Mistake(more("run: pytest -q"), "run:", "run must end with the example's file name"),
    "a command with a path outside the folder": Mistake(
        more("run: python ../../evil.py"), "run:", "run must end with the example's file name"
    ),
    "a command with an open quote": Mistake(
        more('run: "python \'example.py"'), "run:", "run must end with the example's file name"
    ),
    "an unknown difference": Mistake(
        more("differs: {title: It does.}"), "title: It", "differs.title.[key] must be one of"
    ),
    "two install lines": Mistake(
        first_steps("pip install x\npip install y", "x"),
        "pip install x",
        "First steps.install must be one line without backticks",
    ),
    "six days": Mistake(days(*WEEK[:6]), "1. One.", "The week has 6 entries"),
    "eight days": Mistake(days(*WEEK, "Eight."), "1. One.", "The week has 8 entries"),
    "no days": Mistake(section("The week", "Rest."), "Rest.", "The week needs a numbered list of seven days"),
    "three answers": Mistake(quiz("[ ] a", "[x] b", "[ ] c"), "Which one?", "Quiz.answers has 3 entries"),
    "two right answers": Mistake(
        quiz("[ ] a", "[x] b", "[ ] c", "[x] d"), "- [x] d", "exactly one answer of the Quiz must be marked [x], not 2"
    ),
    "no right answer": Mistake(
        quiz("[ ] a", "[ ] b", "[ ] c", "[ ] d"),
        "Which one?",
        "exactly one answer of the Quiz must be marked [x], not 0",
    ),
    "an answer without a box": Mistake(
        quiz("[ ] a", "[x] b", "c", "[ ] d"), "- c", "an answer must start with [ ] or [x]: c"
    ),
    "a quiz without a question": Mistake(
        quiz("[ ] a", "[x] b", "[ ] c", "[ ] d", question="Choose one."),
        "Choose one.",
        "Quiz.question must be a question that ends with a question mark",
    ),
    "a discussion without a question": Mistake(
        section("Discuss", "Talk about it."), "Talk", "Discuss must be a question that ends with a question mark"
    ),
    "a date that does not exist": Mistake(
        fact("reviewed", "reviewed: 2026-13-01"), "reviewed:", "reviewed must be a date such as 2026-11-23"
    ),
    "a word as a date": Mistake(
        fact("reviewed", "reviewed: yesterday"), "reviewed:", "reviewed must be a date such as 2026-11-23"
    ),
    "a year before Python": Mistake(
        fact("first_release", "first_release: 1066"), "first_release:", "first_release must be at least 1990"
    ),
    "a word as a year": Mistake(
        fact("first_release", "first_release: soon"), "first_release:", "first_release must be a whole number"
    ),
    "a bad version range": Mistake(
        fact("python", 'python: "3.9 or later"'), "python:", "python must be a version range such as >=3.10"
    ),
    "a missing status note": Mistake(
        fact("status", "status: archived"), "kind:", "status_note is missing: say in a sentence why"
    ),
    "a status note that isn't a sentence": Mistake(
        more("status_note: gone"), "status_note:", "status_note must be one sentence that ends with a full stop"
    ),
    "invalid YAML": Mistake(
        fact("summary", "summary: one: two."), ": two", "YAML: mapping values are not allowed in this context"
    ),
    "a YAML alias": Mistake(fact("title", "title: *name"), "*name", "YAML aliases (*name) are not allowed"),
    "a YAML tag": Mistake(
        fact("title", "title: !!python/object:os.system Flask"), "!!python", "the YAML tag tag:yaml.org"
    ),
    "a duplicated key": Mistake(more("package : Flask"), "package :", "package is duplicated"),
    "a nesting bomb": Mistake(
        fact("tags", f"tags: {'[' * 50}{']' * 50}"), f"{'[' * 41}]", "nested deeper than 10 levels"
    ),
    "front matter that is a list": Mistake(
        substituted(r"\A---\n(.|\n)*?^---\n", "---\n- a\n---\n"), "- a", "expected `key: value` lines"
    ),
    "no front matter": Mistake(
        substituted(r"\A---\n", "\n"), "\n", "must begin with front matter between two --- lines"
    ),
    "front matter without an end": Mistake(
        substituted(r"^---\n\n", "\n"), "---", "must begin with front matter between two --- lines"
    ),
    "a picture": Mistake(
        section("When not to", "![a](https://example.org/a.png)"), "![a]", "images aren't allowed in a topic"
    ),
    "HTML": Mistake(section("When not to", "<div>never</div>"), "<div>", "Discord doesn't show HTML"),
    "a deeper heading": Mistake(
        section("When not to", "### Never\n\nText."), "### Never", "only ## headings are allowed in a topic"
    ),
    "a higher heading": Mistake(
        section("When not to", "# Never\n\nText."), "# Never", "only ## headings are allowed in a topic"
    ),
    "text above the first section": Mistake(
        above("What it is", "Welcome!"), "Welcome!", "text before the first section"
    ),
}

TRACK_MISTAKES = {
    "an unknown topic": Mistake(
        substituted(r"topics: \[numpy, ", "topics: [numpy, cobol, "), "cobol", "there is no topic cobol"
    ),
    "a duplicated topic in a list": Mistake(
        substituted(r"topics: \[numpy, ", "topics: [numpy,   numpy, "), "  numpy", "numpy is duplicated in this list"
    ),
    "an unknown popular topic": Mistake(
        substituted(r"^popular:\n", "popular:\n  - cobol\n"), "cobol", "there is no topic cobol"
    ),
    "an unknown track": Mistake(
        substituted(r"includes: \[", "includes: [games, "), "games,", "there is no track with topics games"
    ),
    "an unknown track to alternate with": Mistake(
        substituted(r"alternates: \[data, ", "alternates: [data, games, "),
        "games,",
        "there is no track with topics games",
    ),
    "a track that includes itself": Mistake(
        substituted(r"includes: \[", "includes: [everything, "),
        "everything,",
        "there is no track with topics everything",
    ),
    "a track without topics": Mistake(
        substituted(r"    includes:.*\n    alternates:.*\n", ""),
        "everything:",
        "tracks.everything needs either topics, or includes and alternates",
    ),
    "no track called everything": Mistake(
        substituted(r"^  everything:", "  all:"), "tracks:", "the track everything is missing"
    ),
    "a bad slug": Mistake(substituted(r"^  web:", "  The Web:"), "The Web:", "tracks.The Web"),
    "an unknown key": Mistake(
        substituted(r"^popular:", "favourites: []\npopular:"), "favourites:", "favourites is not a known key"
    ),
    "invalid YAML": Mistake(
        substituted(r"^popular:\n", "popular: ][\n"), "][", "YAML: did not find expected node content"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the real content."""
    return Path(shutil.copytree(CONTENT, tmp_path / "content"))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A copy of a few of its topics, which is read faster."""
    return cut_down(tmp_path / "few", "what-is-a-framework", "flask", "django", "numpy")


def cut_down(folder: Path, *slugs: str) -> Path:
    """Copy only these of the real topics."""
    (folder / "topics").mkdir(parents=True)
    for slug in slugs:
        others = ", ".join(other for other in slugs if other != slug)
        text = (CONTENT / "topics" / f"{slug}.md").read_text("utf-8")
        (folder / "topics" / f"{slug}.md").write_text(fact("related", f"related: [{others}]")(text), "utf-8")
    track = f"{EVERYTHING}: {{title: All, summary: All of them., topics: [{', '.join(slugs)}]}}"
    (folder / TRACKS).write_text(f"tracks:\n  {track}\npopular: [{slugs[0]}]\n")
    return folder


def change(path: Path, *edits: Edit) -> str:
    """Edit the file, and return its new text."""
    text = path.read_text("utf-8")
    for edit in edits:
        text = edit(text)
    path.write_text(text, "utf-8")
    return text


def plant(folder: Path, name: str, mistake: Mistake) -> str:
    """Plant the mistake, and return the expected report, without the end of a long message."""
    path = folder / name
    text = change(path, mistake.edit)
    before, found, _ = text.partition(mistake.at)
    assert found, f"{mistake.at} was not planted"
    before += mistake.at[: len(mistake.at) - len(mistake.at.lstrip(" "))]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{path}:{line}:{column}: {mistake.message}"


def reports(folder: Path) -> list[str]:
    return [str(problem) for problem in check_folder(folder)]


def assert_only(found: list[str], expected: str) -> None:
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_topic_is_reported_with_its_position(few: Path, mistake: Mistake) -> None:
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


@pytest.mark.parametrize("mistake", TRACK_MISTAKES.values(), ids=TRACK_MISTAKES)
def test_a_mistake_in_the_tracks_is_reported_with_its_position(folder: Path, mistake: Mistake) -> None:
    expected = plant(folder, TRACKS, mistake)
    assert_only(reports(folder), expected)


def test_mistakes_in_ten_files_are_all_reported_together(folder: Path) -> None:
    planted = {
        "dash": "an unknown key",
        "django": "a missing section",
        "flask": "a link that is not https",
        "frappe": "two right answers",
        "numpy": "a date that does not exist",
        "pyramid": "six days",
        "sanic": "invalid YAML",
        "scrapy": "a long example",
        "selenium": "an unknown related topic",
        "tensorflow": "a deeper heading",
    }
    expected = [plant(folder, f"topics/{slug}.md", MISTAKES[name]) for slug, name in planted.items()]
    found = reports(folder)
    assert len(found) == 10, found
    assert all(report.startswith(beginning) for report, beginning in zip(found, expected, strict=True))
    with pytest.raises(ContentError) as error:
        load_library(folder)
    assert str(error.value) == "\n".join(found)


def test_several_mistakes_in_one_file_are_reported_from_top_to_bottom(few: Path) -> None:
    names = [
        "a URL that is not https",
        "a date that does not exist",
        "a long section",
        "a discussion without a question",
    ]
    for name in names:
        plant(few, FLASK, MISTAKES[name])
    found = check_folder(few)
    assert [problem.message.split()[0] for problem in found] == ["homepage", "reviewed", "What", "Discuss"]
    assert [problem.position for problem in found] == sorted(problem.position for problem in found)


def test_a_topic_in_no_track_is_reported(folder: Path) -> None:
    change(folder / TRACKS, substituted(r"^      - flask\n", ""))
    assert reports(folder) == [f"{folder / FLASK}:1:1: is not in the track everything; add it in tracks.yaml"]


def test_an_archived_framework_with_a_note_is_valid(few: Path) -> None:
    change(few / FLASK, fact("status", "status: archived\nstatus_note: It is gone."))
    assert reports(few) == []


# Files that aren't text, aren't files, or are elsewhere


def test_invalid_utf_8_is_reported_with_the_line(few: Path) -> None:
    lines = (few / FLASK).read_bytes().split(b"\n")
    lines[40] += b"\xff"
    (few / FLASK).write_bytes(b"\n".join(lines))
    assert reports(few) == [f"{few / FLASK}:41:1: is not valid UTF-8"]


def test_an_oversized_file_is_reported_and_not_parsed(few: Path) -> None:
    (few / FLASK).write_text("[" * 70_000)
    assert reports(few) == [f"{few / FLASK}:1:1: is larger than 64 KiB"]


@pytest.mark.parametrize("name", [FLASK, TRACKS])
def test_a_symlink_out_of_the_folder_is_not_followed(few: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    (few / name).rename(secret)
    (few / name).symlink_to(secret)
    assert reports(few) == [f"{few / name}:1:1: points outside the content folder"]


def test_a_symlink_within_the_folder_is_followed(few: Path) -> None:
    (few / FLASK).rename(few / "flask.txt")
    (few / FLASK).symlink_to(few / "flask.txt")
    assert reports(few) == []


@pytest.mark.parametrize("name", [FLASK, TRACKS])
def test_an_empty_file_is_reported(few: Path, name: str) -> None:
    (few / name).write_text("")
    assert len(reports(few)) == 1
    assert reports(few)[0].startswith(f"{few / name}:1:1: ")


def test_a_missing_tracks_file_is_reported_once(few: Path) -> None:
    (few / TRACKS).unlink()
    assert reports(few) == [f"{few / TRACKS}:1:1: is missing"]


@pytest.mark.parametrize("name", ["nowhere", "content/tracks.yaml", "content/topics"])
def test_a_folder_without_topics_is_reported(folder: Path, name: str) -> None:
    wrong = folder.parent / name
    assert reports(wrong) == [f"{wrong}:1:1: no topics here; expected topics/*.md and tracks.yaml"]


def test_windows_line_endings_do_not_change_positions(few: Path) -> None:
    expected = plant(few, FLASK, MISTAKES["a picture"])
    (few / FLASK).write_bytes((few / FLASK).read_bytes().replace(b"\n", b"\r\n"))
    assert_only(reports(few), expected)


def test_a_heading_in_a_code_block_is_ignored(few: Path) -> None:
    change(few / FLASK, first_steps("pip install x", "## Discuss\n### no heading\nx = 1"))
    assert reports(few) == []


# Parsed topics


def test_wrapped_prose_is_unwrapped_but_lists_and_code_are_unchanged(few: Path) -> None:
    source = "One\nparagraph.\n\nAnother, with:\n- an item\n  that goes on\n- another\n\n```\na\nb\n```\n\nThe\nend."
    expected = "One paragraph.\n\nAnother, with:\n- an item that goes on\n- another\n\n```\na\nb\n```\n\nThe end."
    change(few / FLASK, section("When not to", source))
    body = load_library(few).topics["flask"].body
    assert getattr(body, "when_not") == expected  # noqa: B009 - only frameworks have it


def test_a_topic_has_the_contents_of_its_file(few: Path) -> None:
    edits = [
        first_steps("pip install Flask", "def a():\n    return 1\n\n\nprint(a())"),
        days("One\n   wrapped.", *WEEK[1:]),
        quiz("[ ] a", "[ ] b\n  wrapped", "[X] c", "[ ] d", question="Which\none?"),
        fact("python", "python: '>=3.10'"),
        fact("title", "title: no"),
    ]
    change(few / FLASK, *edits)
    flask = load_library(few).topics["flask"]
    assert isinstance(flask, Framework)
    assert (flask.title, flask.python) == ("no", ">=3.10")
    assert flask.body.first_steps.example == "def a():\n    return 1\n\n\nprint(a())"
    assert flask.body.week == ("One wrapped.", *WEEK[1:])
    assert flask.body.quiz.question == "Which one?"
    assert flask.body.quiz.answers == ("a", "b wrapped", "c", "d")
    assert (flask.body.quiz.right, flask.body.quiz.why) == (2, "Because.")


@given(st.lists(st.text("ab c", min_size=1).filter(str.strip), min_size=1))
def test_a_wrapped_paragraph_becomes_one_line(lines: list[str]) -> None:
    assert unwrap("\n".join(lines)).split() == " ".join(lines).split()
    assert "\n" not in unwrap("\n".join(lines))


# Hostile files


def flipped(lines: list[bytes], line: int, data: st.DataObject) -> list[bytes]:
    place, value = data.draw(st.integers(0, len(lines[line]))), data.draw(st.integers(0, 255))
    return [*lines[:line], lines[line][:place] + bytes([value]) + lines[line][place + 1 :], *lines[line + 1 :]]


def cut(lines: list[bytes], line: int, data: st.DataObject) -> list[bytes]:
    return lines[:line] + lines[line + 1 :]


def doubled(lines: list[bytes], line: int, data: st.DataObject) -> list[bytes]:
    return [*lines[: line + 1], *lines[line:]]


def moved(lines: list[bytes], line: int, data: st.DataObject) -> list[bytes]:
    rest = lines[:line] + lines[line + 1 :]
    place = data.draw(st.integers(0, len(rest)))
    return [*rest[:place], lines[line], *rest[place:]]


def replaced(lines: list[bytes], line: int, data: st.DataObject) -> list[bytes]:
    key = lines[line].partition(b":")[0]
    values = [
        b"",
        b": ~",
        b": []",
        b": {a: b}",
        b": 1e999",
        b": 0x10",
        b": |",
        b": &a *a",
        b" ```",
        b"\n---",
        b"\n## Quiz",
    ]
    return [*lines[:line], key + data.draw(st.sampled_from(values)), *lines[line + 1 :]]


MUTATIONS = st.lists(st.sampled_from([flipped, cut, doubled, moved, replaced]), min_size=1, max_size=4)


def mutated(data: st.DataObject, content: bytes) -> bytes:
    lines = content.split(b"\n")
    for mutation in data.draw(MUTATIONS):
        line = data.draw(st.integers(0, len(lines) - 1))
        lines = mutation(lines, line, data)
    return b"\n".join(lines)


def assert_complete_or_reported(folder: Path) -> None:
    problems = check_folder(folder)
    if problems:
        assert all(problem.message and problem.position.line >= 1 for problem in problems)
        with pytest.raises(ContentError) as error:
            load_library(folder)
        assert error.value.problems == problems
    else:
        assert sorted(load_library(folder).topics) == ["flask", "what-is-a-framework"]


@settings(max_examples=80, deadline=None)
@given(data=st.data(), name=st.sampled_from([FLASK, "topics/what-is-a-framework.md", TRACKS]))
def test_a_corrupted_file_is_reported_or_loaded_completely(data: st.DataObject, name: str) -> None:
    with TemporaryDirectory() as directory:
        folder = cut_down(Path(directory) / "content", "flask", "what-is-a-framework")
        (folder / name).write_bytes(mutated(data, (folder / name).read_bytes()))
        assert_complete_or_reported(folder)


# Edge cases


@pytest.mark.parametrize("name", ["Flask.md", "my flask.md", f"{'x' * 41}.md"])
def test_a_file_name_that_is_not_a_slug_is_reported(few: Path, name: str) -> None:
    shutil.copy(few / FLASK, few / "topics" / name)
    change(few / "topics" / name, fact("title", "title: Other"), fact("aliases", "aliases: []"))
    assert any(f"/{name}:1:1: " in report and "slug" in report for report in reports(few))


def test_a_symlink_to_itself_is_reported(few: Path) -> None:
    (few / FLASK).unlink()
    (few / FLASK).symlink_to(few / FLASK)
    assert any(f"{few / FLASK}:1:1: " in report for report in reports(few))


def test_a_truncated_file_is_reported(tmp_path: Path) -> None:
    few = cut_down(tmp_path / "content", "flask", "what-is-a-framework")
    lines = (few / FLASK).read_text("utf-8").splitlines(keepends=True)
    for number in range(len(lines) - 1):
        (few / FLASK).write_text("".join(lines[:number]), "utf-8")
        found = reports(few)
        assert number >= len(lines) - 2 or found
        assert all(report.startswith(str(few / FLASK)) for report in found)


def test_a_list_as_a_kind_is_reported(few: Path) -> None:
    mistake = Mistake(fact("kind", "kind: [framework]"), "kind:", "kind is ")
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


@pytest.mark.parametrize("text", ["- A [link](http://a.org).", "- A\n  [link](http://a.org)."])
def test_a_link_in_a_list_is_reported_with_its_column(few: Path, text: str) -> None:
    mistake = Mistake(section("When not to", text), "http://a.org", "the link http://a.org must start with https://")
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


ADDRESSES = {
    "a user": ("https://docs.python.org@evil.example/", "must not contain a user before the host; remove everything"),
    "a user and a password": ("https://docs:python.org@evil.example/", "must not contain a user before the host"),
    "a Cyrillic letter in the host": (
        "https://flаsk.palletsprojects.com/",
        "must not contain U+0430 CYRILLIC SMALL LETTER A; write the host in ASCII letters",
    ),
    "a Greek letter in the host": (
        "https://githυb.com/",
        "must not contain U+03C5 GREEK SMALL LETTER UPSILON; write the",
    ),
    "a full-width stop": ("https://python．org/", "must not contain U+FF0E FULLWIDTH FULL STOP; write the host in"),
    "a division slash": (
        "https://python.org∕evil.example/",
        "must not contain U+2215 DIVISION SLASH; write the host",
    ),
    "Punycode": ("https://xn--flsk-7cd.palletsprojects.com/", "must have a host of ASCII letters; xn-- stands for"),
    "Punycode in capitals": ("https://flask.XN--FLSK-7CD.com/", "must have a host of ASCII letters; xn-- stands for"),
    "a letter beyond ASCII in the path": (
        "https://fr.wikipedia.org/wiki/Été",
        "must not contain U+00C9 LATIN CAPITAL LETTER E WITH ACUTE; percent-encode it",
    ),
    "a backslash": (
        "https://evil.example\\docs.python.org/",
        "must not contain U+005C REVERSE SOLIDUS; write the host",
    ),
    "a backslash in the path": (
        "https://docs.python.org/a\\b",
        "must not contain U+005C REVERSE SOLIDUS; percent-encode",
    ),
    "a port that is too large": ("https://python.org:65536/", "must have a port from 1 to 65535, or none"),
    "port 0": ("https://python.org:0/", "must have a port from 1 to 65535, or none"),
    "a port that is a word": ("https://python.org:https/", "must have a port from 1 to 65535, or none"),
    "an empty port": ("https://python.org:/", "must have a port from 1 to 65535, or none"),
    "a host without a dot": ("https://localhost/", "must name a host such as example.org"),
    "no host": ("https:///docs.python.org/", "must name a host such as example.org"),
    "an IP address": ("https://203.0.113.7/", "must name a host such as example.org"),
    "a number as a host": ("https://3405803783/", "must name a host such as example.org"),
    "a percent sign in the host": ("https://docs%2Epython.org/", "must name a host such as example.org"),
    "an empty part of the host": ("https://docs..python.org/", "must name a host such as example.org"),
    "another scheme": ("ftp://python.org/", "must start with https://"),
    "a script": ("javascript:alert", "must start with https://"),
    "data": ("data:text/html,x", "must start with https://"),
}


@pytest.mark.parametrize(("address", "message"), ADDRESSES.values(), ids=ADDRESSES)
@pytest.mark.parametrize("key", ["homepage", "docs", "source"])
def test_a_misleading_url_is_reported(few: Path, key: str, address: str, message: str) -> None:
    mistake = Mistake(fact(key, f"{key}: '{address}'"), f"{key}:", f"{key} {message}")
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


def test_a_misleading_source_is_reported(few: Path) -> None:
    address, message = ADDRESSES["a user"]
    edit = substituted(r"^sources:\n", f"sources:\n  - {address}\n")
    expected = plant(few, FLASK, Mistake(edit, address, f"sources[1] {message}"))
    assert_only(reports(few), expected)


@pytest.mark.parametrize(("address", "message"), ADDRESSES.values(), ids=ADDRESSES)
@pytest.mark.parametrize("link", ["You need [it]({}).", "- You need [it](<{}>)."])
def test_a_link_to_a_misleading_url_is_reported(few: Path, link: str, address: str, message: str) -> None:
    mistake = Mistake(section("When not to", link.format(address)), address, f"the link {address} {message}")
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


@pytest.mark.parametrize("name", ["a user", "a Cyrillic letter in the host", "an empty port", "another scheme"])
@pytest.mark.parametrize("text", ["You need {} or so.", "Needed: <{}>."])
def test_a_misleading_bare_url_is_reported(few: Path, text: str, name: str) -> None:
    address, message = ADDRESSES[name]
    mistake = Mistake(section("When not to", text.format(address)), address, f"the link {address} {message}")
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


@pytest.mark.parametrize(
    "address",
    [
        "https://docs.python.org",
        "https://docs.python.org:8443/3/library/asyncio.html?a=b&c=%20d#e",
        "https://medium.com/@somebody/post",
        "https://en.wikipedia.org/wiki/Flask_(web_framework)",
        "https://fr.wikipedia.org/wiki/%C3%89t%C3%A9",
        "https://HTTPBin.org/get",
        "https://a-b.c--d.example.co.uk/~x;y,z*()",
        "https://3.basecamp.com/",
    ],
)
def test_an_honest_url_is_accepted(few: Path, address: str) -> None:
    change(few / FLASK, fact("docs", f'docs: "{address}"'), section("When not to", f"See [it]({address}), {address}."))
    assert reports(few) == []


MISMATCH = "the link shows {}, but leads to {}; show that address, or use words"
EVIL = "https://evil.example/flask"
MISLEADING_LINKS = {
    "another address": ("https://docs.flask.org", EVIL),
    "another host": ("docs.flask.org", EVIL),
    "another host in capitals": ("Docs.Flask.Org", EVIL),
    "another path": ("github.com/good/flask", "https://github.com/evil/flask"),
    "another part of the host": ("flask.org", "https://flask.org.evil.example/"),
    "a host within the host": ("python.org", "https://docs-python.org/"),
    "a scheme in capitals": ("HTTPS://docs.flask.org", EVIL),
    "an address for mail": ("docs.flask.org/x@evil.example", EVIL),
}


@pytest.mark.parametrize(("label", "url"), MISLEADING_LINKS.values(), ids=MISLEADING_LINKS)
@pytest.mark.parametrize("text", ["You need\nthe [{}]({}).", "- See [the docs at {}, now]({}).", "[{}]({} 'Docs')."])
def test_a_link_whose_text_names_another_url_is_reported(few: Path, text: str, label: str, url: str) -> None:
    mistake = Mistake(section("When not to", text.format(label, url)), label, MISMATCH.format(label, url))
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[flask.pallets**projects**.com](https://evil.example/)", id="in bold"),
        pytest.param("[`flask.palletsprojects.com`](https://evil.example/)", id="as code"),
        pytest.param("[flask.\\palletsprojects\\.com](https://evil.example/)", id="with escapes"),
        pytest.param("[flask．palletsprojects。com](https://evil.example/)", id="with other full stops"),
        pytest.param("[docs](https://evil.example/ 'flask.palletsprojects.com')", id="in its title"),
        pytest.param("[flask.palletsprojects.com](<https://evil.example>)", id="with its address in angles"),
        pytest.param("[[flask.palletsprojects.com](https://evil.example/)", id="with a bracket more"),
        pytest.param("[a [flask.palletsprojects.com](https://evil.example/) b](https://evil.example/)", id="in a link"),
        pytest.param("[flask.palletsprojects.com](<https://evil.example/)", id="with an angle that stays open"),
        pytest.param("[flask.palletsprojects.com`](https://evil.example/)`", id="half in code"),
        pytest.param("\\[flask.palletsprojects.com](https://evil.example/)", id="with its bracket escaped"),
        pytest.param("[docs](https://docs.python.org&#46;evil.example/)", id="with an entity"),
        pytest.param("[docs](https://docs.python.org\\@evil.example/)", id="with an escape in its address"),
        pytest.param("https://docs.python.org*.a*.evil.example/", id="with emphasis in its address"),
        pytest.param("https://docs.python.org`.a`.evil.example/", id="with code in its address"),
        pytest.param("[1](https://docs.python.org\\_.evil.example/)", id="with an escaped underscore"),
    ],
)
@pytest.mark.parametrize("key", ["body", "summary"])
def test_markup_cannot_hide_the_target_of_a_link(few: Path, text: str, key: str) -> None:
    change(
        few / FLASK, section("When not to", f"See {text}.") if key == "body" else fact(key, f"{key}: >-\n  See {text}.")
    )
    assert reports(few) != []


HONEST = [
    "[docs.python.org](https://docs.python.org/3/)",
    "[www.python.org](https://python.org/)",
    "[Python.org](https://www.python.org/)",
    "[github.com/pallets/flask](https://github.com/pallets/flask/)",
    "[https://docs.python.org/3](https://docs.python.org/3/)",
    "[see https://docs.python.org.](https://docs.python.org)",
    "[discord.py](https://discordpy.readthedocs.io/en/stable/)",
    "[torch.nn](https://docs.pytorch.org/docs/stable/nn.html)",
    "[Socket.IO](https://socket.io/docs/v4/)",
    "[`asyncio.run()`](https://docs.python.org/3/library/asyncio-runner.html)",
    "[the tutorial, step 3.2](https://docs.python.org/3/tutorial/)",
    "<https://docs.python.org/3/>",
    "`[flask.org](https://evil.example)`",
    "`a[0](b)`",
]


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_link_is_accepted(few: Path, text: str) -> None:
    change(few / FLASK, section("When not to", f"See {text}."), fact("summary", f"summary: >-\n  See {text}."))
    assert reports(few) == []


MISLEADING_TEXTS = {
    "a misleading link": ("[flask.org](https://evil.example/)", MISMATCH.format("flask.org", "https://evil.example/")),
    "HTML": ("<b>X</b>", "Discord doesn't show HTML"),
    "a picture": ("![X](https://evil.example/)", "images aren't allowed in a topic"),
    "a link that is not https": ("[X](http://flask.org)", "the link http://flask.org must start with https://"),
    "an address that is not https": ("http://flask.org", "the link http://flask.org must start with https://"),
    "a user": (
        "https://flask.org@evil.com",
        "the link https://flask.org@evil.com must not contain a user before the host",
    ),
    "half a link": ("X](https://evil.example/)", "write a link as [text](https://example.org), without stray brackets"),
}


@pytest.mark.parametrize(("text", "message"), MISLEADING_TEXTS.values(), ids=MISLEADING_TEXTS)
@pytest.mark.parametrize("key", ["title", "summary", "licence", "status_note", "not_run"])
def test_misleading_text_in_a_field_is_reported(few: Path, key: str, text: str, message: str) -> None:
    line = f"{key}: '{text}{'' if key in ('title', 'licence') else '.'}'"
    edit = fact(key, line) if key in ("title", "summary", "licence") else more(line)
    expected = plant(few, FLASK, Mistake(edit, f"{key}:", f"{key}: {message}"))
    assert_only(reports(few), expected)


@pytest.mark.parametrize(("text", "message"), MISLEADING_TEXTS.values(), ids=MISLEADING_TEXTS)
@pytest.mark.parametrize("key", ["title", "summary"])
def test_misleading_text_in_a_track_is_reported(folder: Path, key: str, text: str, message: str) -> None:
    edit = substituted(rf"(?<=  data:\n)((?:.*\n)?)    {key}:.*\n", f"    {key}: '{text}.'\n")
    if key == "summary":
        edit = substituted(r"^    summary: Arrays.*\n", f"    summary: '{text}.'\n")
    mistake = Mistake(edit, f"{key}: '{text}", f"tracks.data.{key}: {message}")
    expected = plant(folder, TRACKS, mistake)
    assert_only(reports(folder), expected)


@pytest.mark.parametrize(("text", "message"), MISLEADING_TEXTS.values(), ids=MISLEADING_TEXTS)
def test_misleading_text_in_a_translation_is_reported(few: Path, text: str, message: str) -> None:
    german = "topics/what-is-a-framework.de.md"
    shutil.copy(CONTENT / german, few / german)
    expected = plant(few, german, Mistake(fact("summary", f"summary: '{text}.'"), "summary:", f"summary: {message}"))
    assert_only(reports(few), expected)


def test_misleading_text_in_a_version_range_is_reported(few: Path) -> None:
    expected = plant(
        few, FLASK, Mistake(fact("python", "python: '===<b>'"), "python:", "python: Discord doesn't show HTML")
    )
    assert_only(reports(few), expected)


def test_a_link_across_two_fields_is_reported_once(few: Path) -> None:
    change(
        few / FLASK, fact("title", "title: '[flask.org'"), fact("summary", "summary: '](https://evil.example/) it is.'")
    )
    assert len(reports(few)) == 1


def test_a_text_with_much_white_space_is_checked(few: Path) -> None:
    change(few / FLASK, days(f"[flask.org](https://evil.example/){' ' * 9000}.", *WEEK[1:]))
    assert len(reports(few)) == 1


A = "U+0430 CYRILLIC SMALL LETTER A"
MIXED = "flаsk has " + A + " among Latin letters; retype the word"
MIXED_SCRIPTS = {
    "a title": Mistake(fact("title", "title: Flаsk"), "title:", "title: " + MIXED.replace("flаsk", "Flаsk")),
    "an alias": Mistake(fact("aliases", "aliases: [micro, flаsk]"), "flаsk]", "aliases[2]: " + MIXED),
    "an alias by an escape": Mistake(fact("aliases", r'aliases: [micro, "fl\u0430sk"]'), '"fl', "aliases[2]: " + MIXED),
    "a tag": Mistake(fact("tags", "tags: [flаsk]"), "flаsk]", "tags[1]: " + MIXED),
    "a command": Mistake(more("run: flаsk run example.py"), "run:", "run: " + MIXED),
    "a package": Mistake(fact("package", "package: flаsk"), "package:", "package must match"),
    "a requirement": Mistake(
        more("needs: [flаsk==1.0]"), "flаsk==", "needs[1] must be a requirement with one exact version"
    ),
    "a summary": Mistake(fact("summary", "summary: It is flаsk."), "summary:", "summary: " + MIXED),
    "an install line": Mistake(first_steps("pip install flаsk", "x"), "flаsk", MIXED),
    "an install line without a language": Mistake(
        substituted(r"^```sh\npip install Flask", "```\npip install flаsk"), "flаsk", MIXED
    ),
    "an example": Mistake(first_steps("pip install x", "a = 1\nimport flаsk"), "flаsk", MIXED),
    "a code block": Mistake(section("When not to", "So:\n\n```sh\n$ flаsk run\n```"), "flаsk", MIXED),
    "a code block in a list": Mistake(section("When not to", "- So:\n  ```\n  flаsk run\n  ```"), "flаsk", MIXED),
    "code in a sentence": Mistake(days("Run `pip\n   install flаsk`.", *WEEK[1:]), "flаsk", MIXED),
    "a sentence": Mistake(section("When not to", "You have\n**flаsk**."), "flаsk", MIXED),
    "an answer": Mistake(quiz("[ ] flаsk", "[x] b", "[ ] c", "[ ] d"), "flаsk", MIXED),
    "Greek in a command": Mistake(
        section("When not to", "Run `pip install flαsk`."),
        "flαsk",
        "flαsk has U+03B1 GREEK SMALL LETTER ALPHA among Latin letters; retype the word",
    ),
    "full-width letters in a command": Mistake(
        section("When not to", "Run `ｐip install`."),
        "ｐip",
        "ｐip has U+FF50 FULLWIDTH LATIN SMALL LETTER P among Latin letters; retype the word",
    ),
    "an address in an install line": Mistake(
        first_steps("pip install git+https://github.com@evil.example/flask.git", "x"),
        "pip install git",
        "First steps.install: the address https://github.com@evil.example/flask.git must not contain a user",
    ),
    "an address in an install line that is not https": Mistake(
        first_steps('pip install "x @ http://github.com/x"', "x"),
        "pip install",
        "First steps.install: the address http://github.com/x must start with https://",
    ),
    "an entirely Cyrillic command": Mistake(
        first_steps("рір install x", "x"),
        "рір",
        "First steps.install must be in ASCII, without U+0440 CYRILLIC SMALL LETTER ER",
    ),
    "a Latin letter that looks like another": Mistake(
        more("run: flɑsk run example.py"), "run:", "run must be in ASCII, without U+0251 LATIN SMALL LETTER ALPHA"
    ),
}


@pytest.mark.parametrize("mistake", MIXED_SCRIPTS.values(), ids=MIXED_SCRIPTS)
def test_mixed_scripts_are_reported(few: Path, mistake: Mistake) -> None:
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


@pytest.mark.parametrize("key", ["title", "summary"])
def test_mixed_scripts_in_the_tracks_are_reported(folder: Path, key: str) -> None:
    edit = substituted(rf"^    {key}: (Data|Arrays).*\n", f"    {key}: It is flаsk.\n")
    expected = plant(folder, TRACKS, Mistake(edit, f"{key}: It is fl", f"tracks.data.{key}: {MIXED}"))
    assert_only(reports(folder), expected)


def test_a_repeated_problem_in_a_paragraph_is_reported_once(few: Path) -> None:
    text = "Run `flаsk`, `flаsk`, [flask.org](https://a.example), [flask.org](https://a.example)."
    change(few / FLASK, section("When not to", text))
    assert [problem.message.split()[0] for problem in check_folder(few)] == ["flаsk", "the"]


def test_a_track_name_with_mixed_scripts_is_reported(folder: Path) -> None:
    expected = plant(folder, TRACKS, Mistake(substituted(r"^  web:", "  wеb:"), "wеb:", "tracks.wеb"))
    assert any(report.startswith(expected) for report in reports(folder))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("The angle αx, ρgh, νmax and Δt; 3 kΩ, 5 µs, σ-algebras, x², ℝn, ﬁne.", id="formulas"),
        pytest.param("Use `Δt`, `σ_x`, `λ`, `5 µs`, `nº 1`, `O(nⁿ)`.", id="formulas as code"),
        pytest.param("Слово «Питон», Πύθων, पाइथन, פייתון, بايثون, 파이썬, Պիթոն.", id="words in other scripts"),
        pytest.param("Python-скрипт, на Flask; Python入門, Pythonの本, Python을.", id="next to Latin letters"),
        pytest.param("Größe, naïve, œuvre, coração, ñandú, İstanbul, Đà Nẵng.", id="Latin letters beyond ASCII"),
        pytest.param('So:\n\n```sh\necho "Größe, Питон, Δt"\n```', id="a code block"),
    ],
)
def test_letters_of_other_scripts_are_accepted(few: Path, text: str) -> None:
    change(few / FLASK, section("When not to", text))
    assert reports(few) == []


@pytest.mark.parametrize(
    "install",
    [
        "pip install 'x @ git+https://github.com/pallets/flask@3.1.2#egg=flask' && flask --version",
        "pip install torch --index-url https://download.pytorch.org/whl/cpu",
    ],
)
def test_an_install_line_may_contain_a_url(few: Path, install: str) -> None:
    change(few / FLASK, first_steps(install, "x"))
    assert reports(few) == []


@pytest.mark.parametrize("alias", ["Питон", "λ-calculus", "Python入門", "flásk", "Δt", "C♯"])
def test_an_alias_may_be_in_any_script(few: Path, alias: str) -> None:
    change(few / FLASK, fact("aliases", f"aliases: ['{alias}']"), first_steps("pip install x", f"x = '{alias}'"))
    assert reports(few) == []
    assert load_library(few).topics["flask"].aliases == (alias,)


def test_a_link_in_code_is_ignored(few: Path) -> None:
    change(few / FLASK, section("When not to", "Markdown is `[text](url)`."))
    assert reports(few) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("One<br>two.", id="inline HTML"),
        pytest.param("See <http://example.org>.", id="an address in angle brackets"),
        pytest.param("See http://example.org.", id="a bare address"),
        pytest.param("See [it][1].\n\n[1]: https://example.org", id="a reference link"),
    ],
)
def test_markup_that_discord_does_not_support_is_reported(few: Path, text: str) -> None:
    change(few / FLASK, section("When not to", text))
    assert len(reports(few)) == 1


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(section("The week", "Lost.\n\n" + "\n".join(f"{n}. Day." for n in range(1, 8))), id="above days"),
        pytest.param(days(*WEEK[:6], "Seven.\n\n   Lost."), id="a second paragraph of a day"),
        pytest.param(days(*WEEK[:6], "Seven.\n   - Lost."), id="a list within a day"),
        pytest.param(
            section("First steps", "```sh\npip install x\n```\n\nLost.\n\n```python\nx\n```"), id="between code blocks"
        ),
        pytest.param(quiz("[ ] a\n\n  Lost.", "[x] b", "[ ] c", "[ ] d"), id="a second paragraph of an answer"),
    ],
)
def test_misplaced_text_is_reported(few: Path, edit: Edit) -> None:
    change(few / FLASK, edit)
    assert reports(few) != []


def test_text_after_a_code_block_stays_on_its_own_line() -> None:
    assert unwrap("```\na\n```\nText\nwraps.") == "```\na\n```\nText wraps."


def test_the_position_of_a_related_topic_counts_every_entry(few: Path) -> None:
    change(few / FLASK, fact("related", "related:\n  - [x]\n  - falcon"))
    assert f"{few / FLASK}:19:5: related[1] must be text" in reports(few)
    assert f"{few / FLASK}:20:5: related: there is no topic falcon" in reports(few)


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(Mistake(days("x" * 141, *WEEK[1:]), "1. x", "The week[1] has 141 characters"), id="a day"),
        pytest.param(
            Mistake(quiz("[ ] a", f"[x] {'x' * 81}", "[ ] c", "[ ] d"), "- [x] x", "Quiz.answers[2] has 81 characters"),
            id="an answer",
        ),
    ],
)
def test_a_long_entry_is_not_also_reported_as_missing(few: Path, mistake: Mistake) -> None:
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


INVISIBLE = {
    "NUL": ("\0", "U+0000 (a control character)"),
    "ESC": ("\x1b", "U+001B (a control character)"),
    "a carriage return by itself": ("\r", "U+000D (a control character)"),
    "a form feed": ("\f", "U+000C (a control character)"),
    "DEL": ("\x7f", "U+007F (a control character)"),
    "a C1 control": ("\x9b", "U+009B (a control character)"),
    "a next line": ("\x85", "U+0085 (a control character)"),
    "a soft hyphen": ("\xad", "U+00AD SOFT HYPHEN"),
    "a zero-width space": ("\u200b", "U+200B ZERO WIDTH SPACE"),
    "a joiner between letters": ("\u200d", "U+200D ZERO WIDTH JOINER"),
    "a right-to-left override": ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
    "an isolate": ("\u2066", "U+2066 LEFT-TO-RIGHT ISOLATE"),
    "a mark of direction": ("\u200f", "U+200F RIGHT-TO-LEFT MARK"),
    "a line separator": ("\u2028", "U+2028 LINE SEPARATOR"),
    "a paragraph separator": ("\u2029", "U+2029 PARAGRAPH SEPARATOR"),
    "a word joiner": ("\u2060", "U+2060 WORD JOINER"),
    "a Hangul filler": ("\u3164", "U+3164 HANGUL FILLER"),
    "a blank Braille cell": ("\u2800", "U+2800 BRAILLE PATTERN BLANK"),
    "a byte order mark": ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
    "a selector after a letter": ("\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
    "a selector that no emoji takes": ("\U000e0100", "U+E0100 VARIATION SELECTOR-17"),
    "a tag": ("\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
    "a noncharacter": ("\uffff", "U+FFFF (without a name)"),
}


@pytest.mark.parametrize(("character", "name"), INVISIBLE.values(), ids=INVISIBLE)
@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        pytest.param(FLASK, r"^title: Fl(?=ask)", id="front matter"),
        pytest.param(FLASK, r"^# yaml(?=-)", id="a comment"),
        pytest.param(FLASK, r"^Flask joi(?=ns)", id="prose"),
        pytest.param(FLASK, r"^from fl(?=ask)", id="code"),
        pytest.param(FLASK, r"^## Dis(?=cuss)", id="a heading"),
        pytest.param(TRACKS, r"^popular: \[wh(?=at)", id="tracks"),
        pytest.param("topics/what-is-a-framework.de.md", r"^title: Was(?= ein)", id="a translation"),
    ],
)
def test_an_invisible_character_is_reported_with_its_position(
    few: Path, character: str, name: str, file: str, pattern: str
) -> None:
    shutil.copy(CONTENT / "topics/what-is-a-framework.de.md", few / "topics")
    text = (few / file).read_text("utf-8")
    start = re.search(pattern, text, re.MULTILINE)
    assert start
    before = text[: start.end()]
    (few / file).write_bytes((before + character + text[start.end() :]).encode())
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert reports(few) == [f"{few / file}:{line}:{column}: {name} is invisible; delete it"]


def test_each_invisible_character_is_reported_once_per_line(few: Path) -> None:
    change(few / FLASK, section("When not to", "A\u200b\u200b\u202e\u200b.\nB\u200b."))
    assert [problem.message.split()[0] for problem in check_folder(few)] == ["U+200B", "U+202E", "U+200B"]
    assert [problem.position.column for problem in check_folder(few)] == [2, 4, 2]


@pytest.mark.parametrize(
    ("escape", "name"),
    [
        (r"\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        (r"\e", "U+001B (a control character)"),
        (r"\0", "U+0000 (a control character)"),
        (r"\L", "U+2028 LINE SEPARATOR"),
        (r"\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
    ],
)
@pytest.mark.parametrize("key", ["title", "summary"])
def test_an_escape_for_an_invisible_character_is_reported(few: Path, key: str, escape: str, name: str) -> None:
    mistake = Mistake(
        fact(key, f'{key}: "Fl{escape}ask."'), '"Fl', f"an escape stands for {name}, which is invisible; delete it"
    )
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


def test_an_escape_in_a_key_is_reported(few: Path) -> None:
    expected = plant(few, FLASK, Mistake(more(r'"ti\u200btle": x'), '"ti', "ti\u200btle is not a known key"))
    assert reports(few) == [expected.replace("\u200b", r"\u200b") + "; did you mean title?"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("I ❤\ufe0f it, ✔\ufe0e, ™\ufe0f, ↔\ufe0f, ℹ\ufe0f.", id="selectors"),
        pytest.param("1\ufe0f\u20e3 and #\ufe0f\u20e3.", id="keycaps"),
        pytest.param("👩\u200d💻, 👩🏽\u200d🚀, 🏳\ufe0f\u200d🌈, ❤\ufe0f\u200d🔥, 🙂\u200d↔\ufe0f.", id="joined emoji"),
        pytest.param("Vraiment\u202f? «\u00a0Oui\u00a0».", id="no-break spaces"),
        pytest.param("日本語、Ελληνικά и кириллица. עברית, العربية, हिन्दी.", id="other scripts"),
        pytest.param("cafe\u0301, a\tb.", id="a combining accent, a tab"),
    ],
)
def test_legitimate_characters_are_not_reported_as_invisible(few: Path, text: str) -> None:
    change(few / FLASK, section("When not to", text), fact("summary", f'summary: "{text}"'))
    assert reports(few) == []
    flask = load_library(few).topics["flask"]
    assert flask.summary == getattr(flask.body, "when_not") == text  # noqa: B009 - only frameworks have it


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("❤\ufe0f\ufe0f.", id="a second selector"),
        pytest.param("\ufe0f.", id="a selector after nothing"),
        pytest.param("1\ufe0f.", id="a selector after a digit"),
        pytest.param("👩\u200d.", id="a joiner without a following symbol"),
        pytest.param("a\u200d👩.", id="a joiner without a preceding symbol"),
        pytest.param("👩\u200d\u200d💻.", id="two joiners"),
    ],
)
def test_an_incomplete_emoji_is_reported(few: Path, text: str) -> None:
    change(few / FLASK, section("When not to", text))
    assert reports(few) != []
    assert all("is invisible" in report for report in reports(few))


@pytest.mark.parametrize("key", ["title: '!!!'", "aliases: ['???']"])
def test_a_name_without_letters_or_digits_is_reported(few: Path, key: str) -> None:
    change(few / FLASK, fact(key.partition(":")[0], key))
    assert len(reports(few)) == 1


def test_a_number_is_not_a_date(few: Path) -> None:
    mistake = Mistake(fact("reviewed", "reviewed: 86400"), "reviewed:", "reviewed must be a date such as 2026-11-23")
    expected = plant(few, FLASK, mistake)
    assert_only(reports(few), expected)


def test_an_example_that_would_end_its_code_block_is_reported(few: Path) -> None:
    steps = "```sh\npip install x\n```\n\n````python\nx = 1\n```\ny = 2\n````"
    change(few / FLASK, section("First steps", steps))
    assert len(reports(few)) == 1


def test_a_byte_order_mark_is_ignored(few: Path) -> None:
    (few / FLASK).write_bytes(b"\xef\xbb\xbf" + (few / FLASK).read_bytes())
    assert reports(few) == []


# Reloading while the bot runs


async def test_a_reload_swaps_in_a_whole_new_library(few: Path) -> None:
    live = LiveLibrary(few)
    before = live.current
    change(few / FLASK, fact("title", "title: Flask three"))
    assert live.current is before
    assert await live.reload()
    assert live.current.topics["flask"].title == "Flask three"
    assert before.topics["flask"].title == "Flask"


async def test_a_broken_folder_keeps_the_last_good_library_and_logs_file_and_line(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveLibrary(folder)
    before = live.current
    change(folder / "topics/django.md", fact("title", "title: Fine"))
    expected = [plant(folder, FLASK, MISTAKES["six days"]), plant(folder, "topics/numpy.md", MISTAKES["a picture"])]
    with caplog.at_level(logging.ERROR):
        assert not await live.reload()
    assert live.current is before
    assert [message.startswith(beginning) for message, beginning in zip(caplog.messages, expected, strict=False)] == [
        True,
        True,
    ]
    assert "2 problems" in caplog.messages[2]


async def test_a_repaired_folder_is_loaded_again(few: Path) -> None:
    live = LiveLibrary(few)
    good = (few / FLASK).read_text("utf-8")
    (few / FLASK).write_text("broken")
    assert not await live.reload()
    (few / FLASK).write_text(fact("title", "title: Repaired")(good), "utf-8")
    assert await live.reload()
    assert live.current.topics["flask"].title == "Repaired"


def test_a_bot_does_not_start_with_broken_content(few: Path) -> None:
    expected = plant(few, FLASK, MISTAKES["six days"])
    with pytest.raises(ContentError, match=re.escape(expected)):
        LiveLibrary(few)


class ReloadHandler(logging.Handler):
    """Signals each reload."""

    def __init__(self) -> None:
        super().__init__()
        self.reloaded = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.reloaded.set()


async def test_a_saved_file_is_loaded_while_the_folder_is_watched(few: Path, caplog: pytest.LogCaptureFixture) -> None:
    live = LiveLibrary(few)
    reloads = ReloadHandler()
    logger = logging.getLogger("weekbot.content.loading.live_library")
    caplog.set_level(logging.INFO, logger.name)
    logger.addHandler(reloads)
    watching = asyncio.create_task(live.watch())
    try:
        async with asyncio.timeout(30):
            await _save_until_reloaded(few / FLASK, reloads.reloaded)
        assert live.current.topics["flask"].title == "Saved"
    finally:
        logger.removeHandler(reloads)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching


async def _save_until_reloaded(path: Path, reloaded: asyncio.Event) -> None:
    """Save until the change is noticed, because changes before the watch starts aren't."""
    text = await asyncio.to_thread(change, path, fact("title", "title: Saved"))
    while not reloaded.is_set():
        await asyncio.to_thread(path.write_text, text, "utf-8")
        try:
            await asyncio.wait_for(reloaded.wait(), 0.5)
        except TimeoutError:
            continue


def test_an_editors_lock_file_is_ignored(few: Path) -> None:
    (few / "topics" / ".#flask.md").write_text("being edited")
    assert reports(few) == []
