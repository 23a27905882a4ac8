"""Settings from the environment, `.env` and secret files; errors contain names and never values."""

import errno
import os
import re
from pathlib import Path

import pytest

import weekbot.setting_sources
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import NAMES, content_directory, load_settings, read_settings, setting_warnings

VALUE = "hunter2"
"""A value that must never appear in any output."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Change to an empty folder, and remove all settings and secrets of this machine."""
    for name in os.environ:
        if name.upper().startswith("WEEKBOT_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path / "no-secrets")
    monkeypatch.chdir(tmp_path)


def test_everything_but_the_token_has_a_default() -> None:
    settings = load_settings()
    assert settings.discord_token is None
    assert settings.database_url == "sqlite:///weekbot.db"
    assert str(settings.discord_api_url) == "https://discord.com/api/v10"
    assert settings.discord_gateway_url is None
    assert (settings.requests_per_second, settings.catch_up_hours) == (48, 24)
    assert settings.subscriptions_per_server == 50
    assert (settings.shard_count, settings.shard_ids) == (None, None)
    assert (settings.log_level, settings.log_format) == ("INFO", "console")


def test_every_setting_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "DISCORD_TOKEN": VALUE,
        "DATABASE_URL": "sqlite:////var/lib/weekbot.db",
        "CONTENT_DIR": "topics-of-ours",
        "DISCORD_API_URL": "http://127.0.0.1:8080/api",
        "DISCORD_GATEWAY_URL": "ws://127.0.0.1:8081",
        "REQUESTS_PER_SECOND": "25.5",
        "CATCH_UP_HOURS": "1",
        "SHARD_COUNT": "4",
        "SHARD_IDS": "0, 2",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"WEEKBOT_{name}", value)
    settings = load_settings()
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == VALUE
    assert settings.database_url == "sqlite:////var/lib/weekbot.db"
    assert settings.content_dir == Path("topics-of-ours")
    assert str(settings.discord_api_url) == "http://127.0.0.1:8080/api"
    assert str(settings.discord_gateway_url).rstrip("/") == "ws://127.0.0.1:8081"
    assert (settings.requests_per_second, settings.catch_up_hours) == (25.5, 1)
    assert (settings.shard_count, settings.shard_ids) == (4, (0, 2))
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")


def test_the_environment_overrides_the_env_file_which_overrides_secret_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", secrets)
    for number, name in enumerate(("shard_count", "catch_up_hours", "requests_per_second"), 1):
        (secrets / f"weekbot_{name}").write_text(f"{number}\n")
    (tmp_path / ".env").write_text("WEEKBOT_SHARD_COUNT=11\nWEEKBOT_CATCH_UP_HOURS=12\n# a comment\nOTHER=1\n")
    monkeypatch.setenv("WEEKBOT_SHARD_COUNT", "21")
    settings = load_settings()
    assert (settings.shard_count, settings.catch_up_hours, settings.requests_per_second) == (21, 12, 3)


@pytest.mark.parametrize("name", ["weekbot_discord_token", "WEEKBOT_DISCORD_TOKEN"])
def test_a_token_can_come_from_a_secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(f"{VALUE}\n")
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path)
    token = load_settings().discord_token
    assert token is not None
    assert token.get_secret_value() == VALUE


def test_a_token_can_be_a_systemd_credential(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "WEEKBOT_DISCORD_TOKEN").write_text(f"{VALUE}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    token = load_settings().discord_token
    assert token is not None
    assert token.get_secret_value() == VALUE


def test_an_unreadable_secret_file_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "WEEKBOT_DISCORD_TOKEN"
    secret.write_text(VALUE)
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path)

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)  # root reads everything
    with pytest.raises(WeekbotError, match="cannot be read: Permission denied") as error:
        load_settings()
    assert str(secret) in str(error.value)


def test_the_secrets_are_the_token_and_the_password_as_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEEKBOT_DISCORD_TOKEN", f" {VALUE}\t")
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", "postgresql://weekbot:p%40ss:w/rd@host/weekbot")
    assert load_settings().secrets() == [VALUE, "p%40ss:w/rd", "p@ss:w/rd"]


