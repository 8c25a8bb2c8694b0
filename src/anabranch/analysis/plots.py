"""Effects with their intervals over time, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from anabranch.analysis.frames import need
from anabranch.analysis.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Kind", "effect"]

Kind = Literal["sequential", "fixed", "both"]

_WANTED: Final = {
    "sequential": ("sequential",),
    "fixed": ("fixed",),
    "both": ("sequential", "fixed"),
}


def effect(rows: Sequence[Row], kind: Kind, ax: Axes | None) -> Axes:
    """Draw one metric's differences over time.

    Args:
        rows: Of :func:`~anabranch.analysis.rows.comparison_rows`, of one run and metric.
        kind: Which intervals.
        ax: Where to; axes of its own when None.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    axes: Any = ax
    if axes is None:
        plots = need("matplotlib.pyplot", "a plot")
        _, axes = plots.subplots(figsize=(8, 4), layout="constrained")
    for number, variant in enumerate(dict.fromkeys(row["variant"] for row in rows)):
        told = [row for row in rows if row["variant"] == variant and row["difference"] is not None]
        _variant(axes, told, variant, f"C{number}", kind)
    axes.axhline(0, color="0.5", linewidth=1, zorder=1)
    first = rows[0]
    axes.set_title(f"{first['metric']} · {first['experiment']} {first['version']}")
    axes.set_ylabel(f"difference from {first['control']}")
    axes.set_xlabel("event time")
    axes.tick_params(axis="x", rotation=20)
    axes.legend()
    drawn: Axes = axes
    return drawn


def _variant(ax: Any, rows: Sequence[Row], name: str, color: str, kind: Kind) -> None:
    times = [row["as_of"] for row in rows]
    alone = "o" if len(rows) == 1 else None
    ax.plot(times, [row["difference"] for row in rows], color=color, marker=alone, label=name)
    for interval in _WANTED[kind]:
        held = [row for row in rows if row[f"{interval}_low"] is not None]
        ends = [[row[f"{interval}_{end}"] for row in held] for end in ("low", "high")]
        at = [row["as_of"] for row in held]
        if interval == "sequential":
            label = f"{name}: 95 % at any time"
            if len(held) == 1:
                ax.vlines(at, *ends, color=color, alpha=0.4, linewidth=6, label=label)
            else:
                ax.fill_between(at, *ends, color=color, alpha=0.18, linewidth=0, label=label)
            continue
        for number, values in enumerate(ends):
            once = None if number else f"{name}: fixed, valid at its planned end only"
            ax.plot(at, values, color=color, linestyle=":", marker=alone, linewidth=1, label=once)
