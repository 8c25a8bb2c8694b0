"""Where output goes: results to standard output, everything else to standard error."""

from rich import box
from rich.console import Console
from rich.table import Table

_WIDE = 240
"""Columns where nobody looks at it: files and grep want whole lines."""

out = Console()
errors = Console(stderr=True)
for _console in (out, errors):
    if not _console.is_terminal:
        _console.width = _WIDE


def table(*columns: str, figures: tuple[str, ...] = ()) -> Table:
    """A plain table: text columns to the left, columns of figures to the right, nothing folded."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False)
    for name in columns:
        made.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in figures:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def fits(listed: Table) -> bool:
    """Whether the terminal is wide enough to show all of every column."""
    unlimited = out.options.update(max_width=10_000)
    return out.measure(listed, options=unlimited).maximum <= out.width
