"""All checks, one after the other; what one needs of an earlier one that failed, it does without."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing

from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import RestClient, use_addresses
from weekbot.ops.doctor.account import of_gateway, of_intents, of_token
from weekbot.ops.doctor.database import Records
from weekbot.ops.doctor.finding import Finding
from weekbot.ops.doctor.guard import at_once, guarded, not_checked
from weekbot.ops.doctor.machine import FreeBytes, of_content, of_disk, of_settings
from weekbot.ops.doctor.registered_commands import of_commands
from weekbot.ops.doctor.subscribed_channels import of_channels
from weekbot.runtime.clock import SystemClock
from weekbot.settings import Settings

REQUESTS_PER_SECOND = 2  # what a bot that runs at the usual pace leaves of Discord's 50

NEEDED_TO_LOG_IN = {"discord_token", "discord_api_url"}

Check = tuple[str, AsyncIterator[Finding]]


async def examine(
    settings: Settings,
    wrong: Mapping[str, str],
    doubtful: Collection[str],
    pace: RateLimiter,
    free_bytes: FreeBytes,
    *,
    channels: bool,
) -> AsyncIterator[Finding]:
    """Every finding as soon as it is there; with `channels`, also on each subscribed channel.

    `wrong` has a sentence for each invalid setting, `doubtful` one for each unknown name or contradictory value.
    """
    use_addresses(str(settings.discord_api_url), None)
    async with RestClient(pace) as client, aclosing(Records(settings.database_url)) as records:
        for part, findings in _checks(settings, wrong, doubtful, client, records, free_bytes, channels=channels):
            async for finding in guarded(part, findings):
                yield finding


def _checks(
    settings: Settings,
    wrong: Mapping[str, str],
    doubtful: Collection[str],
    client: RestClient,
    records: Records,
    free_bytes: FreeBytes,
    *,
    channels: bool,
) -> Iterator[Check]:
    """Each check is made when those before it are done."""
    yield "settings", at_once(of_settings(wrong, doubtful))
    yield "content", at_once(of_content(settings))
    yield "database", records.check()
    if records.ready:
        yield "rows", records.unreadable()
    if records.file:
        yield "disk", at_once(of_disk(records.file, free_bytes))
    if NEEDED_TO_LOG_IN & wrong.keys():
        yield "token", not_checked("token", "settings that it needs are wrong")
    else:
        yield "token", of_token(client, settings)
    if records.ready:
        yield "token", records.other_user(SystemClock().now())
    yield from _checks_logged_in(settings, client, records)
    if channels and client.application and records.ready:
        yield "channels", of_channels(client, records)
    elif channels:
        yield "channels", not_checked("channels", "that needs a database that is up to date, and the token")


def _checks_logged_in(settings: Settings, client: RestClient, records: Records) -> Iterator[Check]:
    if client.application:
        yield "commands", of_commands(client, settings.home_channel_id, records)
        yield "intents", at_once(of_intents(client.application))
        yield "gateway", of_gateway(client, client.application, settings)
    else:
        for part in ("commands", "intents", "gateway"):
            yield part, not_checked(part, "weekbot could not log in")
