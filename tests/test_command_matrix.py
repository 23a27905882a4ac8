"""Every command in every situation: rightly and wrongly used, by whom, twice, after a restart, of changed content."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import discord
import pytest
import simcord
from simcord.backend import serializers

from fakes import FakeClock
from matrix import (
    MANAGE_SERVER_NEEDED,
    NOT_SUBSCRIBED,
    Given,
    answered_once,
    assert_says,
    cell,
    finished,
    nothing,
    paused,
    posted,
    remove,
    remove_track,
    rename,
    state,
    subscribed,
)
from simulation import Answer, Simulation
from weekbot.content.library import Library


@pytest.fixture
async def simulation(
    tmp_path: Path, clock: FakeClock, library: Library, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Simulation]:
    async with cell(tmp_path, clock, library, caplog) as simulation:
        yield simulation


@dataclass(frozen=True)
class Use:
    """A command as somebody uses it, and what it says: the moderator uses `/weekly`, the plain member all the others.

    An option that is a function takes its value from the simulation. `again` is what it says to the same use
    thereafter, where that is something else.
    """

    command: str
    says: str
    options: dict[str, Any] = field(default_factory=dict)
    given: Given = subscribed
    private: bool = True
    again: str | None = None

    def __str__(self) -> str:
        return " ".join(["/" + self.command, *self.options])

    async def __call__(self, simulation: Simulation, **by: Any) -> Answer:
        options = {name: each(simulation) if callable(each) else each for name, each in self.options.items()}
        who = simulation.moderator if self.is_moderators else simulation.member
        with answered_once(simulation):
            return await simulation.slash(self.command, **{"by": who} | options | by)

    @property
    def is_moderators(self) -> bool:
        return self.command.startswith("weekly ")


# What options can be, and what a channel can be like


other, news, forum = map(attrgetter, ("other", "news", "forum"))
staff, everyone = attrgetter("staff"), attrgetter("guild.default_role")


async def followable(simulation: Simulation) -> None:
    """The operator has a home channel that others can follow."""
    await simulation.restart(home_channel_id=simulation.news.id)


def locked(simulation: Simulation) -> simcord.ChannelHandle:
    """A channel in which the bot may next to nothing."""
    user = cast("discord.ClientUser", simulation.env.bot.user)
    forbidden = discord.PermissionOverwrite(send_messages=False, mention_everyone=False, manage_webhooks=False)
    return simulation.guild.create_text_channel("locked", overwrites={user: forbidden})


async def chosen(simulation: Simulation) -> None:
    """A moderator has chosen Robot Framework for the next post."""
    await subscribed(simulation)
    await simulation.slash("weekly next", topic="robot framework")


async def posted_before(simulation: Simulation) -> None:
    """The channel had Flask two minutes ago."""
    await posted(simulation)
    simulation.clock.move(minutes=2)


async def started_with_django(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web", start="django")


# Rightly used, and again


RIGHT = [
    Use("framework", "## Flask\n", {"name": "flask"}, private=False),
    Use("compare", "## Flask or Django", {"first": "flask", "second": "django"}, private=False),
    Use("topic current", "This week's topic here: [Flask](", given=posted, private=False),
    Use("topic list", "**Flask**", {"track": "web"}),
    Use("topic show", "## NumPy\n", {"name": "numpy"}, private=False),
    Use("topic random", "## ", private=False),
    Use("progress", "Last finished: Flask.", given=finished),
    Use("privacy export", "all data stored about you", given=finished),
    Use("privacy delete", "Delete everything?", given=finished),
    Use("help", "`/framework` looks up a framework"),
    Use("weekly subscribe", "gets a topic each week", {"track": "web"}, given=nothing, again="Changed. "),
    Use("weekly unsubscribe", "gets no more weekly topics", again="already has no weekly topic"),
    Use("weekly preview", "This week: Flask"),
    Use("weekly pause", "is paused; no topic is lost", again="is already paused"),
    Use("weekly resume", ">: **Flask**", given=paused, again="isn't paused. Next: **Flask**"),
    Use("weekly skip", "Skipped **Flask** in this round.", again="I already skipped **Flask**"),
    Use("weekly post", "Posted [Flask](", again="I already posted [Flask]("),
    Use("weekly next", ">: **NumPy**", {"topic": "numpy"}),
    Use("weekly reset", "Reset. ", {"option": "next"}, given=chosen, again="There was nothing to reset. "),
    Use("weekly status", "Next: **Flask**"),
    Use("weekly settings", "**Asia/Tokyo**", {"timezone": "Asia/Tokyo"}),
    Use(
        "weekly follow",
        "now follows weekbot's own channel: ",
        given=followable,
        again="already follows weekbot's own",
    ),
]


def named(uses: list[Use]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("use", uses, ids=str)


@pytest.fixture
def followers_of_simcord(monkeypatch: pytest.MonkeyPatch) -> None:
    """SimCord makes a follower's webhook as Discord does, but then shows it as one of another kind."""
    shown = serializers.webhook_payload

    def as_follower(backend: Any, webhook: Any, **how: Any) -> dict[str, Any]:
        [source] = [each for each in backend.channels.values() if each.name == webhook.name]
        place = {"source_channel": {"id": str(source.id), "name": source.name}}
        return shown(backend, webhook, **how) | {"type": discord.WebhookType.channel_follower.value} | place

    monkeypatch.setattr(serializers, "webhook_payload", as_follower)


