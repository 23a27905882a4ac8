"""The settings, which are loaded by a call, never at import."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    AnyWebsocketUrl,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import LogFormat
from weekbot.setting_sources import PREFIX, read_sources, source_warnings

TOKEN = re.compile(r"[\w.-]+", re.ASCII)


def _check_token(value: SecretStr) -> SecretStr:
    if value and not TOKEN.fullmatch(value.get_secret_value()):
        message = "must be one word of letters, digits, dots, hyphens and underscores; copy the token again"
        raise PydanticCustomError("token", message)
    return value


def _check_ids(value: tuple[int, ...]) -> tuple[int, ...]:
    if value and (min(value) < 0 or len(set(value)) < len(value)):
        raise PydanticCustomError("shard_ids", "must be different numbers, each 0 or greater, for example 0,1")
    return value


Token = Annotated[SecretStr, AfterValidator(_check_token)]
ShardIds = Annotated[
    tuple[int, ...],
    BeforeValidator(lambda value: [part.strip() for part in value.split(",")] if isinstance(value, str) else value),
    AfterValidator(_check_ids),
]


class Settings(BaseModel, extra="forbid", hide_input_in_errors=True):
    """`.env.example` documents each setting."""

    discord_token: Token | None = None
    database_url: str = "sqlite:///weekbot.db"
    content_dir: Path | None = None
    discord_api_url: AnyHttpUrl = AnyHttpUrl("https://discord.com/api/v10")
    discord_gateway_url: AnyWebsocketUrl | None = None
    requests_per_second: float = Field(default=48, gt=0, le=10_000)
    catch_up_hours: float = Field(default=24, gt=0, le=24 * 6)
    subscriptions_per_server: int = Field(default=50, ge=1)
    health_port: int | None = Field(default=None, ge=1, le=65535)
    shard_count: int | None = Field(default=None, ge=1)
    shard_ids: ShardIds | None = None
    home_channel_id: int | None = Field(default=None, ge=1)
    content_repository: AnyHttpUrl | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: LogFormat = "console"

    @model_validator(mode="after")
    def _check_shards(self) -> Self:
        if self.shard_ids and (self.shard_count is None or max(self.shard_ids) >= self.shard_count):
            message = "WEEKBOT_SHARD_COUNT must be set, and larger than each of WEEKBOT_SHARD_IDS"
            raise PydanticCustomError("shards", message)
        return self

    def secrets(self) -> list[str]:
        passwords = re.findall(r"://[^/:]*:(.*)@", self.database_url)
        passwords += re.findall(r"[?&](?:ssl)?password=([^&]*)", self.database_url)
        token = self.discord_token.get_secret_value() if self.discord_token else ""
        return [each for each in (token, *passwords, *map(unquote, passwords)) if each]


NAMES = frozenset(f"{PREFIX}{field.upper()}" for field in Settings.model_fields)


class SettingsError(WeekbotError):
    """A setting is missing or wrong."""


def load_settings() -> Settings:
    """Raises SettingsError if any setting is invalid, with the name of each, and never a value."""
    settings, wrong = read_settings()
    raise_if_invalid(wrong)
    return settings


def raise_if_invalid(wrong: Mapping[str, str]) -> None:
    if wrong:
        raise SettingsError("\n".join(wrong.values()))


def read_settings() -> tuple[Settings, dict[str, str]]:
    """Return the settings, with defaults for invalid ones, and sentences on these by field name or unreadable file."""
    sources = read_sources(NAMES)
    values = {_field_of(name): value for name, value in sources.values.items()}
    wrong = {_field_of(name): sentence for name, sentence in sources.unreadable.items()}
    while True:
        try:
            return Settings.model_validate({name: value for name, value in values.items() if name not in wrong}), wrong
        except ValidationError as error:
            wrong |= dict(map(_describe, error.errors()))


def setting_warnings() -> Sequence[str]:
    """Return sentences on unknown names, and on settings with two different values. None contains a value."""
    return list(source_warnings(read_sources(NAMES), NAMES))


def _field_of(name: str) -> str:
    return name.removeprefix(PREFIX).lower() if name in NAMES else name


def _describe(detail: ErrorDetails) -> tuple[str, str]:
    if not detail["loc"]:
        return "shard_ids", detail["msg"]  # the only check of several fields
    field = str(detail["loc"][0])
    return field, f"{PREFIX}{field.upper()}: {detail['msg']}"


def content_directory(settings: Settings) -> Path:
    """Return the configured folder, or else `./content`, or else the content of the package."""
    if settings.content_dir:
        return settings.content_dir
    local, packaged = Path("content"), Path(__file__).parent / "content" / "shipped"
    if (local / "topics").is_dir():
        return local
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "content"
