"""The proof's figures, as SVG written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, log10
from pathlib import Path

import numpy as np
from scipy import stats

from anabranch.metrics.sequential import TIGHTEST_UNITS, mixture, standard_errors
from tests.proof.cases import Counting, Watching
from tests.proof.streams import Numbers
from tests.proof.trial import ALPHA, Trial

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 200, 44, 52

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #17212b }
  .title { font-size: 14px; font-weight: 600 }
  .muted { fill: #52606d }
  .page { fill: #ffffff }
  .grid { stroke: #e8ecf0 }
  .axis { stroke: #52606d }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  :root { --a: #d55e00; --b: #0072b2; --c: #008763; --d: #b3588b }
  .a { stroke: var(--a) } .b { stroke: var(--b) } .c { stroke: var(--c) } .d { stroke: var(--d) }
  text[class] { stroke: none }
  text.a { fill: var(--a) } text.b { fill: var(--b) } text.c { fill: var(--c) }
  text.d { fill: var(--d) }
  .dashed { stroke-dasharray: 5 4 }
  .dotted { stroke-dasharray: 1.5 4 }
  .bound { stroke: #52606d; stroke-dasharray: 2 3 }
  @media (prefers-color-scheme: dark) {
    :root { --a: #e69f00; --b: #56b4e9; --c: #1fbf92; --d: #cc79a7 }
    text { fill: #e7edf3 } .muted { fill: #9fadba } .page { fill: #151c23 }
    .grid { stroke: #232d37 } .axis, .bound { stroke: #9fadba }
  }
"""


EVEN = {
    "false-calls.svg": ("10 % convert", "1 % convert", "spend like Hillstrom's"),
    "false-calls-lifts.svg": (
        "lift where 10 % convert",
        "lift where 1 % convert, split 10 : 90",
        "lift of spend like Hillstrom's",
    ),
    "false-calls-quantiles.svg": (
        "median of units",
        "p90 of units",
        "p90 of units, split 10 : 90",
    ),
}
"""By file: cases with nothing to find that are drawn together, all looked at as often."""


@dataclass(frozen=True)
class Line:
    """A line of a chart: its label, if it has one, stands at its end.

    Attributes:
        style: CSS classes.
    """

    label: str
    x: Sequence[float] | Numbers
    y: Sequence[float] | Numbers
    style: str


@dataclass(frozen=True)
class Axis:
    """An axis from its first tick to its last."""

    title: str
    ticks: Sequence[float]
    label: Callable[[float], str]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """From 0 at the first tick to 1 at the last."""
        scale: Callable[[float], float] = log10 if self.logarithmic else float
        first, last = scale(self.ticks[0]), scale(self.ticks[-1])
        return (scale(value) - first) / (last - first)


def draw(folder: Path, trials: Sequence[Trial]) -> None:
    """Write the figures that the trials have data for."""
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {trial.case.name: trial for trial in trials if not isinstance(trial.case, Counting)}
    _write(folder / "interval-width.svg", interval_width())
    for file, even in EVEN.items():
        if all(name in by_name for name in even):
            _write(folder / file, false_calls([by_name[name] for name in even]))
    planned = [
        trial
        for trial in trials
        if isinstance(trial.case, Watching)
        and trial.case.planned is not None
        and (trial.case.name.startswith(("10 % convert, 11 % of", "…")))
    ]
    if planned:
        _write(folder / "power.svg", power(planned))


def false_calls(trials: Sequence[Trial]) -> str:
    """Share of streams without a difference in which one had been called, by units."""
    lines = []
    for trial, dash in zip(trials, ("", " dashed", " dotted"), strict=False):
        for name, tally, style in (
            ("fixed", trial.fixed, "a"),
            ("sequential", trial.sequential, "b"),
        ):
            label = f"{name}: {_short(trial.case.name)}" if name == "fixed" else ""
            if name == "sequential" and not dash:
                label = "sequential: the same streams"
            lines.append(Line(label, trial.units, tally.called / trial.streams, style + dash))
    first, last = int(trials[0].units[0]), int(trials[0].units[-1])
    lines.append(Line("5 %", [first, last], [ALPHA, ALPHA], "bound"))
    most = max(trial.fixed.ever / trial.streams for trial in trials)
    return chart(
        f"Nothing to find, watched after every {first} units: share of streams called so far",
        Axis(
            "units of both arms",
            [first, *(tick for tick in (1_000, 5_000, 20_000) if tick < last), last],
            "{:,.0f}".format,
            logarithmic=True,
        ),
        Axis("", [tenth / 10 for tenth in range(max(5, ceil(10 * most)) + 1)], "{:.0%}".format),
        lines,
    )


