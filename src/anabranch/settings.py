"""Settings of a worker, from the environment (``ANABRANCH_…``) or from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from anabranch.errors import SettingsError
from anabranch.security_settings import SecuritySettings

DAY = 24 * 60 * 60


class Settings(SecuritySettings):
    """Everything that can be set; times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix="ANABRANCH_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    bootstrap: str | None = Field(None, description="Kafka brokers, host:port,host:port")
    prefix: str = Field(
        "anabranch",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,80}$",
        description="First part of every topic, group and transactional id; no underscores",
    )
    specs: Path | None = Field(None, description="File or folder with the specs")
    state_dir: Path | None = Field(
        None,
        description="Folder for state on disk, for more units than memory holds; in memory when "
        "not given",
    )
    partitions: int = Field(4, ge=1, le=10_000, description="Partitions of every topic")
    replication: int = Field(-1, description="Replication factor; -1 is the broker's default")

    max_event_bytes: int = Field(1 << 20, ge=1024, description="Largest event taken in")
    future_tolerance: float = Field(
        300, ge=0, description="How far an event's time may lie ahead of the worker's clock"
    )
    exposure_dedupe: float = Field(
        DAY, ge=0, description="A unit's exposure is published again only after so long"
    )
    exposure_cache: int = Field(
        200_000, ge=0, description="Recent exposures remembered in each partition's cache"
    )
    observation_dedupe: float = Field(
        7 * DAY, ge=0, description="A telemetry event's id is remembered at least so long"
    )
    catch_up_grace: float = Field(
        600,
        ge=0,
        description="Nothing of units is forgotten until so long after it was read, by the clock: "
        "how far the stages before may be behind when all read a backlog",
    )
    unit_retention: float = Field(
        180 * DAY,
        gt=0,
        description="A unit is forgotten so long after its last first exposure, and what it keeps "
        "so long after it was last asked for; longer than any experiment runs, for a unit that "
        "comes back counts as a new one",
    )
    window_sizes: Annotated[tuple[float, ...], Field(min_length=1)] = Field(
        (60,), description="Sizes of the tumbling metric windows"
    )
    window_time_zone: str = Field(
        "UTC", description="Whose midnights windows of whole days begin at, like Europe/Berlin"
    )
    allowed_lateness: float = Field(
        60, ge=0, description="A window closes so long after the watermark has passed its end"
    )
    window_retention: float = Field(
        15 * DAY, gt=0, description="Windows older than this take no more updates"
    )
    results_linger: float = Field(
        0.2, ge=0, description="How long results gather deltas before they are published"
    )

    pause_on_breach: bool = Field(
        True,
        description="Whether workers of the aggregate stage pause experiments whose specs say so "
        "when a guardrail is breached",
    )

    breaker_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A partition pauses when more than this share of recent records are dead "
        "letters; 1 never pauses",
    )
    breaker_pause: float = Field(
        15, gt=0, description="How long a paused partition waits before it tries again"
    )

    session_timeout: float = Field(
        10, gt=0, description="Without a heartbeat for so long a worker is taken for dead"
    )
    transaction_timeout: float = Field(
        30, gt=0, description="The broker aborts a transaction left open for so long"
    )

    serve_tokens: tuple[SecretStr, ...] = Field(
        (), description="Tokens of the evaluation API, a JSON list; each may see every flag"
    )
    serve_tokens_file: Path | None = Field(
        None, description="File with clients of the evaluation API, their tokens and what they see"
    )
    serve_rate: float = Field(
        0, ge=0, description="Requests a second of each client; 0 is without limit"
    )
    serve_queue: int = Field(
        10_000, ge=1, description="Exposures that wait for the broker at most; others are dropped"
    )
    serve_targeting_key: Literal["userId", "organizationId", "sessionId"] = Field(
        "userId", description="The identity that OpenFeature's targetingKey is"
    )

    dashboard_tokens: tuple[SecretStr, ...] = Field(
        (),
        description="Tokens that may change experiments from the dashboard, a JSON list; without "
        "any it changes nothing",
    )
    dashboard_tokens_file: Path | None = Field(
        None,
        description="File with people who may change experiments from the dashboard, their tokens "
        "and which experiments",
    )

    @field_validator("window_sizes")
    @classmethod
    def _whole_windows(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        for size in sizes:
            if size <= 0 or (size * 1000) % 1:
                raise ValueError(f"{size} is not a positive number of milliseconds")
        return sizes


def load_settings(**given: object) -> Settings:
    """Settings from the environment, with what is given (and not None) taking precedence.

    Raises:
        SettingsError: A value is out of bounds; the message names the variable.
    """
    try:
        return Settings(**{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(_problem(e["loc"], e["msg"]) for e in error.errors())
        raise SettingsError(f"settings: {problems}") from error


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process the same settings; secrets are in them as they are.

    Every setting is there, so that nothing the other process inherits can add to them.
    """
    variables: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        elif isinstance(value, tuple):
            value = json.dumps(
                [one.get_secret_value() if isinstance(one, SecretStr) else one for one in value]
            )
        if value is not None:
            variables[f"ANABRANCH_{name.upper()}"] = str(value)
    return variables


def _problem(where: tuple[int | str, ...], what: str) -> str:
    if not where:  # several settings together: the message names them
        return what.removeprefix("Value error, ")
    return f"{'.'.join(map(str, where))} (ANABRANCH_{str(where[0]).upper()}): {what}"
