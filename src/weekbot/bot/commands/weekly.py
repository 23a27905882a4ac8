"""`/weekly`: moderators subscribe channels and look after them."""

from dataclasses import replace
from typing import Any, cast

import discord
from discord import app_commands

from weekbot.bot.acknowledgement import changes
from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.status_panel import WEEKDAYS, preview_button, status_card
from weekbot.bot.cards.topic_cards import Row
from weekbot.bot.commands.arguments import (
    RESETTABLE,
    check_fit,
    check_notice_channel,
    check_role,
    check_start,
    parse_channel,
    parse_day,
    parse_reset,
    parse_time,
    parse_topic,
    parse_track,
)
from weekbot.bot.commands.autocomplete import topic_choices, track_choices
from weekbot.bot.commands.channel_option import ChosenChannel as Channel
from weekbot.bot.commands.weekly_follow import follow
from weekbot.bot.moderation import BACK, CHANGED, SUBSCRIBED, Done, Moderation
from weekbot.bot.place import place_of
from weekbot.bot.responses import (
    Interaction,
    answered,
    member_language,
    require_moderator,
    say,
    server_of,
    show,
    show_message,
)
from weekbot.bot.services import Services, channel_here
from weekbot.bot.weekly_overview import guild_health
from weekbot.discord_io.notice_channel import notice_channel_of
from weekbot.domain import subscription_rules, timezones
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_, Language
from weekbot.store.subscriptions import Changed

DAYS = [app_commands.Choice(name=name, value=number) for number, name in enumerate(WEEKDAYS)]
RESET_CHOICES = [app_commands.Choice(name=name, value=value) for value, name in RESETTABLE.items()]
CHANNEL = "Default: this channel"

SETTINGS = N_("This server's time zone is **{zone}**. I report problems in {board}.")
UNHEARD = N_(
    "This server's time zone is **{zone}**. I can't write in the system channel, or there is none. Choose a channel "
    "for notices with `/weekly settings`; until then, I only report in a weekly topic's channel that there is a "
    "problem, without details."
)
SYSTEM_CHANNEL = N_("the system channel")
SYSTEM_CHANNEL_INSTEAD = N_("the system channel, because I can't write in {channel}")


