"""`weekbot rehearse` against the loopback Discord: the expected results, each deviation, and the cleanup."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import leaks
from conftest import CONTENT
from discord_server import Channel, DiscordServer, Forum, Guild, Permission, World, request_fault
from discord_server.application import MESSAGE_CONTENT
from discord_server.call import Call
from discord_server.fault import FOREVER, Planned
from discord_server.follower import Follower
from discord_server.message import PIN_NOTICE, POLL_RESULT, THREAD_STARTER, Message
from discord_server.rate_limit import LIMITS, RateLimits
from discord_server.request_fault import AT_ONCE, RequestFault
from discord_server.response import Response
from discord_server.thread import Thread
from discord_server.user import User
from fakes import FakeClock
from weekbot.cli.main import cli
from weekbot.rehearse import rehearsal, transcript
from weekbot.rehearse.check_result import CheckResult, Result
from weekbot.rehearse.rehearsal import CHECKS, DeviationError, Request, StoppedError, rehearse
from weekbot.runtime.clock import SystemClock
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import Settings

PARTS = [check.part for check in CHECKS]
FOLLOWING = {"following", "follower", "card copy"}
EVERYTHING = Permission.SEND_POLLS | Permission.MANAGE_THREADS | Permission.MANAGE_WEBHOOKS | Permission.MANAGE_MESSAGES
Body = dict[str, Any]


@dataclass(frozen=True)
class Matching:
    """Matches requests by method, by the end of the path (a regular expression), and by a field of the body."""

    method: str
    path: str
    field: str = ""
    value: str = ""

    def matches(self, call: Call) -> bool:
        if call.method != self.method or not re.search(f"{self.path}$", call.path):
            return False
        return not self.field or bool(re.search(self.value, json.dumps((call.body or {}).get(self.field))))


ONE, LIST = r"/messages/\d+", "/messages"
THREADS = "/channels/{channel_id}/threads"
SEND, READ, HISTORY, EDIT, DELETE = (
    Matching("POST", LIST),
    Matching("GET", ONE),
    Matching("GET", LIST),
    Matching("PATCH", ONE),
    Matching("DELETE", ONE),
)
CARD, EMBED, DELETED = (replace(SEND, field="nonce", value=f"00000{number}") for number in (1, 2, 3))
PING, ELSEWHERE, EMPTY = (replace(SEND, field="content", value=text) for text in (": <@&", r"l \w{8}\"", '^""'))
POLL = replace(SEND, field="poll", value="question")
PUBLISH, FOLLOW, END = Matching("POST", "/crosspost"), Matching("POST", "/followers"), Matching("POST", "/expire")
THREAD, FORUM_POST, ACTIVE = (
    Matching("POST", f"{ONE}/threads"),
    Matching("POST", r"channels/\d+/threads"),
    Matching("GET", "/active"),
)
PIN, PINS, CHANNEL = Matching("PUT", r"/pins/\d+"), Matching("GET", "/pins"), Matching("GET", r"/channels/\d+")


@dataclass
class Report:
    """The results, lines and error of a rehearsal, and the lines of its file."""

    results: dict[str, CheckResult] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    error: WeekbotError | None = None
    raw: list[Body] = field(default_factory=list)

    def add(self, item: CheckResult | str) -> None:
        if isinstance(item, str):
            self.lines.append(item)
        else:
            self.results[item.part] = item

    def parts(self, result: Result) -> set[str]:
        return {part for part, each in self.results.items() if each.result is result}

    @property
    def other(self) -> dict[str, str]:
        """The sentence of each check that isn't as expected."""
        return {part: each.sentence for part, each in self.results.items() if each.result is not Result.AS_EXPECTED}

    @property
    def left(self) -> list[str]:
        return [line.strip() for line in self.lines if line.startswith("  https://")]

    def answers(self, part: str) -> list[Body]:
        return [line for line in self.raw if line.get("part") == part and "status" in line]


