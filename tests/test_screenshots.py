"""The screenshots: their scenes, one picture, and the page that lists them."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from conftest import CHROMIUM
from screenshots.camera import SCALE, WIDTHS, camera, pictures
from screenshots.scenes import SCENES
from screenshots.stage import played
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.domain.deliveries import State
from weekbot.i18n.language import ENGLISH

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
LISTED = re.findall(r'src="([^"]+)"', (FOLDER / "README.md").read_text("utf-8"))
EXPECTED = [f"{name}-{width}.png" for name in SCENES for width in WIDTHS]


@pytest.mark.parametrize("name", SCENES)
async def test_every_scene_ends_with_a_message_that_its_viewer_sees(name: str) -> None:
    async with played(SCENES[name]) as (simulation, shown):
        assert shown.message.components
        seen = (shown.channel or simulation.text).history(viewer=shown.viewer)
        assert shown.message.id in {message.id for message in seen}


async def test_the_status_shows_a_channel_in_every_state() -> None:
    async with played(SCENES["status"]) as (simulation, _):
        repositories = simulation.app.repositories
        subscriptions = await repositories.subscriptions.of_guild(simulation.guild.id)
        lasts = await repositories.deliveries.last([each.id for each in subscriptions], *State)
        states = {last.state for last in lasts.values()}
        assert states == {State.SENT, State.MISSED, State.BLOCKED, State.UNVERIFIED}
        assert any(each.paused for each in subscriptions)
        troubles = await ChannelChecks(simulation.app.client).summaries(ENGLISH, subscriptions)
        healthy = [each.channel_id for each in subscriptions if not (each.paused or each.id in troubles)]
        assert simulation.text.id in healthy
        assert len(healthy) < len(subscriptions) - 1


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: install chromium to test the pictures")
async def test_a_picture_is_as_wide_as_a_phone_and_shows_only_the_message() -> None:
    async with camera() as browser:
        [png] = (await pictures(browser, SCENES["near-miss"], "phone")).values()
    image = Image.open(BytesIO(png))
    assert image.width == WIDTHS["phone"] * SCALE
    assert 100 * SCALE < image.height < 600 * SCALE
    assert len(png) < 50_000


def test_the_page_lists_each_existing_picture_once() -> None:
    assert sorted(LISTED) == sorted(EXPECTED)
    assert sorted(path.name for path in FOLDER.glob("*.png")) == sorted(EXPECTED)
