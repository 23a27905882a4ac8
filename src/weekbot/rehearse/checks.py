"""The checks of a rehearsal: each returns a sentence on what Discord did. They raise CheckError and delivery errors."""

from collections.abc import Awaitable
from datetime import timedelta

import discord

from weekbot.content.tracks import EVERYTHING
from weekbot.delivery.errors import PermanentError
from weekbot.discord_io.errors import MESSAGE_GONE, UNKNOWN_CHANNEL
from weekbot.discord_io.history import custom_ids
from weekbot.discord_io.mentions import no_mentions
from weekbot.domain.steps import StepName
from weekbot.domain.subscriptions import Options
from weekbot.rehearse.check_result import CheckError, Result, expect
from weekbot.rehearse.payload import Payload, message_in, messages_in, reference, require_same, short, texts
from weekbot.rehearse.rehearsal_channels import ChannelAccess
from weekbot.rehearse.rehearsal_context import A_SECOND, Posted, RehearsalContext
from weekbot.rehearse.transcript import RATE_LIMIT, Exchange, with_deadline

CARD, EMBED = "card", "embed"
COMPONENTS_V2, THREAD_STARTER, EMPTY_MESSAGE = 1 << 15, 21, 50006
NEEDED_LIMITS = ("limit", "remaining", "reset-after", "bucket")
MOST_READ = 50  # messages
BEFORE = timedelta(minutes=1)  # a look-up starts earlier than its post
OPEN_FOR, COUNTED_SECONDS = timedelta(hours=1), 10  # of a poll
CROSSPOSTED, IS_CROSSPOST = 1 << 0, 1 << 1
ARRIVED_SECONDS = 20
HIDDEN = "it arrived, but Discord hides its content from weekbot; look at {link}, which should {shows}"


async def clock(context: RehearsalContext) -> str:
    dated = context.transcript.exchanges[0].headers.get("date")
    expect(dated, "answers have no `Date`, so this machine's clock cannot be compared with Discord's")
    error = context.clock.error.total_seconds()
    expect(not error, f"this machine's clock is {error:+.0f} s off from Discord's; set it")
    return "this machine's clock agrees with Discord's"


async def card(context: RehearsalContext) -> str:
    return _as_sent(await context.post(CARD, context.delivery(1, context.channels.test)), CARD)


async def embed(context: RehearsalContext) -> str:
    channels = context.channels
    every_option = Options(EVERYTHING, thread=True, pin=True, publish=True, ping_role_id=channels.own_role_id)
    return _as_sent(await context.post(EMBED, context.delivery(2, channels.test, every_option)), EMBED)


def _as_sent(post: Posted, part: str) -> str:
    _require_form(post.exchange, part)
    return f"posted with all its text and buttons, flags {post.exchange.answer['flags']}"


def _require_form(exchange: Exchange, part: str) -> None:
    """Raises CheckError unless the answer has the part's form, and the texts and custom ids that were sent."""
    sent, answer = exchange.sent, exchange.answer
    has_flag = bool(answer["flags"] & COMPONENTS_V2)
    deviation = f"its flags are {answer['flags']}, {'with' if has_flag else 'without'} IS_COMPONENTS_V2"
    expect(has_flag is (part == CARD), deviation)
    require_same("its texts", texts(sent), texts(answer))
    require_same("its custom ids", custom_ids(sent["components"]), custom_ids(answer["components"]))


async def limits(context: RehearsalContext) -> str:
    headers = context.posted(CARD, EMBED).exchange.headers
    lacking = [f"{RATE_LIMIT}{name}" for name in NEEDED_LIMITS if not headers.get(f"{RATE_LIMIT}{name}")]
    expect(not lacking, f"an answer to a message lacks {', '.join(lacking)}")
    return f"an answer to a message states its rate limit ({headers[f'{RATE_LIMIT}limit']} at once)"


async def nonce(context: RehearsalContext) -> str:
    first = context.posted(CARD)
    again = await context.post("nonce", first.delivery)
    ids = f"{first.id} and {again.id}"
    expect(again.id == first.id, f"two messages for one nonce, {ids}: a repeated post would be doubled")
    return "sent twice with the same nonce, it is one message"


async def deleted(context: RehearsalContext) -> str:
    post = await context.post("deleted", context.delivery(3, context.channels.test))
    await context.ask(context.client.http.delete_message(context.channel_id, post.id))
    answer = await context.ask(context.sender.send(post.delivery, context.topic()), PermanentError)
    if answer.code == MESSAGE_GONE:
        return f"a deleted post sent again with its nonce is refused with code {MESSAGE_GONE}"
    what = f"is answered {answer}"
    if answer.ok:
        what = "gets the deleted post" if answer.answer["id"] == str(post.id) else "makes a new message"
    raise CheckError(Result.DEVIATES, f"a deleted post sent again with its nonce {what}")


