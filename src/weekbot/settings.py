"""Settings from the environment, `.env` or files of secrets. Built by a call, never at import."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, UrlConstraints, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError, Url
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from weekbot.errors import WeekbotError

SECRETS = Path("/run/secrets")
PREFIX = "WEEKBOT_"
WebSocketUrl = Annotated[Url, UrlConstraints(allowed_schemes=["ws", "wss"])]


class Settings(BaseSettings):
    """`.env.example` describes each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    discord_token: SecretStr | None = None
    database_url: str = "sqlite:///weekbot.db"
    content_dir: Path | None = None
    discord_api_url: AnyHttpUrl = AnyHttpUrl("https://discord.com/api/v10")
    discord_gateway_url: WebSocketUrl | None = None
    requests_per_second: float = Field(default=48, gt=0, le=10_000)
    catch_up_hours: float = Field(default=24, gt=0, le=24 * 6)
    health_port: int | None = Field(default=None, ge=1, le=65535)
    shard_count: int | None = Field(default=None, ge=1)
    shard_ids: Annotated[tuple[int, ...] | None, NoDecode] = None
    home_channel_id: int | None = Field(default=None, ge=1)
    content_repository: AnyHttpUrl | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

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


class SettingsError(WeekbotError):
    """A setting is missing or wrong."""


def load_settings() -> Settings:
    """Raises SettingsError, naming each variable that is wrong; never shows a value."""
    try:
        return Settings(_secrets_dir=_secret_folders())
    except UnicodeDecodeError:
        raise SettingsError("The file .env is not valid UTF-8; save it as UTF-8.") from None
    except (OSError, UnreadableError) as error:
        raise SettingsError(_unreadable(error.__cause__ or error)) from None
    except ValidationError as error:
        raise SettingsError("\n".join(_wrong(detail) for detail in error.errors())) from None


def _secret_folders() -> list[Path]:
    """Docker's, and the one in which systemd puts credentials."""
    systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [SECRETS, Path(systemd)] if systemd else [SECRETS]
    return [folder for folder in folders if folder.is_dir()]


def _unreadable(reason: BaseException) -> str:
    if isinstance(reason, OSError):
        return f"{reason.filename} cannot be read: {reason.strerror}. Let the user that weekbot runs as read it."
    return "A secret file is not valid UTF-8; save it as UTF-8."


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
