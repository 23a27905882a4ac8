"""Checks of posts, in the test channel and in a forum: form, nonce, edits, look-up and steps; polls and refusals.

Each check asks Discord for something once and returns what Discord did, in a sentence. Raises DeviatesError,
NotTriedError, the errors of `outcomes`, and LookupError, TypeError or ValueError if an answer has an unexpected form.
"""

from datetime import timedelta
from typing import Final

import discord

from weekbot.content.model import EVERYTHING
from weekbot.delivery.discord_errors import MESSAGE_GONE
from weekbot.delivery.discord_history import custom_ids
from weekbot.delivery.discord_mentions import no_mentions
from weekbot.rehearse.asking import asked
from weekbot.rehearse.context import A_SECOND, Context, Posted
from weekbot.rehearse.finding import DeviatesError, NotTriedError, SkippedError
from weekbot.rehearse.payload import Payload, message_in, messages_in, reference, require_same, texts
from weekbot.rehearse.transcript import RATE_LIMIT, Exchange
from weekbot.store.delivery import PostForm
from weekbot.store.steps import StepName
from weekbot.store.subscriptions import Options

CARD, EMBED = "card", "embed"
COMPONENTS_V2, THREAD_STARTER = 1 << 15, 21
UNKNOWN_CHANNEL, EMPTY_MESSAGE = 10003, 50006
NEEDED_LIMITS: Final = ("limit", "remaining", "reset-after", "bucket")
MOST_READ = 50  # messages
BEFORE = timedelta(minutes=1)  # a look-up begins earlier than what it looks for
OPEN_FOR, COUNTED_SECONDS = timedelta(hours=1), 10  # of a poll


async def clock(context: Context) -> str:
    if not context.transcript.exchanges[0].headers.get("date"):
        raise DeviatesError("answers have no `Date`, so this machine's clock cannot be compared with Discord's")
    if error := context.clock.error.total_seconds():
        raise DeviatesError(f"this machine's clock is {error:+.0f} s off from Discord's; set it")
    return "this machine's clock agrees with Discord's"


async def card(context: Context) -> str:
    return _as_sent(await context.post(CARD, context.delivery(1, context.channels.test)), PostForm.COMPONENTS)


async def embed(context: Context) -> str:
    """With every option that a subscription has."""
    own_role_id = context.channels.own_role_id
    every_option = Options(EVERYTHING, thread=True, pin=True, publish=True, ping_role_id=own_role_id)
    return _as_sent(await context.post(EMBED, context.delivery(2, context.channels.test, every_option)), PostForm.EMBED)


def _as_sent(post: Posted, form: PostForm) -> str:
    _require_form(post.exchange, form)
    return f"posted with all its text and buttons, flags {post.exchange.answer['flags']}"


def _require_form(exchange: Exchange, form: PostForm) -> None:
    """The answer has the form, texts and custom ids that were sent."""
    sent, answer = exchange.sent, exchange.answer
    has_flag = bool(answer["flags"] & COMPONENTS_V2)
    if has_flag is not (form is PostForm.COMPONENTS):
        raise DeviatesError(f"its flags are {answer['flags']}, {'with' if has_flag else 'without'} IS_COMPONENTS_V2")
    require_same("its texts", texts(sent), texts(answer))
    require_same("its custom ids", custom_ids(sent["components"]), custom_ids(answer["components"]))


async def limits(context: Context) -> str:
    headers = context.posted(CARD, EMBED).exchange.headers
    if lacking := [f"{RATE_LIMIT}{name}" for name in NEEDED_LIMITS if not headers.get(f"{RATE_LIMIT}{name}")]:
        raise DeviatesError(f"an answer to a message lacks {', '.join(lacking)}")
    return f"an answer to a message states its rate limit ({headers[f'{RATE_LIMIT}limit']} at once)"


async def nonce(context: Context) -> str:
    first = context.posted(CARD)
    again = await context.post("nonce", first.delivery)
    if again.id != first.id:
        ids = f"{first.id} and {again.id}"
        raise DeviatesError(f"two messages for one nonce, {ids}: a repeated post would be doubled")
    return "sent twice with the same nonce, it is one message"


async def deleted(context: Context) -> str:
    post = await context.post("deleted", context.delivery(3, context.channels.test))
    await context.ask(context.client.http.delete_message(context.channel_id, post.id))
    answer = await context.ask_refusal(context.sender.send(post.delivery, context.topic))
    if answer.code == MESSAGE_GONE:
        return f"a deleted post sent again with its nonce is refused with code {MESSAGE_GONE}"
    what = f"is answered {answer}"
    if answer.ok:
        what = "gets the deleted post" if answer.answer["id"] == str(post.id) else "makes a new message"
    raise DeviatesError(f"a deleted post sent again with its nonce {what}")


async def ping(context: Context) -> str:
    """Nobody else has the bot's own role, so that nobody is disturbed if it is pinged."""
    role_id = context.channels.own_role_id
    if role_id is None:
        raise SkippedError("weekbot has no role of its own to mention")
    text = f"{context.mark}: <@&{role_id}>"
    answer = (await context.ask(context.channel.send(text, allowed_mentions=no_mentions()))).answer
    if pinged := answer["mention_roles"] or answer["mentions"] or answer["mention_everyone"]:
        raise DeviatesError(f"a role that allowed_mentions leaves out counts as mentioned: {pinged}")
    return "a role that allowed_mentions leaves out is not mentioned"


