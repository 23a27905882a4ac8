"""What the pictures show: in each scene a member or a moderator does something, and is answered by the bot.

They use commands and press what the bot shows, found by its custom id: other words or another look change the picture
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
    """A message, who sees it, and its channel: default the text channel."""

    message: Message
    viewer: MemberActor
    channel: ChannelHandle | None = None


@dataclass(frozen=True)
class Scene:
    """Something that people do, whose Discord is in this language; what it comes to is shown."""

    act: Callable[[Simulation], Awaitable[Shown]]
    locale: str = US_ENGLISH


# For everyone


async def post(simulation: Simulation) -> Shown:
    return Shown(await posted(simulation), simulation.member)


async def published(simulation: Simulation) -> Shown:
    """In the announcement channel."""
    news = simulation.news
    await simulation.slash("weekly subscribe", channel=news, start=FIRST, ping=simulation.learners, publish=True)
    await simulation.next_week()
    [message] = simulation.posts(news)
    return Shown(message, simulation.member, news)


async def lookup(simulation: Simulation) -> Shown:
    """Of a topic that the channel had."""
    await posted(simulation)
    await tick(simulation, days=3)
    return seen_by(simulation.member, await simulation.slash("framework", by=simulation.member, name=FIRST))


async def concept(simulation: Simulation) -> Shown:
    """Privately, so that it is in the member's language."""
    asked = simulation.slash("framework", by=simulation.member, name="what-is-a-framework", private=True)
    return seen_by(simulation.member, await asked)


async def sections(simulation: Simulation) -> Shown:
    looked_up = await simulation.slash("framework", by=simulation.member, name=FIRST)
    return seen_by(simulation.member, await simulation.choose(looked_up, SECTION))


async def near_miss(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await simulation.slash("framework", by=simulation.member, name="djnago"))


async def comparison(simulation: Simulation) -> Shown:
    asked = simulation.slash("compare", by=simulation.member, first=FIRST, second=SECOND)
    return seen_by(simulation.member, await asked)


async def topic_list(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await simulation.slash("topic list", by=simulation.member))


async def finished(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await press(simulation, await posted(simulation), "finished"))


async def quiz(simulation: Simulation) -> Shown:
    return seen_by(simulation.member, await press(simulation, await posted(simulation), "quiz"))


async def quiz_answer(simulation: Simulation) -> Shown:
    """A wrong one, of which there is more to say."""
    return seen_by(simulation.member, await answer_quiz(simulation, await posted(simulation), right=False))


async def progress(simulation: Simulation) -> Shown:
    """After three weeks, in which one quiz of two went wrong."""
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
    """A channel for everything that can be wrong, and one in which nothing is."""
    web, data, book_club, tools = await subscribed_channels(simulation)
    await simulation.slash("weekly pause", at=book_club)
    await allow(simulation, data, send_messages=False)
    await allow(simulation, tools, read_message_history=False)
    simulation.env.inject_error("POST", f"/channels/{tools.id}/messages", status=500, times=None)
    await posted(simulation)
    await tick(simulation, minutes=5)  # from here on it would be looked up in the history
    await allow(simulation, web, pin_messages=False)
    await tick(simulation, days=3)  # in which nothing ran, and what was due on Tuesday was missed
    return seen_by(simulation.moderator, await simulation.slash("weekly status"))


async def subscribed_channels(simulation: Simulation) -> list[ChannelHandle]:
    """Those that something is done to; the post of one more is due a day later."""
    create = simulation.guild.create_text_channel
    due_later = create("testing")
    await simulation.slash("weekly subscribe", at=due_later, track="testing", day=TUESDAY, timezone="Europe/Berlin")
    channels = [create("web-corner"), create("data"), create("book-club"), create("tools")]
    for channel, track in zip(channels, ("web", "data", "start-here", "services"), strict=True):
        await simulation.slash("weekly subscribe", at=channel, track=track, pin=track == "web")
    return channels


# What people do


async def posted(simulation: Simulation) -> discord.Message:
    """The next weekly post of the text channel, which is subscribed if it is not yet."""
    if not simulation.text.history():
        await simulation.slash("weekly subscribe", start=FIRST, ping=simulation.learners)
    await simulation.next_week()
    [*_, last] = (each for each in simulation.text.history() if button(each, "more"))
    return last


async def press(
    simulation: Simulation, message: Message, action: str, last: int | None = None, by: MemberActor | None = None
) -> Answer:
    """Press the button for the action; where there are several, the one whose custom id ends with `last`."""
    custom_id = button(message, action, "" if last is None else f":{last}")
    assert custom_id, f"there is no button for {action}"
    return await simulation.click(as_sent(message), by=by, custom_id=custom_id)


async def answer_quiz(simulation: Simulation, message: Message, *, right: bool) -> Answer:
    """Have the quiz of a post's topic asked, and answer it."""
    asked = await press(simulation, message, "quiz")
    slug = str(button(message, "quiz")).split(":")[-1]
    answer = simulation.library.topics[slug].body.quiz.right
    return await press(simulation, asked.message, "answer", answer if right else (answer + 1) % 4)


def button(message: Message, action: str, ending: str = "") -> str | None:
    """The custom id of the message's first button for the action."""
    ids = [each.get("custom_id", "") for each in walk(components_of(as_sent(message)))]
    return next((each for each in ids if each.startswith(f"weekbot:{action}:") and each.endswith(ending)), None)


def as_sent(message: Message) -> discord.Message:
    return message.message if isinstance(message, ResponseMessage) else message


def seen_by(viewer: MemberActor, answer: Answer) -> Shown:
    return Shown(answer.message, viewer)


async def allow(simulation: Simulation, channel: ChannelHandle, **permissions: bool) -> None:
    """Change what the bot may do in a channel."""
    known = simulation.bot_channel(channel)
    await known.set_permissions(known.guild.me, **permissions)


async def tick(simulation: Simulation, **after_slot: float) -> None:
    """A tick of the bot's, so long after the first slot: by then retries may have taken a while that is chance."""
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
"""By the names of their pictures."""
