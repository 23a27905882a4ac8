"""The log: one line a record, with its context and without secrets, whatever a library logs."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_server import Permission, event_fault
from running_bot import running_bot
from weekbot.bot.cards import custom_ids
from weekbot.runtime import log
from weekbot.runtime.errors import WeekbotError

T = TypeVar("T")
FORMS: tuple[log.LogFormat, ...] = ("console", "json")
DELIVERY = {"delivery": "a1", "guild": 1, "channel": 2, "slot": "2026-11-23T09:00+00:00", "topic": "flask"}
TOKEN_ID = "MTA1MjQ0NjY4ODAwMDAwMDAwMDA"
TOKEN = f"{TOKEN_ID}.Gx1y2z.abcdefghijklmnopqrstuvwxyz0123456789AB"
INTERACTION = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5OmFiY2RlZg"


def line(
    message: str, *values: object, form: log.LogFormat = "console", secrets: tuple[str, ...] = (), **more: Any
) -> str:
    record = logging.getLogger("weekbot.some").makeRecord(
        "weekbot.some", logging.INFO, __file__, 1, message, values, None, extra=more
    )
    return log.formatter(form, secrets).format(record)


def fields(message: str, *values: object, **more: Any) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(line(message, *values, form="json", **more))
    return found


async def in_context(ids: Mapping[str, object], line: Callable[[], T]) -> T:
    """Return the line as it is logged in a task with this log context."""

    async def log_line() -> T:
        log.bind_log_context(ids)
        return line()

    return await asyncio.create_task(log_line())


async def test_each_line_has_the_log_context_of_its_task() -> None:
    during = await in_context(DELIVERY, lambda: fields("posted", late_seconds=1.5))
    assert {name: during[name] for name in DELIVERY} == DELIVERY
    assert (during["message"], during["late_seconds"], during["logger"]) == ("posted", 1.5, "weekbot.some")
    assert not set(fields("posted")) & set(DELIVERY)


async def test_the_console_format_shows_the_log_context() -> None:
    shown = await in_context(DELIVERY, lambda: line("refused: %s", "no permission"))
    assert "[info     ] refused: no permission" in shown
    assert "channel=2 delivery=a1 guild=1" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("form", FORMS)
def test_quoted_text_cannot_control_the_terminal(form: log.LogFormat) -> None:
    try:
        raise ValueError("\x1b[2J\u202e")
    except ValueError:
        record = logging.getLogger("weekbot.some").makeRecord(
            "weekbot.some",
            logging.ERROR,
            __file__,
            1,
            "%s",
            ("\x1b]0;\x07\x9b",),
            sys.exc_info(),
            extra={"topic": "\x1b[1m"},
        )
    shown = log.formatter(form).format(record)
    assert all(character == "\n" or character.isprintable() for character in shown)
    assert r"ValueError: \x1b[2J\u202e" in shown.replace("\\\\", "\\")
    assert r"\x1b]0;\x07\x9b" in shown.replace("\\\\", "\\")


async def test_concurrent_tasks_have_separate_log_contexts() -> None:
    async def answer(number: int) -> Mapping[str, object]:
        log.bind_log_context({"interaction": number})
        await asyncio.sleep(0)
        return fields("answered")

    found = await asyncio.gather(*map(answer, range(20)))
    assert [each["interaction"] for each in found] == list(range(20))


def test_an_error_is_logged_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO", "json")
    try:
        raise WeekbotError("A mistake.")
    except WeekbotError:
        logging.getLogger("weekbot.some").exception("unexpected")
    entry = json.loads(capsys.readouterr().err)
    assert entry["message"] == "unexpected"
    assert "test_log.py" in entry["exception"]
    assert entry["exception"].endswith("WeekbotError: A mistake.")


def test_records_below_the_level_and_chatty_libraries_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("DEBUG", "console")
    logging.getLogger("aiosqlite").debug("executing")
    logging.getLogger("weekbot.some").debug("logged")
    log.configure("WARNING", "console")
    logging.getLogger("weekbot.some").info("not logged")
    [only] = capsys.readouterr().err.splitlines()
    assert " logged " in only


SECRETS = {
    "an interaction's callback": (
        f"POST https://discord.com/api/v10/interactions/12/{INTERACTION}/callback",
        INTERACTION,
    ),
    "a follow-up": (f"POST https://discord.com/api/v10/webhooks/12/{INTERACTION}?wait=true", INTERACTION),
    "an edit of the response": (f"PATCH /webhooks/12/{INTERACTION}/messages/@original", INTERACTION),
    "an event as Python shows it": (
        f"Received {{'t': 'X', 'd': {{'token': '{INTERACTION}', 'id': '1'}}}}",
        INTERACTION,
    ),
    "an event as JSON": (f'{{"op": 2, "d": {{"token": "{INTERACTION}", "shard": [0, 1]}}}}', INTERACTION),
    "JSON in a string": (json.dumps(f'{{"token": "{INTERACTION}"}}'), INTERACTION),
    "a keyword": (f"Interaction(token={INTERACTION}, id=1)", INTERACTION),
    "the Authorization header": (f"Authorization: Bot {TOKEN}", TOKEN),
    "a token anywhere": (f"it is {TOKEN}, he said", TOKEN),
    "a database password": ("cannot connect to postgresql://weekbot:s3cr3t@db.example/weekbot", "s3cr3t"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", SECRETS)
def test_apparent_secrets_are_redacted(kind: str, form: log.LogFormat) -> None:
    message, secret = SECRETS[kind]
    for shown in (
        line("%s", message, form=form),
        line("more", form=form, value=message),
        line(_raised(message), form=form),
    ):
        assert secret not in shown
        assert log.REDACTED in shown


def _raised(message: str) -> str:
    try:
        raise ValueError(message)
    except ValueError:
        return repr(sys.exc_info()[1])


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=6), st.text(), st.text())
def test_configured_secrets_are_redacted_anywhere(secret: str, before: str, after: str) -> None:
    for form in FORMS:
        shown = line("%s", f"{before} {secret} {after}", form=form, secrets=(secret,)).replace(log.REDACTED, "")
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown


@pytest.mark.parametrize(
    "harmless",
    [
        "GET https://discord.com/api/v10/channels/12/messages/34",
        "Bot is online",
        "https://discord.com/oauth2/authorize?client_id=12&scope=bot+applications.commands",
        "sqlite:////data/weekbot.db",
        "postgresql://db.example:5432/weekbot",
        "the token is missing",
        "topics/flask.md:12:3: too long",
    ],
)
def test_harmless_text_is_not_redacted(harmless: str) -> None:
    assert harmless in line("%s", harmless)


def test_the_configured_level_overrides_the_levels_of_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("ERROR", "console")
    logging.getLogger("discord.gateway").info("Shard ID 0 has connected")
    assert capsys.readouterr().err == ""


# Members


@pytest.fixture
def log_stream(caplog: pytest.LogCaptureFixture) -> Iterator[StringIO]:
    """Yield everything that the bot logs, as JSON."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.formatter("json"))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


