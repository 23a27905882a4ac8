"""Helpers of the command and button matrices: one response per use, button presses, and changed content."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import discord
import pytest
from simcord import HttpLogEntry, InteractionResult, MemberActor
from simcord.backend import serializers
from simcord.interactions import base_payload

from discord_server.component import walk
from fakes import FakeClock
from simulation import CONTENT, Answer, Simulation, simulated
from weekbot.content.library import Library
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.content.model import Topic
from weekbot.content.tracks import Track

Payload: TypeAlias = dict[str, Any]
Given: TypeAlias = Callable[[Simulation], Awaitable[object]]
"""Sets up the initial state of a cell."""

MANAGE_SERVER_NEEDED = "You need the **Manage Server** permission for this."
GONE = "This topic is no longer available. `/topic list` shows the topics that are."
NOT_SUBSCRIBED = "This channel has no weekly topic. `/weekly subscribe` starts one."
DEFERRED = {
    discord.InteractionResponseType.deferred_channel_message,
    discord.InteractionResponseType.deferred_message_update,
}
INTERACTION_PATH = re.compile(r".*/(?:interactions|webhooks)/\d+/(?P<token>[^/]+)")


@asynccontextmanager
async def cell(
    folder: Path, clock: FakeClock, library: Library, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Simulation]:
    """Run a simulation in which no error may be logged, expected or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weekbot.app.LINGER", timedelta())  # there is nothing else to record in the same batch
        async with simulated(folder, clock, LiveLibrary(CONTENT, lambda _: library)) as simulation:
            yield simulation
    assert [each.getMessage() for each in caplog.get_records("call") if each.levelno >= logging.ERROR] == []


# Initial states of cells


async def nothing(_: Simulation) -> None:
    pass


async def subscribed(simulation: Simulation) -> None:
    """Subscribe the channel: Flask is next, then Django."""
    await simulation.slash("weekly subscribe", track="web")


async def paused(simulation: Simulation) -> None:
    await subscribed(simulation)
    await simulation.slash("weekly pause")


async def posted(simulation: Simulation) -> discord.Message:
    """Post Flask in the channel."""
    await subscribed(simulation)
    await simulation.slash("weekly post")
    [post] = simulation.posts()
    return post


async def finished(simulation: Simulation) -> Answer:
    """Post Flask, and let the member finish it."""
    return await simulation.click(await posted(simulation), label="I finished it")


async def state(simulation: Simulation) -> tuple[object, ...]:
    """Return everything that a use could change: the subscription, the next topic, the posts, the member's data."""
    repositories = simulation.app.repositories
    found = await repositories.subscriptions.of_channel(simulation.text.id)
    channel = (found.active, found.paused, (await simulation.upcoming_topic(found)).slug) if found else None
    kept = [(row.topic, row.finished_at, row.quiz_right) for row in await repositories.members.of(simulation.member.id)]
    return channel, len(simulation.posts()), kept


# One response


@contextmanager
def answered_once(simulation: Simulation, uses: int = 1) -> Iterator[None]:
    """Check that each of `uses` commands or components is acknowledged and answered exactly once."""
    before = len(simulation.env.http_requests)
    yield
    answers: dict[str, list[HttpLogEntry]] = {}
    for request in simulation.env.http_requests[before:]:
        if match := INTERACTION_PATH.match(request.path):
            answers.setdefault(match["token"], []).append(request)
    assert len(answers) == uses
    for callback, *later in answers.values():
        assert callback.path.endswith("/callback")
        kind = discord.InteractionResponseType(callback.json["type"]) if callback.json else None
        assert len(later) == (kind in DEFERRED)


def assert_says(answer: Answer, expected: str, *, private: bool = True) -> None:
    assert expected in answer.text
    assert "Something went wrong" not in answer.text
    assert answer.private is private


# Presses


def current_payload(simulation: Simulation, message: Answer | discord.Message) -> Payload:
    """Return the message as it is now, which Discord sends with a press."""
    target = message.message.message if isinstance(message, Answer) else message
    backend = simulation.env.backend
    return dict(serializers.message_payload(backend, backend.get_message(target.channel.id, target.id)))


def pressable(message: Payload, label: str) -> Payload:
    """Return the interaction data of the button with this label, or of the select menu with this option chosen."""
    for part in walk(message["components"]):
        if part.get("label") == label and "custom_id" in part:
            return {"custom_id": part["custom_id"], "component_type": part["type"]}
        if label in [option["value"] for option in part.get("options", [])]:
            return {"custom_id": part["custom_id"], "component_type": part["type"], "values": [label]}
    raise AssertionError(f"no button or option {label}")


async def press(
    simulation: Simulation, message: Payload, data: Payload, by: MemberActor, times: int = 1
) -> Sequence[Answer]:
    """Press a button of a message as it was, `times` times before the first response.

    SimCord's own `click` can't simulate a double click or an outdated message: it waits for each response, and uses
    the message as it is now.
    """
    backend, records = simulation.env.backend, []
    with answered_once(simulation, times):
        for _ in range(times):
            record, payload = base_payload(
                backend,
                type=discord.InteractionType.component.value,
                channel_id=int(message["channel_id"]),
                guild_id=simulation.guild.id,
                user_id=by.id,
                data=data,
            )
            record.source_message_id = int(message["id"])
            backend.emit("INTERACTION_CREATE", payload | {"message": message})
            records.append(record)
        await simulation.env.settle()
    return [Answer(InteractionResult(simulation.env, record)) for record in records]


# Changed content


def rename(simulation: Simulation, slug: str, title: str) -> None:
    """Rename a topic, and keep its old name as an alias."""
    topic = simulation.app.live.current.topics[slug]
    aliases = (*topic.aliases, topic.slug)
    _replace(simulation, slug, topic.model_copy(update={"slug": title.lower(), "title": title, "aliases": aliases}))


def remove(simulation: Simulation, slug: str) -> None:
    """Remove a topic from the content."""
    _replace(simulation, slug)


def remove_track(simulation: Simulation, slug: str) -> None:
    library = simulation.app.live.current
    tracks = [track for track in library.tracks.values() if track.slug != slug]
    simulation.app.live.current = Library(library.topics.values(), tracks)


def _replace(simulation: Simulation, slug: str, *by: Topic) -> None:
    library, new = simulation.app.live.current, {slug: tuple(topic.slug for topic in by)}

    def changed(slugs: Sequence[str]) -> tuple[str, ...]:
        return tuple(each for old in slugs for each in new.get(old, (old,)))

    def related(topic: Topic) -> Topic:
        return topic.model_copy(update={"related": changed(topic.related)})

    def listed(track: Track) -> Track:
        return track.model_copy(update={"topics": changed(track.topics)})

    topics = [topic for old in library.topics.values() for topic in (by if old.slug == slug else (old,))]
    simulation.app.live.current = Library(map(related, topics), map(listed, library.tracks.values()))