def test_a_secret_that_is_not_utf_8_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "WEEKBOT_DISCORD_TOKEN").write_bytes(b"\xff")
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path)
    with pytest.raises(WeekbotError, match="WEEKBOT_DISCORD_TOKEN is not valid UTF-8"):
        load_settings()


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEEKBOT_DISCORD_TOKEN", VALUE)
    settings = load_settings()
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert VALUE not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUESTS_PER_SECOND", VALUE),
        ("REQUESTS_PER_SECOND", "0"),
        ("REQUESTS_PER_SECOND", "nan"),
        ("CATCH_UP_HOURS", "-1"),
        ("CATCH_UP_HOURS", "1000"),
        ("SHARD_COUNT", "0"),
        ("SHARD_COUNT", VALUE),
        ("SHARD_IDS", f"1,{VALUE}"),
        ("LOG_LEVEL", VALUE),
        ("DISCORD_TOKEN", f"two {VALUE}"),
        ("DISCORD_TOKEN", f"first\n{VALUE}"),
        ("DISCORD_TOKEN", f"Grüße-{VALUE}"),
        ("LOG_FORMAT", VALUE),
        ("DISCORD_API_URL", f"ftp://{VALUE}"),
        ("DISCORD_GATEWAY_URL", f"https://{VALUE}"),
    ],
)
def test_an_invalid_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"WEEKBOT_{name}", value)
    with pytest.raises(WeekbotError) as error:
        load_settings()
    sentence = str(error.value)
    assert sentence.startswith(f"WEEKBOT_{name}: ")
    assert VALUE not in sentence
    assert "\n" not in sentence


def test_all_invalid_settings_are_named_in_one_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"WEEKBOT_LOG_LEVEL={VALUE}\nWEEKBOT_SHARD_COUNT={VALUE}\n")
    with pytest.raises(WeekbotError) as error:
        load_settings()
    lines = sorted(str(error.value).splitlines())
    assert [line.partition(":")[0] for line in lines] == ["WEEKBOT_LOG_LEVEL", "WEEKBOT_SHARD_COUNT"]
    assert VALUE not in str(error.value)


@pytest.mark.parametrize(("count", "ids"), [(None, "0"), ("2", "0,2"), ("2", "5")])
def test_shard_ids_need_a_larger_shard_count(monkeypatch: pytest.MonkeyPatch, count: str | None, ids: str) -> None:
    if count:
        monkeypatch.setenv("WEEKBOT_SHARD_COUNT", count)
    monkeypatch.setenv("WEEKBOT_SHARD_IDS", ids)
    with pytest.raises(WeekbotError, match="WEEKBOT_SHARD_COUNT"):
        load_settings()


def test_the_configured_content_folder_is_used_even_if_there_is_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "content" / "topics").mkdir(parents=True)
    monkeypatch.setenv("WEEKBOT_CONTENT_DIR", str(tmp_path / "other"))
    assert content_directory(load_settings()) == tmp_path / "other"


def test_a_content_folder_in_the_current_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "content" / "topics").mkdir(parents=True)
    assert content_directory(load_settings()).resolve() == tmp_path / "content"


def test_the_packaged_content_folder_is_the_default(tmp_path: Path) -> None:
    # A folder of that name without topics belongs to something else.
    (tmp_path / "content").mkdir()
    shipped = content_directory(load_settings())
    assert shipped.resolve() != tmp_path / "content"
    assert (shipped / "topics" / "flask.md").is_file()


@pytest.mark.parametrize("name", ["SHARD_COUNT", "SHARD_IDS", "CONTENT_DIR", "DISCORD_GATEWAY_URL", "LOG_LEVEL"])
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = load_settings()
    monkeypatch.setenv(f"WEEKBOT_{name}", "")
    assert load_settings() == default


def test_valid_settings_can_be_read_beside_invalid_ones(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WEEKBOT_LOG_LEVEL=loud\nWEEKBOT_SHARD_COUNT=2\nWEEKBOT_SHARD_IDS=5\n")
    settings, wrong = read_settings()
    assert list(wrong) == ["log_level", "shard_ids"]
    assert (settings.log_level, settings.shard_count, settings.shard_ids) == ("INFO", 2, None)


def test_the_environment_can_be_read_beside_unreadable_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"WEEKBOT_LOG_LEVEL=\xff\xfe")
    (tmp_path / "weekbot_discord_token").write_bytes(b"\xff\xfe")
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path)
    monkeypatch.setenv("WEEKBOT_SHARD_COUNT", "2")
    settings, wrong = read_settings()
    assert list(wrong) == [".env", "discord_token"]
    assert settings.shard_count == 2


