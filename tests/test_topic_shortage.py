"""The warning before channels run out of unused topics."""

import logging
from dataclasses import replace

import pytest

from fakes import CHANNEL, Bot
from weekbot.content.library import Library
from weekbot.content.tracks import Track
from weekbot.delivery.topic_shortage import ShortageWarning
from weekbot.ops.metrics import Metrics
from weekbot.store.reports.topic_shortage import ShortageReport

SHORT = "weekbot_subscriptions_short_of_topics"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def shortage(bot: Bot, metrics: Metrics) -> ShortageWarning:
    return ShortageWarning(lambda: bot.live_library.current, ShortageReport(bot.process.database), metrics.supplied)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def short(metrics: Metrics, name: str = SHORT) -> float:
    [line] = [line for line in metrics.text().decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


async def test_a_channel_with_many_topics_left_is_not_reported(
    bot: Bot, shortage: ShortageWarning, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    bot.live_library.put("flask", "django", "numpy", "scrapy", "dash")
    await bot.subscribe()
    await bot.weeks(1)
    await shortage.run()
    assert (short(metrics), warnings(caplog)) == (0, [])


async def test_a_channel_with_three_topics_left_is_reported_until_there_are_new_ones(
    bot: Bot, shortage: ShortageWarning, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    bot.live_library.put("flask", "django", "numpy", "scrapy", "dash")
    await bot.subscribe()
    await bot.weeks(2)
    await shortage.run()
    assert short(metrics) == 1
    assert warnings(caplog) == [f"1 channels have fewer than 4 new topics left: {CHANNEL} (3)"]
    bot.live_library.put("flask", "django", "numpy", "scrapy", "dash", "sanic")
    await shortage.run()
    assert short(metrics) == 0


async def test_removed_topics_do_not_count_as_used(bot: Bot, shortage: ShortageWarning, metrics: Metrics) -> None:
    bot.live_library.put("flask", "django", "numpy", "scrapy", "dash", "sanic")
    await bot.subscribe()
    await bot.weeks(2)
    bot.live_library.put("numpy", "scrapy", "dash", "sanic")
    await shortage.run()
    assert short(metrics) == 0


async def test_skipped_topics_count_as_used_and_those_of_earlier_rounds_do_not(
    bot: Bot, shortage: ShortageWarning, metrics: Metrics
) -> None:
    bot.live_library.put("flask", "django", "numpy", "scrapy", "dash")
    await bot.subscribe()
    await bot.skip()
    await bot.weeks(1)
    await shortage.run()
    assert short(metrics) == 1
    await bot.weeks(4)
    await shortage.run()
    assert short(metrics) == 0


async def test_paused_and_ended_subscriptions_are_not_reported(
    bot: Bot, shortage: ShortageWarning, metrics: Metrics
) -> None:
    bot.live_library.put("flask", "django")
    await bot.subscribe(CHANNEL)
    await bot.subscribe(CHANNEL + 1)
    await shortage.run()
    assert short(metrics) == 2
    await bot.process.subscriptions.change(CHANNEL, lambda current: replace(current, paused=True))
    await bot.process.subscriptions.change(CHANNEL + 1, lambda current: replace(current, active=False))
    await shortage.run()
    assert short(metrics) == 0


async def test_a_removed_track_counts_as_everything(bot: Bot, shortage: ShortageWarning, metrics: Metrics) -> None:
    bot.live_library.put("flask", "django")
    await bot.subscribe(track="knitting")
    await shortage.run()
    assert short(metrics) == 1


async def test_a_track_of_less_than_a_quarter_is_never_short(
    bot: Bot, shortage: ShortageWarning, metrics: Metrics
) -> None:
    few, *others = bot.live_library.full_library.topics
    tracks = [
        Track(slug="few", title="Few", summary="One of them.", topics=(few,)),
        Track(slug="everything", title="Everything", summary="All of it.", topics=(few, *others)),
    ]
    bot.live_library.current = Library(bot.live_library.full_library.topics.values(), tracks)
    await bot.subscribe(track="few")
    await shortage.run()
    assert (short(metrics), short(metrics, "weekbot_subscriptions")) == (0, 1)
