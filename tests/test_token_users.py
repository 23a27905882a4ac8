"""Detection of another program that uses the bot's token, without false alarms from weekbot's own actions."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from yarl import URL

from conftest import CONTENT
from discord_server import DiscordServer, Guild, handshake_fault, request_fault
from fakes import MONDAY, FakeClock
from places import app_online, until
from weekbot.app import App, build
from weekbot.db.database import Database
from weekbot.delivery.token_users import DESCRIPTIONS, METADATA_KEY, RECENT, Sign, TokenUsers, stored_sign
from weekbot.discord_io.foreign_responses import MAX_WATCHED, ForeignResponseDetector
from weekbot.discord_io.gateway import shard_runner
from weekbot.discord_io.rest_client import use_addresses
from weekbot.domain.deliveries import manual_id
from weekbot.runtime.clock import SystemClock
from weekbot.scheduler import delivering
from weekbot.settings import Settings
from weekbot.store.metadata import Metadata
from weekbot.store.session_starts import COMPARED, SessionStarts

CALLBACK = r"/interactions/\d+/.*/callback$"
CALLBACKS = "/interactions/{interaction_id}/{interaction_token}/callback"
RESETS_AT = MONDAY + timedelta(hours=20)
QUIET = timedelta(minutes=10)


@dataclass
class Place:
    server: DiscordServer
    guild: Guild
    app: App

    def sign(self) -> Sign | None:
        noticed = self.app.token_users.recent
        return noticed.sign if noticed else None

    async def look_up(self) -> None:
        """Let a member use `/framework`, and wait for the response."""
        channel = next(iter(self.guild.channels.values()))
        before = len(self.server.sent("POST", CALLBACKS))
        self.server.invoke(channel, "framework", {"name": "flask"})
        await self.server.until(lambda: len(self.server.sent("POST", CALLBACKS)) > before, "an answer")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(shard_runner, "IDENTIFY_SECONDS", 0.0)
    monkeypatch.setattr(shard_runner, "pause", lambda _: timedelta())
    async with DiscordServer() as server:
        use_addresses(server.api_url, server.gateway_url)
        guild = server.add_guild("Pythonistas")
        guild.add_text_channel("weekly")
        settings = Settings(database_url=f"sqlite:///{tmp_path / 'weekbot.db'}", content_dir=CONTENT)
        async with build(settings, SystemClock()) as app, app_online(app, server):
            yield Place(server, guild, app)


# Responses


async def test_an_interaction_answered_by_another_program_is_detected(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await place.look_up()
    assert place.sign() is None
    for number in (1, 2):
        place.server.inject("POST", CALLBACK, request_fault.refusal(400, 40060))
        await place.look_up()
        await until(partial(_counts, place, number))
    assert place.sign() is Sign.ANSWER
    assert caplog.text.count("another program uses the bot's token; it answered a member in weekbot's place") == 1


def _counts(place: Place, answers: int) -> bool:
    counted = f'weekbot_token_used_elsewhere_total{{sign="answer"}} {answers}.0'
    return counted in place.app.metrics.text().decode()


@pytest.mark.parametrize("code", [10062, 50035])
async def test_other_refused_responses_are_no_sign(place: Place, code: int) -> None:
    place.server.inject("POST", CALLBACK, request_fault.refusal(400, code))
    await place.look_up()
    await place.look_up()
    assert place.sign() is None


RESPONSE_URL = URL("http://discord/api/v10/interactions/7/token/callback")
OWN: Callable[[], bool] = lambda: True  # noqa: E731


def refused(watch: ForeignResponseDetector, tries: int = 1) -> None:
    for _ in range(tries):
        watch.request_sent(RESPONSE_URL)
    watch.request_refused(RESPONSE_URL, 40060)


@pytest.mark.parametrize(
    ("own", "tries", "counted"),
    [(OWN, 1, 1), (OWN, 2, 0), (lambda: False, 1, 0), (None, 1, 0)],
    ids=["the first try", "an earlier try may have succeeded", "another process has taken over", "not watched"],
)
def test_an_existing_response_counts_only_if_another_program_must_have_sent_it(
    own: Callable[[], bool] | None, tries: int, counted: int
) -> None:
    signs: list[None] = []
    watch = ForeignResponseDetector(lambda: signs.append(None))
    if own:
        watch.watch(7, own)
    refused(watch, tries)
    assert len(signs) == counted


def test_old_interactions_are_forgotten() -> None:
    signs: list[None] = []
    watch = ForeignResponseDetector(lambda: signs.append(None))
    for number in range(7, 8 + MAX_WATCHED):
        watch.watch(number, OWN)
    refused(watch)
    assert not signs


# Commands


async def run_checks(place: Place) -> None:
    await place.app.registration.check()
    await place.app.client.check_sessions()


async def test_replaced_commands_are_detected_while_the_bot_runs(place: Place) -> None:
    await run_checks(place)
    assert place.sign() is None
    place.server.world.commands.replace(0, [{"name": "other", "description": "Another program's", "type": 1}])
    await run_checks(place)
    assert place.sign() is Sign.COMMANDS


async def test_replaced_commands_are_detected_at_the_next_start(place: Place) -> None:
    place.server.world.commands.replace(0, [{"name": "other", "description": "Another program's", "type": 1}])
    await place.app.registration.keep_trying()
    assert place.sign() is Sign.COMMANDS


async def test_commands_of_another_weekbot_version_are_no_sign(place: Place) -> None:
    """During an upgrade, two versions share a database, which records the last registration."""
    place.server.world.commands.replace(0, [{"name": "other", "description": "Another version's", "type": 1}])
    await Metadata(database_of(place.app)).put("commands", "another digest")
    await run_checks(place)
    await place.app.registration.keep_trying()
    assert place.sign() is None


def database_of(app: App) -> Database:
    return app.registration._metadata._database


# Sessions


async def check_without_delay(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the checks without the delay for starts that Discord may not have counted yet."""
    monkeypatch.setattr("weekbot.store.session_starts.COUNT_DELAY", timedelta())
    await run_checks(place)