def _short(name: str) -> str:
    """What fits beside a line."""
    return name.removeprefix("lift where ").removeprefix("lift of ").replace(", split", ",")


def interval_width() -> str:
    """Half the interval in standard errors, by units."""
    units = np.geomspace(200, 2_000_000, 160)
    normal = float(stats.norm.ppf(1 - ALPHA / 2))
    lines = [
        Line("sequential", units, standard_errors(units, mixture()), "b"),
        Line("fixed", [200, 2_000_000], [normal, normal], "a"),
        Line(
            f"tightest: {TIGHTEST_UNITS:,}",
            [TIGHTEST_UNITS, TIGHTEST_UNITS],
            [float(standard_errors(float(TIGHTEST_UNITS), mixture())), 0.15],
            "bound",
        ),
    ]
    return chart(
        "What watching costs: half the interval, in standard errors",
        Axis(
            "units of both arms",
            [200, 2_000, 20_000, 200_000, 2_000_000],
            "{:,.0f}".format,
            logarithmic=True,
        ),
        Axis("", [0, 1, 2, 3, 4, 5], "{:.0f}".format),
        lines,
    )


def power(trials: Sequence[Trial]) -> str:
    """Share of streams in which the sequential interval had found the difference."""
    lines = []
    for trial, style in zip(trials, ("b", "c", "d"), strict=False):
        assert isinstance(trial.case, Watching)
        assert trial.case.planned is not None
        lines.append(
            Line(
                f"true rise {trial.case.truth * 100:.1f} points",
                trial.units / trial.case.planned,
                trial.sequential.called / trial.streams,
                style,
            )
        )
    lines.append(Line("80 %", [0, 4], [0.8, 0.8], "bound"))
    return chart(
        "Planned for a rise of 1 point: share found so far by the sequential interval",
        Axis(
            "units, in multiples of the fixed test's planned size", [0, 1, 2, 3, 4], "{:.0f}".format
        ),
        Axis("", [0, 0.2, 0.4, 0.6, 0.8, 1.0], "{:.0%}".format),
        lines,
    )


def chart(title: str, across: Axis, up: Axis, lines: Sequence[Line]) -> str:
    """A line chart; labels at the lines' ends are moved apart."""

    def x(value: float) -> float:
        return LEFT + across.place(value) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - up.place(value) * (HEIGHT - TOP - BOTTOM)

    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(title)}">'
        ),
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        _text(LEFT, 24, title, "title"),
    ]
    for tick in up.ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{right}"/>')
        parts.append(_text(LEFT - 8, y(tick) + 4, up.label(tick), "muted", "end"))
    parts += [
        _text(x(tick), floor + 18, across.label(tick), "muted", "middle") for tick in across.ticks
    ]
    parts.append(f'<path class="axis" d="M{LEFT} {floor}H{right}"/>')
    parts.append(_text((LEFT + right) / 2, floor + 38, across.title, "muted", "middle"))
    for line in lines:
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(line.x, line.y, strict=True))
        parts.append(f'<polyline class="line {line.style}" points="{points}"/>')
    for at, line in _apart([(y(float(line.y[-1])), line) for line in lines if line.label]):
        end = max(x(float(line.x[-1])), 0)
        parts.append(_text(end + 8, at + 4, line.label, line.style))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _apart(labels: list[tuple[float, Line]], gap: float = 15) -> list[tuple[float, Line]]:
    """The labels from top to bottom, each at least so far below the one before."""
    placed: list[tuple[float, Line]] = []
    for at, line in sorted(labels, key=lambda label: label[0]):
        placed.append((max(at, placed[-1][0] + gap) if placed else at, line))
    return placed


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def _write(path: Path, svg: str) -> None:
    path.write_text(svg, encoding="utf-8")