@dataclass
class Theatre:
    """A Discord with a test channel, a channel to follow it and a forum, in which the bot has every permission."""

    server: DiscordServer
    guild: Guild
    channel: Channel
    other: Channel
    forum: Forum
    clock: FakeClock

    @property
    def settings(self) -> Settings:
        return Settings(
            discord_token=self.server.token,
            discord_api_url=self.server.api_url,
            content_dir=CONTENT,
            requests_per_second=10_000,
        )

    async def rehearse(self, *, follow: bool = True, channel: Channel | None = None) -> Report:
        report = Report()
        request = Request((channel or self.channel).id, self.other.id if follow else None)
        try:
            await rehearse(self.settings, request, self.clock, report.add)
        except WeekbotError as error:
            report.error = error
        report.raw = read_raw()
        return report

    def plant(self, fault: RequestFault, matching: "Matching", *, skip: int = 0, times: float = 1) -> None:
        """Plant the fault for matching requests, after the first `skip`."""
        passing = count()
        applies = lambda call: matching.matches(call) and next(passing) >= skip  # noqa: E731
        self.server.rest.faults.pending.append(Planned(applies, fault, times))

    def leftovers(self) -> list[object]:
        """Return everything that the bot or Discord left in the server."""
        messages = [message for each in (self.channel, self.other, self.forum) for message in each.history()]
        return [*messages, *self.guild.threads.values(), *self.channel.followers]


def read_raw(folder: Path = Path()) -> list[Body]:
    """Return the file's lines, if there is one, and check that they hold no secret."""
    texts = [path.read_text("utf-8") for path in folder.glob("weekbot-rehearsal-*.jsonl")]
    leaks.require_none(*texts)
    return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.fixture
async def theatre(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Theatre]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rehearsal, "REQUESTS_PER_SECOND", 10_000)
    limits = RateLimits(None, [replace(limit, requests=1000) for limit in LIMITS])
    async with DiscordServer(World(clock=clock.now), limits=limits) as server:
        server.world.application = replace(server.world.application, flags=MESSAGE_CONTENT)
        guild = server.add_guild("Pythonistas")
        guild.bot_role.permissions |= EVERYTHING
        channel, other = guild.add_announcement_channel("test"), guild.add_text_channel("other")
        yield Theatre(server, guild, channel, other, guild.add_forum("topics"), clock)
        assert not server.unknown_requests


# All as expected


async def test_a_clean_rehearsal_is_as_expected_and_leaves_nothing(theatre: Theatre) -> None:
    report = await theatre.rehearse()
    assert report.other == {}
    assert list(report.results) == PARTS
    assert report.error is None
    assert theatre.leftovers() == []
    assert report.lines[0] == "Rehearsing in #test of Pythonistas, as weekbot."
    assert report.lines[1:-1] == [f"as expected: {len(PARTS)}", "Everything it made is deleted."]


async def test_only_the_bot_itself_is_mentioned(theatre: Theatre) -> None:
    await theatre.rehearse()
    bodies = [each.call.body for each in theatre.server.requests if each.call.method in ("POST", "PATCH")]
    mentions = {mention for body in bodies for mention in re.findall(r"<[@&!]+\d+>|@everyone|@here", json.dumps(body))}
    pinged = [body["allowed_mentions"] for body in bodies if isinstance(body, dict) and "allowed_mentions" in body]
    assert mentions == {f"<@&{theatre.guild.bot_role.id}>"}
    assert [each for each in pinged if each != {"parse": []}] == [
        {"parse": [], "roles": [str(theatre.guild.bot_role.id)]}
    ]


async def test_nothing_is_published_in_a_text_channel(theatre: Theatre) -> None:
    text = theatre.guild.add_text_channel("text")
    report = await theatre.rehearse(follow=False, channel=text)
    assert report.other.keys() == {"publication", *FOLLOWING}
    assert report.other["publication"] == "#text is not an announcement channel"
    assert report.parts(Result.SKIPPED) == set(report.other)
    assert (report.error, text.history()) == (None, [])


