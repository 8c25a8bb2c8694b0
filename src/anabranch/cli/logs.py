"""Logging of a process: ours at the level asked for, the libraries' from warnings on."""

from __future__ import annotations

import logging

from rich.logging import RichHandler

from anabranch.cli.console import errors
from anabranch.errors import SettingsError

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logging(level: str) -> None:
    """Log to standard error; on a terminal with colour, else one plain line a record.

    Raises:
        SettingsError: There is no such level.
    """
    try:
        number = _LEVELS[level.lower()]
    except KeyError:
        raise SettingsError(
            f"there is no log level {level!r}: choose from {', '.join(_LEVELS)}"
        ) from None
    handler: logging.Handler
    if errors.is_terminal:
        handler = RichHandler(console=errors, show_path=False, log_time_format="[%X]")
        layout = "%(message)s"
    else:
        handler = logging.StreamHandler()
        layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(logging.Formatter(layout))
    # The root stays at warning: Faust and aiokafka log per record below it.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("anabranch").setLevel(number)
    # aiokafka repeats itself while a broker is away; our own messages say what it means.
    logging.getLogger("aiokafka").setLevel(
        logging.DEBUG if number == logging.DEBUG else logging.CRITICAL
    )
