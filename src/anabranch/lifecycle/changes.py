"""What a publication changes: fields, and what units get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from anabranch.assignment import Evaluation, ExperimentContext, ExperimentEvaluator, Moment, Plan
from anabranch.assignment.context import IDENTITIES
from anabranch.errors import LifecycleError
from anabranch.lifecycle.states import move
from anabranch.specs import Catalog, ExperimentSpec, Spec, Status, SuccessMetric, TargetedAllocation
from anabranch.specs.base import canonical
from anabranch.specs.explain import Path, spell

__all__ = ["PREVIEW_UNITS", "Difference", "Impact", "check_change", "differences", "impact"]

PREVIEW_UNITS: Final = 10_000

_JUDGED: Final = {"target", "direction", "guardrail"}
"""Fields of a metric that judge its results and change none of them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field; None where it is not given."""

    path: str
    before: Any
    after: Any


def differences(before: Spec | None, after: Spec) -> list[Difference]:
    """The fields in which two specs differ, as documents spell them; version and kind left out."""
    old = {} if before is None else _told(before)
    return list(_walk((), old, _told(after)))


def _told(spec: Spec) -> dict[str, Any]:
    document = {name: value for name, value in spec.document.items() if name != "kind"}
    meta = {name: v for name, v in document["meta"].items() if name not in {"key", "version"}}
    told = {**document, "meta": meta}
    if isinstance(spec, ExperimentSpec):  # what actions change is told where it is a default, too
        told |= {"status": str(spec.status), "coverage": canonical(spec.coverage)}
    return told


def _walk(path: Path, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _walk((*path, name), before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _walk((*path, i), old, new)
    else:
        yield Difference(spell(path), before, after)


# -- what may be changed ----------------------------------------------------------------------


def check_change(before: Spec, after: Spec) -> None:
    """Whether a spec may be published over the same version of itself.

    Within a version of an experiment that has taken traffic, who gets what must not change, nor
    what a metric of one name adds up: its results would mix what cannot be compared.

    Raises:
        IllegalTransitionError: Its state may not change like this.
        LifecycleError: It changes who gets what, or what is measured.
    """
    if not isinstance(before, ExperimentSpec) or not isinstance(after, ExperimentSpec):
        return
    move(before, after)
    if before.status is Status.DRAFT:
        return
    changed = [
        field
        for field, (old, new) in {
            "controlVariant": (before.control_variant, after.control_variant),
            "variants": (_treatments(before), _treatments(after)),
            "allocation": (before.allocation, after.allocation),
            "unit": (before.unit, after.unit),
            "keep": (before.keep, after.keep),
            **{
                f"metric {name!r}": (_measured(metric), _measured(after.metrics_by_name[name]))
                for name, metric in before.metrics_by_name.items()
                if name in after.metrics_by_name
            },
        }.items()
        if old != new
    ]
    if changed:
        raise LifecycleError(
            f"Experiment {before.meta.label} is {before.status}, and {', '.join(changed)} would "
            "change within the version, so that its results mix what cannot be compared: publish "
            "a higher meta.version, or say --in-place if the results do not matter"
        )


def _treatments(spec: ExperimentSpec) -> list[tuple[object, ...]]:
    return [(v.id, v.weight, v.overrides) for v in spec.variants]


def _measured(metric: SuccessMetric) -> dict[str, Any]:
    told: dict[str, Any] = canonical(metric)
    return {name: value for name, value in told.items() if name not in _JUDGED}


# -- what units get ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Impact:
    """What becomes of made-up units, and so about what share of real ones.

    Attributes:
        units: How many were tried.
        before: How many are enrolled now.
        after: How many will be.
        moved: Enrolled in both, in another variant.
        joined: Enrolled only afterwards.
        left: Enrolled only before: they get control from then on, without exposure.
        version_before: The version that holds now; None where there is none.
        version_after: The version that will hold.
        notes: What the figures leave out.
    """

    units: int
    before: int
    after: int
    moved: int
    joined: int
    left: int
    version_before: str | None
    version_after: str | None
    notes: tuple[str, ...] = ()


def impact(
    before: Catalog, after: Catalog, key: str, now: Moment, units: int = PREVIEW_UNITS
) -> Impact:
    """What a publication means for an experiment's units.

    Args:
        before: What holds now.
        after: What will hold.
        key: The experiment's.
        now: When, for schedules and ramps.
        units: How many to try; they carry identities and nothing else.
    """
    old, new = _Version(before, key), _Version(after, key)
    counts = dict.fromkeys(("before", "after", "moved", "joined", "left"), 0)
    for n in range(units):
        was, is_ = old.evaluate(n, now), new.evaluate(n, now)
        counts["before"] += was is not None
        counts["after"] += is_ is not None
        if was is not None and is_ is not None:
            counts["moved"] += was.variant.id != is_.variant.id
        else:
            counts["joined"] += is_ is not None
            counts["left"] += was is not None
    notes: list[str] = []
    if old.targets or new.targets:
        notes.append("targeting rules saw units without attributes, flags and policies")
    if new.spec is not None and new.spec.keep is not None:
        notes.append("units that keep an earlier variant were counted as if they did not")
    if old.spec is not None and new.spec is not None and old.spec.version != new.spec.version:
        notes.append(
            f"results start anew with {new.spec.version}; those of {old.spec.version} stay"
        )
    return Impact(
        units,
        **counts,
        version_before=old.version,
        version_after=new.version,
        notes=tuple(notes),
    )


def _evaluator(catalog: Catalog) -> ExperimentEvaluator:
    return ExperimentEvaluator(catalog.experiments, applications=catalog.applications())


class _Version:
    """The version of an experiment that holds in a catalog."""

    def __init__(self, catalog: Catalog, key: str) -> None:
        self.spec = catalog.current(key)
        self.version = None if self.spec is None else self.spec.version
        self.targets = False
        self._plan: Plan | None = None
        if self.spec is not None and self.spec.status is Status.RUNNING:
            self.targets = isinstance(self.spec.allocation, TargetedAllocation)
            self._plan = _evaluator(catalog).plan(self.spec)

    def evaluate(self, unit: int, now: Moment) -> Evaluation | None:
        """The evaluation of a unit that is enrolled, else None."""
        if self._plan is None or self.spec is None:
            return None
        context = ExperimentContext.from_mapping(
            {
                "experiment": self.spec.key,
                "version": self.version,
                **dict.fromkeys(IDENTITIES, f"preview-{unit}"),
            }
        )
        found = self._plan.evaluate(context, now)
        return found if found.enrolled else None