@named(RIGHT)
@pytest.mark.usefixtures("followers_of_simcord")
async def test_a_command_says_what_it_did_and_the_second_time_what_it_did_then(
    simulation: Simulation, use: Use
) -> None:
    await use.given(simulation)
    assert_says(await use(simulation), use.says, private=use.private)
    assert_says(await use(simulation), use.again or use.says, private=use.private)


async def test_every_command_does_the_same_after_a_restart(simulation: Simulation) -> None:
    uses = [use for use in RIGHT if use.given is not followable]  # which is after a restart as it is
    places = [(use, simulation.elsewhere()) for use in uses]
    for use, place in places:
        await use.given(place)
    await simulation.restart()
    for use, place in places:
        assert_says(await use(place), use.says, private=use.private)


# Who may


MODERATORS = [use for use in RIGHT if use.is_moderators]


@named(MODERATORS)
async def test_a_plain_member_is_not_offered_it_and_refused_kindly_where_the_server_offers_it_all_the_same(
    simulation: Simulation, use: Use
) -> None:
    await use.given(simulation)
    with pytest.raises(simcord.SetupError, match="default-member-permissions"):
        await use(simulation, by=simulation.member)
    [weekly] = [each for each in await simulation.app.registration.tree.fetch_commands() if each.name == "weekly"]
    simulation.guild.set_command_permissions(weekly, {simulation.member: True})
    before = await state(simulation)
    assert_says(await use(simulation, by=simulation.member), MANAGE_SERVER_NEEDED)
    assert await state(simulation) == before
    assert {type(error) for error in simulation.env.errors} == {discord.app_commands.MissingPermissions}


# Wrongly used