async def test_hidden_content_is_kept_for_a_person_to_look_at(theatre: Theatre) -> None:
    theatre.server.world.application = replace(theatre.server.world.application, flags=0)
    report = await theatre.rehearse()
    assert report.parts(Result.LOOK) == set(report.other) == {"follower", "card copy"}
    copies = theatre.other.history()
    assert [str(copy.id) in report.other[part] for copy, part in zip(copies, report.other, strict=True)] == [True, True]
    assert len(theatre.channel.history()) == 2
    assert len(report.left) == 4
    assert all("kept for you to look at" in line for line in report.left)
    assert any("Message Content" in line for line in report.lines)
    assert str(report.error).startswith("Not confirmed: 2. ")


async def test_without_a_forum_the_forum_check_is_skipped(theatre: Theatre) -> None:
    theatre.forum.delete()
    report = await theatre.rehearse()
    assert set(report.other) == report.parts(Result.SKIPPED) == {"forum"}
    assert report.error is None


async def test_the_first_forum_that_the_bot_may_post_in_is_used(theatre: Theatre) -> None:
    theatre.forum.forbid(Permission.SEND_MESSAGES)
    second = theatre.guild.add_forum("more", ["web"], requires_tag=True)
    report = await theatre.rehearse()
    assert report.other == {}
    assert [each.call.parameters["channel_id"] for each in theatre.server.sent("POST", THREADS)] == [str(second.id)]


async def test_a_rehearsal_uses_no_database(theatre: Theatre) -> None:
    await theatre.rehearse()
    assert files() == ["weekbot-rehearsal-2026-11-23.jsonl"]


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# Deviations


def changed(change: Callable[[Any], object]) -> RequestFault:
    """Carry out the request, and change its JSON answer in place."""

    def rewrite(body: Any) -> Any:
        change(body)
        return body

    return request_fault.rewritten("planted", rewrite)


def with_fields(**values: Any) -> RequestFault:
    return changed(lambda body: body.update(values))


def in_each(**values: Any) -> RequestFault:
    return changed(lambda entries: [each.update(values) for each in entries])


def without_headers(part: str) -> RequestFault:
    """Empty the headers whose names contain `part`."""

    def rewrite(true: Response) -> Response:
        emptied = {name: "" if part in name else each for name, each in true.headers.items()}
        return replace(true, headers=emptied)

    return RequestFault("no headers", rewrite, AT_ONCE)


def forgets_nonces(theatre: Theatre) -> None:
    theatre.server.world.nonce_window = timedelta(seconds=-1)


def forgets_the_deleted(theatre: Theatre) -> None:
    theatre.plant(replace(with_fields(), then=lambda: forgets_nonces(theatre)), DELETE)


@dataclass(frozen=True)
class Deviation:
    """`also` names the other checks that aren't as expected."""

    part: str
    says: str
    plant: Callable[[Theatre], object]
    also: frozenset[str] = frozenset()


def answered(
    part: str, says: str, fault: RequestFault, matching: Matching, *also: str, skip: int = 0, times: float = 1
) -> Deviation:
    return Deviation(part, says, lambda it: it.plant(fault, matching, skip=skip, times=times), frozenset(also))


BUTTON = {"type": 2, "id": 2, "style": 2, "label": "?", "custom_id": "?"}
BUTTONS = [{"type": 1, "id": 1, "components": [BUTTON]}]
TEXT = [{"type": 10, "id": 1, "content": "Rehearsed"}]
UNDATED = without_headers("Date")
LATE = request_fault.misdated(timedelta(minutes=-2))
NO_STARTER = changed(lambda history: history.pop())
OTHER_LAST = changed(lambda channel: channel.update(last_message_id="1") if "thread_metadata" in channel else None)
UNCOUNTED = changed(lambda message: message["poll"].pop("results"))
OTHER_QUESTION = changed(lambda message: message["poll"]["question"].update(text="?"))
NOT_FINAL = changed(lambda message: message.get("poll", {"results": {}})["results"].update(is_finalized=False))
OTHER_MESSAGE = changed(lambda thread: thread["message"].update(id="1"))
INVALID, FORBIDDEN = request_fault.refusal(400, 50035), request_fault.refusal(403, 50013)

