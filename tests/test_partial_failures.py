"""`weekbot run` while one part fails: the other parts keep working, and the failed one recovers automatically."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from discord_server import event_fault, handshake_fault, request_fault
from discord_server.fault import FOREVER
from processes import RUN_AT, Place, place_in, posted, posts

pytestmark = pytest.mark.long
COMMANDS = r"/applications/\d+/commands$"
AT_THE_SLOT = timedelta(seconds=1)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def run_until_exit(place: Place, *arguments: str) -> tuple[int | None, list[str]]:
    """Run the bot until it exits; return the exit code and the lines of the log."""
    bot = await place.start(sys.executable, *(arguments or ("-m", "weekbot", "run")))
    errors = (await bot.communicate())[1].decode()
    assert "Traceback" not in errors, errors
    return bot.returncode, errors.strip().splitlines()


async def lookup(place: Place) -> str:
    """Let a member use `/framework`, even if no command is registered; return the response's text."""
    channel = next(iter(place.guild.channels.values()))
    interaction = place.server.invoke(channel, "framework", {"name": "flask"}, unchecked=True)
    await place.server.until(lambda: interaction.answered, "an answer")
    return interaction.text


async def test_refused_commands_delay_neither_posts_nor_responses(place: Place) -> None:
    """Refusals: the daily quota, a missing Entry Point command, missing access, a server error."""
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    place.server.world.commands.add_entry_point()
    place.server.inject("PUT", COMMANDS, request_fault.refusal(400, 30034))
    place.server.inject("PUT", COMMANDS, request_fault.refusal(403, 50001))
    place.server.inject("PUT", COMMANDS, request_fault.html(500))
    place.server.inject("PUT", COMMANDS, request_fault.daily_quota(2.0, 429))
    async with place.running(slot + AT_THE_SLOT, registered=False):
        await posted(place, channel)
        assert "Flask" in await lookup(place)
        await place.server.until(lambda: len(place.server.world.commands.of(0)) > 1, "registered commands")
    assert place.server.injected.total() == 4
    assert [each for each in place.server.world.commands.of(0) if each.body.get("type") == 4]
    assert len(posts(place, channel)) == 1


async def test_replaced_commands_are_registered_again_at_the_next_start(place: Place) -> None:
    place.guild.add_text_channel("weekly")

    def names() -> set[str]:
        return {each.body["name"] for each in place.server.world.commands.of(0)}

    async with place.running():
        await place.server.until(lambda: "framework" in names(), "registered commands")
    before = len(place.server.sent("PUT", "/applications/{application_id}/commands"))
    async with place.running():
        assert "Flask" in await lookup(place)
    assert len(place.server.sent("PUT", "/applications/{application_id}/commands")) == before
    place.server.world.commands.replace(0, [{"name": "other", "description": "Another program's", "type": 1}])
    async with place.running():
        await place.server.until(lambda: "framework" in names(), "registered commands")
        assert "other" not in names()


