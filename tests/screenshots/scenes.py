"""The scenes of the pictures: in each, a member or a moderator does something and the bot responds.

They use commands, and press components by their custom IDs: other words or another look change the picture
and not the scene.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import discord
from simcord import ChannelHandle, MemberActor, ResponseMessage

from discord_server.component import walk
from fakes import SLOT
from locales import US_ENGLISH
from simulation import Answer, Simulation, components_of

TUESDAY = 1
FIRST, SECOND = "flask", "django"
SECTION = "when_to_choose"

Message = discord.Message | ResponseMessage


@dataclass(frozen=True)
class Shown:
    """A message, a member who sees it, and its channel. Default: the text channel."""

    message: Message
    viewer: MemberActor
    channel: ChannelHandle | None = None


@dataclass(frozen=True)
class Scene:
    """Actions of members with this locale, and the message that is shown at the end."""

    act: Callable[[Simulation], Awaitable[Shown]]
    locale: str = US_ENGLISH


# For everyone


async def post(simulation: Simulation) -> Shown:
    return Shown(await posted(simulation), simulation.member)


async def published(simulation: Simulation) -> Shown:
    """A published post in the announcement channel."""
    news = simulation.news
    await simulation.slash("weekly subscribe", channel=news, start=FIRST, ping=simulation.learners, publish=True)
    await simulation.next_week()
    [message] = simulation.posts(news)
    return Shown(message, simulation.member, news)


async def lookup(simulation: Simulation) -> Shown:
    """The lookup of a topic that was already posted in the channel."""
    await posted(simulation)
    await tick(simulation, days=3)
    return seen_by(simulation.member, await simulation.slash("framework", by=simulation.member, name=FIRST))


async def concept(simulation: Simulation) -> Shown:
    """A private lookup, which is in the member's language."""
    response = simulation.slash("framework", by=simulation.member, name="what-is-a-framework", private=True)
    return seen_by(simulation.member, await response)


async def sections(simulation: Simulation) -> Shown:
    looked_up = await simulation.slash("framework", by=simulation.member, name=FIRST)
    return seen_by(simulation.member, await simulation.choose(looked_up, SECTION))


async def near_miss(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await simulation.slash("framework", by=simulation.member, name="djnago"))


async def comparison(simulation: Simulation) -> Shown:
    response = simulation.slash("compare", by=simulation.member, first=FIRST, second=SECOND)
    return seen_by(simulation.member, await response)


async def topic_list(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await simulation.slash("topic list", by=simulation.member))


async def finished(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await press(simulation, await posted(simulation), "finished"))


async def quiz(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await press(simulation, await posted(simulation), "quiz"))


async def quiz_answer(simulation: Simulation) -> Shown:
    """A wrong answer, whose explanation is longer."""
    return seen_by(simulation.member, await answer_quiz(simulation, await posted(simulation), right=False))


async def progress(simulation: Simulation) -> Shown:
    """The progress after three weeks, with one right and one wrong quiz answer."""
    for week in range(3):
        message = await posted(simulation)
        await press(simulation, message, "finished")
        if week:
            await answer_quiz(simulation, message, right=week == 1)
    return seen_by(simulation.member, await simulation.slash("progress", by=simulation.member))


async def help_for_members(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await simulation.slash("help", by=simulation.member))


# For moderators


async def help_for_moderators(simulation: Simulation) -> Shown:
    return seen_by(simulation.moderator, await simulation.slash("help"))


async def subscribed(simulation: Simulation) -> Shown:
    return seen_by(simulation.moderator, await simulation.slash("weekly subscribe"))


async def manage(simulation: Simulation) -> Shown:
    await posted(simulation)
    panel = (await simulation.slash("weekly status")).message
    moderator = simulation.moderator
    return seen_by(moderator, await press(simulation, panel, "manage", simulation.text.id, by=moderator))


