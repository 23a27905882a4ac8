"""Servers that are missing from Discord's list: some the bot has left, others it is still in."""

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
from test_guild_registry import LIST, Place, Running, identify_at_once, titles
from weekbot.delivery.errors import UnreadableAnswerError
from weekbot.discord_io.guild_registry import MAX_REQUESTS, MISSING_FOR, RETENTION
from weekbot.discord_io.rest_client import use_addresses

GUILDS = 210  # two pages of Discord's list
GUILD_ROUTE = "/guilds/{guild_id}"


@pytest.fixture
async def place(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """A place with many servers; `guild` is the first and `other` the last one."""
    monkeypatch.setattr(discord.Client, "before_identify_hook", identify_at_once)
    async with DiscordServer(World(clock=clock.now), limits=None) as server:
        use_addresses(server.api_url, server.gateway_url)
        guilds = [server.add_guild(f"guild {number}") for number in range(GUILDS)]
        first, last = guilds[0], guilds[-1]
        channels = first.add_text_channel("weekly"), last.add_text_channel("weekly")
        yield Place(server, clock, tmp_path, first, last, *channels)
        assert not server.unknown_requests


async def reconcile(bot: Running, **later: float) -> None:
    bot.place.clock.move(**later)
    await bot.app.guild_registry.reconcile()


def count_requests_for(place: Place, channel: Channel) -> int:
    """Return how often the channel's server was fetched."""
    return len([each for each in place.server.sent("GET", GUILD_ROUTE) if str(channel.guild.id) in each.call.path])


WRONG_LISTS = pytest.mark.parametrize(
    "wrong", [faults.shortened, lambda: faults.shortened(50), faults.emptied], ids=["199", "150", "empty"]
)


@WRONG_LISTS
@pytest.mark.parametrize("times", [1, FOREVER], ids=["once", "always"])
async def test_a_server_that_the_gateway_shows_is_not_left_even_if_the_list_lacks_it(
    place: Place, wrong: Callable[[], RequestFault], times: int
) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.server.inject("GET", f"{LIST}$", wrong(), times)
        for _ in range(3):
            await reconcile(bot, hours=2)
        assert not await bot.left_ids()
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]
        assert count_requests_for(place, place.elsewhere) == 0


@WRONG_LISTS
async def test_a_server_of_another_process_is_not_left_even_if_lists_lack_it_repeatedly(
    place: Place, wrong: Callable[[], RequestFault]
) -> None:
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        assert [guild.id for guild in bot.app.client.guilds if guild.id == place.other.id] == []
        place.server.inject("GET", f"{LIST}$", wrong(), FOREVER)
        for _ in range(3):
            await reconcile(bot, hours=2)
        assert not await bot.left_ids()
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]


async def test_a_server_that_is_only_suspected_to_be_left_still_gets_its_post(
    place: Place,
) -> None:
    """One list lacks the server, and Discord refuses to return it."""
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await bot.subscribe(place.channel, place.elsewhere)
        place.server.inject("GET", f"{LIST}$", faults.emptied())
        place.server.inject("GET", f"/guilds/{place.other.id}$", faults.refusal(403, 50001))
        await reconcile(bot)
        assert set(await bot.app.repositories.guilds.missing()) == {place.other.id}
        await bot.next_week()
        assert titles(place.elsewhere) == ["Flask"]
        await reconcile(bot)
        assert not await bot.app.repositories.guilds.missing()


async def test_the_guild_list_is_read_until_a_page_is_empty(place: Place) -> None:
    async with place.running() as bot:
        place.server.inject("GET", f"{LIST}$", faults.shortened())
        assert len(await bot.app.client.fetch_guild_ids()) == GUILDS


# Servers that were left


async def test_a_response_that_is_not_a_list_is_an_error(place: Place) -> None:
    async with place.running() as bot:
        place.server.inject("GET", f"{LIST}$", faults.json_body(200, {}))
        with pytest.raises(UnreadableAnswerError):
            await bot.app.client.fetch_guild_ids()


async def test_a_server_left_while_offline_counts_as_left_after_two_checks_an_hour_apart(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.channel, place.elsewhere)
    place.other.kick_bot()
    async with place.running() as bot:
        for minutes in (10, 49):
            await reconcile(bot, minutes=minutes)
            assert not await bot.left_ids()
        await reconcile(bot, minutes=1)
        assert await bot.left_ids() == {place.other.id}
        assert count_requests_for(place, place.elsewhere) == 2


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_only_discords_own_error_codes_confirm_that_a_server_was_left(place: Place, status: int) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.elsewhere)
    place.other.kick_bot()
    place.server.inject("GET", f"/guilds/{place.other.id}$", faults.html(status), FOREVER)
    async with place.running() as bot:
        for _ in range(3):
            await reconcile(bot, hours=2)
        assert not await bot.left_ids()


