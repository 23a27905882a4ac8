"""Pictures of messages: the page that SimCord serves, in a real browser, at the widths of a desktop and a phone."""

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
"""Of the window. A card is as wide as Discord makes it in the first, and as narrow as a phone in the second."""
HEIGHT = 6000  # more than any message needs, as what lies outside of the window is not drawn
SCALE = 1.5  # sharp, also where a screen has more pixels, and a third smaller than at 2
READY = "() => window.simcordPreview?.ready === true"
MESSAGE = "#focused-content"
STYLE = """
[data-workbench] { display: none !important }
#focused-content { padding-block: 12px }
.code-block { white-space: pre-wrap !important; overflow-wrap: anywhere }
.code-block code { min-width: 0 !important }
"""
# Nothing round the message but a little room. Long lines of code are wrapped, as Discord does; the page scrolls them.


class NoBrowserError(WeekbotError):
    """There is no Chromium on the PATH: install chromium to take pictures."""


@asynccontextmanager
async def camera() -> AsyncIterator[Browser]:
    """Raises NoBrowserError."""
    if CHROMIUM is None:
        raise NoBrowserError
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def pictures(browser: Browser, scene: Scene, *widths: str) -> dict[str, bytes]:
    """The scene as PNG files, by the names of the widths."""
    async with played(scene) as (simulation, shown), preview(simulation, shown, scene.locale) as served:
        return {width: await picture(browser, served.url, WIDTHS[width], scene.locale) for width in widths}


@asynccontextmanager
async def preview(simulation: Simulation, shown: Shown, locale: str) -> AsyncIterator[Preview]:
    """A page that shows the message and nothing else, as it is by the bot's clock."""
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
        bypass_csp=True,  # for the style that hides what is round the message
        locale=locale,
        timezone_id="UTC",
    )
    try:
        return small(await taken(window, url))
    finally:
        await window.close()


async def taken(window: Page, url: str) -> bytes:
    await window.goto(url)
    await window.add_style_tag(content=STYLE)
    await window.wait_for_function(READY)
    return await window.locator(MESSAGE).screenshot(animations="disabled")


def small(png: bytes) -> bytes:
    """The same picture with 256 colours, which are enough for a card, in a third of the size."""
    image, out = Image.open(BytesIO(png)).convert("RGB"), BytesIO()
    # The octree keeps the colours of what is small, such as an emoji; other methods blend them into the grey.
    image.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