async def ping(context: RehearsalContext) -> str:
    """Mention the bot's own role, which nobody else has: a ping would disturb nobody."""
    role_id = expect(context.channels.own_role_id, "weekbot has no role of its own to mention", Result.SKIPPED)
    text = f"{context.mark}: <@&{role_id}>"
    answer = (await context.ask(context.channel.send(text, allowed_mentions=no_mentions()))).answer
    pinged = answer["mention_roles"] or answer["mentions"] or answer["mention_everyone"]
    expect(not pinged, f"a role that allowed_mentions leaves out counts as mentioned: {pinged}")
    return "a role that allowed_mentions leaves out is not mentioned"


async def history_custom_ids(context: RehearsalContext) -> str:
    first = context.posted(CARD, EMBED)
    listed = await context.ask(context.client.http.logs_from(context.channel_id, MOST_READ, after=first.id - 1))
    for post in [context.posts[part] for part in (CARD, EMBED) if part in context.posts]:
        message = expect(message_in(listed.answer, post.id), f"the message {post.id} is not in the channel's history")
        sent, shown = (custom_ids(each["components"]) for each in (post.exchange.sent, message))
        require_same("in the history they", sent, shown)
    return "the channel's history has them as they were sent"


async def look_up(context: RehearsalContext, *parts: str) -> str:
    """Find the post of the first part that has one; by default, of the embed or else the card."""
    post = context.posted(*parts or (EMBED, CARD))
    since = discord.utils.snowflake_time(post.id) - BEFORE
    ids = [each.message_id for each in (await with_deadline(context.sender.find(post.delivery, since, None))).posts]
    instead = f"; found are {ids}" if ids else ""
    expect(ids == [post.id], f"the post {post.id} is not found by its custom id{instead}")
    return "the post is found by its custom id"


async def thread(context: RehearsalContext) -> str:
    """Open a thread on a post, whose id it gets."""
    post, http = context.posted(EMBED, CARD), context.client.http
    await context.ask(context.sender.follow_up(StepName.THREAD, post.delivery, context.topic()))
    history = await context.ask(http.logs_from(post.id, MOST_READ, after=0))
    messages = sorted(messages_in(history.answer), key=lambda each: int(each["id"]))
    types = [each["type"] for each in messages]
    expect(types == [THREAD_STARTER, 0], f"its history has messages of the types {types}, not {THREAD_STARTER} and 0")
    about = reference(messages[0])
    expect(about == str(post.id), f"its first message refers to {about}, not to the post")
    named, last = (await context.ask(http.get_channel(post.id))).answer["last_message_id"], messages[-1]["id"]
    expect(named == last, f"it names {named} as its last message, which is {last}")
    return f"its history begins with a message of type {THREAD_STARTER}, then the question, its last message"


async def pin(context: RehearsalContext) -> str:
    post = context.posted(EMBED, CARD)
    await context.ask(context.sender.follow_up(StepName.PIN, post.delivery, None))
    pins = await context.ask(context.client.http.pins_from(context.channel_id, MOST_READ))
    expect(message_in(pins.answer, post.id), "the post was pinned, and is not among the channel's pins")
    return "pinned, and among the channel's pins"


async def follow(context: RehearsalContext) -> str:
    follower = _follower(context)
    follower.require(("manage_webhooks",))
    await context.ask(context.client.http.follow_webhook(context.channel_id, follower.channel.id))
    context.followed = True
    return f"{follower.name} follows {context.channels.test.name}"


async def publish(context: RehearsalContext, part: str = EMBED) -> str:
    post, channel = context.posted(part), context.channels.test
    expect(channel.is_announcement, f"{channel.name} is not an announcement channel", Result.SKIPPED)
    exchange = await context.ask(context.sender.follow_up(StepName.PUBLISH, post.delivery, None))
    context.published.add(post.id)
    flags = exchange.answer["flags"]
    expect(flags & CROSSPOSTED, f"published, with the flags {flags}, without CROSSPOSTED")
    return "published"


async def follower(context: RehearsalContext) -> str:
    """Check that the text of a post in an embed arrives, without buttons."""
    _follower(context)
    post = context.posted(EMBED)
    copy = await _copy_of(context, post, "show the topic with its links, and no buttons")
    sent, shown = (texts({"embeds": each["embeds"]}) for each in (post.exchange.sent, copy))
    require_same("the follower's embeds", sent, shown)
    expect(not copy["components"], "the follower gets the buttons as well")
    mention = f"; the role mention reads {short(copy['content'])}" if copy["content"] else ""
    return f"the follower gets the embed, without buttons{mention}"


async def card_copy(context: RehearsalContext) -> str:
    """Check that nothing of a card arrives, which is why the bot publishes no card."""
    _follower(context)
    await publish(context, CARD)
    shown = texts(await _copy_of(context, context.posted(CARD), "be empty"))
    expect(not shown, f"the follower gets {len(shown)} texts of a card, such as {shown and short(shown[0])}")
    return "the follower gets nothing of a published card"


