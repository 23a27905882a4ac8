"""Checks of a publication, and of the copies in a channel that follows."""

from weekbot.domain.steps import StepName
from weekbot.rehearse.channels import ChannelAccess
from weekbot.rehearse.check_result import CheckError, Result, expect
from weekbot.rehearse.context import A_SECOND, Context, Posted
from weekbot.rehearse.payload import Payload, messages_in, reference, require_same, short, texts
from weekbot.rehearse.post_checks import CARD, EMBED, MOST_READ

CROSSPOSTED, IS_CROSSPOST = 1 << 0, 1 << 1
ARRIVED_SECONDS = 20
HIDDEN = "it arrived, but Discord hides its content from weekbot; look at {link}, which should {shows}"


async def follow(context: Context) -> str:
    follower = _follower(context)
    follower.require(("manage_webhooks",))
    await context.ask(context.client.http.follow_webhook(context.channel_id, follower.channel.id))
    context.followed = True
    return f"{follower.name} follows {context.channels.test.name}"


async def publish(context: Context) -> str:
    return await _published(context, context.posted(EMBED))


async def _published(context: Context, post: Posted) -> str:
    if not context.channels.test.is_announcement:
        raise CheckError(Result.SKIPPED, f"{context.channels.test.name} is not an announcement channel")
    exchange = await context.ask(context.sender.follow_up(StepName.PUBLISH, post.delivery, None))
    context.published.add(post.id)
    flags = exchange.answer["flags"]
    expect(flags & CROSSPOSTED, f"published, with the flags {flags}, without CROSSPOSTED")
    return "published"


async def follower(context: Context) -> str:
    """Check that the text of a post in an embed arrives, without buttons."""
    _follower(context)
    post = context.posted(EMBED)
    copy = await _copy_of(context, post, "show the topic with its links, and no buttons")
    sent, shown = (texts({"embeds": each["embeds"]}) for each in (post.exchange.sent, copy))
    require_same("the follower's embeds", sent, shown)
    expect(not copy["components"], "the follower gets the buttons as well")
    mention = f"; the role mention reads {short(copy['content'])}" if copy["content"] else ""
    return f"the follower gets the embed, without buttons{mention}"


async def card_copy(context: Context) -> str:
    """Check that nothing of a card arrives, which is why the bot publishes no card."""
    _follower(context)
    post = context.posted(CARD)
    await _published(context, post)
    shown = texts(await _copy_of(context, post, "be empty"))
    example = shown and short(shown[0])
    expect(not shown, f"the follower gets {len(shown)} texts of a card, such as {example}")
    return "the follower gets nothing of a published card"


async def _copy_of(context: Context, post: Posted, shows: str) -> Payload:
    """Return the copy of a published post. Raises CheckError, also if Discord hides the copy's content."""
    if post.id not in context.published:
        raise CheckError(Result.NOT_TRIED, "the post was not published")
    follower, copy = _follower(context), await _wait_for_copy(context, post.id)
    flags = context.client.application and context.client.application.flags
    if texts(copy) or (flags and (flags.gateway_message_content or flags.gateway_message_content_limited)):
        return copy  # which is empty, if Discord shows the bot what others write
    copy_id = int(copy["id"])
    context.kept |= {post.id, copy_id}
    raise CheckError(Result.LOOK, HIDDEN.format(link=follower.link(follower.channel.id, copy_id), shows=shows))


async def _wait_for_copy(context: Context, message_id: int) -> Payload:
    follower, http = _follower(context), context.client.http
    for _ in range(ARRIVED_SECONDS):
        listed = await context.ask(http.logs_from(follower.channel.id, MOST_READ, after=message_id))
        for message in messages_in(listed.answer):
            if message.get("flags", 0) & IS_CROSSPOST and reference(message) == str(message_id):
                return message
        await context.clock.sleep(A_SECOND)
    none = f"no copy came to {follower.name} within {ARRIVED_SECONDS} s"
    if not context.followed:
        raise CheckError(Result.NOT_TRIED, f"{none}; let it follow {context.channels.test.name} by hand")
    raise CheckError(Result.DEVIATES, none)


def _follower(context: Context) -> ChannelAccess:
    if context.channels.follower is None:
        raise CheckError(Result.SKIPPED, "--follow says which channel is to follow")
    return context.channels.follower