async def test_a_login_is_retried_after_a_rate_limit_or_a_proxys_response(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    for fault in (request_fault.rate_limit(1.2, "user"), request_fault.html(401), request_fault.truncated()):
        place.server.inject("GET", "/users/@me$", fault)
    place.server.inject("GET", "/applications/@me$", request_fault.empty(200))
    place.server.inject("GET", "/gateway/bot$", request_fault.rate_limit(1.2, "global"))
    async with place.running(slot + AT_THE_SLOT):
        await posted(place, channel)
    assert place.server.injected.total() == 5
    assert not place.server.premature_requests


async def test_unreadable_events_do_not_prevent_posts(place: Place) -> None:
    channel, other = place.guild.add_text_channel("weekly"), place.server.add_guild("Others").add_text_channel("weekly")
    slot = await place.enter(channel, other)
    place.server.gateway.mangle("GUILD_CREATE", event_fault.without("channels.0.position"))
    place.server.gateway.mangle("GUILD_CREATE", event_fault.without("roles"))
    async with place.running(slot - timedelta(seconds=5)):
        for name, fault in (
            ("CHANNEL_UPDATE", event_fault.without("position")),
            ("GUILD_ROLE_CREATE", event_fault.without("role.name")),
            ("INTERACTION_CREATE", event_fault.without("type")),
        ):
            place.server.gateway.mangle(name, fault)
        channel.edit({"topic": "other"})
        place.guild.add_role("learners")
        place.server.invoke(channel, "framework", {"name": "flask"}, unchecked=True)
        await posted(place, channel, other)
        assert "Flask" in await lookup(place)
    assert place.server.injected.total() == 5


async def test_posts_are_sent_without_a_gateway_connection(place: Place) -> None:
    """Post to a text channel and to a forum of a server that isn't cached."""
    channel, forum = place.guild.add_text_channel("weekly"), place.guild.add_forum("showcase")
    slot = await place.enter(channel, forum)
    place.server.gateway.down = True
    bot = await place.start(sys.executable, str(RUN_AT), place.at(slot + AT_THE_SLOT))
    await posted(place, channel)
    await place.server.until(lambda: place.guild.threads, "a post in the forum")
    place.server.gateway.down = False
    await place.server.ready()
    assert "Flask" in await lookup(place)
    bot.terminate()
    assert "Traceback" not in (await bot.communicate())[1].decode()
    assert bot.returncode == 0


async def test_servers_of_a_shard_that_cannot_identify_get_their_posts(place: Place) -> None:
    place.server.world.shards = 2
    channel, other = place.guild.add_text_channel("weekly"), place.server.add_guild("Others").add_text_channel("weekly")
    slot = await place.enter(channel, other)
    place.server.gateway.inject("IDENTIFY", handshake_fault.closed(1011), FOREVER, shard=0)
    bot = await place.start(sys.executable, str(RUN_AT), place.at(slot + AT_THE_SLOT))
    await posted(place, channel, other)
    bot.terminate()
    assert "Traceback" not in (await bot.communicate())[1].decode()


@pytest.mark.parametrize(("code", "cure"), [(4011, "WEEKBOT_SHARD_COUNT"), (4014, "intents")])
async def test_a_permanent_close_code_ends_the_bot_with_one_sentence(place: Place, code: int, cure: str) -> None:
    place.guild.add_text_channel("weekly")
    place.server.gateway.inject("IDENTIFY", handshake_fault.closed(code), FOREVER)
    exit_code, lines = await run_until_exit(place)
    assert exit_code == 1
    assert cure in lines[-1]


@pytest.mark.parametrize("zone", ["UTC+3", "EST5EDT,M3.2.0,M11.1.0", "Foo/Bar"])
async def test_the_machines_time_zone_does_not_matter(place: Place, zone: str) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    place.more["TZ"] = zone
    async with place.running(slot + AT_THE_SLOT):
        await posted(place, channel)


async def test_a_post_is_sent_within_two_seconds_of_its_slot(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    async with place.running(slot - timedelta(seconds=20)):
        await posted(place, channel)
        [message] = place.server.messages_in(channel)
        assert timedelta() <= message.created_at - slot < timedelta(seconds=2)


async def test_a_machine_with_a_wrong_clock_posts_by_discords_time(place: Place) -> None:
    """The machine's clock is three hours ahead when the bot starts."""
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    ahead = float(place.at(slot - timedelta(seconds=15))) + 3 * 3600
    bot = await place.start(sys.executable, str(RUN_AT), str(ahead))
    await posted(place, channel)
    [message] = place.server.messages_in(channel)
    assert timedelta() <= message.created_at - slot < timedelta(seconds=3)
    bot.terminate()
    assert "Traceback" not in (await bot.communicate())[1].decode()
    assert asyncio.get_running_loop().is_running()