async def in_history(context: Context) -> str:
    """The custom ids, in raw JSON."""
    first = context.posted(CARD, EMBED)
    listed = await context.ask(context.client.http.logs_from(context.channel_id, MOST_READ, after=first.id - 1))
    for post in [context.posts[part] for part in (CARD, EMBED) if part in context.posts]:
        message = message_in(listed.answer, post.id)
        if message is None:
            raise DeviatesError(f"the message {post.id} is not in the channel's history")
        require_same(
            "in the history they", custom_ids(post.exchange.sent["components"]), custom_ids(message["components"])
        )
    return "the channel's history has them as they were sent"


async def look_up(context: Context) -> str:
    return await _found(context, context.posted(EMBED, CARD))


async def _found(context: Context, post: Posted) -> str:
    since = discord.utils.snowflake_time(post.id) - BEFORE
    read = await asked(context.sender.find(post.delivery, since, None))
    if (ids := [each.message_id for each in read.posts]) != [post.id]:
        instead = f"; found are {ids}" if ids else ""
        raise DeviatesError(f"the post {post.id} is not found by its custom id{instead}")
    return "the post is found by its custom id"


async def thread(context: Context) -> str:
    """A thread on a post has the post's id."""
    post, http = context.posted(EMBED, CARD), context.client.http
    await context.ask(context.sender.follow_up(StepName.THREAD, post.delivery, context.topic))
    history = await context.ask(http.logs_from(post.id, MOST_READ, after=0))
    messages = sorted(messages_in(history.answer), key=lambda each: int(each["id"]))
    if (types := [each["type"] for each in messages]) != [THREAD_STARTER, 0]:
        raise DeviatesError(f"its history has messages of the types {types}, not {THREAD_STARTER} and 0")
    if (about := reference(messages[0])) != str(post.id):
        raise DeviatesError(f"its first message refers to {about}, not to the post")
    last = (await context.ask(http.get_channel(post.id))).answer["last_message_id"]
    if last != messages[-1]["id"]:
        raise DeviatesError(f"it names {last} as its last message, which is {messages[-1]['id']}")
    return f"its history begins with a message of type {THREAD_STARTER}, then the question, its last message"


async def pin(context: Context) -> str:
    post = context.posted(EMBED, CARD)
    await context.ask(context.sender.follow_up(StepName.PIN, post.delivery, None))
    pins = await context.ask(context.client.http.pins_from(context.channel_id, MOST_READ))
    if message_in(pins.answer, post.id) is None:
        raise DeviatesError("the post was pinned, and is not among the channel's pins")
    return "pinned, and among the channel's pins"


async def edit_card(context: Context) -> str:
    return await _edit(context, CARD, PostForm.COMPONENTS)


async def edit_embed(context: Context) -> str:
    return await _edit(context, EMBED, PostForm.EMBED)


async def _edit(context: Context, part: str, form: PostForm) -> str:
    exchange = await context.ask(context.sender.edit(context.posted(part).delivery, context.edited_topic))
    _require_form(exchange, form)
    if not exchange.answer["edited_timestamp"]:
        raise DeviatesError("the answer to the edit has no edited_timestamp")
    return "edited, and its form is the same"


async def poll(context: Context) -> str:
    asking = discord.Poll(f"{context.mark}: which one next?", OPEN_FOR)
    for answer in ("Flask", "Django"):
        asking.add_answer(text=answer)
    sent = await context.ask(context.channel.send(poll=asking))
    context.poll_id = int(sent.answer["id"])
    seen = await _poll(context)
    require_same("its texts", _poll_texts(sent.sent["poll"]), _poll_texts(seen))
    if "results" not in seen:
        raise DeviatesError("the message does not have the poll's results")
    return "sent, and its results are in the bot's own message"


async def poll_end(context: Context) -> str:
    """Discord may take a moment to count."""
    if context.poll_id is None:
        raise NotTriedError("there is no poll")
    await context.ask(context.client.http.end_poll(context.channel_id, context.poll_id))
    for _ in range(COUNTED_SECONDS):
        if ((await _poll(context)).get("results") or {}).get("is_finalized"):
            return "ended, and the results are final"
        await context.clock.sleep(A_SECOND)
    raise DeviatesError(f"{COUNTED_SECONDS} s after the poll's end its results are not final")


async def _poll(context: Context) -> Payload:
    read = await context.ask(context.client.http.get_message(context.channel_id, context.poll_id or 0))
    poll: Payload = read.answer["poll"]
    return poll


def _poll_texts(poll: Payload) -> list[str]:
    return [poll["question"]["text"], *(answer["poll_media"]["text"] for answer in poll["answers"])]


async def forum(context: Context) -> str:
    if context.channels.forum is None:
        raise SkippedError("there is no forum in this server in which weekbot may post")
    post = await context.post("forum", context.delivery(4, context.channels.forum))
    if (first := post.exchange.answer["message"]["id"]) != str(post.id):
        raise DeviatesError(f"the thread is {post.id}, its first message {first}: it would not be found")
    return f"posted; the first message has the thread's id; {await _found(context, post)}"


async def no_channel(context: Context) -> str:
    nowhere = context.client.get_partial_messageable(discord.utils.time_snowflake(context.clock.now(), high=True))
    answer = await context.ask_refusal(nowhere.send(context.mark))
    return _refused("a message to a channel that does not exist", answer, UNKNOWN_CHANNEL)


async def no_content(context: Context) -> str:
    return _refused("an empty message", await context.ask_refusal(context.channel.send("")), EMPTY_MESSAGE)


def _refused(what: str, answer: Exchange, code: int) -> str:
    """In the form by which the bot tells errors apart."""
    kind = answer.headers.get("content-type", "none").partition(";")[0]
    if answer.code != code or kind != "application/json":
        raise DeviatesError(f"{what} is answered {answer} as {kind}, not with code {code} as JSON")
    return f"{what} is refused with code {code}, as JSON"