async def test_a_session_started_by_another_program_is_detected(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await check_without_delay(place, monkeypatch)
    place.server.world.starts.begun += 1
    await check_without_delay(place, monkeypatch)
    assert place.sign() is Sign.SESSION


async def test_weekbots_own_sessions_are_no_sign_even_after_failures(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_without_delay(place, monkeypatch)
    before = place.server.world.starts.begun
    place.server.gateway.inject("IDENTIFY", handshake_fault.closed(4000))
    place.server.gateway.invalidate(resumable=False)
    await until(lambda: place.server.world.starts.begun > before and place.app.client.disconnected_shards() == [])
    await check_without_delay(place, monkeypatch)
    assert place.sign() is None


async def test_a_session_that_was_not_recorded_is_no_sign(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: SessionStarts, __: datetime) -> None:
        raise RuntimeError("no database")

    await check_without_delay(place, monkeypatch)
    before = place.server.world.starts.begun
    with monkeypatch.context() as patched:
        patched.setattr(SessionStarts, "record", fail)
        place.server.gateway.invalidate(resumable=False)
        await until(lambda: place.server.world.starts.begun > before and place.app.client.disconnected_shards() == [])
    await check_without_delay(place, monkeypatch)
    assert place.sign() is None
    place.server.world.starts.begun += 1
    await check_without_delay(place, monkeypatch)
    assert place.sign() is Sign.SESSION


async def compared(database: Database, *checks: tuple[int, int]) -> list[int]:
    """Compare ten minutes apart, each time with the remaining starts and after some own starts; return the results."""
    starts, clock, found = SessionStarts(database), FakeClock(), list[int]()
    for remaining, begun in checks:
        for _ in range(begun):
            await starts.record(clock.now())
        clock.instant += QUIET
        found.append(await starts.compare(remaining, RESETS_AT, clock.now()))
    return found


async def test_only_starts_of_other_programs_count(database: Database) -> None:
    assert await compared(database, (999, 1), (997, 2), (995, 1), (995, 0), (992, 0)) == [0, 0, 1, 0, 3]


async def test_starts_are_not_compared_across_a_reset_or_right_after_a_start(database: Database) -> None:
    starts = SessionStarts(database)
    assert await starts.compare(990, RESETS_AT, MONDAY) == 0
    assert await starts.compare(900, RESETS_AT + timedelta(days=1), MONDAY + QUIET) == 0
    await starts.record(MONDAY + 2 * QUIET)
    assert await starts.compare(890, RESETS_AT + timedelta(days=1), MONDAY + 2 * QUIET) == 0
    assert await starts.compare(899, RESETS_AT + timedelta(days=1), MONDAY + 3 * QUIET) == 0


@pytest.mark.parametrize("written", ["", "{}", "[1]", '["x", 1, "2026"]'])
async def test_unknown_counts_of_a_later_version_are_replaced(database: Database, written: str) -> None:
    await Metadata(database).put(COMPARED, written)
    assert await SessionStarts(database).compare(5, RESETS_AT, MONDAY) == 0


# Storage


async def test_the_last_sign_is_stored_for_the_next_start_and_the_doctor(database: Database) -> None:
    clock, metadata = FakeClock(), Metadata(database)
    users = TokenUsers(metadata, clock)
    await users.save()
    assert await stored_sign(metadata) is None
    users.record(Sign.POST)
    await users.save()

    after = TokenUsers(metadata, clock)
    assert after.recent is None
    await after.load()
    assert after.recent == users.recent
    assert await stored_sign(metadata, clock.now()) == users.recent
    clock.instant += RECENT
    assert after.recent is None
    assert await stored_sign(metadata, clock.now()) is None


async def test_an_unknown_sign_of_a_later_version_is_ignored(database: Database) -> None:
    await Metadata(database).put(METADATA_KEY, json.dumps(["telepathy", MONDAY.isoformat()]))
    assert await stored_sign(Metadata(database)) is None


async def test_each_kind_of_sign_is_logged_once_an_hour(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    users = TokenUsers(Metadata(database), clock)
    for sign in (Sign.POST, Sign.POST, Sign.SESSION):
        users.record(sign)
    clock.move(hours=1)
    users.record(Sign.POST)
    assert [record.getMessage().partition("; ")[2].partition(".")[0] for record in caplog.records] == [
        DESCRIPTIONS[Sign.POST],
        DESCRIPTIONS[Sign.SESSION],
        DESCRIPTIONS[Sign.POST],
    ]


# Manual posts


async def test_the_id_of_a_manual_post_is_derived_from_the_interaction(place: Place) -> None:
    """Another program that receives the same interaction then posts with the same nonce."""
    channel = place.guild.add_text_channel("asked")
    await until(lambda: place.app.client.get_channel(channel.id))
    async with delivering(place.app):
        await until(place.app.leader_gate)
        for command in ("weekly subscribe", "weekly post"):
            await place.server.interact(channel, command)
    [request] = place.server.sent("POST", "/channels/{channel_id}/messages")
    ids = {each.call.id("interaction_id") for each in place.server.sent("POST", CALLBACKS)}
    assert request.call.body["nonce"] in {manual_id(each) for each in ids}
