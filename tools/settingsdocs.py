"""Writes docs/reference-settings.md from the settings: ``python -m tools.settingsdocs``."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from anabranch.security_settings import SecuritySettings
from anabranch.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference-settings.md"

_INTRO = """\
# Settings

Every setting, written by `python -m tools.settingsdocs` from the settings themselves. They come
from the environment; a command's [option](reference-cli.md) of the same name goes before it. Times
are in seconds, sizes in bytes. What is out of bounds, or contradicts another setting, is refused
before anything is tried, with exit code 4 and the variable's name. Give all workers of a pipeline
the same, but for where state lies.

Logs have `ANABRANCH_LOG_LEVEL` and `ANABRANCH_LOG_FORMAT` ([commands](reference-cli.md)); traces
have the `OTEL_…` variables of OpenTelemetry ([observability](observability.md)).
"""

GROUPS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Where things are": (
        "Of every command.",
        ("bootstrap", "prefix", "specs", "state_dir", "partitions", "replication"),
    ),
    "Encryption and logins": (
        "Of every command that reaches the brokers; see [security](security.md).",
        tuple(SecuritySettings.model_fields),
    ),
    "Events": (
        "Of workers, and of `replay`, `simulate` and `demo`, which run the same stages.",
        (
            "max_event_bytes",
            "future_tolerance",
            "exposure_dedupe",
            "exposure_cache",
            "observation_dedupe",
        ),
    ),
    "What is remembered": (
        "Of workers: how long units, and what was heard of them, are kept.",
        ("catch_up_grace", "unit_retention"),
    ),
    "Windows and results": (
        "Of workers: see [statistics](statistics.md#windows).",
        (
            "window_sizes",
            "window_time_zone",
            "allowed_lateness",
            "window_retention",
            "results_linger",
        ),
    ),
    "When something is wrong": (
        "Of workers: [guardrails](guardrails.md), the breaker of partitions that mostly fail.",
        ("pause_on_breach", "breaker_share", "breaker_pause"),
    ),
    "Kafka": (
        "Of workers, and of whoever writes in transactions.",
        ("session_timeout", "transaction_timeout"),
    ),
    "Evaluation API": (
        "Of `anabranch serve`: see [evaluation API](evaluation-api.md).",
        ("serve_tokens", "serve_tokens_file", "serve_rate", "serve_queue", "serve_targeting_key"),
    ),
    "Dashboard": (
        "Of `anabranch dashboard`: see [actions](dashboard.md#actions).",
        ("dashboard_tokens", "dashboard_tokens_file"),
    ),
}

_WORDS: Final[Mapping[Any, str]] = {
    bool: "`true` or `false`",
    float: "number",
    int: "whole number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}


def page() -> str:
    """The whole page."""
    sections = [
        f"## {heading}\n\n{intro}\n\n{_table(names)}" for heading, (intro, names) in GROUPS.items()
    ]
    return "\n".join([_INTRO, *sections])


def _table(names: tuple[str, ...]) -> str:
    rows = [
        f"| `ANABRANCH_{name.upper()}` | {_kind(info)} | {_default(info)} | {info.description} |"
        for name, info in ((name, Settings.model_fields[name]) for name in names)
    ]
    return "\n".join(
        ["| variable | value | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    )


def _kind(info: FieldInfo) -> str:
    shown = _word(info.annotation)
    for bound in info.metadata:
        if isinstance(bound, Gt):
            shown += f", above {bound.gt:g}"
        elif isinstance(bound, Ge):
            shown += f", from {bound.ge:g}"
        elif isinstance(bound, Le):
            shown += f", to {bound.le:g}"
    return shown


def _word(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _word(inner[0])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in {Union, types.UnionType}:
        (one,) = (one for one in inner if one is not type(None))
        return _word(one)
    if origin is tuple:
        return f"JSON list of {_word(inner[0])}s"
    return _WORDS[kind]


def _default(info: FieldInfo) -> str:
    default = info.default
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return f"`[{', '.join(f'{one:g}' for one in default)}]`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float | int):
        return f"`{default:.10g}`"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