DEVIATIONS = [
    answered("clock", r"clock is \+1\d\d s off", LATE, Matching("GET", ""), times=FOREVER),
    answered("clock", "answers have no `Date`", UNDATED, Matching("GET", "/users/@me")),
    answered("card", "texts differ: '## This week", changed(lambda it: it["components"][0].pop("components")), CARD),
    answered("card", "its flags are 0, without IS_COMPONENTS_V2", with_fields(flags=0), CARD, "card edit"),
    answered("card", "unexpected form", changed(lambda it: it.pop("flags")), CARD, "card edit"),
    answered("limits", "lacks x-ratelimit-limit, x-ratelimit-rem", without_headers("RateLimit"), CARD),
    Deviation("nonce", "two messages for one nonce", forgets_nonces, frozenset({"deleted"})),
    answered("embed", "texts differ: .* is missing", with_fields(embeds=[]), EMBED),
    answered("embed", "texts differ: .*'I finished it' is missing", with_fields(components=BUTTONS), EMBED),
    answered("ping", "counts as mentioned: ", with_fields(mention_roles=["1"]), PING),
    answered("custom ids", "they differ: 'weekbot:finished", in_each(components=BUTTONS), HISTORY),
    answered("custom ids", "is not in the channel's history", request_fault.emptied(), HISTORY),
    answered("look-up", "is not found by its custom id", request_fault.emptied(), HISTORY, skip=1),
    answered("thread", "types \\[0\\], not 21 and 0", NO_STARTER, HISTORY, skip=2),
    answered("thread", "refers to 1, not to the post", in_each(message_reference={"message_id": "1"}), HISTORY, skip=2),
    answered("thread", "names 1 as its last message", OTHER_LAST, CHANNEL, times=FOREVER),
    answered("pin", "not among the channel's pins", with_fields(items=[]), PINS),
    answered("following", "answered 403, code 50013", FORBIDDEN, FOLLOW, "follower", "card copy"),
    answered("publication", "without CROSSPOSTED", with_fields(flags=0), PUBLISH),
    answered("publication", "answered 400, code 50035", INVALID, PUBLISH, "follower"),
    answered("follower", "embeds differ: .* is missing", in_each(embeds=[]), HISTORY, skip=3),
    answered("follower", "gets the buttons", in_each(components=BUTTONS), HISTORY, skip=3),
    answered("card copy", "1 texts of a card, such as 'Rehearsed'", in_each(components=TEXT), HISTORY, skip=4),
    answered("card copy", "answered 400, code 50035", INVALID, PUBLISH, skip=1),
    answered("card edit", "without IS_COMPONENTS_V2", with_fields(flags=0), EDIT),
    answered("embed edit", "no edited_timestamp", with_fields(edited_timestamp=None), EDIT, skip=1),
    answered("poll", "does not have the poll's results", UNCOUNTED, READ),
    answered("poll", "its texts differ", OTHER_QUESTION, READ),
    answered("poll end", "results are not final", NOT_FINAL, READ, skip=1, times=FOREVER),
    answered("forum", "its first message 1", OTHER_MESSAGE, FORUM_POST),
    answered(
        "forum", "is not found", with_fields(threads=[]), ACTIVE, skip=1
    ),  # the first search is the one before the post
    answered("deleted", "is answered 400, code 50035", INVALID, DELETED, skip=1),
    Deviation("deleted", "makes a new message", forgets_the_deleted),
    answered("no channel", "answered 404", request_fault.refusal(404, 0), ELSEWHERE),
    answered("no channel", "answered 404", request_fault.html(404), ELSEWHERE),
    answered("no content", "answered 400, code 50035", INVALID, EMPTY),
]


@pytest.mark.long
@pytest.mark.parametrize("case", DEVIATIONS, ids=lambda case: f"{case.part}: {case.says[:30]}")
async def test_each_deviation_is_named_and_the_other_checks_continue(theatre: Theatre, case: Deviation) -> None:
    case.plant(theatre)
    report = await theatre.rehearse()
    assert re.search(case.says, report.other[case.part])
    assert report.results[case.part].result is Result.DEVIATES
    assert report.other.keys() == {case.part} | case.also
    assert isinstance(report.error, DeviationError)
    assert str(report.error).startswith("Deviations from what weekbot relies on: ")
    assert theatre.leftovers() == []


