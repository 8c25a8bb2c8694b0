"""What a notebook gets: results now and over time, as rows, as data frames, as plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from anabranch.analysis.frames import Backend, Frame, frame_of
from anabranch.analysis.outlook import Outlook, outlook
from anabranch.analysis.plots import Kind, effect
from anabranch.analysis.rows import Row, comparison_rows, figure_rows, split_rows
from anabranch.errors import UnknownSpecError
from anabranch.events.models import Results
from anabranch.metrics.multiplicity import benjamini_hochberg, holm
from anabranch.specs.explain import nearest
from anabranch.specs.version import version_key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Adjust", "Analysis", "Table"]

Table = Literal["comparisons", "figures", "split"]
"""Differences with their intervals; what units did; units by variant with the sample ratio."""

Adjust = Literal["holm", "benjamini_hochberg"]

_ROWS: Final[Mapping[Table, Callable[[Iterable[Results]], list[Row]]]] = {
    "comparisons": comparison_rows,
    "figures": figure_rows,
    "split": split_rows,
}
_ADJUST: Final[Mapping[Adjust, Callable[[Sequence[float]], list[float]]]] = {
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
}


class Analysis:
    """Results of one or more experiment runs.

    Args:
        history: Results in the order in which they came to be; of each run the last one holds.
        dead: What could not be processed, by reason.

    Attributes:
        history: All of them.
        results: The last of each run, by experiment and version.
        dead: As given.
    """

    def __init__(self, history: Iterable[Results], dead: Mapping[str, int] | None = None) -> None:
        self.history: tuple[Results, ...] = tuple(history)
        latest = {(r.experiment, r.version): r for r in self.history}
        self.results: tuple[Results, ...] = tuple(
            sorted(latest.values(), key=lambda r: (r.experiment, version_key(r.version)))
        )
        self.dead: dict[str, int] = dict(dead or {})

    def __repr__(self) -> str:
        runs = ", ".join(f"{r.experiment}@{r.version}" for r in self.results) or "no results"
        dead = f", {sum(self.dead.values())} dead letters" if self.dead else ""
        return f"<Analysis: {runs}; {len(self.history)} looks{dead}>"

    # -- rows ---------------------------------------------------------------------------------

    def rows(
        self,
        table: Table = "comparisons",
        *,
        over_time: bool = False,
        adjust: Adjust | None = None,
    ) -> list[Row]:
        """A table as plain dicts; needs no optional package.

        Args:
            table: Which one.
            over_time: Of the whole history, instead of the last results of each run.
            adjust: Of comparisons: a column more, with the sequential p-values adjusted over all
                metrics and variants of a run at one moment.
        """
        runs = self.history if over_time else self.results
        if adjust is None or table != "comparisons":
            return _ROWS[table](runs)
        return [row for run in runs for row in _adjusted(comparison_rows([run]), adjust)]

    # -- data frames --------------------------------------------------------------------------

    def comparisons(
        self,
        *,
        over_time: bool = False,
        adjust: Adjust | None = None,
        backend: Backend | None = None,
    ) -> Frame:
        """Differences from control, relative lifts, both intervals and p-values; see :meth:`rows`.

        Raises:
            MissingPackageError: Neither pandas nor polars is installed.
        """
        return frame_of(self.rows(over_time=over_time, adjust=adjust), backend)

    def figures(self, *, over_time: bool = False, backend: Backend | None = None) -> Frame:
        """What the units of each variant did, by metric; raises as :meth:`comparisons`."""
        return frame_of(self.rows("figures", over_time=over_time), backend)

    def split(self, *, over_time: bool = False, backend: Backend | None = None) -> Frame:
        """Units and crossovers by variant, sample ratio; raises as :meth:`comparisons`."""
        return frame_of(self.rows("split", over_time=over_time), backend)

    # -- plots --------------------------------------------------------------------------------

    def plot(
        self,
        metric: str,
        *,
        experiment: str | None = None,
        kind: Kind = "both",
        ax: Axes | None = None,
    ) -> Axes:
        """The difference from control over time, a band for its interval, a line at none.

        Args:
            metric: Its name.
            experiment: ``KEY`` or ``KEY@VERSION``; may be left out where there is one run.
            kind: ``sequential``, ``fixed`` (valid at its planned end only), or both.
            ax: Where to draw; axes of its own when not given.

        Raises:
            MissingPackageError: matplotlib is not installed.
            UnknownSpecError: There is no such metric or run.
        """
        run = self._run(experiment)
        history = [r for r in self.history if (r.experiment, r.version) == run]
        rows = [row for row in comparison_rows(history) if row["metric"] == metric]
        if not rows:
            known = {m.name for r in history for m in r.metrics}
            raise UnknownSpecError(f"there is no metric {metric!r}: {nearest(metric, known)}")
        return effect(rows, kind, ax)

    # -- what is to be expected ---------------------------------------------------------------

    def outlook(
        self,
        metric: str,
        *,
        variant: str | None = None,
        lift: float | None = None,
        difference: float | None = None,
        experiment: str | None = None,
        power: float = 0.8,
    ) -> Outlook:
        """What the units so far can find, and how long what is wanted still takes.

        Args:
            metric: Its name; not a quantile.
            variant: Compared with control; may be left out where there is one.
            lift: What is to be found, as a share of control's mean, such as 0.05.
            difference: The same as a difference of means, instead.
            experiment: ``KEY`` or ``KEY@VERSION``; may be left out where there is one run.
            power: Chance to find it.

        Raises:
            UnknownSpecError: There is no such metric, variant or run.
            ValueError: Neither lift nor difference is given, or both; there is too little data, or
                one look alone, which tells nothing of traffic.
        """
        run = self._run(experiment)
        history = [r for r in self.history if (r.experiment, r.version) == run]
        return outlook(
            history, metric, variant=variant, lift=lift, difference=difference, power=power
        )

    def _run(self, experiment: str | None) -> tuple[str, str]:
        asked, _, version = (experiment or "").partition("@")
        found = [
            (r.experiment, r.version)
            for r in self.results
            if asked in {"", r.experiment} and version in {"", r.version}
        ]
        if asked and found:  # of a key alone, its latest version
            return found[-1]
        if len(found) == 1:
            return found[0]
        runs = [f"{r.experiment}@{r.version}" for r in self.results]
        if not asked:
            raise UnknownSpecError(
                f"which run? give experiment=, one of {', '.join(runs)}"
                if runs
                else "there are no results"
            )
        raise UnknownSpecError(f"there are no results of {experiment!r}: {nearest(asked, runs)}")


def _adjusted(rows: list[Row], adjust: Adjust) -> list[Row]:
    told = [row["sequential_p_value"] for row in rows]
    values = iter(_ADJUST[adjust]([p for p in told if p is not None]))
    column = f"sequential_p_value_{adjust}"
    return [
        {**row, column: None if p is None else next(values)}
        for row, p in zip(rows, told, strict=True)
    ]
