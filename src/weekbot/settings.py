"""Settings from the environment, `.env` or files of secrets. Built by a call, never at import."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    UrlConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError, Url

from weekbot.errors import WeekbotError
from weekbot.log import Form
from weekbot.setting_sources import PREFIX, doubts, read_sources

TOKEN = re.compile(r"[\w.-]+", re.ASCII)
WebSocketUrl = Annotated[Url, UrlConstraints(allowed_schemes=["ws", "wss"])]


class Settings(BaseModel):
    """`.env.example` describes each."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    discord_token: SecretStr | None = None
    database_url: str = "sqlite:///weekbot.db"
    content_dir: Path | None = None
    discord_api_url: AnyHttpUrl = AnyHttpUrl("https://discord.com/api/v10")
    discord_gateway_url: WebSocketUrl | None = None
    requests_per_second: float = Field(default=48, gt=0, le=10_000)
    catch_up_hours: float = Field(default=24, gt=0, le=24 * 6)
    subscriptions_per_server: int = Field(default=50, ge=1)
    health_port: int | None = Field(default=None, ge=1, le=65535)
    shard_count: int | None = Field(default=None, ge=1)
    shard_ids: tuple[int, ...] | None = None
    home_channel_id: int | None = Field(default=None, ge=1)
    content_repository: AnyHttpUrl | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Form = "console"

    @field_validator("discord_token")
    @classmethod
    def _one_word(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not TOKEN.fullmatch(value.get_secret_value()):
            message = "must be one word of letters, digits, dots, hyphens and underscores; copy the token again"
            raise PydanticCustomError("token", message)
        return value

    @field_validator("shard_ids", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @field_validator("shard_ids")
    @classmethod
    def _different(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value and (min(value) < 0 or len(set(value)) < len(value)):
            raise PydanticCustomError("shard_ids", "must be different numbers, each 0 or greater, for example 0,1")
        return value

    @model_validator(mode="after")
    def _shards_counted(self) -> Self:
        if self.shard_ids and (self.shard_count is None or max(self.shard_ids) >= self.shard_count):
            message = "WEEKBOT_SHARD_COUNT must be set, and larger than each of WEEKBOT_SHARD_IDS"
            raise PydanticCustomError("shards", message)
        return self

    def secrets(self) -> list[str]:
        """What nobody should read in a log."""
        password = re.search(r"://[^/:]*:(.*)@", self.database_url)
        optional = re.findall(r"[?&](?:ssl)?password=([^&]*)", self.database_url)
        passwords = [password[1] if password else "", *optional]
        token = self.discord_token.get_secret_value() if self.discord_token else ""
        return [each for each in (token, *passwords, *map(unquote, passwords)) if each]


NAMES = frozenset(f"{PREFIX}{field.upper()}" for field in Settings.model_fields)


class SettingsError(WeekbotError):
    """A setting is missing or wrong."""


def load_settings() -> Settings:
    """Raises SettingsError, naming each variable that is wrong; never shows a value."""
    settings, wrong = read_settings()
    check(wrong)
    return settings


def check(wrong: Mapping[str, str]) -> None:
    """Raises SettingsError if any setting is wrong."""
    if wrong:
        raise SettingsError("\n".join(wrong.values()))


def read_settings() -> tuple[Settings, dict[str, str]]:
    """The settings, with its default in place of each that is wrong, and a sentence on each of these.

    The sentences are by the setting's name as a field, or by the file that cannot be read; none shows a value.
    """
    given = read_sources(NAMES)
    values = {_field_of(name): value for name, value in given.values.items()}
    wrong = {_field_of(name): sentence for name, sentence in given.unreadable.items()}
    while True:
        try:
            return Settings.model_validate({name: value for name, value in values.items() if name not in wrong}), wrong
        except ValidationError as error:
            wrong |= {_field(detail): _wrong(detail) for detail in error.errors()}


def doubtful_settings() -> Sequence[str]:
    """Sentences on unknown names, and on settings with two different values. None of them contains a value."""
    return list(doubts(read_sources(NAMES), NAMES))


def _field_of(name: str) -> str:
    return name.removeprefix(PREFIX).lower() if name in NAMES else name


def _field(detail: ErrorDetails) -> str:
    """What concerns several fields is about the shards."""
    return str(detail["loc"][0]) if detail["loc"] else "shard_ids"


def _wrong(detail: ErrorDetails) -> str:
    names = [f"{PREFIX}{str(name).upper()}" for name in detail["loc"][:1]]
    return ": ".join([*names, detail["msg"]])


def content_directory(settings: Settings) -> Path:
    """The folder that is set, else `./content`, else the content that came with the package."""
    if settings.content_dir:
        return settings.content_dir
    local = Path("content")
    return local if (local / "topics").is_dir() else _shipped()


def _shipped() -> Path:
    packaged = Path(__file__).parent / "content" / "shipped"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "content"
