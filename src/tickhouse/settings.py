"""Read the configuration once, at the edge: environment first, then `.env` in the working directory."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tickhouse.errors import SettingInvalid, SettingMissing

__all__ = ["Settings", "Source", "environment_names", "found_in", "read_settings", "require_key"]

Source = Literal["finnhub", "recording", "synthetic"]
DLQ_TOPIC = "stocks-dlq"  # what the producer could not decode, as it came
MAX_SYMBOLS = 50  # Finnhub's limit for one connection of the free plan
ENV_FILE = Path(".env")


class Settings(BaseSettings):
    """All that can be configured, frozen; secrets print as asterisks.

    A field's `validation_alias` lists its environment names, first one first; its `description` is what the settings
    reference and `.env.example` say.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    home: Path = Field(
        Path(".tickhouse"),
        validation_alias="TICKHOUSE_HOME",
        description="State folder: all that the embedded parts keep is under it",
    )
    cache: Path = Field(
        Path("~/.cache/tickhouse"),
        validation_alias="TICKHOUSE_CACHE",
        description="Downloaded Kafka jars, shared by all state folders",
    )
    source: Source = Field(
        "finnhub",
        validation_alias="TICKHOUSE_SOURCE",
        description="Where the ticks come from: finnhub, or recording and synthetic by way of the simulator",
    )
    finnhub_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("FINNHUB_API_KEY", "API_KEY"),
        description="Finnhub API key; one WebSocket connection per key",
    )
    finnhub_ws_url: str = Field(
        "wss://ws.finnhub.io",
        validation_alias="TICKHOUSE_FINNHUB_WS_URL",
        description="WebSocket base URL; `tickhouse simulate` prints its own",
    )
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "SPY", "BINANCE:BTCUSDT"),
        validation_alias="TICKHOUSE_SYMBOLS",
        description="Symbols to record, separated by commas, 50 at most",
    )
    calendar: Literal["XNYS", "24/7"] = Field(
        "XNYS",
        validation_alias="TICKHOUSE_CALENDAR",
        description="Exchange calendar of symbols without a colon; those with one trade round the clock",
    )
    trade_conditions: Path | None = Field(
        None,
        validation_alias="TICKHOUSE_TRADE_CONDITIONS",
        description="CSV file that replaces the trade condition table",
    )
    kafka_bootstrap_servers: str | None = Field(
        None,
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka to use; without it the local Apache Kafka is started",
    )
    topic: str = Field(
        "stocks-topic",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,248}$",
        validation_alias="TICKHOUSE_TOPIC",
        description="Topic of trades and feed status",
    )
    topic_partitions: int = Field(
        6, ge=1, le=1000, validation_alias="TICKHOUSE_TOPIC_PARTITIONS", description="Partitions of the topic"
    )
    topic_retention_hours: int = Field(
        168, ge=1, validation_alias="TICKHOUSE_TOPIC_RETENTION_HOURS", description="How long Kafka keeps records"
    )
    producer_buffer_records: int = Field(
        200_000,
        ge=1_000,
        validation_alias="TICKHOUSE_PRODUCER_BUFFER_RECORDS",
        description="Records that the producer holds while Kafka is away, before it records a gap",
    )
    lake_url: str | None = Field(
        None,
        validation_alias="TICKHOUSE_LAKE_URL",
        description="Raw zone and snapshots, s3://… or file:///…; default is lake/ in the state folder",
    )
    aws_access_key_id: SecretStr | None = Field(
        None, validation_alias="AWS_ACCESS_KEY_ID", description="S3 access key of an s3:// lake"
    )
    aws_secret_access_key: SecretStr | None = Field(
        None, validation_alias="AWS_SECRET_ACCESS_KEY", description="S3 secret key of an s3:// lake"
    )
    aws_endpoint_url: str | None = Field(
        None, validation_alias="AWS_ENDPOINT_URL", description="S3 server other than AWS"
    )
    aws_region: str = Field("us-east-1", validation_alias="AWS_REGION", description="S3 region")
    sink_flush_rows: int = Field(
        50_000,
        ge=1,
        validation_alias="TICKHOUSE_SINK_FLUSH_ROWS",
        description="Rows after which a partition is flushed",
    )
    sink_flush_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1,
        validation_alias="TICKHOUSE_SINK_FLUSH_BYTES",
        description="Value bytes after which a partition is flushed",
    )
    sink_flush_age_s: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias="TICKHOUSE_SINK_FLUSH_AGE_S",
        description="Age of a record that forces a flush",
    )
    sink_flush_idle_s: float = Field(
        5.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias="TICKHOUSE_SINK_FLUSH_IDLE_S",
        description="Silence that forces a flush",
    )
    warehouse: Literal["duckdb"] = Field(
        "duckdb", validation_alias="TICKHOUSE_WAREHOUSE", description="Warehouse that is loaded and modelled"
    )
    run_every_s: float = Field(
        60.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias="TICKHOUSE_RUN_EVERY_S",
        description="Pause between the runs of `demo` and `up`",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias="TICKHOUSE_LOG_LEVEL", description="Lowest level that is logged"
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        validation_alias="TICKHOUSE_LOG_FORMAT",
        description="Log lines: console, json, or auto by whether it is a terminal",
    )

    @field_validator("symbols", mode="before")
    @classmethod
    def _split_symbols(cls, value: object) -> object:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)):
            return names
        return tuple(dict.fromkeys(str(name).strip().upper() for name in names if str(name).strip()))

    @field_validator("symbols")
    @classmethod
    def _bound_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not 1 <= len(value) <= MAX_SYMBOLS:
            message = f"{len(value)} symbols; one connection takes 1 to {MAX_SYMBOLS}"
            raise ValueError(message)
        return value

    @field_validator("topic")
    @classmethod
    def _keep_dead_letters_apart(cls, value: str) -> str:
        if value == DLQ_TOPIC:
            raise ValueError("is the topic of dead letters; name another")
        return value

    @field_validator("finnhub_ws_url", "lake_url", "aws_endpoint_url")
    @classmethod
    def _refuse_secrets_in_urls(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("has a name or password in it; URLs are logged: use the settings that are meant for them")
        return value

    @field_validator("home", "cache", "trade_conditions")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("begins with the home folder of nobody on this machine") from None

    @property
    def lake(self) -> str:
        """Return the URL of the lake, the default one under the state folder included."""
        return (self.home / "lake").as_uri() if self.lake_url is None else self.lake_url

    @property
    def duckdb_path(self) -> Path:
        """Return the file of the embedded warehouse."""
        return self.home / "warehouse.duckdb"


def environment_names(field: str) -> tuple[str, ...]:
    """Return the environment names of a setting, first one first."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias),)


def read_settings(env_file: Path = ENV_FILE, **overrides: Any) -> Settings:  # noqa: ANN401  # values of any field
    """Read environment and `env_file` into one frozen object; `overrides` (by field name) win over both."""
    try:
        # pydantic-settings takes the file as a private argument of the constructor
        given = {environment_names(field)[0]: value for field, value in overrides.items()}
        return Settings(_env_file=env_file, **given)  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]  # the input may be a secret
        name = ", ".join(str(part) for part in first["loc"])
        raise SettingInvalid(name, first["msg"].removeprefix("Value error, ")) from None
    except UnicodeDecodeError as error:
        raise SettingInvalid(str(env_file), f"is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def found_in(field: str, env_file: Path = ENV_FILE) -> str | None:
    """Say where a setting's value comes from, such as `API_KEY in .env`; None where it is the default."""
    in_file = dotenv_values(env_file) if env_file.is_file() else {}
    for values, place in ((os.environ, "the environment"), (in_file, str(env_file))):
        for name in environment_names(field):
            if values.get(name):
                return f"{name} in {place}"
    return None


def require_key(settings: Settings) -> SecretStr:
    """Return the Finnhub key, or name every place where it was looked for."""
    if settings.finnhub_api_key is None:
        places = [
            f"{name} in {place}"
            for name in environment_names("finnhub_api_key")
            for place in ("the environment", str(ENV_FILE))
        ]
        raise SettingMissing("the Finnhub API key", places)
    return settings.finnhub_api_key
