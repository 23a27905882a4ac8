"""Servers that are missing from Discord's list though the bot is in them, and those that it has really left."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from discord_server import Channel, DiscordServer, World
from discord_server import request_fault as faults
from discord_server.fault import FOREVER
from discord_server.request_fault import RequestFault
from fakes import FakeClock
from processes import Place as ProcessPlace
from processes import place_in, posted
from test_membership import LIST, Place, Running, begin_at_once, titles
from weekbot.bot.gateway.client import use_addresses
from weekbot.bot.guild_registry import ASKED_PER_LOOK, KEPT_FOR, MISSED_FOR
from weekbot.delivery.errors import UnreadableAnswerError

GUILDS = 210  # two pages of Discord's list
ASKED = "/guilds/{guild_id}"


@pytest.fixture
async def place(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """With the first and the last of many servers."""
    monkeypatch.setattr(discord.Client, "before_identify_hook", begin_at_once)
    async with DiscordServer(World(clock=clock.now), limits=None) as server:
        use_addresses(server.api_url, server.gateway_url)
        guilds = [server.add_guild(f"guild {number}") for number in range(GUILDS)]
        first, last = guilds[0], guilds[-1]
        channels = first.add_text_channel("weekly"), last.add_text_channel("weekly")
        yield Place(server, clock, tmp_path, first, last, *channels)
        assert not server.unknown_requests


async def look(bot: Running, **later: float) -> None:
    bot.place.clock.move(**later)
    await bot.app.services.membership.look_after()


def requests_for(place: Place, channel: Channel) -> int:
    """How often the channel's server was asked for."""
    return len([each for each in place.server.sent("GET", ASKED) if str(channel.guild.id) in each.call.path])


WRONG_LISTS = pytest.mark.parametrize(
    "wrong", [faults.shortened, lambda: faults.shortened(50), faults.emptied], ids=["199", "150", "empty"]
)


@WRONG_LISTS
@pytest.mark.parametrize("times", [1, FOREVER], ids=["once", "always"])
async def test_a_server_that_the_gateway_shows_is_there_whatever_the_list_says(
    place: Place, wrong: Callable[[], RequestFault], times: int
) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.server.inject("GET", f"{LIST}$", wrong(), times)
        for _ in range(3):
            await look(bot, hours=2)
        assert not await bot.away()
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]
        assert requests_for(place, place.elsewhere) == 0


@WRONG_LISTS
async def test_a_server_of_another_process_is_not_left_though_lists_lack_it_again_and_again(
    place: Place, wrong: Callable[[], RequestFault]
) -> None:
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        assert [guild.id for guild in bot.app.client.guilds if guild.id == place.other.id] == []
        place.server.inject("GET", f"{LIST}$", wrong(), FOREVER)
        for _ in range(3):
            await look(bot, hours=2)
        assert not await bot.away()
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]


async def test_a_server_that_one_list_lacks_and_that_refuses_to_be_asked_for_gets_its_post_all_the_same(
    place: Place,
) -> None:
    """As long as it is only suspected to be left, Discord decides."""
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.server.inject("GET", f"{LIST}$", faults.emptied())
        place.server.inject("GET", f"/guilds/{place.other.id}$", faults.refusal(403, 50001))
        await look(bot)
        assert set(await bot.app.services.guilds.missing()) == {place.other.id}
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]
        await look(bot)
        assert not await bot.app.services.guilds.missing()


async def test_pages_are_read_until_one_is_empty(place: Place) -> None:
    async with place.running() as bot:
        place.server.inject("GET", f"{LIST}$", faults.shortened())
        assert len(await bot.app.client.listed()) == GUILDS


# Really left


async def test_an_answer_that_is_not_a_list_is_not_an_empty_page(place: Place) -> None:
    async with place.running() as bot:
        place.server.inject("GET", f"{LIST}$", faults.json_body(200, {}))
        with pytest.raises(UnreadableAnswerError):
            await bot.app.client.listed()


async def test_a_server_that_was_left_unseen_counts_as_left_when_two_looks_an_hour_apart_agree(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
    place.other.kick_bot()
    async with place.running() as bot:
        for minutes in (10, 49):
            await look(bot, minutes=minutes)
            assert not await bot.away()
        await look(bot, minutes=1)
        assert await bot.away() == {place.other.id}
        assert requests_for(place, place.elsewhere) == 2


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_only_discords_own_codes_confirm_that_a_server_was_left(place: Place, status: int) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.elsewhere)
    place.other.kick_bot()
    place.server.inject("GET", f"/guilds/{place.other.id}$", faults.html(status), FOREVER)
    async with place.running() as bot:
        for _ in range(3):
            await look(bot, hours=2)
        assert not await bot.away()