def test_every_check_has_a_deviation() -> None:
    assert {case.part for case in DEVIATIONS} == set(PARTS)


# Requests that fail

FAILING = {
    "card": CARD,
    "embed": EMBED,
    "ping": PING,
    "custom ids": HISTORY,
    "thread": THREAD,
    "pin": PIN,
    "following": FOLLOW,
    "publication": PUBLISH,
    "card edit": EDIT,
    "poll": POLL,
    "poll end": END,
    "forum": FORUM_POST,
    "deleted": DELETED,
    "no channel": ELSEWHERE,
    "no content": EMPTY,
}
LOST = "an error after it was carried out"
FAULTS = {
    "a cut after it was carried out": (request_fault.cut().carried_out(), 2),  # aiohttp retries some requests
    "half an answer": (request_fault.truncated(announced=True), 1),
    "a page": (request_fault.html(200).carried_out(), 1),
}


@pytest.mark.long
@pytest.mark.parametrize(("part", "fault"), [*product(FAILING, [LOST]), *product(["card"], FAULTS)])
async def test_a_failed_request_stops_no_other_check(theatre: Theatre, part: str, fault: str) -> None:
    planted, times = FAULTS.get(fault, (request_fault.html(502).carried_out(), 1))
    theatre.plant(planted, FAILING[part], times=times)
    report = await theatre.rehearse()
    assert report.results[part].result is Result.DEVIATES
    assert list(report.results) == PARTS
    assert theatre.leftovers() == []
    assert any(line.startswith("Everything") for line in report.lines)


async def test_a_rate_limit_stops_no_other_check(theatre: Theatre) -> None:
    theatre.plant(request_fault.rate_limit(1), HISTORY)
    report = await theatre.rehearse()
    assert report.other == {"custom ids": "Discord answered 429 (You are being rate limited.)"}
    assert theatre.leftovers() == []


async def test_a_request_without_a_response_times_out(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "ANSWER_SECONDS", 2)
    theatre.plant(request_fault.held(), EDIT)
    report = await theatre.rehearse()
    assert report.other == {"card edit": "Discord did not answer"}
    assert theatre.leftovers() == []


async def test_a_failed_post_is_not_retried(theatre: Theatre) -> None:
    theatre.plant(request_fault.html(502), CARD)
    report = await theatre.rehearse()
    assert report.parts(Result.NOT_TRIED) == {"limits", "nonce", "card copy", "card edit"}
    assert len([each for each in theatre.server.requests if CARD.matches(each.call)]) == 1


# Permissions

LACKING = {
    Permission.EMBED_LINKS: {"embed", "publication", "follower", "embed edit"},
    Permission.READ_MESSAGE_HISTORY: {"custom ids", "look-up", "thread", "pin", "poll", "poll end"},
    Permission.CREATE_PUBLIC_THREADS: {"thread"},
    Permission.SEND_MESSAGES_IN_THREADS: {"thread"},
    Permission.PIN_MESSAGES: {"pin"},
    Permission.SEND_POLLS: {"poll", "poll end"},
}


@pytest.mark.parametrize("permission", LACKING, ids=str)
async def test_a_check_without_its_permission_is_not_tried(theatre: Theatre, permission: Permission) -> None:
    theatre.channel.forbid(permission)
    report = await theatre.rehearse()
    assert set(report.other) == report.parts(Result.NOT_TRIED) == LACKING[permission]
    assert str(report.error).startswith(f"Not confirmed: {len(report.other)}. ")
    assert any(line.startswith("Missing in #test: ") for line in report.lines)
    assert theatre.leftovers() == []
    assert 403 not in {request.status for request in theatre.server.requests}


