"""The content folder: what is in it, and that every mistake in it is named with its place."""

import asyncio
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import CONTENT
from hypothesis import given, settings
from hypothesis import strategies as st

from weekbot.content.files import check_folder, load_library
from weekbot.content.library import Library
from weekbot.content.live import LiveLibrary
from weekbot.content.model import EVERYTHING, Framework
from weekbot.content.problem import ContentError, Problem
from weekbot.content.sections import unwrap

TOPICS = sorted(path.stem for path in (CONTENT / "topics").glob("*.md"))
FLASK = "topics/flask.md"
TRACKS = "tracks.yaml"
Edit = Callable[[str], str]


# The real folder


def test_the_real_content_has_no_problem() -> None:
    assert check_folder(CONTENT) == []


@pytest.mark.parametrize("slug", TOPICS)
def test_a_real_topic_makes_sense(library: Library, slug: str) -> None:
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
def test_a_real_framework_has_facts_and_an_example_that_is_python(library: Library, slug: str) -> None:
    topic = library.topics[slug]
    if not isinstance(topic, Framework):
        assert topic.kind == "concept"
        return
    assert 1990 <= topic.first_release <= topic.reviewed.year
    assert topic.package.lower() in topic.body.first_steps.install.lower()
    assert len({topic.homepage, topic.docs, topic.source} & set(topic.sources)) <= len(topic.sources)
    if topic.body.first_steps.language == "python":
        compile(topic.body.first_steps.example, slug, "exec")


def test_the_tracks_are_the_four_and_everything_holds_the_others_in_reading_order(library: Library) -> None:
    assert list(library.tracks) == ["start-here", "web", "beyond-web", EVERYTHING]
    parts = [library.tracks[slug].topics for slug in ("start-here", "web", "beyond-web")]
    assert library.tracks[EVERYTHING].topics == tuple(slug for part in parts for slug in part)
    assert list(library.topics) == list(library.tracks[EVERYTHING].topics)
    assert sorted(library.topics) == TOPICS


def test_start_here_holds_the_concepts_and_the_other_tracks_the_fifteen_frameworks(library: Library) -> None:
    frameworks = [slug for slug, topic in library.topics.items() if isinstance(topic, Framework)]
    assert len(frameworks) == 15
    assert frameworks == [*library.tracks["web"].topics, *library.tracks["beyond-web"].topics]


# Mistakes planted into copies of it


@dataclass(frozen=True)
class Mistake:
    """An edit that plants it, the planted text whose place must be named, and what must be said of it."""

    edit: Edit
    at: str
    message: str


def fact(key: str, text: str) -> Edit:
    """With the front matter's line of the key replaced by the text, which may be empty."""
    return substituted(rf"^{key}:.*\n", text and text + "\n")


def more(text: str) -> Edit:
    """With more lines in the front matter, above its tags."""
    return substituted(r"^(?=tags:)", text + "\n")


def section(heading: str, text: str) -> Edit:
    """With the text as all that stands below the heading."""
    return substituted(rf"^## {heading}\n(.|\n)*?(?=^## |\Z)", f"## {heading}\n\n{text}\n\n")


def no_section(heading: str) -> Edit:
    return substituted(rf"^## {heading}\n(.|\n)*?(?=^## |\Z)", "")


def above(heading: str, text: str) -> Edit:
    """With the text above the heading."""
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
    return section("First steps", f"```sh\n{install}\n```\n\n```python\n{example}\n```")


WEEK = ["One.", "Two.", "Three.", "Four.", "Five.", "Six.", "Seven."]
BODY = "\n## What it is"
"""The line after the front matter, where a missing section is reported."""

