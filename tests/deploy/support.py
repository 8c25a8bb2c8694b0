"""What the files of a deployment are held against: the command line, the settings, the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from anabranch.cli.app import app
from anabranch.settings import Settings
from anabranch.web.metrics import METRICS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

SETTINGS = {f"ANABRANCH_{name.upper()}" for name in Settings.model_fields} | {
    "ANABRANCH_LOG_LEVEL",
    "ANABRANCH_LOG_FORMAT",
}

_WORDS = {"and", "or", "unless", "offset", "bool", "on", "ignoring", "by", "without", "inf", "nan"}


def series() -> set[str]:
    """Every name that a scrape can bring, and what Prometheus itself adds of a target."""
    names = {"up", "ALERTS"}
    for metric in METRICS:
        if metric.kind == "histogram":
            names |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            names.add(metric.name)
    return names


def labels_of(name: str) -> set[str]:
    """The labels that a series has: its own and those a scrape adds."""
    for metric in METRICS:
        if name in {metric.name, *(f"{metric.name}_{p}" for p in ("bucket", "sum", "count"))}:
            return {*metric.labels, "job", "instance", "le"}
    return {"job", "instance"}


def metrics_in(expression: str) -> set[str]:
    """Names of the series that a PromQL expression reads."""
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\boffset\s+\w+", " ", text)
    names = re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()", text)
    return {name for name in names if name.lower() not in _WORDS}


def labels_in(expression: str) -> set[str]:
    """Labels that a PromQL expression groups or chooses by."""
    groups = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    named = {label.strip() for group in groups for label in group.split(",") if label.strip()}
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        named |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    return named


def parse_command(arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of a command line, as the command would get them.

    Raises:
        AssertionError: There is no such command.
        UsageError: There is no such option, or a value is wrong.
    """
    command: Any = typer.main.get_command(app)
    context = command.make_context("anabranch", ["validate"])
    rest = list(arguments)
    while hasattr(command, "list_commands"):
        name = rest.pop(0)
        assert name in command.list_commands(context), f"there is no command {name}"
        command = command.get_command(context, name)
    with command.make_context(command.name, rest) as parsed:
        return {"command": command.name, **parsed.params}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> Iterator[dict[str, Any]]:
    """The alert rules of all groups."""
    for group in load(DEPLOY / "prometheus/alerts.yml")["groups"]:
        yield from group["rules"]