WRONG = [  # the first option is the wrong one
    Use("framework", "Did you mean:", {"name": "djnago"}),
    Use(
        "framework",
        "doesn't have that section. Choose one of ",
        {"section": "first_steps", "name": "what is a framework"},
    ),
    Use("compare", "Did you mean `django`", {"first": "djnago", "second": "flask"}),
    Use("compare", "Choose two different topics.", {"second": "pallets flask", "first": "flask"}),
    Use("topic list", "There is no track `knitting`. Choose one of these: ", {"track": "knitting"}),
    Use("topic show", "`/topic list` shows them all.", {"name": "qqqqqqqqqq"}),
    Use("weekly subscribe", "There is no track `knitting`. Choose one of these: ", {"track": "knitting"}),
    Use("weekly subscribe", "`25:99` isn't a valid time. Use HH:MM, for example `09:00`", {"time": "25:99"}),
    Use("weekly subscribe", "I don't know that time zone", {"timezone": "Mars/Olympus"}),
    Use("weekly subscribe", "I don't ping everyone.", {"ping": everyone}),
    Use("weekly subscribe", "I'm not allowed to ping", {"ping": staff, "channel": locked}),
    Use("weekly subscribe", "I need Send Messages", {"channel": locked}),
    Use(
        "weekly subscribe",
        "Posts there are threads themselves",
        {"thread": True, "channel": forum},
    ),
    Use("weekly subscribe", "are not pinned. Leave that option out here.", {"pin": True, "channel": forum}),
    Use("weekly subscribe", "can be published. Leave that option out here.", {"publish": True}),
    Use("weekly subscribe", "Did you mean `django`", {"start": "djnago"}),
    Use("weekly subscribe", "`numpy` isn't in the track", {"start": "numpy"}),
    Use("weekly unsubscribe", NOT_SUBSCRIBED, {"channel": other}),
    Use("weekly preview", NOT_SUBSCRIBED, {"channel": other}),
    Use("weekly pause", NOT_SUBSCRIBED, {"channel": other}),
    Use("weekly resume", NOT_SUBSCRIBED, {"channel": other}),
    Use("weekly skip", NOT_SUBSCRIBED, {"channel": other}),
    Use("weekly post", NOT_SUBSCRIBED, {"channel": other}),
    Use("weekly next", NOT_SUBSCRIBED, {"channel": other, "topic": "flask"}),
    Use("weekly reset", NOT_SUBSCRIBED, {"channel": other, "option": "ping"}),
    Use("weekly next", "Did you mean `django`", {"topic": "djnago"}),
    Use("weekly settings", "I don't know that time zone", {"timezone": "Mars/Olympus", "notices": other}),
    Use("weekly settings", "Give me View Channel and Send Messages there", {"notices": locked}),
    Use("weekly follow", "Only a text channel can follow.", {"channel": news}, given=followable),
    Use("weekly follow", "I need Manage Webhooks", {"channel": locked}, given=followable),
]
NEVER_WRONG = {
    ("framework", "private"),
    ("weekly subscribe", "day"),
    ("weekly reset", "option"),
}  # Discord takes nothing else than what is right


@named(WRONG)
async def test_a_wrong_option_is_told_kindly_and_changes_nothing(simulation: Simulation, use: Use) -> None:
    await use.given(simulation)
    before = await state(simulation), (await simulation.slash("weekly settings")).text
    assert_says(await use(simulation), use.says)
    assert (await state(simulation), (await simulation.slash("weekly settings")).text) == before


# Of a topic that has changed since


RENAMED = [
    Use("framework", "## Jug\n", {"name": "flask"}, private=False),
    Use("compare", "## Jug or Django", {"first": "flask", "second": "django"}, private=False),
    Use("topic current", "This week's topic here: [Jug](", given=posted, private=False),
    Use("topic current", "**Jug**", private=False),
    Use("topic list", "1. **Jug**", {"track": "web"}),
    Use("topic show", "## Jug\n", {"name": "Flask"}, private=False),
    Use("progress", "Last finished: Jug.", given=finished),
    Use("privacy export", "all data stored about you", given=finished),
    Use("privacy delete", "Delete everything?", given=finished),
    Use("weekly subscribe", "**Jug**", {"start": "flask"}, given=nothing),
    Use("weekly preview", "This week: Jug"),
    Use("weekly preview", "This week: Django", given=posted),
    Use("weekly pause", "continues with **Jug**"),
    Use("weekly resume", ">: **Jug**", given=paused),
    Use("weekly reset", "Reset. ", {"option": "next"}, given=chosen),
    Use("weekly skip", "Skipped **Jug** in this round."),
    Use("weekly post", "Posted [Jug]("),
    Use("weekly post", "Posted [Django](", given=posted_before),
    Use("weekly next", ">: **Jug**", {"topic": "flask"}),
    Use("weekly status", "Next: **Jug**"),
    Use("weekly status", "Last: [Jug](", given=posted),
]
REMOVED = [
    Use("framework", "There is no topic called `flask`.", {"name": "flask"}),
    Use("compare", "There is no topic called `flask`.", {"first": "flask", "second": "django"}),
    Use("topic current", "This week's topic here: [flask](", given=posted, private=False),
    Use("topic current", "**Django**", private=False),
    Use("topic list", "1. **Django**", {"track": "web"}),
    Use("topic show", "There is no topic called `Flask`.", {"name": "Flask"}),
    Use("progress", "Nothing finished yet.", given=finished),
    Use("privacy export", "all data stored about you", given=finished),
    Use("privacy delete", "Delete everything?", given=finished),
    Use("weekly subscribe", "There is no topic called `flask`.", {"start": "flask"}, given=nothing),
    Use("weekly preview", "This week: Django"),
    Use("weekly pause", "continues with **Django**"),
    Use("weekly resume", ">: **Django**", given=paused),
    Use("weekly reset", "Next: **Django**", {"option": "next"}, given=chosen),
    Use("weekly skip", "Skipped **Django** in this round."),
    Use("weekly post", "Posted [Django]("),
    Use("weekly next", "There is no topic called `flask`.", {"topic": "flask"}),
    Use("weekly status", "Next: **Django**"),
    Use("weekly status", "Last: [flask](", given=posted),
]
NO_MATTER = {  # takes and shows none
    *("topic random", "help", "weekly unsubscribe", "weekly settings", "weekly follow"),
}


