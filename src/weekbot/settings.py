"""Settings from the environment, `.env` or files of secrets. Built by a call, never at import."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import AnyHttpUrl, Field, SecretStr, UrlConstraints, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError, Url
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from weekbot.errors import WeekbotError
from weekbot.log import Form

SECRETS = Path("/run/secrets")
ENV_FILE, SECRET_FILES = ".env", "secrets"
PREFIX = "WEEKBOT_"
WebSocketUrl = Annotated[Url, UrlConstraints(allowed_schemes=["ws", "wss"])]


class Settings(BaseSettings):
    """`.env.example` describes each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

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
    shard_ids: Annotated[tuple[int, ...] | None, NoDecode] = None
    home_channel_id: int | None = Field(default=None, ge=1)
    content_repository: AnyHttpUrl | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Form = "console"

    @field_validator("discord_token")
    @classmethod
    def _one_word(cls, value: SecretStr | None) -> SecretStr | None:
        """What else no request can carry."""
        token = value.get_secret_value().strip() if value else ""
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise PydanticCustomError("token", "must be one word in ASCII; copy the token anew")
        return SecretStr(token) if value else value

    @field_validator("shard_ids", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

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


class SettingsError(WeekbotError):
    """A setting is missing or wrong."""


def load_settings() -> Settings:
    """Raises SettingsError, naming each variable that is wrong; never shows a value."""
    settings, wrong = read_settings()
    if wrong:
        raise SettingsError("\n".join(wrong.values()))
    return settings


def read_settings() -> tuple[Settings, dict[str, str]]:
    """The settings, with its default in place of each that is wrong, and a sentence on each of these.

    The sentences are by the setting's name as a field, or by the file that cannot be read; none shows a value.
    """
    wrong: dict[str, str] = {}
    while True:
        try:
            return _built(wrong), wrong
        except (OSError, UnicodeDecodeError, SourceError) as error:
            source = SECRET_FILES if isinstance(error, SourceError) else ENV_FILE
            if source in wrong:
                raise
            wrong[source] = _unreadable(error.__cause__ or error, source)
        except ValidationError as error:
            wrong |= {_field(detail): _wrong(detail) for detail in error.errors()}


def _built(wrong: Collection[str]) -> Settings:
    """Without the fields and files that are wrong."""
    defaults: dict[str, Any] = {
        name: field.get_default() for name, field in Settings.model_fields.items() if name in wrong
    }
    env_file = None if ENV_FILE in wrong else ENV_FILE
    return Settings(_env_file=env_file, _secrets_dir=[] if SECRET_FILES in wrong else _secret_folders(), **defaults)


def _secret_folders() -> list[Path]:
    """Docker's, and the one in which systemd puts credentials."""
    systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [SECRETS, Path(systemd)] if systemd else [SECRETS]
    return [folder for folder in folders if folder.is_dir()]


def _unreadable(reason: BaseException, source: str) -> str:
    if isinstance(reason, OSError):
        name = reason.filename or source
        return f"{name} cannot be read: {reason.strerror}. Let the user that weekbot runs as read it."
    name = "The file .env" if source == ENV_FILE else "A secret file"
    return f"{name} is not valid UTF-8; save it as UTF-8."


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