MISTAKES = {
    "an unknown key": Mistake(more("tagz: [a]"), "tagz:", "tagz is not a known key; did you mean tags?"),
    "an unknown key like no other": Mistake(more("qqq: [a]"), "qqq:", "qqq is not a known key"),
    "a missing key": Mistake(fact("licence", ""), "kind:", "licence is missing"),
    "a missing kind": Mistake(fact("kind", ""), "title:", "kind is missing; it must be framework or concept"),
    "an unknown kind": Mistake(
        fact("kind", "kind: library"), "kind:", "kind is library; it must be framework or concept"
    ),
    "an unknown category": Mistake(fact("category", "category: games"), "category:", "category must be one of 'basics'"),
    "a missing section": Mistake(no_section("Discuss"), BODY, "Discuss is missing"),
    "an empty section": Mistake(section("Discuss", ""), "## Discuss", "Discuss is empty"),
    "an unknown section": Mistake(
        above("Discuss", "## The weak\n\nText."), "## The weak", "unknown section The weak; did you mean The week?"
    ),
    "an unknown section like no other": Mistake(
        above("Discuss", "## 12345\n\nText."), "## 12345", "unknown section 12345; known are What it is, When to"
    ),
    "a section twice": Mistake(
        above("Quiz", "## Discuss \n\nWhat else?"), "## Discuss \n", "the section Discuss stands here twice"
    ),
    "a section out of order": Mistake(
        lambda text: above("The week", "## Discuss\n\nWhy?")(no_section("Discuss")(text)),
        "## The week",
        "the section The week is out of order; the order is What it is,",
    ),
    "a wrong type deep in a list": Mistake(fact("tags", "tags: [wsgi, [x]]"), "[x]", "tags[2] must be text"),
    "text where a list belongs": Mistake(fact("tags", "tags: wsgi"), "tags:", "tags must be a list"),
    "too many tags": Mistake(
        fact("tags", "tags: [a, b, c, d, e, f, g]"), "tags:", "tags has 7 entries, at most 6 fit"
    ),
    "a long title": Mistake(
        fact("title", f"title: {'x' * 61}"), "title:", "title has 61 characters, at most 60 fit"
    ),
    "a URL that is not https": Mistake(
        fact("homepage", "homepage: http://example.org"), "homepage:", "homepage must start with https://"
    ),
    "a URL that is none": Mistake(
        fact("docs", 'docs: "https://exam ple.org"'), "docs:", "docs is no URL that Discord can link to"
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
    "a link to a script": Mistake(
        section("When not to", "[Press](javascript:alert)."),
        "javascript:alert",
        "the link javascript:alert must start with https://",
    ),
    "a relation to nobody": Mistake(
        fact("related", "related: [numpy, falcon]"), "falcon", "related: there is no topic falcon"
    ),
    "an alias of another topic": Mistake(
        fact("aliases", "aliases: [micro, tf]"), "tf]", "tf already leads to tensorflow.md"
    ),
    "an alias that is another topic's title": Mistake(
        fact("aliases", "aliases: [micro, num-py]"), "num-py", "num-py already leads to numpy.md"
    ),
    "an alias that is another topic's slug": Mistake(
        fact("aliases", "aliases: [how to use these weeks]"), "how to", "how to use these weeks already leads to"
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
        section("First steps", "```sh\npip install x\n```"), "```sh", "First steps needs two code blocks"
    ),
    "two install lines": Mistake(
        first_steps("pip install x\npip install y", "x"), "pip install x", "First steps.install must match"
    ),
    "six days": Mistake(days(*WEEK[:6]), "1. One.", "The week has 6 entries, at least 7 are needed"),
    "eight days": Mistake(days(*WEEK, "Eight."), "1. One.", "The week has 8 entries, at most 7 fit"),
    "no days": Mistake(section("The week", "Rest."), "Rest.", "The week needs a numbered list of seven days"),
    "three answers": Mistake(
        quiz("[ ] a", "[x] b", "[ ] c"), "Which one?", "Quiz.answers has 3 entries, at least 4 are needed"
    ),
    "two right answers": Mistake(
        quiz("[ ] a", "[x] b", "[ ] c", "[x] d"), "- [x] d", "exactly one answer of the Quiz is marked [x], here 2"
    ),
    "no right answer": Mistake(
        quiz("[ ] a", "[ ] b", "[ ] c", "[ ] d"), "Which one?", "exactly one answer of the Quiz is marked [x], here 0"
    ),
    "an answer without a box": Mistake(
        quiz("[ ] a", "[x] b", "c", "[ ] d"), "- c", "an answer starts with [ ] or [x]: c"
    ),
    "a quiz that asks nothing": Mistake(
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
    "a word for a date": Mistake(
        fact("reviewed", "reviewed: yesterday"), "reviewed:", "reviewed must be a date such as 2026-11-23"
    ),
    "a year before Python": Mistake(
        fact("first_release", "first_release: 1066"), "first_release:", "first_release must be at least 1990"
    ),
    "a word for a year": Mistake(
        fact("first_release", "first_release: soon"), "first_release:", "first_release must be a whole number"
    ),
    "a bad version range": Mistake(
        fact("python", 'python: "3.9 or later"'), "python:", "python must be a version range such as >=3.10"
    ),
    "a missing status note": Mistake(
        fact("status", "status: archived"), "kind:", "status_note is missing: say in a sentence why the status is archived"
    ),
    "a status note that is no sentence": Mistake(
        more("status_note: gone"), "status_note:", "status_note must be one sentence that ends with a full stop"
    ),
    "YAML that cannot be read": Mistake(
        fact("summary", "summary: one: two."), ": two", "YAML: mapping values are not allowed in this context"
    ),
    "a YAML alias": Mistake(fact("title", "title: *name"), "*name", "YAML aliases (*name) are not allowed"),
    "a YAML tag": Mistake(
        fact("title", "title: !!python/object:os.system Flask"), "!!python", "the YAML tag tag:yaml.org,2002:python/object"
    ),
    "a key twice": Mistake(
        more("package : Flask"), "package :", "package stands here twice"
    ),
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
        section("When not to", "![a](https://example.org/a.png)"), "![a]", "pictures do not belong into a topic"
    ),
    "HTML": Mistake(section("When not to", "<div>never</div>"), "<div>", "HTML does not show in Discord"),
    "a deeper heading": Mistake(
        section("When not to", "### Never\n\nText."), "### Never", "only ## headings belong into a topic"
    ),
    "a higher heading": Mistake(
        above("Discuss", "# Part two"), "# Part two", "only ## headings belong into a topic"
    ),
    "text above the first section": Mistake(
        above("What it is", "Welcome!"), "Welcome!", "text before the first section"
    ),
}  # fmt: skip

TRACK_MISTAKES = {
    "an unknown topic": Mistake(
        substituted(r"topics: \[flask, ", "topics: [flask, falcon, "), "falcon", "there is no topic falcon"
    ),
    "a topic twice in a list": Mistake(
        substituted(r"topics: \[flask, ", "topics: [flask,   flask, "), "  flask", "flask stands in this list twice"
    ),
    "an unknown popular topic": Mistake(
        substituted(r"^popular: \[", "popular: [falcon, "), "falcon", "there is no topic falcon"
    ),
    "an unknown track": Mistake(
        substituted(r"includes: \[", "includes: [data, "), "data,", "there is no track with topics data"
    ),
    "a track of nothing": Mistake(
        substituted(r"    includes:.*\n", ""), "everything:", "tracks.everything needs either topics or includes"
    ),
    "no track of everything": Mistake(
        substituted(r"^  everything:", "  all:"), "tracks:", "the track everything is missing"
    ),
    "a bad slug": Mistake(substituted(r"^  web:", "  The Web:"), "The Web:", "must match"),
    "an unknown key": Mistake(
        substituted(r"^popular:", "favourites: []\npopular:"), "favourites:", "favourites is not a known key"
    ),
    "YAML that cannot be read": Mistake(
        substituted(r"^popular: \[", "popular: ]["), "][", "YAML: did not find expected node content"
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the real content."""
    return Path(shutil.copytree(CONTENT, tmp_path / "content"))


def plant(folder: Path, name: str, mistake: Mistake) -> str:
    """Plant the mistake; the answer is what must be reported, but for the end of a long message."""
    path = folder / name
    text = mistake.edit(path.read_text("utf-8"))
    path.write_text(text, "utf-8")
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
def test_a_mistake_in_a_topic_is_named_with_its_place(folder: Path, mistake: Mistake) -> None:
    expected = plant(folder, FLASK, mistake)
    assert_only(reports(folder), expected)
    with pytest.raises(ContentError, match=re.escape(expected)):
        load_library(folder)


@pytest.mark.parametrize("mistake", TRACK_MISTAKES.values(), ids=TRACK_MISTAKES)
def test_a_mistake_in_the_tracks_is_named_with_its_place(folder: Path, mistake: Mistake) -> None:
    expected = plant(folder, TRACKS, mistake)
    found = [report for report in reports(folder) if TRACKS in report.partition(": ")[0]]
    assert len(found) == 1
    place, _, message = expected.partition(": ")
    assert found[0].startswith(place + ": ")
    assert message in found[0]
