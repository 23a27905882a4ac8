"""Failing or busy servers delay no others, and a topic that Discord refuses in several channels is skipped."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT, SLUGS, Bot, FakeClock, FakeSender
from test_delivery import DOWN
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.delivery import post_failures, posts
from weekbot.delivery.errors import RefusedContentError
from weekbot.delivery.outage import BETWEEN_PROBES, FAILURES
from weekbot.delivery.ports import SentMessage
from weekbot.delivery.posts import TRIES
from weekbot.delivery.refused_topics import CHANNELS, WARNING
from weekbot.delivery.retry import ServerLimit
from weekbot.domain.deliveries import Delivery, State
from weekbot.store import subscriptions as store
from weekbot.store.subscriptions import Subscriptions

OTHER_GUILD = 2
OUTAGE_END = SLOT + timedelta(minutes=3)
FIRST = 1000
"""The id of the first of many channels."""


@dataclass
class PickySender(FakeSender):
    """Refuses topics for which `refuses` returns true, and fails for three minutes for the channels in `down`."""

    refuses: Callable[[str, int], bool] = lambda *_: False
    down: set[int] = field(default_factory=set)
    attempts: list[int] = field(default_factory=list)

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        channel_id = delivery.subscription.channel_id
        self.attempts.append(channel_id)
        if channel_id in self.down and self.now() < OUTAGE_END:
            raise DOWN
        if self.refuses(topic.slug, channel_id):
            raise RefusedContentError("Discord refuses this: Invalid Form Body")
        return await super().send(delivery, topic)


@pytest.fixture
def sender(bot: Bot) -> PickySender:
    bot.sender = PickySender()
    bot.sender.now = bot.clock.now
    bot.process = bot.another_process(bot.sender)
    return bot.sender


async def subscribe_many(bot: Bot, count: int, guild_id: int = GUILD, first: int = FIRST, **given: int) -> list[int]:
    """Subscribe several channels of a server, and return their ids."""
    channels = list(range(first, first + count))
    for channel_id in channels:
        await bot.subscribe(channel_id, guild_id, **given)
    return channels


# Topics that Discord refuses


async def test_a_topic_that_discord_refuses_in_three_channels_is_skipped_everywhere(
    bot: Bot, sender: PickySender, caplog: pytest.LogCaptureFixture
) -> None:
    sender.refuses = lambda slug, _: slug == "flask"
    channels = await subscribe_many(bot, CHANNELS + 2)
    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(minutes=10))
    assert bot.channels() == channels
    assert {slug for _, _, slug in sender.posts} == {"django"}
    assert bot.process.refused_topics.topics(bot.live_library.current) == {"flask"}
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [WARNING % ("flask", CHANNELS, "Discord refuses this: Invalid Form Body")]

    await bot.process.restart()
    await bot.process.refused_topics.load()
    sends = sender.sends
    await bot.weeks(1, FIRST)
    assert sender.topics(FIRST) == ["django", "dash"]
    assert sender.sends == sends + len(channels)


async def test_a_refused_topic_is_sent_again_after_its_content_has_changed(bot: Bot, sender: PickySender) -> None:
    sender.refuses = lambda slug, _: slug == "flask"
    await subscribe_many(bot, CHANNELS)
    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(minutes=10))
    corrected = bot.live_library.full_library.topics["flask"].model_copy(update={"summary": "Corrected."})
    track, others = (
        bot.live_library.current.tracks[EVERYTHING],
        [bot.live_library.full_library.topics[slug] for slug in SLUGS[1:]],
    )
    bot.live_library.current = Library([corrected, *others], [track])
    sender.refuses = lambda *_: False
    await bot.weeks(1, FIRST)
    assert sender.topics(FIRST) == ["django", "flask"]


async def test_a_topic_that_one_channel_refuses_is_replaced_only_there(bot: Bot, sender: PickySender) -> None:
    sender.refuses = lambda slug, channel_id: slug == "flask" and channel_id == CHANNEL
    await bot.subscribe(CHANNEL)
    await bot.subscribe(OTHER)
    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(hours=1))
    assert (bot.topics(CHANNEL), bot.topics(OTHER)) == (["django"], ["flask"])
    assert sender.attempts.count(CHANNEL) == TRIES + 1
    assert bot.process.refused_topics.topics(bot.live_library.current) == frozenset()


async def test_a_refused_topic_that_was_renamed_is_replaced(bot: Bot, sender: PickySender) -> None:
    renamed = bot.live_library.current.topics["flask"].model_copy(
        update={"slug": "little-flask", "aliases": ("flask",)}
    )
    others = [bot.live_library.full_library.topics[slug] for slug in SLUGS[1:]]
    track = Track(slug="everything", title="Everything", summary="All of it.", topics=("little-flask", *SLUGS[1:]))

    def refuse_and_reload(slug: str, _: int) -> bool:
        bot.live_library.current = Library([renamed, *others], [track])
        return slug in ("flask", "little-flask")

    sender.refuses = refuse_and_reload
    await subscribe_many(bot, 1)
    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(minutes=10))
    assert bot.topics(FIRST) == [SLUGS[1]]


async def test_a_channel_that_refuses_every_topic_is_blocked(bot: Bot, sender: PickySender) -> None:
    sender.refuses = lambda *_: True
    await bot.subscribe()
    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(hours=20))
    assert (await bot.last()).state is State.BLOCKED
    assert len(sender.attempts) == TRIES**2


# Outages and failures


async def test_an_outage_is_logged_once_and_each_post_is_logged(
    bot: Bot, sender: PickySender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, posts.__name__)
    channels = await subscribe_many(bot, 40)
    sender.down = set(channels)
    await bot.tick(SLOT)
    await bot.tick_until(OUTAGE_END + timedelta(minutes=2))
    lines = [record for record in caplog.records if record.name == posts.__name__]
    failures = [record for record in lines if "tried again" in record.getMessage()]
    assert len(failures) > len(channels)
    assert [record.levelname for record in failures if record.levelname != "DEBUG"] == ["WARNING"]
    assert len([record for record in lines if record.getMessage() == "posted"]) == len(channels)


async def test_discord_is_only_probed_during_an_outage_and_all_posts_follow_it(bot: Bot, sender: PickySender) -> None:
    channels = await subscribe_many(bot, 3 * FAILURES)
    sender.down = set(channels)
    await bot.tick(SLOT)
    assert bot.channels() == channels
    assert bot.clock.now() - OUTAGE_END <= BETWEEN_PROBES
    probes = (OUTAGE_END - SLOT) / BETWEEN_PROBES + 1
    assert sender.sends == len(channels)
    assert len(sender.attempts) - len(channels) <= 2 * len(channels) + probes


async def test_new_posts_do_not_wait_for_failing_ones(bot: Bot, sender: PickySender) -> None:
    sender.down = set(await subscribe_many(bot, 12))
    healthy = await subscribe_many(bot, 5, OTHER_GUILD, 5000)
    await bot.tick(SLOT)
    assert [channel_id for _, channel_id, _ in sender.posts][: len(healthy)] == healthy
    assert max(sender.attempts.index(channel_id) for channel_id in healthy) < 2 * len(sender.down)


async def test_servers_with_failing_posts_have_lower_priority(bot: Bot, sender: PickySender) -> None:
    for number in range(4):
        sender.down |= set(await subscribe_many(bot, 10, 10 + number, 10_000 * (1 + number)))
    healthy = await subscribe_many(bot, 10, 99, 99_000)
    await bot.process.close()
    bot.process = bot.another_process(sender, requests_per_second=48)  # so that about a dozen are claimed at a time
    await bot.tick(SLOT)
    assert [channel_id for _, channel_id, _ in sender.posts][: len(healthy)] == healthy
    failed_before = len(sender.attempts[: sender.attempts.index(healthy[-1])]) - len(healthy) + 1
    assert failed_before < len(sender.down) / 2


async def test_a_server_with_many_subscriptions_delays_no_other_servers_post(bot: Bot, sender: PickySender) -> None:
    await subscribe_many(bot, 60)
    [other] = await subscribe_many(bot, 1, OTHER_GUILD, 5000)
    await bot.tick(SLOT)
    assert [channel for _, channel, _ in sender.posts].index(other) < 2


async def test_a_servers_refusals_are_limited_and_delay_no_other_server(
    bot: Bot, sender: PickySender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_failures, "MAX_REFUSALS", 3)
    bot.process = bot.another_process(sender)
    sender.closed = set(await subscribe_many(bot, 5))
    [other] = await subscribe_many(bot, 1, OTHER_GUILD, 5000)
    await bot.tick(SLOT)
    assert bot.channels() == [other]
    assert len(sender.attempts) == 3 + 1


def test_a_server_limit_is_free_again_after_its_window() -> None:
    clock, found = FakeClock(), []
    limit = ServerLimit(2, timedelta(minutes=10), clock)
    for seconds in (0, 60, 60, 481, 1, -3600):
        clock.move(seconds=seconds)
        pause = limit.pause(GUILD)
        found.append(pause.total_seconds())
        if not pause:
            limit.use(GUILD)
        assert not limit.pause(OTHER_GUILD)
    assert found == [0, 0, 480, 0, 58, 0]


# Changes of a server


async def test_a_server_is_rescheduled_in_batches(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH", 2)
    channels = await subscribe_many(bot, 5)
    await bot.process.subscriptions.reschedule_guild(GUILD, "Asia/Tokyo", MONDAY - timedelta(days=1))
    found = await Subscriptions(bot.process.database).of_guild(GUILD)
    assert [each.channel_id for each in found] == channels
    assert {each.next_slot.zone.key for each in found} == {"Asia/Tokyo"}
