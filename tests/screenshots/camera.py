"""Pictures of messages: SimCord's page in a real browser, at the widths of a desktop and a phone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

from PIL import Image  # the page that is served needs it as well
from playwright.async_api import Browser, Page, async_playwright
from simcord import Preview

from conftest import CHROMIUM, FLAGS
from screenshots.scenes import Scene, Shown
from screenshots.stage import played
from simulation import Simulation
from weekbot.runtime.errors import WeekbotError

WIDTHS = {"desktop": 700, "phone": 390}
"""Widths of the window: one in which cards have Discord's full width, and one as narrow as a phone."""
HEIGHT = 6000  # more than any message needs; nothing outside of the window is drawn
SCALE = 1.5  # sharp even on high-resolution screens, and a third smaller than at 2
READY = "() => window.simcordPreview?.ready === true"
MESSAGE = "#focused-content"
STYLE = """
[data-workbench] { display: none !important }
#focused-content { padding-block: 12px }
.code-block { white-space: pre-wrap !important; overflow-wrap: anywhere }
.code-block code { min-width: 0 !important }
"""
# Show only the message with a small margin. Wrap long lines of code, as Discord does; the page scrolls them.


class NoBrowserError(WeekbotError):
    """There is no Chromium on the PATH: install chromium to take pictures."""


@asynccontextmanager
async def camera() -> AsyncIterator[Browser]:
    """Start a browser; raise NoBrowserError if there is none."""
    if CHROMIUM is None:
        raise NoBrowserError
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def pictures(browser: Browser, scene: Scene, *widths: str) -> dict[str, bytes]:
    """Return the scene as PNG files by the names of the widths."""
    async with played(scene) as (simulation, shown), preview(simulation, shown, scene.locale) as served:
        return {width: await picture(browser, served.url, WIDTHS[width], scene.locale) for width in widths}


@asynccontextmanager
async def preview(simulation: Simulation, shown: Shown, locale: str) -> AsyncIterator[Preview]:
    """Serve a page that shows only the message, at the time of the bot's clock."""
    async with simulation.env.preview(
        channel=shown.channel or simulation.text,
        viewers=[shown.viewer],
        locale=locale,
        presentation_time=simulation.clock.now(),
    ) as preview:
        await preview.show(shown.message)
        yield preview


async def picture(browser: Browser, url: str, width: int, locale: str) -> bytes:
    window = await browser.new_page(
        viewport={"width": width, "height": HEIGHT},
        device_scale_factor=SCALE,
        reduced_motion="reduce",
        bypass_csp=True,  # for the style that hides everything but the message
        locale=locale,
        timezone_id="UTC",
    )
    try:
        return compress(await screenshot(window, url))
    finally:
        await window.close()


async def screenshot(window: Page, url: str) -> bytes:
    await window.goto(url)
    await window.add_style_tag(content=STYLE)
    await window.wait_for_function(READY)
    return await window.locator(MESSAGE).screenshot(animations="disabled")


def compress(png: bytes) -> bytes:
    """Reduce the picture to 256 colours, which are enough for a card and need a third of the size."""
    image, out = Image.open(BytesIO(png)).convert("RGB"), BytesIO()
    # The octree keeps the colours of small parts, such as an emoji; other methods blend them into the grey.
    image.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