class WeeklyCommands(app_commands.Group):
    def __init__(self, services: Services) -> None:
        super().__init__(
            name="weekly",
            description="Manage a channel's weekly topic",
            guild_only=True,
            default_permissions=discord.Permissions(manage_guild=True),
        )
        self._services = services
        if services.following.home_channel_id:
            self.add_command(follow(services))

    async def interaction_check(self, interaction: Interaction) -> bool:
        """Discord checks the permission too, but a server can loosen its check."""
        require_moderator(interaction)
        server_of(interaction)
        return True

    def _moderation(self, interaction: Interaction) -> Moderation:
        return Moderation(member_language(interaction), self._services, interaction.id)

    async def _target(self, interaction: Interaction, channel: Channel | None) -> int:
        """The id of the channel that is meant, which may be one that cannot be subscribed any more."""
        return await self._services.effective_channel(place_of(interaction, channel))

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
    @changes
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
        target = parse_channel(channel or await channel_here(interaction, self._services))
        library = self._services.library()
        if ping:
            check_role(ping, target, cast("discord.Member", interaction.user))
        given = Choices(
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
        await self._subscribe(interaction, target, given)

    async def _subscribe(self, interaction: Interaction, channel: Channel, given: Choices) -> None:
        services, now, guild_id = self._services, self._services.clock.now(), channel.guild.id
        fresh = bool(given.start_topic) and await services.deliveries.is_round_new(channel.id, now)

        def build(current: Subscription | None, guild_timezone: str) -> Subscription:
            built = subscription_rules.subscribe(
                current, guild_id, channel.id, guild_timezone, given, now, round_just_begun=fresh
            )
            built = replace(built, parent_id=channel.parent_id if isinstance(channel, discord.Thread) else None)
            check_start(services.library(), built.options)
            check_fit(channel, built.options)
            return built

        changed = await services.subscriptions.put(guild_id, channel.id, build)
        await services.guilds.save_locales({guild_id: str(channel.guild.preferred_locale)})
        told = await self._moderation(interaction).tell(_subscribed(changed, given), changed.after)
        preview = Row(preview_button(member_language(interaction), changed.after))
        await show(interaction, topic_cards.note(told, preview), private=True)

    @app_commands.command(description="Stop posting topics here")
    @app_commands.describe(channel=CHANNEL)
    @changes
    async def unsubscribe(self, interaction: Interaction, channel: Channel | None = None) -> None:
        # Repeated in a thread whose own subscription it has just ended, it must not end the channel's.
        channel_id = await self._services.effective_channel(place_of(interaction, channel), ended_too=True)
        await say(interaction, await self._moderation(interaction).unsubscribe(channel_id))

    @app_commands.command(description="Preview the next post before anyone else sees it")
    @app_commands.describe(channel=CHANNEL)
    @answered
    async def preview(self, interaction: Interaction, channel: Channel | None = None) -> None:
        preview = await self._moderation(interaction).preview(await self._target(interaction, channel))
        await show_message(interaction, preview, private=True)

    @app_commands.command(description="Pause the weekly posts; no topic is lost")
    @app_commands.describe(channel=CHANNEL)
    @changes
    async def pause(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await say(interaction, await self._moderation(interaction).pause(await self._target(interaction, channel)))

    @app_commands.command(description="Resume the weekly posts after a pause")
    @app_commands.describe(channel=CHANNEL)
    @changes
    async def resume(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await say(interaction, await self._moderation(interaction).resume(await self._target(interaction, channel)))

    @app_commands.command(description="Skip the next topic; the one after it is posted on schedule")
    @app_commands.describe(channel=CHANNEL)
    @changes
    async def skip(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await _tell(interaction, await self._moderation(interaction).skip(await self._target(interaction, channel)))

    @app_commands.command(description="Post the next topic now; the weekly schedule doesn't change")
    @app_commands.describe(channel=CHANNEL)
    @changes
    async def post(self, interaction: Interaction, channel: Channel | None = None) -> None:
        await _tell(interaction, await self._moderation(interaction).post(await self._target(interaction, channel)))

    @app_commands.command(name="next", description="Choose the topic of the next post")
    @app_commands.describe(topic="Title, short name or alias", channel=CHANNEL)
    @changes
    async def next_(self, interaction: Interaction, topic: str, channel: Channel | None = None) -> None:
        chosen = parse_topic(self._services.library(), topic).slug
        channel_id = await self._target(interaction, channel)
        await say(interaction, await self._moderation(interaction).choose(channel_id, chosen))

    @app_commands.command(description="Reset an option; the channel keeps its place in the round")
    @app_commands.describe(option="Option to reset", channel=CHANNEL)
    @app_commands.choices(option=RESET_CHOICES)
    @changes
    async def reset(self, interaction: Interaction, option: str, channel: Channel | None = None) -> None:
        chosen = parse_reset(option)
        if chosen == "notices":
            await say(interaction, await self._reset_notices(interaction))
        else:
            channel_id = await self._target(interaction, channel)
            await say(interaction, await self._moderation(interaction).reset(channel_id, chosen))

    async def _reset_notices(self, interaction: Interaction) -> str:
        guild = server_of(interaction)
        await self._services.guilds.set_notice_channel(guild.id, None)
        return _settings(member_language(interaction), guild, await self._services.guilds.settings(guild.id))

    @app_commands.command(description="Show the status of this server's weekly topics")
    @answered
    async def status(self, interaction: Interaction) -> None:
        guild = server_of(interaction)
        tr = member_language(interaction)
        overview = await guild_health(tr, self._services, guild, await self._target(interaction, None))
        card = status_card(tr, overview, await self._services.guilds.settings(guild.id))
        await show(interaction, card, private=True)

    @app_commands.command(description="View or change the settings for all weekly topics in this server")
    @app_commands.describe(
        timezone="For channels without a time zone of their own; type a city to get suggestions",
        notices="Channel for notices about problems (default: the server's system channel)",
    )
    @changes
    async def settings(
        self, interaction: Interaction, timezone: str | None = None, notices: discord.TextChannel | None = None
    ) -> None:
        guild, zone = server_of(interaction), timezone and timezones.parse(timezone)
        if notices:
            check_notice_channel(notices)
            await self._services.guilds.set_notice_channel(guild.id, notices.id)
        if zone:
            await self._services.subscriptions.reschedule_guild(guild.id, zone, self._services.clock.now())
        settings = await self._services.guilds.settings(guild.id)
        await say(interaction, _settings(member_language(interaction), guild, settings))

    @subscribe.autocomplete("track")
    async def _tracks(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return track_choices(member_language(interaction), self._services.library(), typed)

    @subscribe.autocomplete("start")
    @next_.autocomplete("topic")
    async def _topics(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(member_language(interaction), self._services.library(), typed)

    @subscribe.autocomplete("timezone")
    @settings.autocomplete("timezone")
    async def _timezones(self, _: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=timezones.label(zone), value=zone) for zone in timezones.suggest(typed)]


async def _tell(interaction: Interaction, done: Done) -> None:
    if done.again:
        await show(interaction, topic_cards.note(done.text, Row(done.again)), private=True)
    else:
        await say(interaction, done.text)


def _subscribed(changed: Changed, given: Choices) -> str:
    """The text, to be filled in, that says what became of the subscription."""
    if changed.before and changed.before.active:
        return CHANGED
    return BACK if changed.before and not given.start_topic else SUBSCRIBED


def _settings(tr: Language, guild: discord.Guild, settings: GuildSettings) -> str:
    """The settings that hold for the server, and the channel that its notices go to."""
    zone, chosen_id = timezones.label(settings.timezone), settings.notices_channel_id
    board = notice_channel_of(guild, chosen_id)
    if board is None:
        return tr(UNHEARD, zone=zone)
    if board.id == chosen_id:
        return tr(SETTINGS, zone=zone, board=board.mention)
    instead = tr(SYSTEM_CHANNEL_INSTEAD, channel=f"<#{chosen_id}>") if chosen_id else tr(SYSTEM_CHANNEL)
    return tr(SETTINGS, zone=zone, board=instead)