async def _copy_of(context: RehearsalContext, post: Posted, shows: str) -> Payload:
    """Return the copy of a published post. Raises CheckError, also if Discord hides the copy's content."""
    expect(post.id in context.published, "the post was not published", Result.NOT_TRIED)
    follower, copy = _follower(context), await _wait_for_copy(context, post.id)
    flags = context.client.application and context.client.application.flags
    if texts(copy) or (flags and (flags.gateway_message_content or flags.gateway_message_content_limited)):
        return copy  # an empty copy is really empty if the bot may read others' messages
    copy_id = int(copy["id"])
    context.kept |= {post.id, copy_id}
    raise CheckError(Result.LOOK, HIDDEN.format(link=follower.link(follower.channel.id, copy_id), shows=shows))


async def _wait_for_copy(context: RehearsalContext, message_id: int) -> Payload:
    follower, http = _follower(context), context.client.http
    for _ in range(ARRIVED_SECONDS):
        listed = await context.ask(http.logs_from(follower.channel.id, MOST_READ, after=message_id))
        for message in messages_in(listed.answer):
            if message.get("flags", 0) & IS_CROSSPOST and reference(message) == str(message_id):
                return message
        await context.clock.sleep(A_SECOND)
    none = f"no copy arrived in {follower.name} within {ARRIVED_SECONDS} s"
    expect(context.followed, f"{none}; follow {context.channels.test.name} there manually", Result.NOT_TRIED)
    raise CheckError(Result.DEVIATES, none)


def _follower(context: RehearsalContext) -> ChannelAccess:
    return expect(context.channels.follower, "use --follow to choose a channel that follows", Result.SKIPPED)


async def edit(context: RehearsalContext, *, part: str) -> str:
    exchange = await context.ask(context.sender.edit(context.posted(part).delivery, context.topic(", edited")))
    _require_form(exchange, part)
    expect(exchange.answer["edited_timestamp"], "the answer to the edit has no edited_timestamp")
    return "edited, and its form is the same"


async def poll(context: RehearsalContext) -> str:
    question = discord.Poll(f"{context.mark}: which one next?", OPEN_FOR)
    for answer in ("Flask", "Django"):
        question.add_answer(text=answer)
    sent = await context.ask(context.channel.send(poll=question))
    context.poll_id = int(sent.answer["id"])
    shown = await _poll(context)
    require_same("its texts", _poll_texts(sent.sent["poll"]), _poll_texts(shown))
    expect("results" in shown, "the message does not have the poll's results")
    return "sent, and its results are in the bot's own message"


async def poll_end(context: RehearsalContext) -> str:
    """Wait for the results, because Discord may take a moment to count."""
    poll_id = expect(context.poll_id, "there is no poll", Result.NOT_TRIED)
    await context.ask(context.client.http.end_poll(context.channel_id, poll_id))
    for _ in range(COUNTED_SECONDS):
        if ((await _poll(context)).get("results") or {}).get("is_finalized"):
            return "ended, and the results are final"
        await context.clock.sleep(A_SECOND)
    raise CheckError(Result.DEVIATES, f"{COUNTED_SECONDS} s after the poll's end its results are not final")


async def _poll(context: RehearsalContext) -> Payload:
    read = await context.ask(context.client.http.get_message(context.channel_id, context.poll_id or 0))
    poll: Payload = read.answer["poll"]
    return poll


def _poll_texts(poll: Payload) -> list[str]:
    return [poll["question"]["text"], *(answer["poll_media"]["text"] for answer in poll["answers"])]


async def forum(context: RehearsalContext) -> str:
    none = "there is no forum in this server in which weekbot may post"
    access = expect(context.channels.forum, none, Result.SKIPPED)
    post = await context.post("forum", context.delivery(4, access))
    first = post.exchange.answer["message"]["id"]
    expect(first == str(post.id), f"the thread is {post.id}, its first message {first}: it would not be found")
    return f"posted; the first message has the thread's id; {await look_up(context, 'forum')}"


async def no_channel(context: RehearsalContext) -> str:
    nowhere = context.client.get_partial_messageable(discord.utils.time_snowflake(context.clock.now(), high=True))
    return await _refusal(
        context, "a message to a channel that does not exist", nowhere.send(context.mark), UNKNOWN_CHANNEL
    )


async def no_content(context: RehearsalContext) -> str:
    return await _refusal(context, "an empty message", context.channel.send(""), EMPTY_MESSAGE)


async def _refusal(context: RehearsalContext, what: str, request: Awaitable[object], code: int) -> str:
    """Check that the refusal has the form by which the bot classifies errors."""
    answer = await context.ask(request, PermanentError)
    kind = answer.headers.get("content-type", "none").partition(";")[0]
    deviation = f"{what} is answered {answer} as {kind}, not with code {code} as JSON"
    expect((answer.code, kind) == (code, "application/json"), deviation)
    return f"{what} is refused with code {code}, as JSON"
