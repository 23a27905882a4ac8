"""Two ledgers with one token: each records the other's posts, and no post is duplicated."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from discord_server import Channel, Message, Permission, request_fault
from discord_server.fault import FOREVER
from fakes import CHANNEL, SLOT, SLUGS, Bot, FakeClock, FakeSender
from places import Place, online
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts, new_mark
from weekbot.content.library import Library
from weekbot.delivery.errors import HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import HistoryPage, SentMessage
from weekbot.delivery.token_users import Sign
from weekbot.discord_io.sender import DiscordSender
from weekbot.domain.deliveries import Delivery, State, is_requested, manual_id, scheduled_id
from weekbot.domain.schedule import WEEK
from weekbot.domain.steps import StepName

DOWN = RetryableError("Discord cannot be reached")
UNREADABLE = HistoryUnreadableError("Read Message History is missing")


# With the loopback Discord


@dataclass
class TwoSenders:
    """A place with the senders of two processes."""

    place: Place
    first: DiscordSender
    second: DiscordSender
    noticed: list[None]

    def delivery(self, channel: Channel, **options: Any) -> Delivery:
        now, subscription = self.place.clock.now(), self.place.subscription(channel, **options)
        id_ = scheduled_id(channel.id, now.date())
        return Delivery(id_, subscription, now, "flask", 1, True, False, State.PENDING, attempts=1)

    def posts(self, channel: Channel) -> list[Message]:
        return self.place.server.messages_in(channel)


def _sender(place: Place, noticed: list[None]) -> DiscordSender:
    cards = RenderedPosts(mark=new_mark())
    return DiscordSender(place.client, cards, custom_ids.delivered, on_foreign_post=lambda: noticed.append(None))


@pytest.fixture
async def two(clock: FakeClock) -> AsyncIterator[TwoSenders]:
    async with online(clock) as place:
        signs: list[None] = []
        yield TwoSenders(place, _sender(place, signs), _sender(place, signs), signs)


@pytest.mark.parametrize("publish", [False, True])
async def test_a_post_returned_for_a_nonce_has_its_topic_and_origin(
    two: TwoSenders, library: Library, publish: bool
) -> None:
    channel = two.place.guild.add_text_channel("weekly")
    await two.place.knows(channel)
    delivery = two.delivery(channel, publish=publish)
    own = await two.first.send(delivery, library.topics["flask"])
    again = await two.first.send(delivery, library.topics["flask"])
    other = await two.second.send(delivery, library.topics["django"])
    same = await two.second.send(delivery, library.topics["flask"])
    assert [each.message_id for each in (again, other, same)] == [own.message_id] * 3
    assert [(each.topic, each.foreign) for each in (own, again, other, same)] == [
        (None, False),
        (None, False),
        ("flask", True),
        (None, True),
    ]
    assert own.version is not None
    assert other.version is same.version is None
    assert len(two.posts(channel)) == 1


async def test_an_unmarked_post_of_an_earlier_version_is_not_foreign(two: TwoSenders, library: Library) -> None:
    channel = two.place.guild.add_text_channel("weekly")
    await two.place.knows(channel)
    delivery, flask = two.delivery(channel), library.topics["flask"]
    unmarked = DiscordSender(two.place.client, RenderedPosts(), custom_ids.delivered)
    await unmarked.send(delivery, flask)
    assert not (await two.first.send(delivery, flask)).foreign


async def test_a_forum_is_searched_before_a_post(two: TwoSenders, library: Library) -> None:
    forum = two.place.guild.add_forum("showcase")
    await two.place.knows(forum)
    delivery = two.delivery(forum)
    own = await two.first.send(delivery, library.topics["django"])
    other = await two.second.send(delivery, library.topics["flask"])
    assert (other.message_id, other.topic, other.foreign) == (own.message_id, "django", True)
    assert len(two.place.guild.threads) == 1


@pytest.mark.parametrize("spoil", ["permission", "trouble"])
async def test_a_post_is_sent_to_an_unreadable_forum(two: TwoSenders, library: Library, spoil: str) -> None:
    forum = two.place.guild.add_forum("showcase")
    await two.place.knows(forum)
    if spoil == "permission":
        forum.forbid(Permission.READ_MESSAGE_HISTORY)
        await two.place.receive_events()
    else:
        two.place.server.inject("GET", "threads", request_fault.html(503), FOREVER)
    assert not (await two.first.send(two.delivery(forum), library.topics["flask"])).foreign
    assert len(two.place.guild.threads) == 1


async def test_both_ledgers_keep_the_first_of_two_simultaneous_forum_posts(two: TwoSenders, library: Library) -> None:
    forum = two.place.guild.add_forum("showcase")
    await two.place.knows(forum)
    delivery = two.delivery(forum)
    two.place.server.inject("GET", "threads", request_fault.html(503), FOREVER)  # neither can find the other's post
    first = await two.first.send(delivery, library.topics["django"])
    second = await two.second.send(delivery, library.topics["flask"])
    two.place.server.rest.faults.pending.clear()
    assert len(two.place.guild.threads) == 2

    theirs = _recorded(delivery, second)
    instead = await two.second.follow_up(StepName.STRAYS, theirs, None)
    assert instead == SentMessage(first.message_id, first.channel_id)
    assert instead.topic == "django"
    assert await two.first.follow_up(StepName.STRAYS, _recorded(delivery, first), None) is None
    assert len(two.noticed) == 1
    # The other process may already have removed it.
    assert await two.second.follow_up(StepName.STRAYS, theirs, None) == instead
    assert [message.id for thread in two.place.guild.threads.values() for message in two.posts(thread)] == [
        first.message_id
    ]


def _recorded(delivery: Delivery, sent: SentMessage) -> Delivery:
    return replace(delivery, message_id=sent.message_id, message_channel_id=sent.channel_id)


# Recording


async def post_from_other_ledger(bot: Bot, topic: str) -> int:
    """Let the other ledger post for the channel's next slot; return the message's ID."""
    return bot.sender.post_elsewhere(scheduled_id(CHANNEL, (await bot.subscription()).next_slot.week), topic)


async def test_a_topic_posted_by_another_ledger_counts_as_used_and_the_planned_one_is_next(bot: Bot) -> None:
    await bot.subscribe()
    message_id = await post_from_other_ledger(bot, "dash")
    await bot.tick(SLOT)
    last = await bot.last()
    assert (last.topic, last.state, last.message_id, last.round) == ("dash", State.SENT, message_id, 1)
    assert bot.topics() == ["dash"]
    noticed = bot.process.token_users.recent
    assert noticed
    assert noticed.sign is Sign.POST

    await bot.weeks(4)
    assert bot.topics() == ["dash", "flask", "django", "numpy", "flask"]


async def test_a_chosen_topic_is_chosen_again_after_a_foreign_post(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")
    await post_from_other_ledger(bot, "flask")
    await bot.weeks(4)
    assert bot.topics() == ["flask", "numpy", "django", "dash"]


async def test_the_last_topic_of_a_round_counts_for_that_round(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(3)
    await post_from_other_ledger(bot, "django")  # the other ledger has another order
    await bot.weeks(2)
    assert bot.topics() == ["flask", "django", "dash", "django", "numpy"]
    assert (await bot.last()).round == 1


async def test_a_foreign_post_of_an_unknown_topic_is_recorded(bot: Bot) -> None:
    await bot.subscribe()
    await post_from_other_ledger(bot, "unheard-of")
    await bot.weeks(2)
    assert bot.topics() == ["unheard-of", "flask"]


async def test_a_foreign_post_of_the_planned_topic_is_detected(bot: Bot) -> None:
    await bot.subscribe()
    await post_from_other_ledger(bot, "flask")
    await bot.weeks(2)
    assert bot.topics() == ["flask", "django"]
    assert bot.process.token_users.recent


async def test_a_post_of_an_earlier_attempt_is_no_sign_of_another_ledger(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(seconds=90))]
    await bot.tick(SLOT)
    bot.sender.post_elsewhere((await bot.last()).id, "flask")
    await bot.tick(seconds=100)
    assert bot.topics() == ["flask"]
    assert bot.process.token_users.recent is None


# Look-ups before late posts


async def test_a_late_post_is_found_after_discord_has_forgotten_its_nonce(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(seconds=130))]
    await bot.tick(SLOT)
    week = (await bot.last()).id
    bot.sender.post_elsewhere(week, "numpy")
    bot.sender.forget_nonces()
    await bot.tick_until(SLOT + timedelta(hours=1))
    assert bot.topics() == ["numpy"]
    assert (await bot.last()).topic == "numpy"
    assert bot.process.token_users.recent
    await bot.tick(SLOT + WEEK)
    assert bot.topics() == ["numpy", "flask"]


async def test_all_pages_of_the_history_are_read_before_a_post(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_in_pages(sender: FakeSender, delivery: Delivery, since: datetime, cursor: str | None) -> HistoryPage:
        return await FakeSender.find(sender, delivery, since, cursor) if cursor else HistoryPage([], "the second page")

    monkeypatch.setattr(bot.sender, "find", partial(find_in_pages, bot.sender))
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord cannot be reached", timedelta(seconds=130))]
    await bot.tick(SLOT)
    bot.sender.post_elsewhere((await bot.last()).id, "flask")
    bot.sender.forget_nonces()
    await bot.tick_until(SLOT + timedelta(hours=1))
    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT


@pytest.mark.parametrize("suspected", [False, True])
async def test_a_late_first_attempt_is_looked_up_only_if_another_program_was_detected(
    bot: Bot, suspected: bool
) -> None:
    await bot.subscribe()
    if suspected:
        bot.process.token_users.record(Sign.SESSION)
    await bot.tick(SLOT + timedelta(minutes=10))
    assert (bot.topics(), bot.sender.look_ups) == (["flask"], int(suspected))


@pytest.mark.parametrize("trouble", [UNREADABLE, DOWN])
async def test_a_failed_look_up_does_not_prevent_a_post(bot: Bot, trouble: Exception) -> None:
    await bot.subscribe()
    bot.sender.before, bot.sender.finding = [DOWN] * 5, [trouble] * 5
    await bot.tick_until(SLOT + timedelta(hours=1))
    assert bot.topics() == ["flask"]


async def test_a_refused_look_up_blocks_the_post_without_another_request(bot: Bot) -> None:
    await bot.subscribe()
    refusal = HistoryUnreadableError("the history cannot be read")
    refusal.__cause__ = PermanentError("weekbot cannot see the channel")
    bot.sender.before, bot.sender.finding = (
        [RetryableError("Discord asked weekbot to wait", timedelta(minutes=10))],
        [refusal],
    )
    await bot.tick(SLOT)
    await bot.tick(minutes=10)
    assert bot.sender.sends == 1
    assert (await bot.last()).state is State.BLOCKED


async def test_a_pending_delivery_is_recorded_with_the_topic_of_the_foreign_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=10))]
    await bot.tick(SLOT)
    bot.sender.post_elsewhere((await bot.last()).id, "dash")
    bot.sender.forget_nonces()
    await bot.process.restart()
    bot.sender.quiet = False
    await bot.tick_until(SLOT + timedelta(hours=1))
    assert bot.topics() == ["dash"]
    assert (await bot.last()).topic == "dash"
    await bot.weeks(3)
    assert bot.topics() == ["dash", *(slug for slug in SLUGS if slug != "dash")]


async def test_foreign_posts_found_by_a_look_up_are_detected(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    await bot.process.restart()
    await bot.tick()
    bot.clock.move(minutes=10)
    bot.sender.post_elsewhere("d" * 24, "dash")
    await bot.tick(SLOT + WEEK)
    assert bot.topics() == ["flask", "dash", "django"]
    noticed = bot.process.token_users.recent
    assert noticed
    assert noticed.sign is Sign.POST
    assert "another program uses the bot's token; it posts weekly topics" in caplog.text


async def test_foreign_posts_from_before_the_start_suggest_an_older_copy(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    bot.clock.move(minutes=10)
    bot.sender.post_elsewhere("d" * 24, "dash")
    bot.clock.move(minutes=10)
    await bot.process.restart()
    await bot.tick(SLOT + WEEK)
    assert bot.topics() == ["flask", "dash", "django"]
    assert bot.process.token_users.recent is None
    assert caplog.text.count("it is an older copy") == 1


# Manual posts


INTERACTION = 1_445_000_000_000_000_001
"""An interaction, which every process with the token receives."""


async def test_one_interaction_causes_one_manual_post_from_two_ledgers(bot: Bot) -> None:
    await bot.subscribe()
    message_id = bot.sender.post_elsewhere(manual_id(INTERACTION), "flask")
    manual = await bot.process.manual.post(await bot.subscription(), None, INTERACTION)
    assert manual
    delivery = manual.delivery
    assert (delivery.id, delivery.message_id, delivery.state) == (manual_id(INTERACTION), message_id, State.SENT)
    assert bot.topics() == ["flask"]
    assert bot.process.token_users.recent


async def test_a_repeated_interaction_creates_one_delivery(bot: Bot) -> None:
    await bot.subscribe()
    assert await bot.process.manual.skip(await bot.subscription(), None, INTERACTION)
    await bot.choose("numpy")
    again = await bot.process.manual.skip(await bot.subscription(), None, INTERACTION)
    assert again
    assert again.repeated
    assert await bot.process.manual.post(await bot.subscription(), None, INTERACTION) is None
    assert (await bot.subscription()).chosen_topic == "numpy"
    assert await bot.process.manual.post(await bot.subscription(), None, INTERACTION + 1)
    assert bot.topics() == ["numpy"]


async def test_a_manual_post_found_by_a_look_up_takes_no_slot(bot: Bot) -> None:
    """The post was made after a slot that this ledger didn't claim."""
    await bot.subscribe()
    await bot.weeks(1)
    bot.sender.quiet = False
    bot.clock.instant = SLOT + WEEK + timedelta(minutes=3)
    bot.sender.post_elsewhere(manual_id(INTERACTION), "numpy")
    await bot.process.restart()
    await bot.tick_until(SLOT + WEEK + timedelta(minutes=30))
    assert bot.topics() == ["flask", "numpy", "django"]
    assert (await bot.subscription()).next_slot.instant == SLOT + 2 * WEEK


def test_delivery_ids_fit_into_a_nonce_and_show_their_kind() -> None:
    largest = (1 << 63) - 1
    assert len(manual_id(largest)) <= 24
    assert len(scheduled_id(largest, SLOT.date())) <= 24
    assert is_requested(manual_id(largest))
    assert not is_requested(scheduled_id(largest, SLOT.date()))
    assert not is_requested(manual_id())