async def test_threads_that_cannot_be_deleted_are_listed_and_emptied(theatre: Theatre) -> None:
    theatre.guild.bot_role.permissions &= ~Permission.MANAGE_THREADS
    report = await theatre.rehearse()
    assert (report.other, report.error) == ({}, None)
    left = theatre.guild.threads.values()
    assert sorted(report.left) == sorted(
        f"https://discord.com/channels/{theatre.guild.id}/{thread.id}  a thread (missing: Manage Threads)"
        for thread in left
    )
    assert [message.kind for thread in left for message in thread.history()] == [THREAD_STARTER]
    assert theatre.leftovers() == list(left)
    assert {"Missing in #test: Manage Threads.", "Missing in #topics: Manage Threads."} <= set(report.lines)


@pytest.mark.parametrize("follows", [True, False])
async def test_without_manage_webhooks_an_existing_follower_is_used(theatre: Theatre, follows: bool) -> None:
    if follows:
        follower = Follower(theatre.other, User(theatre.server.world.snowflakes.next(), "news", bot=True))
        theatre.channel.followers.append(follower)
    theatre.other.forbid(Permission.MANAGE_WEBHOOKS)
    report = await theatre.rehearse()
    assert set(report.other) == report.parts(Result.NOT_TRIED) == ({"following"} if follows else FOLLOWING)
    assert len(theatre.channel.followers) == follows
    assert theatre.other.history() == []


async def test_copies_that_cannot_be_deleted_are_listed(theatre: Theatre) -> None:
    theatre.other.forbid(Permission.MANAGE_MESSAGES)
    report = await theatre.rehearse()
    assert report.other == {}
    assert {int(line.split()[0].rpartition("/")[2]) for line in report.left} == {
        copy.id for copy in theatre.other.history()
    }
    assert len(report.left) == 2
    assert theatre.leftovers() == theatre.other.history()


# Cleaning up


async def test_a_refused_deletion_is_listed(theatre: Theatre) -> None:
    theatre.plant(FORBIDDEN, DELETE, skip=1, times=FOREVER)
    report = await theatre.rehearse()
    messages = [each for channel in (theatre.channel, theatre.other) for each in channel.history()]
    assert len(messages) == len(report.left) == 9
    for message in messages:
        [line] = [line for line in report.left if f"{message.channel.id}/{message.id} " in line]
        assert line.endswith("(Discord answered 403, code 50013 (Made to fail))")
    assert report.error is None


async def test_messages_of_others_are_kept(theatre: Theatre) -> None:
    stranger, bot = theatre.guild.owner.user, theatre.server.world.bot
    before = [theatre.channel.post(author, {"content": "before"}) for author in (stranger, bot)]
    meanwhile: list[Message] = []

    def write() -> None:
        meanwhile.extend(theatre.channel.post(author, {"content": "meanwhile"}) for author in (stranger, bot))

    theatre.plant(replace(with_fields(), then=write), PING)
    await theatre.rehearse()
    assert len(meanwhile) == 2
    assert theatre.leftovers() == [*before, *meanwhile]


async def test_a_long_history_is_searched_page_by_page(theatre: Theatre) -> None:
    def write() -> None:
        for number in range(250):
            theatre.channel.post(theatre.guild.owner.user, {"content": str(number)})

    theatre.plant(replace(request_fault.html(502).carried_out(), then=write), POLL)
    report = await theatre.rehearse()
    assert set(report.other) == {"poll", "poll end"}
    assert len(theatre.leftovers()) == 250


async def test_the_cleanup_waits_for_a_rate_limit(theatre: Theatre) -> None:
    theatre.plant(request_fault.rate_limit(1), DELETE, skip=2)
    report = await theatre.rehearse()
    assert (report.left, theatre.leftovers()) == ([], [])


async def test_an_empty_object_is_not_an_empty_history(theatre: Theatre) -> None:
    theatre.plant(request_fault.rewritten("emptied", lambda _: {}), HISTORY, skip=5, times=FOREVER)
    report = await theatre.rehearse()
    assert "possibly more (an answer has an unexpected form (ValueError at errors.py" in report.left[0]