@named(RENAMED)
async def test_a_renamed_topic_is_reached_by_its_old_name_and_shown_by_its_new_one(
    simulation: Simulation, use: Use
) -> None:
    await use.given(simulation)
    rename(simulation, "flask", "Jug")
    assert_says(await use(simulation), use.says, private=use.private)


@named(REMOVED)
async def test_a_removed_topic_is_missed_kindly_and_the_next_one_takes_its_place(
    simulation: Simulation, use: Use
) -> None:
    await use.given(simulation)
    remove(simulation, "flask")
    assert_says(await use(simulation), use.says, private=use.private)


async def test_a_choice_outlives_a_new_name_and_gives_way_when_its_topic_leaves(simulation: Simulation) -> None:
    await chosen(simulation)
    rename(simulation, "robot-framework", "Robot")
    assert "Next: **Robot**" in (await simulation.slash("weekly status")).text
    remove(simulation, "robot")
    assert "Next: **Flask**" in (await simulation.slash("weekly status")).text


async def test_a_channel_begins_where_it_was_told_also_after_that_topic_was_renamed(simulation: Simulation) -> None:
    await started_with_django(simulation)
    rename(simulation, "django", "Reinhardt")
    assert "Next: **Reinhardt**" in (await simulation.slash("weekly status")).text
    assert_says(await simulation.slash("weekly subscribe", pin=True), "Changed. ")
    await simulation.slash("weekly post")
    assert "Next: **WSGI and ASGI**" in (await simulation.slash("weekly status")).text


async def test_a_post_on_its_way_comes_under_its_topics_new_name(simulation: Simulation) -> None:
    await subscribed(simulation)
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    await simulation.slash("weekly post")
    rename(simulation, "flask", "Jug")
    await simulation.deliver()
    text = (await simulation.slash("weekly status")).text
    assert "Last: [Jug](" in text
    assert "Next: **Django**" in text


async def test_a_channel_whose_first_topic_has_left_can_still_be_changed(simulation: Simulation) -> None:
    await started_with_django(simulation)
    remove(simulation, "django")
    assert_says(await simulation.slash("weekly subscribe", pin=True), "Changed. ")


TRACK_REMOVED = [
    Use("topic list", "There is no track `web`. Choose one of these: ", {"track": "web"}),
    Use("weekly subscribe", "There is no track `web`. Choose one of these: ", {"track": "web"}),
    Use("weekly subscribe", "Changed. ", {"day": 3}),
    Use("weekly status", "Next: **How to use these weeks**"),
    Use("weekly post", "Posted [How to use these weeks]("),
    Use("progress", "Last finished: Flask.", given=finished),
]


@named(TRACK_REMOVED)
async def test_without_its_track_a_channel_goes_on_with_everything(simulation: Simulation, use: Use) -> None:
    await use.given(simulation)
    remove_track(simulation, "web")
    assert_says(await use(simulation), use.says)


# Nothing is left out


def commands(simulation: Simulation) -> Iterator[discord.app_commands.Command[Any, ..., Any]]:
    for command in simulation.app.registration.tree.walk_commands():
        if isinstance(command, discord.app_commands.Command):
            yield command


async def test_every_command_and_every_option_has_its_cells(simulation: Simulation) -> None:
    await followable(simulation)
    found = {command.qualified_name: {each.name for each in command.parameters} for command in commands(simulation)}
    assert [use.command for use in RIGHT] == list(dict.fromkeys(use.command for use in RIGHT))
    assert {use.command for use in RIGHT} == set(found)
    assert {use.command for use in RENAMED} == {use.command for use in REMOVED} == set(found) - NO_MATTER
    options = {(command, option) for command, options in found.items() for option in options}
    assert {(use.command, next(iter(use.options))) for use in WRONG} == options - NEVER_WRONG