async def test_the_log_never_names_members_or_servers(
    tmp_path: Path, log_stream: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_bot(tmp_path) as place:
        server, channel = place.server, place.channel
        moderators = place.guild.add_role("Moderators of Zanzibar", Permission.MANAGE_GUILD)
        member = place.guild.add_member("zebediah", moderators)
        await server.interact(channel, "weekly subscribe", {"ping": moderators, "track": "web"}, member=member)
        post = await place.post()
        for command, options in (("framework", {"name": "zebra stripes"}), ("progress", {}), ("weekly status", {})):
            await server.interact(channel, command, options, member=member)
        await server.autocomplete(channel, "framework", {"name": "zebra"}, member=member)
        await server.click(post, custom_ids.finished("flask"), member=member)
        await server.click(post, "weekbot:old", unchecked=True, member=member)
        server.gateway.mangle("INTERACTION_CREATE", event_fault.without("attachment_size_limit"))
        await server.interact(channel, "help", member=member)
        monkeypatch.setattr(place.app.live.current, "find", lambda _: 1 / 0)
        await server.interact(channel, "framework", {"name": "zebra"}, member=member)
        await server.click(post, custom_ids.finished("flask"), member=member)
    text = log_stream.getvalue()
    assert text.count("unexpected error") == 2
    assert "an interaction can't be parsed" in text
    assert "discord" in text
    assert [name for name in ("zebediah", "zebra", "Zanzibar", "Pythonistas") if name in text] == []