async def test_a_server_that_was_seen_in_between_has_to_be_missing_for_another_hour(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.elsewhere)
    place.other.kick_bot()
    async with place.running() as bot:
        place.other.joined = True  # without a gateway event
        await reconcile(bot, minutes=30)
        place.other.joined = False
        await reconcile(bot, minutes=30)
        assert not await bot.left_ids()
        await reconcile(bot, hours=1)
        assert await bot.left_ids() == {place.other.id}


async def test_each_check_fetches_a_limited_number_of_servers_until_all_are_checked(place: Place) -> None:
    channels = [guild.add_text_channel("weekly") for guild in place.server.world.guilds.values()]
    async with place.running() as bot:
        await bot.subscribe(*channels)
    for guild in place.server.world.guilds.values():
        guild.joined = False
    async with place.running() as bot:
        for number in range(2, 40):
            await reconcile(bot, hours=1)
            assert len(place.server.sent("GET", GUILD_ROUTE)) <= number * MAX_REQUESTS
        assert len(await bot.left_ids()) == GUILDS


# Posts of servers that are recorded as left


async def mark_left_by_mistake(bot: Running) -> None:
    """Record both servers as left, as an earlier version or a race could."""
    await bot.subscribe(bot.place.channel, bot.place.elsewhere)
    await bot.next_week()
    await bot.app.repositories.guilds.mark_left([bot.place.guild.id, bot.place.other.id], bot.place.clock.now())


@pytest.mark.parametrize("shards", [1, 2], ids=["shown by the gateway", "of another process"])
async def test_a_server_that_was_recorded_as_left_by_mistake_gets_its_posts(place: Place, shards: int) -> None:
    place.server.world.shards = shards
    async with place.running(shards, (0,)) as bot:
        await mark_left_by_mistake(bot)
        await bot.next_week()
        assert len(titles(place.channel)) == len(titles(place.elsewhere)) == 2
        assert not await bot.left_ids()


async def test_a_left_server_is_fetched_once_for_all_its_posts(place: Place) -> None:
    async with place.running() as bot:
        channels = [place.other.add_text_channel(f"weekly-{number}") for number in range(5)]
        await bot.subscribe(place.channel, *channels)
        await bot.next_week()
        place.other.kick_bot()
        await bot.has_recorded_left(place.other)
        await bot.next_week()
        assert count_requests_for(place, place.elsewhere) == 1
        assert titles(channels[0]) == ["Flask"]
        assert (await bot.subscription(channels[0])).blocked == "weekbot is no longer in the server"


# Deletion


async def test_a_server_is_fetched_once_more_before_it_is_forgotten(place: Place) -> None:
    place.server.world.shards = 2
    async with place.running(2, (0,)) as bot:
        await mark_left_by_mistake(bot)
        place.clock.instant += RETENTION + timedelta(days=1)
        place.server.inject("GET", f"{LIST}$", faults.emptied(), FOREVER)
        await reconcile(bot)
        assert await bot.subscription(place.elsewhere)
        assert not await bot.left_ids()


async def test_a_server_is_not_forgotten_after_an_ambiguous_response(place: Place) -> None:
    async with place.running() as bot:
        await bot.subscribe(place.elsewhere)
        place.other.kick_bot()
        await bot.has_recorded_left(place.other)
        place.clock.instant += RETENTION + timedelta(days=1)
        place.server.inject("GET", f"/guilds/{place.other.id}$", faults.html(404))
        await reconcile(bot)
        assert await bot.subscription(place.elsewhere)
        await reconcile(bot)
        assert await bot.count() == {}


def test_the_two_checks_are_an_hour_apart() -> None:
    assert timedelta(hours=1) == MISSING_FOR


# As a process


@pytest.fixture
async def process_place(tmp_path: Path) -> AsyncIterator[ProcessPlace]:
    async with place_in(tmp_path) as place:
        yield place


async def test_one_empty_list_at_the_start_does_not_prevent_any_post(process_place: ProcessPlace) -> None:
    server = process_place.server
    guilds = [process_place.guild, *(server.add_guild(f"guild {number}") for number in range(1, GUILDS))]
    channels = [guild.add_text_channel("weekly") for guild in guilds]
    slot = await process_place.enter(*channels)
    server.inject("GET", f"{LIST}$", faults.emptied())
    process_place.more = {"WEEKBOT_LOG_LEVEL": "WARNING"}  # no test reads its log while it is running
    async with process_place.running(slot + timedelta(seconds=5)):
        await posted(process_place, *channels)
    assert server.injected