async def test_a_server_that_was_seen_in_between_is_missed_anew(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.elsewhere)
    place.other.kick_bot()
    async with place.running() as bot:
        place.other.joined = True  # unseen by the gateway
        await look(bot, minutes=30)
        place.other.joined = False
        await look(bot, minutes=30)
        assert not await bot.away()
        await look(bot, hours=1)
        assert await bot.away() == {place.other.id}


async def test_each_look_asks_for_a_bounded_number_of_servers_and_all_are_asked_for_in_the_end(place: Place) -> None:
    channels = [guild.add_text_channel("weekly") for guild in place.server.world.guilds.values()]
    async with place.running() as bot:
        await bot.subscribe(*channels)
    for guild in place.server.world.guilds.values():
        guild.joined = False
    async with place.running() as bot:
        for number in range(2, 40):
            await look(bot, hours=1)
            assert len(place.server.sent("GET", ASKED)) <= number * ASKED_PER_LOOK
        assert len(await bot.away()) == GUILDS


# Posts of servers that are recorded as left


async def wrongly_left(bot: Running) -> None:
    """As an earlier version, or a lost race, may have recorded it."""
    await bot.subscribe(bot.place.channel, bot.place.elsewhere)
    await bot.next_week()
    await bot.app.services.guilds.mark_left([bot.place.guild.id, bot.place.other.id], bot.place.clock.now())


@pytest.mark.parametrize("shards", [1, 2], ids=["shown by the gateway", "of another process"])
async def test_a_post_is_not_refused_as_its_server_was_wrongly_recorded_as_left(place: Place, shards: int) -> None:
    place.server.world.shards = shards
    async with place.running(shards, (0,)) as bot:
        await wrongly_left(bot)
        await bot.next_week()
        assert len(titles(place.channel)) == len(titles(place.elsewhere)) == 2
        assert not await bot.away()


async def test_a_server_that_was_left_is_asked_for_once_for_all_its_posts(place: Place) -> None:
    async with place.running() as bot:
        channels = [place.other.add_text_channel(f"weekly-{number}") for number in range(5)]
        await bot.subscribe(place.channel, *channels)
        await bot.next_week()
        place.other.kick_bot()
        await bot.knows_away(place.other)
        await bot.next_week()
        assert requests_for(place, place.elsewhere) == 1
        assert titles(channels[0]) == ["Flask"]
        assert (await bot.subscription(channels[0])).blocked == "weekbot is no longer in the server"


# Forgetting


async def test_before_a_server_is_forgotten_it_is_asked_for_once_more(place: Place) -> None:
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await wrongly_left(bot)
        place.clock.instant += KEPT_FOR + timedelta(days=1)
        place.server.inject("GET", f"{LIST}$", faults.emptied(), FOREVER)
        await look(bot)
        assert await bot.subscription(place.elsewhere)
        assert not await bot.away()


async def test_a_server_of_which_discord_says_nothing_certain_is_not_forgotten(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.elsewhere)
        place.other.kick_bot()
        await bot.knows_away(place.other)
        place.clock.instant += KEPT_FOR + timedelta(days=1)
        place.server.inject("GET", f"/guilds/{place.other.id}$", faults.html(404))
        await look(bot)
        assert await bot.subscription(place.elsewhere)
        await look(bot)
        assert await bot.count() == {}


def test_an_hour_passes_between_the_looks_that_must_agree() -> None:
    assert timedelta(hours=1) == MISSED_FOR


# As a process


@pytest.fixture
async def process_place(tmp_path: Path) -> AsyncIterator[ProcessPlace]:
    async with place_in(tmp_path) as place:
        yield place


async def test_one_empty_list_at_the_start_costs_no_channel_its_post(process_place: ProcessPlace) -> None:
    server = process_place.server
    guilds = [process_place.guild, *(server.add_guild(f"guild {number}") for number in range(1, GUILDS))]
    channels = [guild.add_text_channel("weekly") for guild in guilds]
    slot = await process_place.enter(*channels)
    server.inject("GET", f"{LIST}$", faults.emptied())
    process_place.more = {"WEEKBOT_LOG_LEVEL": "WARNING"}  # nobody reads its log while it is running
    async with process_place.running(slot + timedelta(seconds=5)):
        await posted(process_place, *channels)
    assert server.injected
