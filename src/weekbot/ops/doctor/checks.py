"""All checks, one after the other. A check skips what it needs from an earlier one that failed."""

from collections.abc import Iterator
from contextlib import aclosing
from itertools import chain

from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import RestClient, use_addresses
from weekbot.ops.doctor.account import check_commands, check_gateway, check_intents, check_token
from weekbot.ops.doctor.database import Records, check_rows, check_token_users
from weekbot.ops.doctor.finding import Findings, at_once, guarded, not_checked
from weekbot.ops.doctor.machine import check_content, check_disk, check_settings
from weekbot.ops.doctor.subscribed_channels import check_channels
from weekbot.runtime.clock import SystemClock
from weekbot.settings import Settings, read_settings, setting_warnings

REQUESTS_PER_SECOND = 2  # the rest of Discord's 50, beside a bot that runs at the default rate
NEEDED_TO_LOG_IN = {"discord_token", "discord_api_url"}

Check = tuple[str, Findings]


async def examine(*, channels: bool) -> Findings:
    """Yield each finding as soon as it is known; with `channels`, also on each subscribed channel."""
    settings, wrong = read_settings()
    rate_limiter = RateLimiter(min(REQUESTS_PER_SECOND, settings.requests_per_second))
    here = {"settings": check_settings(wrong, setting_warnings()), "content": check_content(settings)}
    use_addresses(str(settings.discord_api_url), None)
    async with RestClient(rate_limiter) as client, aclosing(Records(settings.database_url)) as records:
        # Each iterator runs only after the one before, so it sees the results of the earlier checks.
        checks = chain(
            ((part, at_once(findings)) for part, findings in here.items()),
            _database_checks(records),
            _account_checks(settings, client, records, can_log_in=not NEEDED_TO_LOG_IN & wrong.keys()),
            _channel_checks(client, records) if channels else (),
        )
        for part, findings in checks:
            async for finding in guarded(part, findings):
                yield finding


def _database_checks(records: Records) -> Iterator[Check]:
    yield "database", records.check()
    if records.readable:
        yield "rows", check_rows(records.readable)
    if records.file:
        yield "disk", at_once(check_disk(records.file))


def _account_checks(settings: Settings, client: RestClient, records: Records, *, can_log_in: bool) -> Iterator[Check]:
    invalid = "required settings are invalid"
    yield "token", check_token(client, settings) if can_log_in else not_checked("token", invalid)
    if records.readable:
        yield "token", check_token_users(records.readable, SystemClock().now())
    if client.application:
        yield "commands", check_commands(client, settings, records.readable)
        yield "intents", at_once(check_intents(client.application))
        yield "gateway", check_gateway(client, client.application, settings)
    else:
        for part in ("commands", "intents", "gateway"):
            yield part, not_checked(part, "weekbot could not log in")


def _channel_checks(client: RestClient, records: Records) -> Iterator[Check]:
    if client.application and records.readable:
        yield "channels", check_channels(client, records.readable)
    else:
        yield "channels", not_checked("channels", "an up-to-date database and a valid token are required")
