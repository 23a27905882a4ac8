"""What each answer of Discord's should be: pure, each function makes one finding of exchanges.

Raises LookupError, TypeError or ValueError if an answer has a form that nobody expected.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from weekbot.delivery.discord_time import AGREES_SECONDS, HALF_A_SECOND
from weekbot.rehearse.exchange import RATE_LIMIT, Exchange, Payload, custom_ids, message_in, messages_in, texts
from weekbot.rehearse.finding import Finding, as_expected, deviates
from weekbot.store.delivery import PostForm

CROSSPOSTED, IS_CROSSPOST, COMPONENTS_V2 = 1 << 0, 1 << 1, 1 << 15
THREAD_STARTER = 21
NEEDED_LIMITS = ("limit", "remaining", "reset-after", "bucket")
JSON = "application/json"
SHOWN = 3  # of what differs


def clock(answer: Exchange) -> Finding:
    error = (_required(answer.at) - parsedate_to_datetime(answer.headers["date"])).total_seconds() - HALF_A_SECOND
    if abs(error) > AGREES_SECONDS:
        return deviates("clock", f"this machine's clock is {error:+.0f} s off, by Discord's; set it")
    return as_expected("clock", "this machine's clock agrees with Discord's")


def limits(answer: Exchange) -> Finding:
    stated = {name: answer.headers.get(f"{RATE_LIMIT}{name}") for name in NEEDED_LIMITS}
    if lacking := [f"{RATE_LIMIT}{name}" for name, value in stated.items() if value is None]:
        return deviates("limits", f"an answer to a message lacks {', '.join(lacking)}")
    return as_expected("limits", f"an answer to a message states its rate limit ({stated['limit']} at once)")


def posted(part: str, answer: Exchange, form: PostForm) -> Finding:
    """The answer to a post has the form, texts and custom ids that were sent."""
    if wrong := _unlike(answer.sent, answer.answer, form):
        return deviates(part, wrong)
    return as_expected(part, f"posted with all its text and buttons, flags {answer.answer['flags']}")


def edited(part: str, answer: Exchange, form: PostForm) -> Finding:
    wrong = _unlike(answer.sent, answer.answer, form)
    if not wrong and not answer.answer["edited_timestamp"]:
        wrong = "the answer to the edit has no edited_timestamp"
    return deviates(part, wrong) if wrong else as_expected(part, "edited, and its form is the same")


def _unlike(sent: Payload, answer: Payload, form: PostForm) -> str | None:
    """How a message differs from what was sent."""
    flag = bool(answer["flags"] & COMPONENTS_V2)
    if flag is not (form is PostForm.COMPONENTS):
        return f"its flags are {answer['flags']}, {'with' if flag else 'without'} IS_COMPONENTS_V2"
    for what, of in {"texts": texts, "custom ids": custom_ids}.items():
        if wrong := _difference(of(sent), of(answer)):
            return f"its {what} differ: {wrong}"
    return None


def _difference(expected: list[str], found: list[str]) -> str | None:
    lacking, more = [each for each in expected if each not in found], [each for each in found if each not in expected]
    shown = [f"{_short(each)} is missing" for each in lacking] + [f"{_short(each)} is new" for each in more]
    if not shown and len(expected) != len(found):
        shown = [f"{len(expected)} were sent, {len(found)} are there"]
    return "; ".join(shown[:SHOWN]) or None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def one_message(first: Exchange, second: Exchange) -> Finding:
    ids = first.answer["id"], second.answer["id"]
    if len(set(ids)) > 1:
        return deviates("nonce", f"two messages for one nonce, {ids[0]} and {ids[1]}: a repeated post would be doubled")
    return as_expected("nonce", "sent twice with one nonce, it is one message")


def sent_after_deletion(answer: Exchange, deleted_id: int) -> Finding:
    """A post that was deleted, sent once more with its nonce."""
    if answer.code == 10008:
        return as_expected("deleted", "a deleted post sent again with its nonce is refused with code 10008")
    what = f"is answered {answer}"
    if answer.ok:
        what = "gets the deleted post" if answer.answer["id"] == str(deleted_id) else "makes a new message"
    return deviates("deleted", f"a deleted post sent again with its nonce {what}")


def pings_nobody(answer: Exchange) -> Finding:
    pinged = answer.answer["mention_roles"], answer.answer["mentions"], answer.answer["mention_everyone"]
    if any(pinged):
        return deviates(
            "ping", f"a role that allowed_mentions leaves out counts as mentioned: {pinged[0] or pinged[1:]}"
        )
    return as_expected("ping", "a role that allowed_mentions leaves out is not mentioned")


def custom_ids_kept(listed: Exchange, sent: Iterable[Exchange]) -> Finding:
    """The history has each message's custom ids as they were sent, in raw JSON."""
    for each in sent:
        message = message_in(listed.answer, int(each.answer["id"]))
        if message is None:
            return deviates("custom ids", f"the message {each.answer['id']} is not in the channel's history")
        if wrong := _difference(custom_ids(each.sent), custom_ids(message)):
            return deviates("custom ids", f"in the history they differ: {wrong}")
    return as_expected("custom ids", "the channel's history has them as they were sent")


