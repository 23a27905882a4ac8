"""Checks of a publication, and of what a channel that follows gets of it."""

from collections.abc import Callable

from weekbot.rehearse.channels import ChannelAccess
from weekbot.rehearse.context import A_SECOND, Context, Posted
from weekbot.rehearse.finding import DeviatesError, LookError, NotTriedError, SkippedError
from weekbot.rehearse.payload import Payload, messages_in, reference, require_same, short, texts
from weekbot.rehearse.posting import CARD, EMBED, MOST_READ
from weekbot.store.steps import StepName

CROSSPOSTED, IS_CROSSPOST = 1 << 0, 1 << 1
ARRIVED_SECONDS = 20
HIDDEN = "it arrived, but Discord hides its content from weekbot; look at {link}, which should {shows}"


async def follow(context: Context) -> str:
    follower = _follower(context)
    if lacking := follower.lacks(("manage_webhooks",)):
        raise NotTriedError(f"missing in {follower.name}: {', '.join(lacking)}")
    await context.ask(context.client.http.follow_webhook(context.channel_id, follower.channel.id))
    context.followed = True
    return f"{follower.name} follows {context.channels.test.name}"


async def publish(context: Context) -> str:
    return await _published(context, context.posted(EMBED))


async def _published(context: Context, post: Posted) -> str:
    if not context.channels.test.is_announcement:
        raise SkippedError(f"{context.channels.test.name} is not an announcement channel")
    exchange = await context.ask(context.sender.follow_up(StepName.PUBLISH, post.delivery, None))
    context.published.add(post.id)
    if not (flags := exchange.answer["flags"]) & CROSSPOSTED:
        raise DeviatesError(f"published, with the flags {flags}, without CROSSPOSTED")
    return "published"


async def follower(context: Context) -> str:
    """The text of a post in an embed arrives, and no buttons."""
    _follower(context)
    post = context.posted(EMBED)

    def judge(copy: Payload) -> str:
        require_same(
            "the follower's embeds", *(texts({"embeds": each["embeds"]}) for each in (post.exchange.sent, copy))
        )
        if copy["components"]:
            raise DeviatesError("the follower gets the buttons as well")
        mention = f"; the role mention reads {short(copy['content'])}" if copy["content"] else ""
        return f"the follower gets the embed, without buttons{mention}"

    return await _copied(context, post, "show the topic with its links, and no buttons", judge)


async def card_copy(context: Context) -> str:
    """Of components alone nothing is expected to arrive, which is why the bot publishes no card."""
    _follower(context)
    post = context.posted(CARD)

    def judge(copy: Payload) -> str:
        if shown := texts(copy):
            raise DeviatesError(f"the follower gets {len(shown)} texts of a card, such as {short(shown[0])}")
        return "the follower gets nothing of a published card"

    await _published(context, post)
    return await _copied(context, post, "be empty", judge)


async def _copied(context: Context, post: Posted, shows: str, judge: Callable[[Payload], str]) -> str:
    """What the copy of a published post shows. Raises LookError if Discord hides that."""
    if post.id not in context.published:
        raise NotTriedError("the post was not published")
    copy = await _wait_for_copy(context, post.id)
    if texts(copy) or context.reads_content:
        return judge(copy)
    channel, copy_id = _follower(context).channel, int(copy["id"])
    context.kept |= {post.id, copy_id}
    link = f"https://discord.com/channels/{channel.guild.id}/{channel.id}/{copy_id}"
    raise LookError(HIDDEN.format(link=link, shows=shows))


async def _wait_for_copy(context: Context, message_id: int) -> Payload:
    follower, http = _follower(context), context.client.http
    for _ in range(ARRIVED_SECONDS):
        listed = await context.ask(http.logs_from(follower.channel.id, MOST_READ, after=message_id))
        for message in messages_in(listed.answer):
            if message.get("flags", 0) & IS_CROSSPOST and reference(message) == str(message_id):
                return message
        await context.clock.sleep(A_SECOND)
    none = f"no copy arrived in {follower.name} within {ARRIVED_SECONDS} s"
    if not context.followed:
        raise NotTriedError(f"{none}; follow {context.channels.test.name} there manually")
    raise DeviatesError(none)


def _follower(context: Context) -> ChannelAccess:
    """Raises SkippedError."""
    if context.channels.follower is None:
        raise SkippedError("use --follow to choose a channel that follows")
    return context.channels.follower