def test_an_env_file_that_is_not_utf_8_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"WEEKBOT_LOG_LEVEL=\xff\xfe")
    with pytest.raises(WeekbotError, match=r"\.env"):
        load_settings()


VALUES = {
    "DISCORD_TOKEN": "abc.def-ghi_jkl",
    "DATABASE_URL": "sqlite:////data/weekbot.db",
    "CONTENT_DIR": "topics of ours",
    "DISCORD_API_URL": "http://127.0.0.1:8080/api",
    "DISCORD_GATEWAY_URL": "ws://127.0.0.1:8081/",
    "REQUESTS_PER_SECOND": "25.5",
    "CATCH_UP_HOURS": "1",
    "SUBSCRIPTIONS_PER_SERVER": "7",
    "HEALTH_PORT": "9464",
    "SHARD_COUNT": "4",
    "SHARD_IDS": "0, 2",
    "HOME_CHANNEL_ID": "123456789012345678",
    "CONTENT_REPOSITORY": "https://example.org/weekbot",
    "LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "json",
}
WRAPPINGS = {
    "double quotes": '"{}"',
    "single quotes": "'{}'",
    "blanks": "  {} \t",
    "a Windows line ending": "{}\r",
    "quotes and a Windows line ending": '"{}"\r\n',
    "blanks in quotes": "' {} '",
    "a byte order mark": "\ufeff{}",
    "a no-break space": "{}\u00a0",
}