async def status(simulation: Simulation) -> Shown:
    """A channel for each kind of problem, and one without problems."""
    web, data, book_club, tools = await subscribed_channels(simulation)
    await simulation.slash("weekly pause", at=book_club)
    await allow(simulation, data, send_messages=False)
    await allow(simulation, tools, read_message_history=False)
    simulation.env.inject_error("POST", f"/channels/{tools.id}/messages", status=500, times=None)
    await posted(simulation)
    await tick(simulation, minutes=5)  # after that, the post is looked up in the history
    await allow(simulation, web, pin_messages=False)
    await tick(simulation, days=3)  # the bot doesn't run meanwhile, and the post due on Tuesday is missed
    return seen_by(simulation.moderator, await simulation.slash("weekly status"))


async def subscribed_channels(simulation: Simulation) -> list[ChannelHandle]:
    """Subscribe four channels and return them; one more has its post a day later."""
    create = simulation.guild.create_text_channel
    due_later = create("testing")
    await simulation.slash("weekly subscribe", at=due_later, track="testing", day=TUESDAY, timezone="Europe/Berlin")
    channels = [create("web-corner"), create("data"), create("book-club"), create("tools")]
    for channel, track in zip(channels, ("web", "data", "start-here", "services"), strict=True):
        await simulation.slash("weekly subscribe", at=channel, track=track, pin=track == "web")
    return channels


# Actions


async def posted(simulation: Simulation) -> discord.Message:
    """Return the next weekly post in the text channel; subscribe the channel first if necessary."""
    if not simulation.text.history():
        await simulation.slash("weekly subscribe", start=FIRST, ping=simulation.learners)
    await simulation.next_week()
    [*_, last] = (each for each in simulation.text.history() if button(each, "more"))
    return last


async def press(
    simulation: Simulation, message: Message, action: str, last: int | None = None, by: MemberActor | None = None
) -> Answer:
    """Press the button for the action; if there are several, the one whose custom ID ends with `last`."""
    custom_id = button(message, action, "" if last is None else f":{last}")
    assert custom_id, f"there is no button for {action}"
    return await simulation.click(as_sent(message), by=by, custom_id=custom_id)


async def answer_quiz(simulation: Simulation, message: Message, *, right: bool) -> Answer:
    """Open the quiz of a post's topic, and answer it."""
    question = await press(simulation, message, "quiz")
    slug = str(button(message, "quiz")).split(":")[-1]
    answer = simulation.library.topics[slug].body.quiz.right
    return await press(simulation, question.message, "answer", answer if right else (answer + 1) % 4)


def button(message: Message, action: str, ending: str = "") -> str | None:
    """Return the custom ID of the message's first button for the action."""
    ids = [each.get("custom_id", "") for each in walk(components_of(as_sent(message)))]
    return next((each for each in ids if each.startswith(f"weekbot:{action}:") and each.endswith(ending)), None)


def as_sent(message: Message) -> discord.Message:
    return message.message if isinstance(message, ResponseMessage) else message


def seen_by(viewer: MemberActor, answer: Answer) -> Shown:
    return Shown(answer.message, viewer)


async def allow(simulation: Simulation, channel: ChannelHandle, **permissions: bool) -> None:
    """Change the bot's permissions in a channel."""
    known = simulation.bot_channel(channel)
    await known.set_permissions(known.guild.me, **permissions)


async def tick(simulation: Simulation, **after_slot: float) -> None:
    """Run a tick at that time after the first slot, independent of how long retries have taken."""
    simulation.clock.instant = SLOT + timedelta(**after_slot)
    await simulation.deliver()


SCENES = {
    "post": Scene(post),
    "published": Scene(published),
    "finished": Scene(finished),
    "quiz": Scene(quiz),
    "quiz-answer": Scene(quiz_answer),
    "progress": Scene(progress),
    "lookup": Scene(lookup),
    "concept-german": Scene(concept, "de"),
    "sections": Scene(sections),
    "near-miss": Scene(near_miss),
    "compare": Scene(comparison),
    "list": Scene(topic_list),
    "help-member": Scene(help_for_members),
    "help-moderator": Scene(help_for_moderators),
    "subscribe": Scene(subscribed),
    "status": Scene(status),
    "manage": Scene(manage),
    "manage-french": Scene(manage, "fr"),
}
"""The scenes by the names of their pictures."""
