"""`weekbot demo` as a process: its output, its page, and its end."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from page_process import running, start

PATIENCE = 60_000  # milliseconds; on a slow machine the first page takes a while
WEEK_SECONDS = "10"


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start(tmp_path, "demo", "--port", str(port))
        output, errors = demo.communicate(timeout=60)
    assert (demo.returncode, output) == (1, "")
    assert len(errors.splitlines()) == 1
    assert str(port) in errors
    assert "--port" in errors


def test_its_only_output_is_a_local_url(tmp_path: Path) -> None:
    with running(tmp_path, "demo") as url:
        assert re.match(r"http://(127\.0\.0\.1|localhost):\d+/", url)
    assert list(tmp_path.iterdir()) == []


# In a browser


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    with running(tmp_path, "demo", "--week", WEEK_SECONDS) as url:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.locator("#channel-composer-input").wait_for(state="visible")
        yield page
        page.close()


def messages(page: Page, text: str) -> Locator:
    return page.locator("article.channel-message[data-message-id]").filter(has_text=text)


def look_up(page: Page, name: str) -> None:
    """Type /framework as a member would."""
    box = page.locator("#channel-composer-input")
    box.click()
    box.fill("/framework")
    command = page.locator("strong", has_text=re.compile("^/framework$"))
    page.locator(".command-popup .command-entry", has=command).first.click()
    page.locator(".command-chip").wait_for()
    page.locator('.command-option-input[data-option="name"]').fill(name)
    submit(page)


def submit(page: Page) -> None:
    """Send the command repeatedly: the page silently drops it while it completes an option."""
    chip, send = page.locator(".command-chip"), page.locator("#send-message")
    for _ in range(20):
        page.wait_for_function("() => !/…$/.test(document.querySelector('#action-status').textContent)")
        if chip.count():
            send.click()
        try:
            expect(chip).to_have_count(0, timeout=3000)
        except AssertionError:
            continue
        return
    raise AssertionError("the page never sent the command")


@pytest.mark.browser
def test_the_page_shows_weeks_pass_and_answers_commands_and_buttons(page: Page) -> None:
    posts = messages(page, "This week:")
    expect(posts.first).to_be_visible(timeout=PATIENCE)
    expect(messages(page, "This week: Flask")).to_be_visible()
    expect(posts.nth(1)).to_be_visible(timeout=PATIENCE)

    look_up(page, "flask")
    expect(messages(page, "When to choose it").filter(has_text="Flask").last).to_be_visible(timeout=PATIENCE)

    look_up(page, "djnago")
    near = messages(page, "There is no topic called").last
    expect(near).to_contain_text("djnago", timeout=PATIENCE)
    expect(near).to_contain_text("Only you can see this")
    expect(near.get_by_role("button", name="Django", exact=True)).to_be_visible()

    private = messages(page, "Only you can see this")
    before = private.count()
    posts.last.get_by_role("button", name="More").click()
    expect(private).to_have_count(before + 1, timeout=PATIENCE)
    expect(private.last).to_contain_text("Read a section")