async def test_known_items_are_deleted_even_if_the_history_cannot_be_read(theatre: Theatre) -> None:
    theatre.plant(request_fault.html(502), HISTORY, skip=5, times=FOREVER)
    report = await theatre.rehearse()
    assert report.other == {}
    assert {message.kind for message in theatre.channel.history()} == {PIN_NOTICE, POLL_RESULT}
    assert report.left[0].endswith("possibly more (Discord answered 502)")


# The file


async def test_the_file_has_each_raw_response_and_each_result(theatre: Theatre) -> None:
    theatre.plant(with_fields(flags=0), EDIT)
    report = await theatre.rehearse()
    assert report.raw[0].keys() == {"weekbot", "discord.py", "aiohttp"}
    found = {line["part"]: line for line in report.raw if "result" in line}
    assert {part: line["sentence"] for part, line in found.items()} == {
        part: result.sentence for part, result in report.results.items()
    }
    [edit] = report.answers("card edit")
    assert (edit["method"], edit["status"], edit["answer"]["flags"]) == ("PATCH", 200, 0)
    assert edit["sent"]["components"]
    assert {"date", "content-type", "x-ratelimit-bucket"} <= edit["headers"].keys()
    assert len([line for line in report.raw if "method" in line]) == len(theatre.server.requests)
    assert oct(Path("weekbot-rehearsal-2026-11-23.jsonl").stat().st_mode)[-3:] == "600"  # noqa: ASYNC240


async def test_the_file_has_neither_secrets_nor_messages_of_others(
    theatre: Theatre, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "discord.http")  # which logs the planted token
    theatre.server.world.application = replace(theatre.server.world.application, owner=User(5, "operator"))
    theatre.guild.owner.user = User(6, "stranger")
    theatre.plant(replace(with_fields(), then=lambda: write_as_stranger(theatre)), PING)
    theatre.plant(with_fields(content=f"Bot {theatre.server.token}"), CARD)
    await theatre.rehearse()
    text = "".join(json.dumps(line) for line in read_raw())
    assert "***" in text
    for secret in ("operator", "stranger", "private", theatre.server.token, '"hoist"'):
        assert secret not in text


def write_as_stranger(theatre: Theatre) -> None:
    stranger = User(6, "stranger")
    theatre.channel.post(stranger, {"content": "private"})
    Thread.open(theatre.forum, stranger, theatre.server.world.snowflakes.next(), {"name": "private"}).publish()


async def test_a_second_rehearsal_on_the_same_day_has_its_own_file(theatre: Theatre) -> None:
    await theatre.rehearse(follow=False)
    await theatre.rehearse(follow=False)
    assert files() == ["weekbot-rehearsal-2026-11-23-2.jsonl", "weekbot-rehearsal-2026-11-23.jsonl"]


# On the command line


async def run(theatre: Theatre, *arguments: str, **environment: str) -> tuple[str, WeekbotError | None]:
    """Return the output and the error. The command runs in a thread, as this one serves Discord."""
    shown = {"WEEKBOT_CONTENT_DIR": str(CONTENT), "WEEKBOT_DATABASE_URL": NO_DATABASE}
    shown |= {"WEEKBOT_DISCORD_API_URL": theatre.server.api_url, "WEEKBOT_DISCORD_TOKEN": theatre.server.token}
    shown |= {"WEEKBOT_REQUESTS_PER_SECOND": "10000"}
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["rehearse", *arguments], env=shown | environment)
    assert result.exception is None or isinstance(result.exception, WeekbotError), result.exception
    return result.output, result.exception


NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
NO_TOKEN = "Discord does not accept WEEKBOT_DISCORD_TOKEN. Get a new one at https://"
NOBODY = "http://127.0.0.1:1/api/v10"
NO_CHANNEL = "weekbot can't see channel 5: the channel is gone. Check the ID"


@pytest.fixture
def live_theatre(theatre: Theatre) -> Theatre:
    """Give Discord the machine's clock, which the command uses."""
    theatre.server.world.clock = SystemClock().now
    return theatre


