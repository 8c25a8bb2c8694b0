"""The commands put together, and how a failure ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from anabranch.cli.console import errors, out
from anabranch.cli.exits import DEFECT, INTERRUPTED, exit_code
from anabranch.cli.lazy import LazyGroup
from anabranch.cli.logs import configure_logging, in_json
from anabranch.errors import AnabranchError

log = logging.getLogger(__name__)

app = typer.Typer(
    name="anabranch",
    cls=LazyGroup,
    help="Experimentation as a stream: assignments, exposures and live results on Kafka.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class _Debug:
    """Whether tracebacks are wanted; set by the global option."""

    wanted = False


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"anabranch {metadata.version('anabranch')}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[  # noqa: ARG001 - its callback has shown it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs")] = False,
    log_level: Annotated[
        str, typer.Option(envvar="ANABRANCH_LOG_LEVEL", help="debug, info, warning or error")
    ] = "info",
    log_format: Annotated[
        str, typer.Option(envvar="ANABRANCH_LOG_FORMAT", help="text or json, one object a line")
    ] = "text",
) -> None:
    """Experimentation as a stream."""
    _Debug.wanted = debug
    configure_logging("debug" if debug else log_level, log_format)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    _Debug.wanted = False
    command = typer.main.get_command(app)
    try:
        command(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="anabranch")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        errors.print("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except AnabranchError as error:
        return _report(error, exit_code(error))
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback unless asked for
        return _report(error, DEFECT)
    return 0


def _report(error: Exception, code: int) -> int:
    if in_json():
        shown = error if _Debug.wanted or code == DEFECT else None
        log.error("%s", error, exc_info=shown, extra={"exit_code": code})
        return code
    if _Debug.wanted:
        errors.print_exception()
        return code
    if code == DEFECT:
        errors.print(f"[bold red]defect:[/] {type(error).__name__}: ", end="")
        errors.print(str(error), markup=False, highlight=False)
        errors.print("run again with `anabranch --debug …` for the traceback")
    else:
        errors.print("[bold red]error:[/] ", end="")
        errors.print(str(error), markup=False, highlight=False)
    return code
