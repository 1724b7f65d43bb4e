"""Settings come from the environment, then `.env`, then their defaults, and keep secrets to themselves."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from tickhouse.errors import SettingInvalid, SettingMissing
from tickhouse.settings import MAX_SYMBOLS, Settings, environment_names, found_in, read_settings, require_key

SECRET = "c0ffee-marker"  # noqa: S105  # a marker, to be searched for


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with none of the tester's own settings."""
    for field in Settings.model_fields:
        for name in environment_names(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _key(settings: Settings) -> str | None:
    return None if settings.finnhub_api_key is None else settings.finnhub_api_key.get_secret_value()


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add one place after the other and see which one speaks."""
    assert read_settings().topic == "stocks-topic"
    Path(".env").write_text("TICKHOUSE_TOPIC=from-file\n", encoding="utf-8")
    assert read_settings().topic == "from-file"
    monkeypatch.setenv("TICKHOUSE_TOPIC", "from-environment")
    assert read_settings().topic == "from-environment"
    assert read_settings(topic="given").topic == "given"


@pytest.mark.parametrize(
    ("environment", "file", "key", "place"),
    [
        ({"FINNHUB_API_KEY": "a", "API_KEY": "b"}, "", "a", "FINNHUB_API_KEY in the environment"),
        ({"API_KEY": "b"}, "", "b", "API_KEY in the environment"),
        ({"API_KEY": "b"}, "FINNHUB_API_KEY=c", "b", "API_KEY in the environment"),
        ({}, "API_KEY=d\nFINNHUB_API_KEY=c", "c", "FINNHUB_API_KEY in .env"),
        ({}, "API_KEY=d", "d", "API_KEY in .env"),
        ({"FINNHUB_API_KEY": ""}, "FINNHUB_API_KEY=\nAPI_KEY=d", "d", "API_KEY in .env"),
        ({"FINNHUB_API_KEY": ""}, "", None, None),
        ({}, "", None, None),
    ],
)
def test_the_key_is_taken_from_where_found_in_says(
    environment: dict[str, str], file: str, key: str | None, place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put the key under either name into either place; an empty value is none."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if file:
        Path(".env").write_text(file, encoding="utf-8")
    assert _key(read_settings()) == key
    assert found_in("finnhub_api_key") == place


def test_a_variable_that_is_not_ours_is_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set each field's plain name, as other programs do, and each of ours in small letters."""
    cache = Path("jars")  # the default one is in HOME
    plain = read_settings(cache=cache)
    for field in Settings.model_fields:
        monkeypatch.setenv(field.upper(), "99")
        for name in environment_names(field):
            monkeypatch.setenv(name.lower(), "99")
    for field in Settings.model_fields:
        if field.upper() in environment_names(field):
            monkeypatch.delenv(field.upper())
    assert read_settings(cache=cache) == plain
    assert {found_in(field) for field in Settings.model_fields} == {None}


def test_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set every variable to nothing: all defaults stay."""
    plain = read_settings()
    for field in Settings.model_fields:
        monkeypatch.setenv(environment_names(field)[0], "")
    assert read_settings() == plain


def test_symbols_are_cleaned_and_each_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write them as people do."""
    monkeypatch.setenv("TICKHOUSE_SYMBOLS", " aapl, MSFT,,aapl , binance:btcusdt,")
    assert read_settings().symbols == ("AAPL", "MSFT", "BINANCE:BTCUSDT")
    assert read_settings(symbols=["ibm", "IBM"]).symbols == ("IBM",)


@pytest.mark.parametrize("count", [0, MAX_SYMBOLS + 1])
def test_symbols_that_one_connection_cannot_take_are_refused(count: int) -> None:
    """Ask for none and for one too many; the most that is allowed passes."""
    with pytest.raises(SettingInvalid, match=f"^TICKHOUSE_SYMBOLS: {count} symbols; one connection takes 1 to 50$"):
        read_settings(symbols=",".join(f"S{number}" for number in range(count)) or ",")
    assert len(read_settings(symbols=[f"S{number}" for number in range(MAX_SYMBOLS)]).symbols) == MAX_SYMBOLS
    with pytest.raises(SettingInvalid, match="TICKHOUSE_SYMBOLS"):
        read_settings(symbols=7)


def test_secrets_are_in_no_printed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print settings that hold three secrets."""
    for name in ("FINNHUB_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    settings = read_settings()
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert require_key(settings) == SecretStr(SECRET)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TICKHOUSE_TOPIC_PARTITIONS", SECRET),
        ("TICKHOUSE_TOPIC_PARTITIONS", "0"),
        ("TICKHOUSE_SOURCE", SECRET),
        ("TICKHOUSE_CALENDAR", SECRET),
        ("TICKHOUSE_WAREHOUSE", SECRET),
        ("TICKHOUSE_RUN_EVERY_S", "-1"),
        ("TICKHOUSE_HOME", f"~{SECRET}/state"),
    ],
)
def test_a_bad_value_is_named_but_not_repeated(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give values that can't be used: the message has the variable and the rule, for a secret may stand there."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingInvalid) as refused:
        read_settings()
    assert refused.value.name == name
    assert str(refused.value) == f"{name}: {refused.value.problem}"
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_is_no_text_is_refused_by_its_name() -> None:
    """Save `.env` in another encoding."""
    Path(".env").write_bytes("API_KEY=é".encode("latin-1"))
    with pytest.raises(SettingInvalid, match=r"^\.env: is not UTF-8 at byte 8"):
        read_settings()


def test_a_missing_key_names_every_place_that_was_searched() -> None:
    """Ask for the key where it is nowhere."""
    with pytest.raises(SettingMissing) as missing:
        require_key(read_settings())
    assert missing.value.searched == [
        "FINNHUB_API_KEY in the environment",
        "FINNHUB_API_KEY in .env",
        "API_KEY in the environment",
        "API_KEY in .env",
    ]
    assert all(place in str(missing.value) for place in missing.value.searched)


def test_paths_are_absolute_and_the_rest_follows_them(folder: Path) -> None:
    """Read where things are kept."""
    settings = read_settings(home="state", cache="~/jars")
    assert settings.home == folder / "state"
    assert settings.cache == Path.home() / "jars"
    assert settings.duckdb_path == folder / "state" / "warehouse.duckdb"
    assert settings.lake == (folder / "state" / "lake").as_uri()
    assert read_settings(lake_url="s3://bucket/prefix").lake == "s3://bucket/prefix"
    assert read_settings(trade_conditions="table.csv").trade_conditions == folder / "table.csv"
    assert read_settings().trade_conditions is None


def test_settings_are_frozen() -> None:
    """Try to change one."""
    with pytest.raises(ValueError, match="frozen"):
        read_settings().topic = "another"


@pytest.mark.parametrize("name", ["TICKHOUSE_LAKE_URL", "AWS_ENDPOINT_URL", "TICKHOUSE_FINNHUB_WS_URL"])
def test_a_url_with_a_password_in_it_is_refused_unseen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """URLs are logged, so a secret may not be in one."""
    monkeypatch.setenv(name, "s3://someone:hunter2@bucket/prefix")
    with pytest.raises(SettingInvalid, match="has a name or password in it") as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("topic", ["stocks-dlq", "../up", "", "two words", "."])
def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    """Its name becomes a folder of the raw zone, and the dead letters have their own."""
    with pytest.raises(SettingInvalid, match="TICKHOUSE_TOPIC"):
        read_settings(topic=topic)


def test_a_pause_without_end_is_refused() -> None:
    """Runs that never come are no runs."""
    with pytest.raises(SettingInvalid, match="TICKHOUSE_RUN_EVERY_S"):
        read_settings(run_every_s=float("inf"))
