"""Checks of a publication, and of the copies in a channel that follows."""

from weekbot.domain.steps import StepName
from weekbot.rehearse.check_result import CheckError, Result, expect
from weekbot.rehearse.payload import Payload, messages_in, reference, require_same, short, texts
from weekbot.rehearse.post_checks import CARD, EMBED, MOST_READ
from weekbot.rehearse.rehearsal_channels import ChannelAccess
from weekbot.rehearse.rehearsal_context import A_SECOND, Posted, RehearsalContext

CROSSPOSTED, IS_CROSSPOST = 1 << 0, 1 << 1
ARRIVED_SECONDS = 20
HIDDEN = "it arrived, but Discord hides its content from weekbot; look at {link}, which should {shows}"


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
