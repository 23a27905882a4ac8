"""`weekbot run` as a process, against a loopback Discord."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from conftest import CONTENT
from discord_server import Permission
from discord_server.fault import fault
from discord_server.gateway import Close
from discord_server.thread import Thread
from postgres import database_url
from processes import RUN_AT, Place, next_log_line, place_in, posted, posts
from weekbot.app import App
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.domain.schedule import WEEK
from weekbot.i18n.language import language_of
from weekbot.run import serve
from weekbot.runtime import signals
from weekbot.runtime.build_info import build_info
from weekbot.store.deliveries import Deliveries
from weekbot.store.guilds import Guilds
from weekbot.store.subscriptions import Subscriptions


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def test_a_due_topic_is_posted_once_to_each_channel_despite_a_restart(place: Place) -> None:
    one, other = place.guild.add_text_channel("one"), place.guild.add_text_channel("other")
    slot = await place.subscribe(one, other)
    async with place.running(slot + timedelta(seconds=5)):
        await posted(place, one, other)
    async with place.running(slot + timedelta(minutes=5)):
        assert "Last: " in await place.status(one)
    assert [len(posts(place, channel)) for channel in (one, other)] == [1, 1]


async def test_the_next_week_has_the_next_topic(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    async with place.running(slot + timedelta(seconds=5)):
        await posted(place, channel)
    async with place.running(slot + WEEK + timedelta(seconds=5)):
        await place.server.until(lambda: len(posts(place, channel)) == 2, "the second post")
    first, second = posts(place, channel)
    assert first.splitlines()[0] != second.splitlines()[0]


async def test_a_slot_missed_two_hours_ago_is_posted_late(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    async with place.running(slot + timedelta(hours=2)):
        await posted(place, channel)
        assert "Missed" not in await place.status(channel)
    assert len(posts(place, channel)) == 1


async def test_a_slot_missed_thirty_hours_ago_is_shown_as_missed(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    async with place.running(slot + timedelta(hours=30)), asyncio.timeout(60):
        while "Missed" not in (status := await place.status(channel)):  # noqa: ASYNC110 - as a moderator would
            await asyncio.sleep(0.1)
    assert "Next: **How to use these weeks**" in status
    assert not posts(place, channel)


async def test_moderators_get_a_notice_a_day_before_a_post_that_would_fail(place: Place) -> None:
    channel, system = place.guild.add_text_channel("weekly"), place.guild.add_text_channel("system")
    place.guild.system_channel = system
    slot = await place.enter(channel)
    channel.forbid()
    async with place.running(slot - timedelta(hours=23)):
        await place.server.until(system.history, "a notice")
    [notice] = system.history()
    assert "weekbot is missing Send Messages" in notice.text


@pytest.mark.parametrize(("archived", "problem"), [(False, "the thread is gone"), (True, "archived and locked")])
async def test_moderators_get_a_notice_an_hour_before_a_post_in_an_unusable_thread(
    place: Place, *, archived: bool, problem: str
) -> None:
    parent, system = place.guild.add_text_channel("weekly"), place.guild.add_text_channel("system")
    place.guild.system_channel = system
    body = {"name": "corner"}
    thread = Thread.open(parent, place.guild.owner.user, place.server.world.snowflakes.next(), body)
    thread.publish()
    slot = await place.enter(thread)
    async with place.running(slot - timedelta(hours=2)):
        assert "✅" in await place.status(thread)
    if archived:
        thread.edit({"archived": True, "locked": True})
    else:
        thread.delete()
    async with place.running(slot - timedelta(minutes=59)):
        await place.server.until(system.history, "a notice")
        assert problem in await place.status(parent)
    [notice] = system.history()
    assert problem in notice.text


async def test_a_server_that_reinvites_the_stopped_bot_gets_its_post(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    async with place.running(slot - timedelta(days=2)), place.database() as database, asyncio.timeout(60):
        place.guild.kick_bot()
        while not await Guilds(database).left_ids():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    place.guild.invite_bot()
    place.server.latency = 0.3  # the bot knows which posts are due before its requests are answered
    async with place.running(slot + timedelta(minutes=5)), asyncio.timeout(60):
        while not posts(place, channel):
            assert "Blocked" not in await place.status(channel)


async def test_a_left_servers_data_is_deleted_after_thirty_days(place: Place) -> None:
    slot = await place.enter(place.guild.add_text_channel("weekly"))
    async with place.running(slot), place.database() as database, asyncio.timeout(60):
        place.guild.kick_bot()
        while not await Guilds(database).left_ids():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    async with place.running(slot + timedelta(days=31)), place.database() as database, asyncio.timeout(60):
        while await Guilds(database).left_ids():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert not await Subscriptions(database).of_guild(place.guild.id)


async def test_commands_are_registered_only_when_they_changed(place: Place) -> None:
    for _ in range(2):
        async with place.running():
            pass
    assert len(place.server.sent("PUT", "/applications/{application_id}/commands")) == 1


async def test_lookups_and_autocomplete_are_answered(place: Place) -> None:
    channel = place.guild.add_text_channel("general")
    async with place.running():
        answer = await place.server.interact(channel, "framework", {"name": "api star"})
        choices = await place.server.autocomplete(channel, "framework", {"name": "fla"})
    assert "API Star" in answer.text
    assert choices[0]["value"] == "flask"


async def test_an_invalid_token_ends_the_bot_with_one_line(place: Place) -> None:
    bot = await place.start(sys.executable, "-m", "weekbot", "run", WEEKBOT_DISCORD_TOKEN="wrong")
    errors = (await bot.communicate())[1].decode().strip().splitlines()
    assert bot.returncode == 1
    assert "WEEKBOT_DISCORD_TOKEN" in errors[-1]
    assert not any("Traceback" in line or "wrong" in line for line in errors)
    assert len(place.server.requests) <= 2


async def test_unknown_settings_are_logged_at_the_start(place: Place) -> None:
    unknown = {"WEEKBOT_CATCHUP_HOURS": "a value", "WEEKBOT_DISCORD_TOKEN": "'wrong'\r"}
    bot = await place.start(sys.executable, "-m", "weekbot", "run", **unknown)
    errors = (await bot.communicate())[1].decode()
    assert "[warning  ] WEEKBOT_CATCHUP_HOURS in the environment isn't a weekbot setting" in errors
    assert "did you mean WEEKBOT_CATCH_UP_HOURS?" in errors
    assert "Discord does not accept WEEKBOT_DISCORD_TOKEN" in errors
    assert "a value" not in errors


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("DISCORD_TOKEN", "", "WEEKBOT_DISCORD_TOKEN is not set."),
        ("DISCORD_TOKEN", "wrong", "Discord does not accept WEEKBOT_DISCORD_TOKEN."),
        ("SHARD_COUNT", "none", "WEEKBOT_SHARD_COUNT: "),
        ("DATABASE_URL", "sqlite:////dev/null/weekbot.db", ""),
    ],
)
async def test_the_last_line_of_a_json_log_is_json(place: Place, setting: str, value: str, sentence: str) -> None:
    given = {"WEEKBOT_LOG_FORMAT": "json", f"WEEKBOT_{setting}": value}
    bot = await place.start(sys.executable, "-m", "weekbot", "run", **given)
    last = json.loads((await bot.communicate())[1].decode().splitlines()[-1])
    assert bot.returncode == 1
    assert last["level"] == "error"
    assert datetime.fromisoformat(last["timestamp"])
    assert last["message"].startswith(sentence)
    assert (last["version"], last["commit"]) == tuple(build_info().values())


async def test_a_revoked_token_ends_the_bot_with_one_line_and_without_retries(place: Place) -> None:
    channels = [place.guild.add_text_channel(f"weekly-{number}") for number in range(20)]
    slot = await place.enter(*channels)
    start = place.at(slot - timedelta(seconds=2))
    bot = await place.start(sys.executable, str(RUN_AT), start, "1", WEEKBOT_REQUESTS_PER_SECOND="5")
    await place.server.ready()
    place.server.world.token = "another"
    errors = (await bot.communicate())[1].decode().strip().splitlines()
    assert bot.returncode == 1
    assert "Discord does not accept WEEKBOT_DISCORD_TOKEN" in errors[-1]
    assert not any("Traceback" in line for line in errors), "\n".join(errors)
    assert 1 <= len([request for request in place.server.requests if request.status == 401]) <= 2
    place.server.world.token = "test.bot.token"
    async with place.running(slot + timedelta(minutes=5)):
        await posted(place, *channels)
    assert [len(posts(place, channel)) for channel in channels] == [1] * len(channels)


async def test_a_token_refused_by_the_gateway_ends_the_bot_with_one_line(place: Place) -> None:
    bot = await place.start(sys.executable, "-m", "weekbot", "run")
    await place.server.ready()
    place.server.world.token = "another"
    place.server.gateway.close(Close.UNKNOWN_ERROR)
    errors = (await bot.communicate())[1].decode().strip().splitlines()
    assert bot.returncode == 1
    assert "Discord does not accept WEEKBOT_DISCORD_TOKEN" in errors[-1]
    assert not any("Traceback" in line for line in errors), "\n".join(errors)


async def test_a_second_signal_ends_the_bot_immediately_without_losing_or_duplicating_a_post(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    place.server.rest.faults.pending.append(
        fault("POST", r"/channels/\d+/messages$", None, takes_effect=True, held=True)
    )
    bot = await place.start(sys.executable, str(RUN_AT), place.at(slot), "1")
    async with asyncio.timeout(30):
        while not posts(place, channel):  # noqa: ASYNC110 - nothing signals a held request
            await asyncio.sleep(0.05)
    bot.terminate()
    await next_log_line(bot, "stopping; requests in flight")
    async with asyncio.timeout(15):
        while bot.returncode is None:
            bot.terminate()
            await asyncio.sleep(0.05)  # like a user who presses Ctrl-C repeatedly
    assert bot.returncode == 1
    async with place.running(slot + timedelta(minutes=5)), asyncio.timeout(60):
        while "Last: " not in await place.status(channel):  # noqa: ASYNC110 - as a moderator would
            await asyncio.sleep(0.1)
    assert len(posts(place, channel)) == 1


async def test_one_signal_delivered_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    time, exits = 100.0, list[str]()
    monkeypatch.setattr(signals, "now", lambda: time)
    monkeypatch.setattr(signals, "_exit_at_once", exits.append)
    monkeypatch.setattr(signals, "_start_timer", lambda *_: None)
    stop = signals.stop_signal()

    async def send_signal() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)  # the loop reads the signal from a socket
        await asyncio.sleep(0.01)

    await send_signal()
    assert stop.is_set()
    for after in (0.001, 0.9):
        time = 100 + after
        await send_signal()
    assert exits == []
    time = 101.1
    await send_signal()
    assert exits == ["a second signal to stop was received"]


async def test_a_start_and_a_reconnect_log_no_warnings(place: Place) -> None:
    """Libraries log no warnings, and the lost connection is one line."""
    bot = await place.start(sys.executable, "-m", "weekbot", "run", WEEKBOT_LOG_LEVEL="INFO", WEEKBOT_LOG_FORMAT="json")
    await place.server.ready()
    await place.server.until(lambda: place.server.world.commands.of(0), "registered commands")
    first = json.loads(await next_log_line(bot, ""))
    await place.server.drop(1001)
    await place.server.ready()
    bot.send_signal(signal.SIGTERM)
    lines = [first, *map(json.loads, (await bot.communicate())[1].decode().splitlines())]
    assert bot.returncode == 0
    assert [line for line in lines if line["level"] not in ("debug", "info") or "exception" in line] == []
    assert len([line for line in lines if "gateway" in line["logger"]]) == 1


async def test_a_process_that_does_not_stop_in_time_exits() -> None:
    hanging = """if True:
        import asyncio, os, signal, time
        from weekbot.runtime import signals
        signals.SHUTDOWN_TIMEOUT_SECONDS = 0.2
        async def main():
            stop = signals.stop_signal()
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.wait()
            time.sleep(60)
        asyncio.run(main())
    """
    bot = await asyncio.create_subprocess_exec(sys.executable, "-c", hanging, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        errors = (await bot.communicate())[1].decode()
    assert (bot.returncode, errors) == (
        1,
        "stopping takes too long; exiting at once, and the next start recovers what is in flight\n",
    )


async def log_line(bot: asyncio.subprocess.Process, words: str) -> str:
    """Return the next line of the log that contains the words."""
    assert bot.stderr
    while words not in (line := (await bot.stderr.readline()).decode()):
        assert line, "the log ended"
    return line


async def test_the_bot_waits_for_an_unreachable_discord_at_its_start(place: Place) -> None:
    async with place.server.outage(refuses=True):
        bot = await place.start(sys.executable, "-m", "weekbot", "run")
        assert "trying again" in await log_line(bot, "Discord cannot be reached")
    await place.server.ready()
    bot.send_signal(signal.SIGTERM)
    errors = (await bot.communicate())[1].decode()
    assert bot.returncode == 0
    assert "Traceback" not in errors


async def test_an_error_between_login_and_connection_is_retried(place: Place) -> None:
    place.server.fail_next("GET", r"/gateway/bot$", 503)
    async with place.running() as bot:
        assert await log_line(bot, "the gateway's address is unavailable")
    assert len(place.server.sent("GET", "/gateway/bot")) == 2


async def test_the_log_shows_the_invite_link(place: Place) -> None:
    bot = await place.start(sys.executable, "-m", "weekbot", "run", WEEKBOT_LOG_FORMAT="json")
    await place.server.ready()
    line = await log_line(bot, "invite with")
    bot.send_signal(signal.SIGINT)
    await bot.communicate()
    assert bot.returncode == 0
    assert f"client_id={place.server.world.application.id}" in line


async def test_a_delivery_is_logged_in_one_line_with_its_ids(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    place.more = {"WEEKBOT_LOG_FORMAT": "json", "WEEKBOT_LOG_LEVEL": "INFO"}
    async with place.running(slot) as bot:
        line = json.loads(await next_log_line(bot, "weekbot.delivery.posts"))
    [message] = place.server.messages_in(channel)
    async with place.database() as database:
        delivery = await Deliveries(database).get(line["delivery"])
    assert delivery
    assert line["message"] == "posted"
    assert (line["guild"], line["channel"], line["message_id"]) == (place.guild.id, channel.id, message.id)
    assert (line["topic"], datetime.fromisoformat(line["slot"])) == (delivery.topic, delivery.slot)
    assert delivery.message_id == message.id
    assert line["late_seconds"] >= 0


async def test_a_saved_file_is_used_by_the_next_lookup_and_a_broken_one_is_logged(place: Place) -> None:
    shutil.copytree(CONTENT, place.folder / "content")
    channel = place.guild.add_text_channel("talk")
    path = place.folder / "content" / "topics" / "flask.md"
    good = path.read_text("utf-8")

    async def summary() -> str:
        answer = await place.server.interact(channel, "framework", {"name": "flask"})
        return answer.text.splitlines()[1]

    async with place.running() as bot:
        before = await summary()
        path.write_text(good.replace(before, "Saved while the bot was running."), "utf-8")
        async with asyncio.timeout(20):
            while await summary() != "Saved while the bot was running.":  # noqa: ASYNC110 - as a member would
                await asyncio.sleep(0.05)
        path.write_text(good.replace("licence: BSD-3-Clause", ""), "utf-8")
        line = await next_log_line(bot, "licence is missing")
        assert "content/topics/flask.md:3:1: licence is missing" in line
        assert await summary() == "Saved while the bot was running."
        shutil.rmtree(place.folder / "content")
        await next_log_line(bot, "no topics here")
        assert await summary() == "Saved while the bot was running."
        shutil.copytree(CONTENT, place.folder / "content")
        await next_log_line(bot, "content reloaded")
        assert await summary() == before


async def test_a_follower_gets_the_home_channels_post_once(place: Place) -> None:
    home, talk = place.guild.add_announcement_channel("home"), place.guild.add_text_channel("talk")
    talk.overwrite(place.guild.bot_role, allow=Permission.MANAGE_WEBHOOKS)
    place.more["WEEKBOT_HOME_CHANNEL_ID"] = str(home.id)
    async with place.running():
        assert "First: " in (await place.server.interact(home, "weekly subscribe", {"publish": True})).text
        assert "follows weekbot's own channel" in (await place.server.interact(talk, "weekly follow")).text
        assert "already" in (await place.server.interact(talk, "weekly follow")).text
        assert "Only a text channel" in (await place.server.interact(home, "weekly follow")).text
        assert f"Following weekbot's own channel: {talk.mention}" in await place.status(talk)
    async with place.database() as database:
        [subscription] = await Subscriptions(database).of_guild(place.guild.id)
    async with place.running(subscription.next_slot.instant + timedelta(seconds=5)):
        await posted(place, talk)
    assert [len(posts(place, channel)) for channel in (home, talk)] == [1, 1]
    [_, copy] = place.server.messages_in(talk)  # the first one announces the follower
    assert copy.components == []


async def test_there_is_no_follow_command_without_a_home_channel(place: Place) -> None:
    async with place.running():
        weekly = place.server.world.commands.named("weekly", place.guild.id)
    assert "'name': 'subscribe'" in str(weekly)
    assert "'name': 'follow'" not in str(weekly)


LOCALES = {"de": "de", "es-ES": "es", "es-419": "es", "fr": "fr", "pt-BR": "pt_BR"}


async def test_commands_are_registered_with_their_names_in_every_language(place: Place) -> None:
    async with place.running():
        weekly = place.server.world.commands.named("weekly", place.guild.id).body
    subscribe = next(each for each in weekly["options"] if each["name"] == "subscribe")
    channel = next(each for each in subscribe["options"] if each["name"] == "channel")
    monday = next(each for each in subscribe["options"] if each["name"] == "day")["choices"][0]
    for locale, language in LOCALES.items():
        tr = language_of(language)
        assert weekly["name_localizations"][locale] == tr.word("command", "weekly") != "weekly"
        assert subscribe["name_localizations"][locale] == tr.word("command", "subscribe") != "subscribe"
        assert (
            subscribe["description_localizations"][locale] == tr(subscribe["description"]) != subscribe["description"]
        )
        assert channel["name_localizations"][locale] == tr.word("option", "channel") != "channel"
        assert monday["name_localizations"][locale] == tr("Monday") != "Monday"
    assert set(weekly["name_localizations"]) == set(LOCALES)


async def test_a_german_member_of_an_english_server_is_answered_in_german(place: Place) -> None:
    channel, tr = place.guild.add_text_channel("weekly"), language_of("de")
    german = place.guild.add_member("Jörg", locale="de")
    async with place.running():
        private = await place.server.interact(channel, "topic list", member=german)
        assert "1. **So nutzt du diese Wochen**" in private.text
        missing = await place.server.interact(channel, "framework", {"name": "nix davon"}, member=german)
        assert tr("There is no topic called {name}. `/topic list` shows them all.", name="`nix davon`") in missing.text
        for_all = await place.server.interact(channel, "framework", {"name": "what-is-a-framework"}, member=german)
        assert "## What is a framework\n" in for_all.text
        own = {"name": "what-is-a-framework", "private": True}
        assert (
            "## Was ein Framework ist\n" in (await place.server.interact(channel, "framework", own, member=german)).text
        )
        refused = await place.server.interact(channel, "weekly status", member=german, member_permissions=0)
        assert tr("You need the **Manage Server** permission for this.") in refused.text


async def test_a_server_whose_locale_changed_while_the_bot_was_offline_gets_german_posts(place: Place) -> None:
    channel, other = place.guild.add_text_channel("one"), place.guild.add_text_channel("other")
    slot = await place.enter(channel, other)
    place.guild.save_locales("de")
    async with place.running(slot + timedelta(seconds=5)):
        await place.server.until(lambda: all(place.server.messages_in(each) for each in (channel, other)), "the posts")
    texts = [place.server.messages_in(each)[0].text for each in (channel, other)]
    assert all("Diese Woche: So nutzt du diese Wochen" in text for text in texts)


async def test_a_post_on_postgresql_is_not_repeated_after_a_restart(place: Place) -> None:
    with database_url() as url:
        place.more["WEEKBOT_DATABASE_URL"] = url
        channel = place.guild.add_text_channel("weekly")
        slot = await place.enter(channel)
        async with place.running(slot + timedelta(seconds=5)):
            await posted(place, channel)
        async with place.running(slot + timedelta(minutes=5)):
            assert "Last: " in await place.status(channel)
    assert len(posts(place, channel)) == 1


async def test_a_bot_becomes_the_leader_again_after_its_database_session_was_cut(place: Place) -> None:
    with database_url() as url:
        place.more["WEEKBOT_DATABASE_URL"] = url
        channel = place.guild.add_text_channel("weekly")
        await place.enter(channel)
        async with place.running() as bot:
            await next_log_line(bot, "is the leader from now on")
            async with place.database() as database, database.write() as connection:
                cut_lock_sessions = (
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                )
                await connection.exec_driver_sql(cut_lock_sessions)
            assert "this process sends nothing" in await next_log_line(bot, "the database is unreachable")
            await next_log_line(bot, "is the leader from now on")
            assert "Posted" in (await place.server.interact(channel, "weekly post")).text
    assert len(posts(place, channel)) == 1


async def test_two_processes_answer_their_own_shards_and_one_leads_until_it_is_killed(place: Place) -> None:
    place.server.world.shards = 2
    other = place.server.add_guild("On the other shard")
    here, there, forum = place.guild.add_text_channel("here"), other.add_text_channel("there"), other.add_forum("forum")
    later = other.add_text_channel("later")
    with database_url() as url:
        place.more |= {"WEEKBOT_DATABASE_URL": url, "WEEKBOT_SHARD_COUNT": "2"}
        first = await place.start(sys.executable, str(RUN_AT), "0", WEEKBOT_SHARD_IDS="0")
        await next_log_line(first, "is the leader from now on")
        second = await place.start(sys.executable, str(RUN_AT), "0", WEEKBOT_SHARD_IDS="1")
        await place.server.ready()
        for channel, target in ((here, here), (there, there), (there, forum)):
            subscribed = await place.server.interact(channel, "weekly subscribe", {"channel": target})
            assert "First: " in subscribed.text
            assert "Posted" in (await place.server.interact(channel, "weekly post", {"channel": target})).text
        first.kill()
        await first.communicate()
        await next_log_line(second, "is the leader from now on (term 2)")
        await place.server.interact(later, "weekly subscribe")
        assert "Posted" in (await place.server.interact(later, "weekly post")).text
        second.send_signal(signal.SIGTERM)
        assert "Traceback" not in (await second.communicate())[1].decode()
    assert [len(posts(place, channel)) for channel in (here, there, later)] == [1, 1, 1]
    [thread] = [thread for thread in other.threads.values() if thread.parent is forum]
    assert "This week" in thread.name


async def test_sighup_reloads_the_content(place: Place) -> None:
    async with place.running() as bot:
        bot.send_signal(signal.SIGHUP)
        assert "content reloaded: 62 topics" in await next_log_line(bot, "content reloaded")


COUNTED = {
    'weekbot_lookups_total{framework="flask",result="hit"} 2.0',
    'weekbot_lookups_total{framework="apistar",result="hit"} 1.0',
    'weekbot_lookups_total{framework="unknown",result="miss"} 1.0',
    "weekbot_autocomplete_duration_seconds_count 1.0",
    'weekbot_discord_requests_total{kind="answer",status="200"} 5.0',
    "weekbot_discord_requests_allowed 48.0",
    "weekbot_discord_invalid_requests_allowed 5000.0",
    'weekbot_gateway_reconnects_total{session="resumed"} 1.0',
    "weekbot_content_topics 62.0",
    "weekbot_is_leader 1.0",
    "weekbot_term 1.0",
}


def health_port(place: Place) -> int:
    """Set a free port for the bot's health server, and return it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place.more["WEEKBOT_HEALTH_PORT"] = str(port)
    return port


