"""Bots killed between a send and its record, and restarted after Discord has forgotten the nonce."""

import pytest

from discord_server import Channel, Guild, Permission
from discord_server.fault import fault

from .harness import MAX_PAUSE_MINUTES, SLOT, Place

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


async def test_the_post_is_found_in_the_history(place: Place, channel: Channel) -> None:
    await post_and_kill(place, channel)
    async with place.running():
        await place.settled()
    [post], [entry] = place.posts(channel), await place.ledger.entries()
    assert (entry.state, entry.message_id) == ("sent", post.id)


async def test_the_post_is_not_repeated_if_the_history_is_unreadable(place: Place, channel: Channel) -> None:
    await post_and_kill(place, channel)
    channel.forbid(Permission.READ_MESSAGE_HISTORY)
    async with place.running():
        await place.settled()
    [_], [entry] = place.posts(channel), await place.ledger.entries()
    assert entry.state == "unverified"
    assert "Read Message History" in (entry.reason or "")


async def test_the_delivery_stays_pending_during_its_servers_outage(
    place: Place, guild: Guild, channel: Channel
) -> None:
    await post_and_kill(place, channel)
    guild.go_down()
    async with place.running():
        await place.minutes(10)
        guild.come_back()
        await place.minutes(MAX_PAUSE_MINUTES)
        await place.settled()
    [post], [entry] = place.posts(channel), await place.ledger.entries()
    assert (entry.state, entry.message_id) == ("sent", post.id)


async def post_and_kill(place: Place, channel: Channel) -> None:
    """Let the bot post, and kill it before the response; then let an hour pass."""
    await place.subscribe([channel])
    place.clock.start(SLOT)
    bot = await place.start()
    place.server.rest.faults.pending.append(
        fault("POST", f"^/channels/{channel.id}/", None, takes_effect=True, held=True, then=bot.kill)
    )
    await bot.ended()
    [entry] = await place.ledger.entries()
    assert entry.state == "pending"
    place.clock.advance(hours=1)
