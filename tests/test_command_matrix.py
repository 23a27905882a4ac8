"""Every command: valid and invalid use, by members and moderators, twice, after a restart, with changed content."""

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
    """A use of a command, and the expected response: the moderator uses `/weekly`, the plain member all others.

    A function as an option's value is called with the simulation. `again` is the expected response to the same use
    afterwards. Default: `says`.
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
        user = simulation.moderator if self.for_moderators else simulation.member
        with answered_once(simulation):
            return await simulation.slash(self.command, **{"by": user} | options | by)

    @property
    def for_moderators(self) -> bool:
        return self.command.startswith("weekly ")


# Option values, and initial states


other, news, forum = map(attrgetter, ("other", "news", "forum"))
staff, everyone = attrgetter("staff"), attrgetter("guild.default_role")


async def followable(simulation: Simulation) -> None:
    """Configure a home channel that others can follow."""
    await simulation.restart(home_channel_id=simulation.news.id)


def locked(simulation: Simulation) -> simcord.ChannelHandle:
    """Create a channel in which the bot has almost no permissions."""
    user = cast("discord.ClientUser", simulation.env.bot.user)
    forbidden = discord.PermissionOverwrite(send_messages=False, mention_everyone=False, manage_webhooks=False)
    return simulation.guild.create_text_channel("locked", overwrites={user: forbidden})


async def chosen(simulation: Simulation) -> None:
    """Choose Robot Framework for the next post."""
    await subscribed(simulation)
    await simulation.slash("weekly next", topic="robot framework")


async def posted_before(simulation: Simulation) -> None:
    """Post Flask two minutes ago."""
    await posted(simulation)
    simulation.clock.move(minutes=2)


async def started_with_django(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web", start="django")


# Valid use, once and twice


VALID = [
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


def each_use(uses: list[Use]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("use", uses, ids=str)


@pytest.fixture
def fix_follower_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Correct the type of a follower's webhook, which SimCord returns wrongly."""
    original = serializers.webhook_payload

    def follower_payload(backend: Any, webhook: Any, **options: Any) -> dict[str, Any]:
        [source] = [each for each in backend.channels.values() if each.name == webhook.name]
        origin = {"source_channel": {"id": str(source.id), "name": source.name}}
        return original(backend, webhook, **options) | {"type": discord.WebhookType.channel_follower.value} | origin

    monkeypatch.setattr(serializers, "webhook_payload", follower_payload)


@each_use(VALID)
@pytest.mark.usefixtures("fix_follower_webhooks")
async def test_a_command_reports_its_effect_at_the_first_and_second_use(simulation: Simulation, use: Use) -> None:
    await use.given(simulation)
    assert_says(await use(simulation), use.says, private=use.private)
    assert_says(await use(simulation), use.again or use.says, private=use.private)


async def test_every_command_works_after_a_restart(simulation: Simulation) -> None:
    uses = [use for use in VALID if use.given is not followable]  # it restarts the bot itself
    places = [(use, simulation.another_server()) for use in uses]
    for use, place in places:
        await use.given(place)
    await simulation.restart()
    for use, place in places:
        assert_says(await use(place), use.says, private=use.private)


# Permissions


MODERATORS = [use for use in VALID if use.for_moderators]


@each_use(MODERATORS)
async def test_a_plain_member_may_not_use_moderators_commands_even_if_the_server_shows_them(
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


# Invalid use


INVALID = [  # the first option is the invalid one
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
ALWAYS_VALID = {
    ("framework", "private"),
    ("weekly subscribe", "day"),
    ("weekly reset", "option"),
}  # Discord accepts only valid values


@each_use(INVALID)
async def test_an_invalid_option_is_explained_and_changes_nothing(simulation: Simulation, use: Use) -> None:
    await use.given(simulation)
    before = await state(simulation), (await simulation.slash("weekly settings")).text
    assert_says(await use(simulation), use.says)
    assert (await state(simulation), (await simulation.slash("weekly settings")).text) == before


# Changed topics


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
WITHOUT_TOPIC = {  # neither take nor show a topic
    *("topic random", "help", "weekly unsubscribe", "weekly settings", "weekly follow"),
}


@each_use(RENAMED)
async def test_a_renamed_topic_is_found_by_its_old_name_and_shown_with_its_new_one(
    simulation: Simulation, use: Use
) -> None:
    await use.given(simulation)
    rename(simulation, "flask", "Jug")
    assert_says(await use(simulation), use.says, private=use.private)


@each_use(REMOVED)
async def test_a_removed_topic_is_explained_and_replaced_by_the_next_one(simulation: Simulation, use: Use) -> None:
    await use.given(simulation)
    remove(simulation, "flask")
    assert_says(await use(simulation), use.says, private=use.private)


async def test_a_choice_survives_a_rename_and_is_dropped_with_its_topic(simulation: Simulation) -> None:
    await chosen(simulation)
    rename(simulation, "robot-framework", "Robot")
    assert "Next: **Robot**" in (await simulation.slash("weekly status")).text
    remove(simulation, "robot")
    assert "Next: **Flask**" in (await simulation.slash("weekly status")).text


async def test_a_channel_starts_with_its_start_topic_after_a_rename(simulation: Simulation) -> None:
    await started_with_django(simulation)
    rename(simulation, "django", "Reinhardt")
    assert "Next: **Reinhardt**" in (await simulation.slash("weekly status")).text
    assert_says(await simulation.slash("weekly subscribe", pin=True), "Changed. ")
    await simulation.slash("weekly post")
    assert "Next: **WSGI and ASGI**" in (await simulation.slash("weekly status")).text


async def test_a_pending_post_is_sent_with_its_topics_new_name(simulation: Simulation) -> None:
    await subscribed(simulation)
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    await simulation.slash("weekly post")
    rename(simulation, "flask", "Jug")
    await simulation.deliver()
    text = (await simulation.slash("weekly status")).text
    assert "Last: [Jug](" in text
    assert "Next: **Django**" in text


async def test_a_channel_whose_start_topic_was_removed_can_be_changed(simulation: Simulation) -> None:
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


@each_use(TRACK_REMOVED)
async def test_a_channel_whose_track_was_removed_continues_with_everything(simulation: Simulation, use: Use) -> None:
    await use.given(simulation)
    remove_track(simulation, "web")
    assert_says(await use(simulation), use.says)


# Completeness


def commands(simulation: Simulation) -> Iterator[discord.app_commands.Command[Any, ..., Any]]:
    for command in simulation.app.registration.tree.walk_commands():
        if isinstance(command, discord.app_commands.Command):
            yield command


async def test_every_command_and_every_option_is_covered(simulation: Simulation) -> None:
    await followable(simulation)
    found = {command.qualified_name: {each.name for each in command.parameters} for command in commands(simulation)}
    assert [use.command for use in VALID] == list(dict.fromkeys(use.command for use in VALID))
    assert {use.command for use in VALID} == set(found)
    assert {use.command for use in RENAMED} == {use.command for use in REMOVED} == set(found) - WITHOUT_TOPIC
    options = {(command, option) for command, options in found.items() for option in options}
    assert {(use.command, next(iter(use.options))) for use in INVALID} == options - ALWAYS_VALID