async def test_a_clean_rehearsal_prints_one_line_for_each_check(live_theatre: Theatre) -> None:
    output, error = await run(live_theatre, str(live_theatre.channel.id), "--follow", str(live_theatre.other.id))
    lines = output.splitlines()
    assert (error, len(lines)) == (None, len(PARTS) + 4), output
    assert lines[1] == "✓ as expected    clock           this machine's clock agrees with Discord's"
    assert live_theatre.leftovers() == []


async def test_a_deviation_is_an_error(live_theatre: Theatre) -> None:
    live_theatre.plant(with_fields(flags=0), PUBLISH)
    output, error = await run(live_theatre, str(live_theatre.channel.id), "--output", "raw.jsonl")
    assert "✗ deviates       publication     published, with the flags 0, without CROSSPOSTED" in output.splitlines()
    assert str(error).startswith("Deviations from what weekbot relies on: 1. Send raw.jsonl to")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, NO_CHANNEL),
        ({"WEEKBOT_DISCORD_TOKEN": "wrong"}, NO_TOKEN),
        ({"WEEKBOT_DISCORD_TOKEN": ""}, "WEEKBOT_DISCORD_TOKEN is not set. Get a token at https://"),
        ({"WEEKBOT_DISCORD_API_URL": NOBODY}, "weekbot cannot log in to Discord: Discord cannot be reached. Check the"),
        ({"WEEKBOT_CONTENT_DIR": "nowhere"}, "nowhere:1:1: no topics here"),
    ],
)
async def test_a_failed_start_is_one_sentence(theatre: Theatre, environment: dict[str, str], says: str) -> None:
    output, error = await run(theatre, "5", **environment)
    assert str(error).startswith(says)
    assert (output, files(), theatre.leftovers()) == ("", [], [])


def test_an_error_exits_with_1_and_without_a_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "weekbot", "rehearse", "5"],
        env={"PATH": os.environ["PATH"], "WEEKBOT_DISCORD_TOKEN": "wrong", "WEEKBOT_DISCORD_API_URL": NOBODY},
        capture_output=True,
        check=False,
        text=True,
    )
    says = (
        "weekbot cannot log in to Discord: Discord cannot be reached. Check the network and WEEKBOT_DISCORD_API_URL.\n"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", says)


async def test_nothing_is_posted_in_unusable_channels(theatre: Theatre) -> None:
    text, closed = theatre.guild.add_text_channel("text"), theatre.guild.add_announcement_channel("closed")
    closed.forbid(Permission.SEND_MESSAGES)
    errors = [
        (await theatre.rehearse(follow=follow, channel=channel)).error
        for channel, follow in ((text, True), (closed, False), (theatre.forum, False))
    ]
    assert [str(error) for error in errors] == [
        "--follow needs an announcement channel to publish in; #text is a text channel.",
        "weekbot is missing Send Messages in #closed. Change that in the channel's settings.",
        f"{theatre.forum.id} is a different kind of channel (forum). Choose a text channel or an announcement channel.",
    ]
    assert (files(), theatre.leftovers(), text.history(), closed.history()) == ([], [], [], [])


async def test_nothing_is_posted_unless_the_file_can_be_written(theatre: Theatre) -> None:
    Path("taken").write_text("mine")  # noqa: ASYNC240
    for name, says in {"taken": "taken already exists", "missing/raw": "missing/raw cannot be written: "}.items():
        request = Request(theatre.channel.id, output=Path(name))
        with pytest.raises(WeekbotError, match=says):
            await rehearse(theatre.settings, request, theatre.clock, print)
    assert (Path("taken").read_text(), theatre.leftovers()) == ("mine", [])  # noqa: ASYNC240


async def test_a_stopped_rehearsal_cleans_up(theatre: Theatre) -> None:
    report = Report()

    def stop(item: CheckResult | str) -> None:
        report.add(item)
        if isinstance(item, CheckResult) and item.part == "pin":
            assert theatre.leftovers()
            asyncio.current_task().cancel()  # type: ignore[union-attr]

    with pytest.raises(StoppedError):
        await rehearse(theatre.settings, Request(theatre.channel.id), theatre.clock, stop)
    assert "Everything it made is deleted." in report.lines
    assert theatre.leftovers() == []