@pytest.mark.long
async def test_idle_connections_to_the_health_port_do_not_affect_the_bot(place: Place) -> None:
    port, place.most_descriptors = health_port(place), 300
    channels = [place.guild.add_text_channel(f"weekly-{number}") for number in range(5)]
    await place.enter(*channels)
    async with place.running():
        with ExitStack() as opened:
            for _ in range(400):
                opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            await place.server.drop()
            await place.server.ready()
            await asyncio.gather(*(place.server.interact(channel, "weekly post") for channel in channels))
            await posted(place, *channels)
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as answer:
                assert answer.status == 200, await answer.text()


async def test_the_metrics_are_served_at_the_configured_port(place: Place) -> None:
    port = health_port(place)
    channel = place.guild.add_text_channel("talk")
    async with place.running():
        for name in ("flask", "api star", "knitting"):
            await place.server.interact(channel, "framework", {"name": name})
        await place.server.interact(channel, "topic show", {"name": "flask"})
        await place.server.autocomplete(channel, "framework", {"name": "fla"})
        await place.server.drop()
        await place.server.ready()
        async with aiohttp.ClientSession() as session:
            text = await metrics_with(session, f"http://127.0.0.1:{port}/metrics", COUNTED)
    assert re.search(r'^weekbot_content_info\{version="[0-9a-f]{12}"\} 1.0$', text, re.MULTILINE)


async def metrics_with(session: aiohttp.ClientSession, url: str, lines: set[str]) -> str:
    """Return the metrics as soon as they contain the lines."""
    missing = lines
    try:
        async with asyncio.timeout(20):
            while missing:
                async with session.get(url) as answer:
                    missing = lines - set((text := await answer.text()).splitlines())
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not shown: {missing}")
    return text


class NoRecord:
    """Records no starts."""

    async def succeed(self) -> None:
        pass


class HangingClient:
    """A client whose login never returns, not even after `close`."""

    def __init__(self) -> None:
        self.token_refused = asyncio.Event()
        self.logging_in = asyncio.Event()

    async def login(self, token: str) -> None:
        self.logging_in.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


async def test_the_bot_stops_immediately_while_discord_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    # Otherwise the test's own process would exit after a while.
    monkeypatch.setattr("weekbot.runtime.signals._start_timer", lambda *_: None)
    client = HangingClient()
    app = App.__new__(App)  # without the real parts
    vars(app).update(client=client, session_record=NoRecord(), live=LiveLibrary(CONTENT))
    serving = asyncio.create_task(serve(app, "token"))
    await client.logging_in.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        await serving
