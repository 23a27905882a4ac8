"""What clients and moderators give as options, over the loopback Discord."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answering import Place, answering
from discord_server import Permission
from discord_server.role import Role
from discord_server.user import Member

SUBSCRIBED = "gets a topic each week"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """The bot may do anything."""
    async with answering(tmp_path, Permission.ADMINISTRATOR) as place:
        yield place


# A role to ping


@pytest.fixture
def moderator(place: Place) -> Member:
    """May not mention everyone."""
    return place.guild.add_member("ada", place.guild.add_role("moderators", Permission.MANAGE_GUILD))


async def subscribe(place: Place, by: Member, ping: Role) -> str:
    return (await place.server.interact(place.channel, "weekly subscribe", {"ping": ping}, member=by)).text


async def test_a_role_that_the_moderator_may_not_ping_is_refused(place: Place, moderator: Member) -> None:
    admins, learners = place.guild.add_role("admins"), place.guild.add_role("learners", mentionable=True)
    assert "You may not ping" in await subscribe(place, moderator, admins)
    assert await place.app.services.subscriptions.of_channel(place.channel.id) is None
    assert SUBSCRIBED in await subscribe(place, moderator, learners)
    assert "You may not ping" in await subscribe(place, moderator, admins)
    assert "Changed" in await subscribe(place, place.guild.owner, admins)


async def test_the_channel_decides_whom_the_moderator_may_ping(place: Place, moderator: Member) -> None:
    admins, other = place.guild.add_role("admins"), place.guild.add_text_channel("other")
    may_ping = Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES | Permission.MENTION_EVERYONE
    place.channel.overwrite(moderator, allow=may_ping)
    options = {"ping": admins, "channel": other}
    answer = await place.server.interact(place.channel, "weekly subscribe", options, member=moderator)
    assert "You may not ping" in answer.text
    assert SUBSCRIBED in await subscribe(place, moderator, admins)
