"""Following the home channel: Discord repeats its posts, so any number of followers costs one request."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

import places
from discord_server import Channel, Permission
from discord_server.message import FOLLOW_NOTICE
from fakes import FakeClock
from places import online
from weekbot.bot.home_channel import HomeChannel, NoHomeError
from weekbot.db.database import Database
from weekbot.runtime.errors import WeekbotError
from weekbot.store.follows import Follows

FOLLOW = "/channels/{channel_id}/followers"


@dataclass
class Place(places.Place):
    """A place with a home channel and another channel."""

    home: Channel
    channel: Channel
    following: HomeChannel

    def target(self, channel: Channel | None = None):  # type: ignore[no-untyped-def]
        return self.client.get_channel((channel or self.channel).id)

    def publish(self, text: str) -> None:
        message = self.home.post(self.server.world.bot, {"content": text})
        for follower in self.home.followers:
            follower.repeat(message)


@pytest.fixture
async def place(clock: FakeClock, database: Database) -> AsyncIterator[Place]:
    async with online(clock) as place:
        home = place.guild.add_announcement_channel("home")
        await place.knows(home)
        channel = place.guild.add_text_channel("elsewhere")
        channel.overwrite(place.guild.bot_role, allow=Permission.MANAGE_WEBHOOKS)
        await place.knows(channel)
        await place.receive_events()
        following = HomeChannel(place.client, home.id, Follows(database), clock)
        yield Place(place.server, place.guild, place.client, place.clock, home, channel, following)


async def test_a_following_channel_gets_the_home_channels_posts(place: Place) -> None:
    assert await place.following.follow(place.target())
    place.publish("This week: Flask")
    notice, copy = place.channel.history()
    assert (notice.kind, copy.text) == (FOLLOW_NOTICE, "This week: Flask")
    assert await place.following.followers(place.guild.id) == [place.channel.id]


async def test_following_twice_sends_one_request(place: Place) -> None:
    assert await place.following.follow(place.target())
    assert not await place.following.follow(place.target())
    assert len(place.server.sent("POST", FOLLOW)) == 1


async def test_a_channel_can_follow_again_after_a_moderator_stopped_it(place: Place) -> None:
    await place.following.follow(place.target())
    place.home.followers.clear()
    assert await place.following.follow(place.target())
    assert await place.following.followers(place.guild.id) == [place.channel.id]


async def test_a_missing_permission_is_reported_without_a_request(place: Place) -> None:
    place.channel.forbid(Permission.MANAGE_WEBHOOKS)
    await place.receive_events()
    with pytest.raises(WeekbotError, match=r"I need Manage Webhooks"):
        await place.following.follow(place.target())
    assert place.server.sent("POST", FOLLOW) == []
    assert await place.following.followers(place.guild.id) == []


async def test_an_invalid_home_channel_raises_an_error(place: Place, database: Database) -> None:
    for home_id in (None, 1, place.channel.id):
        following = HomeChannel(place.client, home_id, Follows(database), place.clock)
        with pytest.raises(NoHomeError):
            await following.follow(place.target())


async def test_ten_thousand_followers_cost_one_message_and_one_publication(place: Place) -> None:
    from discord_server.follower import Follower
    from discord_server.user import User

    bots = (User(place.server.world.snowflakes.next(), "home", bot=True) for _ in range(10_000))
    channel = place.channel
    place.home.followers += [Follower(channel, bot) for bot in bots]
    home = place.target(place.home)
    message = await home.send("This week: Flask")
    before = len(place.server.requests)
    await message.publish()
    assert len(place.server.requests) == before + 1
    assert len(channel.history()) == 10_000
