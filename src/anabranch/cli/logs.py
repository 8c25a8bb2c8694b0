"""Logging of a process: ours at the level asked for, the libraries' from warnings on."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from rich.logging import RichHandler

from anabranch.cli.console import errors
from anabranch.engine.context import about
from anabranch.errors import SettingsError

__all__ = ["configure_logging", "hide", "in_json"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_FORMATS = ("text", "json")
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest was given as ``extra``."""

_SECRET = re.compile(r"ANABRANCH_\w*(PASSWORD|SECRET|TOKENS?)$|OTEL_EXPORTER_OTLP_(\w+_)?HEADERS$")
_BEARER = re.compile(r"(?i)\b(bearer[ =])[\w.~+/-]+=*")
_LEAST = 4
"""Characters of a secret: hiding fewer would hide half of every line, and tell them."""
_HIDDEN: Final = "***"


def configure_logging(level: str, layout: str = "text") -> None:
    """Log to standard error: JSON, or text, which is in colour on a terminal.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        layout: ``json`` gives one object a line, with what it is about in fields.

    Raises:
        SettingsError: There is no such level or layout.
    """
    try:
        number = _LEVELS[level.lower()]
    except KeyError:
        raise SettingsError(
            f"there is no log level {level!r}: choose from {', '.join(_LEVELS)}"
        ) from None
    if layout not in _FORMATS:
        raise SettingsError(f"there is no log format {layout!r}: choose {' or '.join(_FORMATS)}")
    handler: logging.Handler
    if layout == "json":
        handler = logging.StreamHandler()
        handler.setFormatter(_Json())
    elif errors.is_terminal:
        handler = RichHandler(console=errors, show_path=False, log_time_format="[%X]")
        handler.setFormatter(_Text("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_Text("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _Layout.json = layout == "json"
    _Secrets.known = set()
    hide(_in_environment(os.environ))
    # The root stays at warning: Faust and aiokafka log per record below it.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("anabranch").setLevel(number)
    # aiokafka repeats itself while a broker is away; our own messages say what it means.
    logging.getLogger("aiokafka").setLevel(
        logging.DEBUG if number == logging.DEBUG else logging.CRITICAL
    )


def in_json() -> bool:
    """Whether what goes to standard error is one object a line."""
    return _Layout.json


def hide(secrets: Iterable[str]) -> None:
    """From now on no line has any of these; those of the environment are known anyway."""
    for secret in secrets:
        if len(secret) >= _LEAST:
            # As it is, and as it looks within literals and JSON.
            forms = {secret, repr(secret)[1:-1], repr(secret.encode())[2:-1]}
            _Secrets.known |= forms | {_dumps(form)[1:-1] for form in forms}


def _in_environment(environ: Mapping[str, str]) -> Iterable[str]:
    for name, value in environ.items():
        if not _SECRET.search(name):
            continue
        yield value
        if name.endswith("TOKENS"):
            try:
                found = json.loads(value)
            except ValueError:  # the settings will say so
                continue
            if isinstance(found, list):
                yield from (one for one in found if isinstance(one, str))
        elif name.endswith("HEADERS"):
            yield from (one.partition("=")[2].strip() for one in value.split(","))


class _Layout:
    """What was asked for."""

    json = False


class _Secrets:
    """What lines must not have."""

    known: ClassVar[set[str]] = set()


def _without_secrets(text: str) -> str:
    for secret in sorted(_Secrets.known, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _BEARER.sub(rf"\1{_HIDDEN}", text)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _without_secrets(super().format(record))


class _Json(logging.Formatter):
    """One object a line: time, level, logger, message; what the line is about; the error."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **about(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            fields["error"] = {
                "type": type(error).__name__,
                "message": str(error),
                "stacktrace": self.formatException(record.exc_info),
            }
        return _without_secrets(_dumps(fields))


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _time(seconds: float) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
