"""Assign: contexts into assignments and exposures.

An assignment says which variant a unit has, an exposure that it was shown it. Exposures of one
unit to one variant are told once in a while only: the cache remembers when, and may be lost, since
whoever reads exposures takes the first by event time. An exposure earlier than the one told is
told again for that reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, NoReturn

import msgspec

from anabranch.assignment import Evaluation, ExperimentContext, ExperimentEvaluator, Plan
from anabranch.errors import InvalidEventError, MissingUnitError, UnknownExperimentError
from anabranch.events.cloudevents import HeaderMaker, Limits, time_header
from anabranch.events.decoding import EXPOSURE, Context, decode_context
from anabranch.events.ids import context_name, output_hash
from anabranch.processors.protocol import Batch, Cache, Output, Outputs, Record, State
from anabranch.specs import Catalog, Status
from anabranch.specs.explain import nearest

__all__ = ["ASSIGNMENT", "AssignProcessor"]

ASSIGNMENT: Final = "anabranch.assignment.v1"
SOURCE: Final = "anabranch/assign"
"""CloudEvents source of assignments and exposures."""

_encode = msgspec.json.Encoder().encode
_ASSIGNMENT_HEADERS = HeaderMaker(ASSIGNMENT, SOURCE).fixed
_EXPOSURE_HEADERS = HeaderMaker(EXPOSURE, SOURCE).fixed


class AssignProcessor:
    """Source ``contexts``; outputs ``assignments`` and ``exposures``.

    A context that names no experiment gets an assignment of every running one, and of every
    paused one (control, without exposure); experiments whose unit it does not carry are passed
    over. One that names an experiment gets the version it names, else the current one.

    Event time is what schedules are held against, and the time of the outputs.

    Args:
        catalog: The specs.
        evaluator: Chooses variants and asks the policies.
        limits: What is taken in at all.
        dedupe_ms: A unit's exposure to a variant is told again only after so long, by event time.

    Counters: ``contexts``, ``assignments``, ``exposures``, ``repeated_exposures``,
    ``assignments_without_unit``, ``undecided_policies``, ``expression_errors``.

    Raises:
        SpecValidationError: An expression of an experiment is wrong.
    """

    def __init__(
        self,
        catalog: Catalog,
        evaluator: ExperimentEvaluator,
        *,
        limits: Limits | None = None,
        dedupe_ms: int = 24 * 60 * 60 * 1000,
    ) -> None:
        self._catalog = catalog
        self._evaluator = evaluator
        self._limits = limits or Limits()
        self._dedupe_ms = dedupe_ms
        self._targets = {spec.digest: _Target(evaluator.plan(spec)) for spec in catalog.experiments}
        self._all = tuple(self._targets[spec.digest] for spec in catalog.evaluated())
        self._named: dict[tuple[str, str | None], tuple[_Target]] = {}
        plans = [target.plan for target in self._targets.values()]
        self._asks = any(plan.needs_policy for plan in plans)
        self._reads_more = any(plan.reads_more for plan in plans)

    def process(
        self, batch: Batch, state: State, cache: Cache, out: Outputs
    ) -> Awaitable[None] | None:
        del state
        records = batch.sources["contexts"]
        if not records:
            return None
        out.count("contexts", len(records))
        writer = _Writer(cache, out, self._dedupe_ms)
        if self._asks:
            return self._assign_asking(records, batch.now, writer, out)
        now, limits, write, all_ = batch.now, self._limits, writer.write, self._all
        for record in records:
            try:
                event = decode_context(record, now=now, limits=limits)
                data, time = event.data, event.time
                targets = all_ if data.experiment is None else self._asked(event)
                if self._reads_more:
                    context = _context(event)
                    found = [target.plan.evaluate(context, time) for target in targets]
                elif len(targets) == 1:
                    found = [targets[0].plan.allocate(data, time)]
                else:
                    found = [target.plan.allocate(data, time) for target in targets]
                write(event, targets, found)
            except InvalidEventError as error:
                out.dead_letter(record, error)
        writer.flush()
        return None

    async def _assign_asking(
        self, records: Sequence[Record], now: int, writer: _Writer, out: Outputs
    ) -> None:
        evaluate = self._evaluator.evaluate
        for record in records:
            try:
                event = decode_context(record, now=now, limits=self._limits)
                targets = self._all if event.data.experiment is None else self._asked(event)
                context, time = _context(event), event.time
                found = [await evaluate(target.plan, context, time) for target in targets]
                writer.write(event, targets, found)
            except InvalidEventError as error:
                out.dead_letter(record, error)
        writer.flush()

    def _asked(self, event: Context) -> tuple[_Target, ...]:
        """The experiment that the context names."""
        key = event.data.experiment or ""
        name = key, event.version
        targets = self._named.get(name)
        if targets is None:
            targets = self._named[name] = (self._find(*name),)
        return targets

    def _find(self, key: str, version: str | None) -> _Target:
        experiments = self._catalog.experiments
        spec = self._catalog.current(key) if version is None else experiments.get(key, version)
        if spec is not None and (version is not None or spec.status is not Status.RETIRED):
            return self._targets[spec.digest]
        versions = ", ".join(spec.version for spec in experiments.versions(key))
        label = key if version is None else f"{key} {version}"
        if spec is not None:
            remedy = f"{spec.version} is retired: stop asking for it, or name a version"
        elif not versions:
            remedy = nearest(key, experiments.keys())
        elif version is None:
            remedy = f"there are drafts only ({versions}): name one, or set it running"
        else:
            remedy = f"its versions are {versions}"
        raise UnknownExperimentError(f"experiment: there is no {label!r}: {remedy}")


def _context(event: Context) -> ExperimentContext:
    data = event.data
    return ExperimentContext(
        experiment=data.experiment,
        version=event.version,
        user_id=data.user_id,
        organization_id=data.organization_id,
        session_id=data.session_id,
        attributes=data.attributes,
        flags=data.flags,
    )


class _Target:
    """An experiment that contexts are evaluated for, with what its outputs have in common."""

    __slots__ = ("made", "plan", "run", "suffix")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = f"{plan.key}@{plan.version}".encode()
        self.suffix = f"|{plan.key}".encode()
        self.made: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    def make(self, evaluation: Evaluation) -> tuple[bytes, bytes]:
        """JSON before the unit, and after it in an assignment; an exposure ends there.

        It holds what AssignmentData and ExposureData declare. Kept in ``made``, by variant and
        reason.
        """
        variant = evaluation.variant
        head = _encode(
            {
                "experiment": self.plan.key,
                "version": self.plan.version,
                "digest": self.plan.digest,
                "variant": variant.id,
                "reason": evaluation.reason,
            }
        )
        overrides = [
            override.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for override in variant.overrides
        ]
        tail = b',"overrides":' + _encode(overrides) + b"}" if overrides else b"}"
        parts = self.made[variant.id, evaluation.reason] = (head[:-1] + b',"unit":', tail)
        return parts


class _Writer:
    """Makes the outputs of a batch and counts them."""

    __slots__ = (
        "_assignments",
        "_cache",
        "_dedupe_ms",
        "_errors",
        "_exposures",
        "_out",
        "_repeated",
        "_undecided",
        "_unitless",
    )

    def __init__(self, cache: Cache, out: Outputs, dedupe_ms: int) -> None:
        self._out = out
        self._cache = cache
        self._dedupe_ms = dedupe_ms
        self._assignments: list[Output] = []
        self._exposures: list[Output] = []
        self._repeated = self._unitless = self._undecided = self._errors = 0

    def write(
        self, event: Context, targets: Sequence[_Target], evaluations: Sequence[Evaluation]
    ) -> None:
        """The outputs of one context.

        Raises:
            MissingUnitError: No experiment finds its unit in the context; nothing was written.
        """
        time, expose = event.time, event.data.exposure
        context = context_name(event.source, event.id)
        stamp = time_header(time)
        last, unit_bytes, unit_json = "", b"", b""
        for target, evaluation in zip(targets, evaluations, strict=True):
            unit = evaluation.unit
            if unit is None:
                self._unitless += 1
                continue
            if unit != last:
                last, unit_bytes, unit_json = unit, unit.encode(), _encode(unit)
            if evaluation.detail:
                self._undecided += len(evaluation.undecided)
                self._errors += evaluation.expression_errors
            variant = evaluation.variant.id
            before, after = target.made.get((variant, evaluation.reason)) or target.make(evaluation)
            run = target.run
            hashed = output_hash(context, run)
            self._assignments.append(
                (
                    unit_bytes + target.suffix,
                    before + unit_json + after,
                    [*_ASSIGNMENT_HEADERS, ("ce_id", b"assignment-" + hashed), stamp],
                    time,
                )
            )
            if expose and evaluation.enrolled:
                self._expose(
                    (unit, run, variant),
                    (
                        unit_bytes,
                        before + unit_json + b"}",
                        [*_EXPOSURE_HEADERS, ("ce_id", b"exposure-" + hashed), stamp],
                        time,
                    ),
                )
        if not last:
            self._unitless -= len(targets)
            _require_unit(event, targets)

    def _expose(self, name: tuple[str, bytes, str], exposure: Output) -> None:
        """Tell the exposure, unless it was told not long ago."""
        time = exposure[3]
        told = self._cache.get(name)
        if told is not None and told <= time < told + self._dedupe_ms:
            self._repeated += 1
            return
        self._cache.put(name, time)
        self._exposures.append(exposure)

    def flush(self) -> None:
        """Put out what was made."""
        out = self._out
        if self._assignments:
            out.send_all("assignments", self._assignments)
        if self._exposures:
            out.send_all("exposures", self._exposures)
        for name, n in (
            ("assignments", len(self._assignments)),
            ("exposures", len(self._exposures)),
            ("repeated_exposures", self._repeated),
            ("assignments_without_unit", self._unitless),
            ("undecided_policies", self._undecided),
            ("expression_errors", self._errors),
        ):
            if n:
                out.count(name, n)


def _require_unit(event: Context, targets: Sequence[_Target]) -> None:
    """Raises where the context has none; with no experiment about, any identity will do."""
    data = event.data
    if not targets and (data.user_id or data.session_id or data.organization_id):
        return
    wanted = sorted({identity for target in targets for identity in target.plan.spec.unit})
    _no_unit(data.experiment or "the running experiments", wanted)


def _no_unit(asked: str, wanted: Sequence[str]) -> NoReturn:
    identities = " or ".join(wanted or ("userId", "sessionId", "organizationId"))
    raise MissingUnitError(
        f"the context has no identity that {asked} can assign by: give {identities}"
    )