def put_into_environment(name: str, value: str, monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setenv(name, value)


def put_into_env_file(name: str, value: str, _: pytest.MonkeyPatch, folder: Path) -> None:
    with (folder / ".env").open("ab") as file:
        file.write(f"{name}={value}\r\n".encode())


def put_into_secret(name: str, value: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "given").mkdir(exist_ok=True)
    (folder / "given" / name).write_bytes(f"{value}\r\n".encode())
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", folder / "given")


PLACES = {"environment": put_into_environment, ".env": put_into_env_file, "secret file": put_into_secret}


def test_there_is_a_test_value_for_each_setting() -> None:
    assert {f"WEEKBOT_{name}" for name in VALUES} == NAMES


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_quotes_blanks_and_line_endings_around_a_value_are_ignored(
    wrapping: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in VALUES.items():
        PLACES[place](f"WEEKBOT_{name}", WRAPPINGS[wrapping].format(value), monkeypatch, tmp_path)
    settings = load_settings()
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == "abc.def-ghi_jkl"
    for name in VALUES:
        monkeypatch.delenv(f"WEEKBOT_{name}", raising=False)
    (tmp_path / ".env").unlink(missing_ok=True)
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path / "no-secrets")
    for name, value in VALUES.items():
        monkeypatch.setenv(f"WEEKBOT_{name}", value)
    assert settings == load_settings()
    assert setting_warnings() == []


def test_a_byte_order_mark_does_not_hide_the_first_line_of_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfWEEKBOT_SHARD_COUNT=3\r\n")
    assert load_settings().shard_count == 3


@pytest.mark.parametrize("token", [f'"{VALUE}', f"{VALUE}'", f"{VALUE}#comment", f"<{VALUE}>", f"Bot {VALUE}"])
def test_a_malformed_token_is_an_error_before_any_request(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEEKBOT_DISCORD_TOKEN", token)
    with pytest.raises(WeekbotError, match="WEEKBOT_DISCORD_TOKEN: must be one word of letters") as error:
        load_settings()
    assert VALUE not in str(error.value)


@pytest.mark.parametrize("ids", ["-1", "0,-1", "0,0", "1,0,1"])
def test_shard_ids_are_distinct_numbers_from_0(monkeypatch: pytest.MonkeyPatch, ids: str) -> None:
    monkeypatch.setenv("WEEKBOT_SHARD_COUNT", "2")
    monkeypatch.setenv("WEEKBOT_SHARD_IDS", ids)
    with pytest.raises(
        WeekbotError, match="WEEKBOT_SHARD_IDS: must be different numbers, each 0 or greater, for example 0,1"
    ):
        load_settings()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CATCHUP_HOURS", "CATCH_UP_HOURS"),
        ("DATABASE", "DATABASE_URL"),
        ("TOKEN", "DISCORD_TOKEN"),
        ("DISCORD_TOKEN_", "DISCORD_TOKEN"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("SHARDS_COUNT", "SHARD_COUNT"),
        ("HELTH_PORT", "HEALTH_PORT"),
        ("DEFAULT_HEALTHPORT", "HEALTH_PORT"),
    ],
)
def test_an_unknown_setting_is_reported_with_the_most_similar_one(
    name: str, nearest: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    PLACES[place](f"WEEKBOT_{name}", VALUE, monkeypatch, tmp_path)
    [warning] = setting_warnings()
    assert re.match(rf"WEEKBOT_(DEFAULT_)?{name.removeprefix('DEFAULT_')} in .* isn't a weekbot setting", warning)
    assert warning.endswith(f"; did you mean WEEKBOT_{nearest}?")
    assert VALUE not in warning
    assert read_settings()[1] == {}


def test_an_unknown_setting_without_a_similar_one_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEEKBOT_XYZZY", VALUE)
    [warning] = setting_warnings()
    assert warning == (
        "WEEKBOT_XYZZY in the environment isn't a weekbot setting and has no effect; "
        "docs/operating.md lists all settings."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEEKBOT_SERVICE_HOST", "10.0.0.1"),
        ("WEEKBOT_SERVICE_PORT_HTTP", "9464"),
        ("WEEKBOT_PORT", "tcp://10.0.0.1:9464"),
        ("WEEKBOT_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("WEEKBOT_METRICS_SERVICE_PORT", "9464"),
        ("WEEKBOT_TEST_POSTGRES_URL", "postgresql://localhost"),
        ("NOT_WEEKBOT_TOKEN", VALUE),
    ],
)
def test_variables_of_other_programs_are_not_reported(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert setting_warnings() == []


def test_defaults_of_the_image_have_the_lowest_priority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEEKBOT_DEFAULT_DATABASE_URL", "sqlite:////data/weekbot.db")
    monkeypatch.setenv("WEEKBOT_DEFAULT_HEALTH_PORT", "9464")
    put_into_secret("WEEKBOT_DATABASE_URL", "postgresql://host/weekbot", monkeypatch, tmp_path)
    settings = load_settings()
    assert (settings.database_url, settings.health_port) == ("postgresql://host/weekbot", 9464)
    assert setting_warnings() == []


@pytest.mark.parametrize(
    ("first", "second", "places"),
    [
        ("environment", ".env", ("the environment", ".env")),
        ("environment", "secret file", ("the environment", "{folder}/given")),
        (".env", "secret file", (".env", "{folder}/given")),
    ],
)
def test_a_setting_with_two_values_is_reported_without_them(
    first: str, second: str, places: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    PLACES[second]("WEEKBOT_DISCORD_TOKEN", f"{VALUE}-2", monkeypatch, tmp_path)
    PLACES[first]("WEEKBOT_DISCORD_TOKEN", f"{VALUE}-1", monkeypatch, tmp_path)
    one, other = (place.format(folder=tmp_path) for place in places)
    [warning] = setting_warnings()
    assert warning == (
        f"WEEKBOT_DISCORD_TOKEN is set in {one} and in {other}, with different values; the one in {one} is used."
    )


def test_two_equal_values_are_not_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_into_environment("WEEKBOT_DISCORD_TOKEN", VALUE, monkeypatch, tmp_path)
    put_into_secret("WEEKBOT_DISCORD_TOKEN", f'"{VALUE}"', monkeypatch, tmp_path)
    assert setting_warnings() == []


@pytest.mark.parametrize("place", [".env", "given/WEEKBOT_DISCORD_TOKEN"])
def test_a_folder_in_place_of_a_file_is_an_error(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Docker creates one if the file to mount doesn't exist."""
    (tmp_path / place).mkdir(parents=True)
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path / "given")
    with pytest.raises(WeekbotError, match=rf"{place} is a directory: the file that should be mounted there") as error:
        load_settings()
    assert "\n" not in str(error.value)


def test_a_secret_file_may_link_out_of_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(VALUE)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "WEEKBOT_DISCORD_TOKEN").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path / "given")
    token = load_settings().discord_token
    assert token is not None
    assert token.get_secret_value() == VALUE


def test_unreadable_lines_of_the_env_file_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".env").write_text(
        f"# a comment\n{VALUE} and more\n\nWEEKBOT_LOG_LEVEL='DEBUG\nWEEKBOT_SHARD_COUNT=2\n"
    )
    first, second = setting_warnings()
    assert first.startswith("Line 2 of .env can't be read")
    assert second.startswith("Line 4 of .env can't be read")
    assert VALUE not in first
    assert load_settings().shard_count == 2
    assert not caplog.records
