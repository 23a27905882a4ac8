"""`weekbot content preview` as a process: its page shows a topic and its problems."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from conftest import CONTENT
from discord_server.component import texts
from page_process import running, start
from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.card import problems
from weekbot.content.library import Library
from weekbot.content.loading.folder import read_draft
from weekbot.i18n.language import ENGLISH

PREVIEW = ("content", "preview")
TIMEOUT = 30_000  # milliseconds
SCREENSHOTS = os.environ.get("WEEKBOT_SCREENSHOTS")
"""A folder for screenshots of the page."""


@pytest.fixture
def flask(tmp_path: Path) -> Path:
    shutil.copytree(CONTENT, tmp_path / "content")
    return tmp_path / "content" / "topics" / "flask.md"


@pytest.fixture
def page(browser: Browser, flask: Path) -> Iterator[Page]:
    with running(flask.parents[2], *PREVIEW, "flask") as url:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        yield page
        page.close()


def message(page: Page, text: str) -> Locator:
    return page.locator("article.channel-message[data-message-id]").filter(has_text=text).first


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


@pytest.mark.browser
def test_the_page_follows_changes_problems_and_fixes_of_the_file(page: Page, flask: Path, library: Library) -> None:
    post = message(page, "This week: Flask")
    expect(post).to_contain_text("A small core for web applications", timeout=TIMEOUT)
    for heading in topic_cards.section_names(ENGLISH, library.topics["flask"]).values():
        expect(message(page, f"Flask: {heading}")).to_be_visible()
    expect(message(page, "Read a section")).to_contain_text("When not to")
    picture(page, "preview")

    replace(flask, "A small core for web applications", "A tiny core for pages")
    expect(message(page, "This week: Flask")).to_contain_text("A tiny core for pages", timeout=TIMEOUT)

    replace(flask, "homepage: https://", "homepage: http://")
    problem = message(page, "1 problem")
    expect(problem).to_contain_text("homepage must start with https://", timeout=TIMEOUT)
    expect(problem).to_contain_text(re.compile(r"flask\.md:\d+:1"))
    expect(page.locator("article", has_text="This week: Flask")).to_have_count(0)
    picture(page, "preview-problem")

    replace(flask, "homepage: http://", "homepage: https://")
    expect(message(page, "This week: Flask")).to_contain_text("A tiny core for pages", timeout=TIMEOUT)
    expect(page.locator("article", has_text="1 problem")).to_have_count(0)


@pytest.mark.browser
def test_the_page_shows_the_published_post_even_beside_a_problem(page: Page, flask: Path) -> None:
    """A problem is shown above the posts and moves them; a message can't be edited into the other form."""
    posts = page.locator("article.channel-message[data-message-id]").filter(has_text="This week: Flask")
    embed = posts.filter(has_text="Docs · Source")
    expect(message(page, "The weekly post with publish")).to_be_visible(timeout=TIMEOUT)
    expect(embed).to_have_count(1)
    django = flask.with_name("django.md")
    replace(django, "title: Django", "title: ''")
    expect(message(page, "problem")).to_be_visible(timeout=TIMEOUT)
    expect(posts).to_have_count(2, timeout=TIMEOUT)
    expect(embed).to_have_count(1)
    replace(django, "title: ''", "title: Django")
    expect(page.locator("article", has_text="problem")).to_have_count(0, timeout=TIMEOUT)
    expect(posts).to_have_count(2, timeout=TIMEOUT)
    expect(embed).to_have_count(1)


def test_an_unknown_topic_is_a_one_sentence_error(flask: Path) -> None:
    preview = start(flask.parents[2], *PREVIEW, "flsk")
    output, errors = preview.communicate(timeout=60)
    assert (preview.returncode, output) == (1, "")
    assert errors == "There is no topic flsk; `weekbot content new flsk` creates it.\n"


# Drafts


def test_a_valid_draft_has_its_topic_and_no_problems(flask: Path) -> None:
    draft = read_draft(flask.parents[1], "flask")
    assert draft.problems == []
    assert draft.topic is draft.library.topics["flask"]


def test_a_topic_is_shown_without_relations_to_topics_with_problems(flask: Path) -> None:
    replace(flask.with_name("django.md"), "title: Django", "title: ''")
    draft = read_draft(flask.parents[1], "flask")
    assert draft.topic
    assert "django" not in draft.topic.related
    assert [problem.path.name for problem in draft.problems] == ["django.md"]


def test_a_topics_own_problems_come_first(flask: Path) -> None:
    replace(flask.with_name("aiohttp.md"), "title: aiohttp", "title: ''")
    replace(flask, "title: Flask", "title: ''")
    draft = read_draft(flask.parents[1], "flask")
    assert draft.topic is None
    assert draft.problems[0].path.name == "flask.md"
    assert draft.problems[-1].path.name == "aiohttp.md"


def test_a_problem_quotes_text_in_printable_characters(flask: Path) -> None:
    replace(flask, "tags: [", '"\\e[2J\\u202e": x\ntags: [')
    card = problems(read_draft(flask.parents[1], "flask").problems)
    shown = [text for text in texts(card.to_components()) if "is not a known key" in text]  # type: ignore[no-untyped-call]
    assert len(shown) == 1
    assert all(character == "\n" or character.isprintable() for character in shown[0])


def test_a_missing_file_and_a_missing_folder_are_problems(flask: Path) -> None:
    flask.unlink()
    assert read_draft(flask.parents[1], "flask").problems[0].message.startswith("is missing")
    shutil.rmtree(flask.parents[1])
    gone = read_draft(flask.parents[1], "flask")
    assert gone.topic is None
    assert len(gone.problems) == 2
