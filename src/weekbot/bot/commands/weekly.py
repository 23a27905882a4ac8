"""`/weekly`: moderators subscribe channels, and manage their subscriptions."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import discord
from discord import app_commands

from weekbot.bot.acknowledgement import acknowledges_first
from weekbot.bot.cards.card import Row, note
from weekbot.bot.cards.status_panel import WEEKDAYS
from weekbot.bot.channel_ref import channel_ref, current_channel
from weekbot.bot.commands.arguments import (
    RESETTABLE,
    parse_channel,
    parse_day,
    parse_reset,
    parse_time,
    parse_topic,
    parse_track,
)
from weekbot.bot.commands.autocomplete import topic_choices, track_choices
from weekbot.bot.commands.channel_option import ChosenChannel as Channel
from weekbot.bot.moderation import Moderation, ModerationResult
from weekbot.bot.responses import (
    Interaction,
    explains_mistakes,
    guild_of,
    member_language,
    require_moderator,
    say,
    show,
    show_message,
)
from weekbot.bot.services import GetServices
from weekbot.content.library import Library
from weekbot.discord_io.channel_checks import check_role
from weekbot.discord_io.notice_channel import check_notice_channel, notice_channel_of
from weekbot.domain import timezones
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.subscription_rules import Choices
from weekbot.i18n.language import N_, Language
from weekbot.runtime.errors import WeekbotError

DAYS = [app_commands.Choice(name=name, value=number) for number, name in enumerate(WEEKDAYS)]
RESET_CHOICES = [app_commands.Choice(name=name, value=value) for value, name in RESETTABLE.items()]
CHANNEL = "Default: this channel"

Change = Callable[[Language, int], Awaitable[ModerationResult]]

SETTINGS = N_("This server's time zone is **{zone}**. I report problems in {board}.")
UNHEARD = N_(
    "This server's time zone is **{zone}**. I can't write in the system channel, or there is none. Choose a channel "
    "for notices with `/weekly settings`; until then, I only report in a weekly topic's channel that there is a "
    "problem, without details."
)
SYSTEM_CHANNEL = N_("the system channel")
SYSTEM_CHANNEL_INSTEAD = N_("the system channel, because I can't write in {channel}")
FOLLOWS = N_(
    "{channel} now follows weekbot's own channel: each week's topic appears there automatically. To stop following, "
    "remove the follower under *Integrations* in the channel's settings."
)
FOLLOWED_BEFORE = N_("{channel} already follows weekbot's own channel.")


class WeeklyCommands(app_commands.Group):
    """The group has `follow` only if there is a home channel."""

    def __init__(self, services: GetServices, *, has_home_channel: bool) -> None:
        super().__init__(
            name="weekly",
            description="Manage a channel's weekly topic",
            guild_only=True,
            default_permissions=discord.Permissions(manage_guild=True),
        )
        self._services = services
        if not has_home_channel:
            self.remove_command("follow")

    async def interaction_check(self, interaction: Interaction) -> bool:
        """Check the permission again, because servers can change who may use a command."""
        require_moderator(interaction)
        guild_of(interaction)
        return True

    @property
    def _moderation(self) -> Moderation:
        return self._services().moderation

    @property
    def _library(self) -> Library:
        return self._services().lookup.library()

    async def _target(self, interaction: Interaction, channel: Channel | None) -> int:
        """Return the id of the channel to change; it may no longer be one that can be subscribed."""
        return await self._services().store.subscriptions.effective_channel(*channel_ref(interaction, channel))

    async def _moderate(self, interaction: Interaction, channel: Channel | None, change: Change) -> None:
        """Apply the change to the channel, and respond with the result."""
        channel_id = await self._target(interaction, channel)
        await _respond(interaction, await change(member_language(interaction), channel_id))

    @app_commands.command(description="Post a topic here each week, or change its options")
    @app_commands.describe(
        channel=CHANNEL,
        track="Track to post (default: all topics)",
        day="Default: Monday",
        time="HH:MM, for example 18:30 (default: 09:00)",
        timezone="Default: the server's time zone",
        ping="Role to mention in each post",
        thread="Start a thread on each post, with a question to discuss",
        pin="Pin each post and unpin the previous one",
        publish="Publish each post to servers that follow the channel (announcement channels only)",
        start="Topic to start with; in a subscribed channel, it starts a new round",
    )
    @app_commands.choices(day=DAYS)
    @acknowledges_first
    async def subscribe(
        self,
        interaction: Interaction,
        channel: Channel | None = None,
        track: str | None = None,
        day: int | None = None,
        time: str | None = None,
        timezone: str | None = None,
        ping: discord.Role | None = None,
        thread: bool | None = None,
        pin: bool | None = None,
        publish: bool | None = None,
        start: str | None = None,
    ) -> None:
        target = parse_channel(channel or await current_channel(interaction, self._services().store.subscriptions))
        library = self._library
        if ping:
            check_role(ping, target, cast("discord.Member", interaction.user))
        choices = Choices(
            track=track and parse_track(library, track),
            weekday=None if day is None else parse_day(day),
            at=parse_time(time) if time else None,
            timezone=timezone and timezones.parse(timezone),
            ping_role_id=ping.id if ping else None,
            thread=thread,
            pin=pin,
            publish=publish,
            start_topic=start and parse_topic(library, start).slug,
        )
        await _respond(interaction, await self._moderation.subscribe(member_language(interaction), target, choices))

    @app_commands.command(description="Stop posting topics here")
    @app_commands.describe(channel=CHANNEL)
    @acknowledges_first
    async def unsubscribe(self, interaction: Interaction, channel: Channel | None = None) -> None:
        # repeated in a thread whose own subscription has just ended, this must not end the channel's
        subscriptions, ref = self._services().store.subscriptions, channel_ref(interaction, channel)
        channel_id = await subscriptions.effective_channel(*ref, ended_too=True)
        await _respond(interaction, await self._moderation.unsubscribe(member_language(interaction), channel_id))

    @app_commands.command(description="Preview the next post before anyone else sees it")
    @app_commands.describe(channel=CHANNEL)
    @explains_mistakes
    async def preview(self, interaction: Interaction, channel: Channel | None = None) -> None:
        preview = await self._moderation.preview(await self._target(interaction, channel))
        await show_message(interaction, preview, private=True)

    @app_commands.command(description="Pause the weekly posts; no topic is lost")
    @app_commands.describe(channel=CHANNEL)
    @acknowledges_first
    async def pause(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await self._moderate(interaction, channel, self._moderation.pause)

    @app_commands.command(description="Resume the weekly posts after a pause")
    @app_commands.describe(channel=CHANNEL)
    @acknowledges_first
    async def resume(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await self._moderate(interaction, channel, self._moderation.resume)

    @app_commands.command(description="Skip the next topic; the one after it is posted on schedule")
    @app_commands.describe(channel=CHANNEL)
    @acknowledges_first
    async def skip(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await self._moderate(interaction, channel, partial(self._moderation.skip, interaction_id=interaction.id))

    @app_commands.command(description="Post the next topic now; the weekly schedule doesn't change")
    @app_commands.describe(channel=CHANNEL)
    @acknowledges_first
    async def post(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await self._moderate(interaction, channel, partial(self._moderation.post, interaction_id=interaction.id))

    @app_commands.command(name="next", description="Choose the topic of the next post")
    @app_commands.describe(topic="Title, short name or alias", channel=CHANNEL)
    @acknowledges_first
    async def next_(self, interaction: Interaction, topic: str, channel: Channel | None = None) -> None:
        chosen = parse_topic(self._library, topic).slug
        await self._moderate(interaction, channel, partial(self._moderation.choose, topic=chosen))

    @app_commands.command(description="Reset an option; the channel keeps its place in the round")
    @app_commands.describe(option="Option to reset", channel=CHANNEL)
    @app_commands.choices(option=RESET_CHOICES)
    @acknowledges_first
    async def reset(self, interaction: Interaction, option: str, channel: Channel | None = None) -> None:
        chosen = parse_reset(option)
        if chosen == "notices":
            await self._services().store.guilds.set_notice_channel(guild_of(interaction).id, None)
            await self._show_settings(interaction)
        else:
            await self._moderate(interaction, channel, partial(self._moderation.reset, option=chosen))

    @app_commands.command(description="Show the status of this server's weekly topics")
    @explains_mistakes
    async def status(self, interaction: Interaction) -> None:
        guild, tr, here = guild_of(interaction), member_language(interaction), await self._target(interaction, None)
        await show(interaction, await self._services().overview.card(tr, guild, here), private=True)

    @app_commands.command(description="View or change the settings for all weekly topics in this server")
    @app_commands.describe(
        timezone="For channels without a time zone of their own; type a city to get suggestions",
        notices="Channel for notices about problems (default: the server's system channel)",
    )
    @acknowledges_first
    async def settings(
        self, interaction: Interaction, timezone: str | None = None, notices: discord.TextChannel | None = None
    ) -> None:
        guild, zone, store = guild_of(interaction), timezone and timezones.parse(timezone), self._services().store
        if notices:
            check_notice_channel(notices)
            await store.guilds.set_notice_channel(guild.id, notices.id)
        if zone:
            await store.subscriptions.reschedule_guild(guild.id, zone, self._moderation.clock.now())
        await self._show_settings(interaction)

    async def _show_settings(self, interaction: Interaction) -> None:
        guild, tr = guild_of(interaction), member_language(interaction)
        await say(interaction, _settings(tr, guild, await self._services().store.guilds.settings(guild.id)))

    @app_commands.command(description="Follow weekbot's own channel to get its weekly post here")
    @app_commands.describe(channel="Text channel (default: this one)")
    @acknowledges_first
    async def follow(self, interaction: Interaction, channel: discord.TextChannel | None = None) -> None:
        target = channel or await current_channel(interaction, self._services().store.subscriptions)
        if not isinstance(target, discord.TextChannel) or target.is_news():
            raise WeekbotError("Only a text channel can follow. Choose one, or use `/weekly subscribe`.")
        text = FOLLOWS if await self._services().home_channel.follow(target) else FOLLOWED_BEFORE
        await say(interaction, member_language(interaction)(text, channel=target.mention))

    @subscribe.autocomplete("track")
    async def _tracks(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return track_choices(member_language(interaction), self._library, typed)

    @subscribe.autocomplete("start")
    @next_.autocomplete("topic")
    async def _topics(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(member_language(interaction), self._library, typed)

    @subscribe.autocomplete("timezone")
    @settings.autocomplete("timezone")
    async def _timezones(self, _: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=timezones.label(zone), value=zone) for zone in timezones.suggest(typed)]


async def _respond(interaction: Interaction, result: ModerationResult) -> None:
    if result.button:
        await show(interaction, note(result.text, Row(result.button)), private=True)
    else:
        await say(interaction, result.text)


def _settings(tr: Language, guild: discord.Guild, settings: GuildSettings) -> str:
    """Describe the server's settings, and the channel that gets its notices."""
    zone, chosen_id = timezones.label(settings.timezone), settings.notices_channel_id
    board = notice_channel_of(guild, chosen_id)
    if board is None:
        return tr(UNHEARD, zone=zone)
    if board.id == chosen_id:
        return tr(SETTINGS, zone=zone, board=board.mention)
    instead = tr(SYSTEM_CHANNEL_INSTEAD, channel=f"<#{chosen_id}>") if chosen_id else tr(SYSTEM_CHANNEL)
    return tr(SETTINGS, zone=zone, board=instead)
