"""Commands are imported when they are called: ``validate`` needs neither Faust nor a web server."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final = (
    "init",
    "create",
    "validate",
    "lint",
    "schema",
    "explain",
    "publish",
    "list",
    "show",
    "pause",
    "resume",
    "ramp",
    "stop",
    "promote",
    "retire",
    "history",
    "replay",
    "results",
    "simulate",
    "demo",
    "worker",
    "topics",
    "doctor",
    "dlq",
    "dashboard",
    "serve",
    "topology",
    "asyncapi",
)
"""In the order of ``--help``. Each has a module of its name in this package, which holds either a
function of that name or, where the command has commands of its own, an ``app``."""


class LazyGroup(TyperGroup):
    """A group whose commands are found by name, when one is wanted."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"anabranch.cli.{cmd_name}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command(cmd_name)(getattr(module, cmd_name))
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command