def found(part: str, message_id: int, seen: Sequence[int]) -> Finding:
    """`seen` are the ids of the messages with the post's custom id."""
    if list(seen) != [message_id]:
        what = (
            f"looked up by its custom id, it is {', '.join(map(str, seen))}"
            if seen
            else "is not found by its custom id"
        )
        return deviates(part, f"the post {message_id} {what}")
    return as_expected(part, "the post is found by its custom id")


def thread_begins(answer: Exchange, message_id: int) -> Finding:
    """`answer` is the thread's history."""
    kinds = [message["type"] for message in sorted(messages_in(answer.answer), key=lambda each: int(each["id"]))]
    if kinds[:2] != [THREAD_STARTER, 0]:
        return deviates("thread", f"its history has messages of the types {kinds}, not {THREAD_STARTER} and 0")
    starter = next(each for each in messages_in(answer.answer) if each["type"] == THREAD_STARTER)
    if (reference := starter.get("message_reference", {}).get("message_id")) != str(message_id):
        return deviates("thread", f"its first message refers to {reference}, not to the post")
    return as_expected("thread", f"its history begins with a message of type {THREAD_STARTER}, then the question")


def last_message(thread: Exchange, history: Exchange) -> Finding:
    newest = max(int(each["id"]) for each in messages_in(history.answer))
    named = thread.answer["last_message_id"]
    if named != str(newest):
        return deviates("last message", f"the thread names {named} as its last message, which is {newest}")
    return as_expected("last message", "the thread names the question as its last message")


def pinned(answer: Exchange, message_id: int) -> Finding:
    if message_in(answer.answer, message_id) is None:
        return deviates("pin", "the post was pinned, and is not among the channel's pins")
    return as_expected("pin", "pinned, and among the channel's pins")


def published(part: str, answer: Exchange) -> Finding:
    if not answer.ok:
        return deviates(part, f"Discord answered {answer}")
    if not answer.answer["flags"] & CROSSPOSTED:
        return deviates(part, f"published, with the flags {answer.answer['flags']}, without CROSSPOSTED")
    return as_expected(part, "published")


def is_copy(message: Payload, message_id: int) -> bool:
    """Whether it repeats that published message."""
    reference = message.get("message_reference") or {}
    return bool(message["flags"] & IS_CROSSPOST) and reference.get("message_id") == str(message_id)


def copy_of_embed(copy: Payload, sent: Exchange) -> Finding:
    """What a follower gets of a post in an embed: its text, and no buttons."""
    expected, shown = texts({"embeds": sent.sent["embeds"]}), texts({"embeds": copy["embeds"]})
    if wrong := _difference(expected, shown):
        return deviates("follower", f"the follower's embed differs: {wrong}")
    if copy["components"]:
        return deviates("follower", "the follower gets the buttons as well")
    mention = f"; the role mention reads {_short(copy['content'])}" if copy["content"] else ""
    return as_expected("follower", f"the follower gets the embed, without buttons{mention}")


def copy_of_card(copy: Payload) -> Finding:
    """What a follower gets of components alone: a message that shows nothing, which is why no card is published."""
    if shown := texts(copy):
        return deviates("card copy", f"the follower gets {len(shown)} texts of a card, such as {_short(shown[0])}")
    return as_expected("card copy", "the follower gets nothing of a published card")


def poll_open(answer: Exchange, asked: Payload) -> Finding:
    """`answer` is the message as it is read; `asked` is the poll as it was sent."""
    poll: Any = answer.answer["poll"]
    if wrong := _difference(_poll_texts(asked), _poll_texts(poll)):
        return deviates("poll", f"its texts differ: {wrong}")
    if "results" not in poll:
        return deviates("poll", "the message does not have the poll's results")
    return as_expected("poll", "sent, and its results are in the bot's own message")


def _poll_texts(poll: Payload) -> list[str]:
    return [poll["question"]["text"], *(answer["poll_media"]["text"] for answer in poll["answers"])]


def is_final(answer: Exchange) -> bool:
    results = answer.answer["poll"].get("results")
    return bool(results and results["is_finalized"])


def poll_ended(answer: Exchange, seconds: float) -> Finding:
    if not is_final(answer):
        return deviates("poll end", f"{seconds:.0f} s after the poll's end its results are not final")
    return as_expected("poll end", "ended, and the results are final")


def forum_post(answer: Exchange) -> Finding:
    """`answer` is that to the post's creation."""
    thread, message = answer.answer["id"], answer.answer["message"]["id"]
    if thread != message:
        return deviates("forum", f"the thread is {thread}, its first message {message}: it would not be found")
    return as_expected("forum", "posted; the first message has the thread's id")


def refused(part: str, what: str, answer: Exchange, code: int) -> Finding:
    kind = answer.headers.get("content-type", "none").partition(";")[0]
    if answer.code != code or kind != JSON:
        return deviates(part, f"{what} is answered {answer} as {kind}, not with code {code} as JSON")
    return as_expected(part, f"{what} is refused with code {code}, as JSON")


def _required(instant: datetime | None) -> datetime:
    if instant is None:
        raise ValueError("an exchange without an end")
    return instant
