"""Killed between a send and its record, and started again when Discord has long forgotten the nonce."""

import pytest

from discord_server import Channel, Guild, Permission
from discord_server.fault import fault

from .harness import LONGEST_PAUSE, SLOT, Place

pytestmark = pytest.mark.chaos

KINDS = {
    "text": lambda guild: guild.add_text_channel("weekly"),
    "forum": lambda guild: guild.add_forum("weekly"),
}


@pytest.fixture
def guild(place: Place) -> Guild:
    return place.server.add_guild("Pythonistas")


@pytest.fixture(params=KINDS)
def channel(request: pytest.FixtureRequest, place: Place, guild: Guild) -> Channel:
    place.channels.append(KINDS[request.param](guild))
    return place.channels[0]


async def test_a_post_that_stands_in_the_history_is_found(place: Place, channel: Channel) -> None:
    await posts_and_dies_unaware(place, channel)
    async with place.running():
        await place.settled()
    [post], [entry] = place.posts(channel), await place.ledger.entries()
    assert (entry.state, entry.message_id) == ("sent", post.id)


async def test_where_the_history_cannot_be_read_it_is_not_sent_again(place: Place, channel: Channel) -> None:
    await posts_and_dies_unaware(place, channel)
    channel.forbid(Permission.READ_MESSAGE_HISTORY)
    async with place.running():
        await place.settled()
    [_], [entry] = place.posts(channel), await place.ledger.entries()
    assert entry.state == "unverified"
    assert "Read Message History" in (entry.reason or "")


async def test_while_its_server_is_unavailable_the_outcome_stays_open(
    place: Place, guild: Guild, channel: Channel
) -> None:
    await posts_and_dies_unaware(place, channel)
    guild.go_down()
    async with place.running():
        await place.minutes(10)
        guild.come_back()
        await place.minutes(LONGEST_PAUSE)
        await place.settled()
    [post], [entry] = place.posts(channel), await place.ledger.entries()
    assert (entry.state, entry.message_id) == ("sent", post.id)


async def posts_and_dies_unaware(place: Place, channel: Channel) -> None:
    """Discord stores the post and kills the bot before it answers; an hour passes."""
    await place.subscribe([channel])
    place.clock.start(SLOT)
    bot = await place.start()
    place.server.rest.faults.pending.append(
        fault("POST", f"^/channels/{channel.id}/", None, takes_effect=True, held=True, then=bot.kill)
    )
    await bot.ended()
    [entry] = await place.ledger.entries()
    assert entry.state == "pending"
    place.clock.let_pass(hours=1)
