"""Assign: contexts into assignments and exposures.

An assignment says which variant a unit has, an exposure that it was shown it. Exposures of one
unit to one variant are told once in a while only: the cache remembers when, and may be lost, since
whoever reads exposures takes the first by event time. An exposure earlier than the one told is
told again for that reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple

import msgspec

from anabranch.assignment import Evaluation, ExperimentContext, ExperimentEvaluator, Plan
from anabranch.errors import InvalidEventError, MissingUnitError, UnknownExperimentError
from anabranch.events.cloudevents import HeaderMaker, Limits, format_time
from anabranch.events.decoding import EXPOSURE, Context, decode_context
from anabranch.events.ids import output_id
from anabranch.processors.protocol import Batch, Cache, Outputs, Record, State
from anabranch.specs import Catalog
from anabranch.specs.explain import nearest

__all__ = ["ASSIGNMENT", "AssignProcessor"]

ASSIGNMENT: Final = "anabranch.assignment.v1"
SOURCE: Final = "anabranch/assign"

_encode = msgspec.json.Encoder().encode


class _Target:
    """An experiment that contexts are evaluated for, with what its outputs have in common."""

    __slots__ = ("_bodies", "key", "plan", "run", "suffix")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.key = plan.key
        self.run = f"{plan.key}@{plan.version}".encode()
        self.suffix = f"|{plan.key}"
        self._bodies: dict[tuple[str, str], tuple[bytes, bytes, bytes]] = {}

    def bodies(self, evaluation: Evaluation) -> tuple[bytes, bytes, bytes]:
        """JSON before the unit, and after it in an assignment and in an exposure."""
        name = evaluation.variant.id, evaluation.reason
        found = self._bodies.get(name)
        if found is None:
            variant = evaluation.variant
            head = _encode(
                {
                    "experiment": self.key,
                    "version": evaluation.version,
                    "digest": evaluation.digest,
                    "variant": variant.id,
                    "reason": evaluation.reason,
                }
            )
            before = head[:-1] + b',"unit":'
            overrides = [o.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                         for o in variant.overrides]  # fmt: skip
            after = b',"overrides":' + _encode(overrides) + b"}" if overrides else b"}"
            found = self._bodies[name] = (before, after, b"}")
        return found


class _Work(NamedTuple):
    """A context and the experiments that it asks for."""

    record: Record
    event: Context
    context: ExperimentContext
    targets: Sequence[_Target]


class AssignProcessor:
    """Source ``contexts``; outputs ``assignments`` and ``exposures``.

    A context that names no experiment gets an assignment of every running one, and of every
    paused one (control, without exposure).

    Args:
        catalog: The specs.
        evaluator: Chooses variants and asks the policies.
        limits: What is taken in at all.
        dedupe_ms: A unit's exposure to a variant is told again only after so long, by event time.

    Counters: ``contexts``, ``assignments``, ``exposures``, ``repeated_exposures``,
    ``assignments_without_unit``, ``undecided_policies``, ``expression_errors``.
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
        self._targets: dict[str, _Target] = {}
        self._all = [self._target(evaluator.plan(spec)) for spec in catalog.evaluated()]
        self._assignment_headers = HeaderMaker(ASSIGNMENT, SOURCE).make
        self._exposure_headers = HeaderMaker(EXPOSURE, SOURCE).make

    def process(
        self, batch: Batch, state: State, cache: Cache, out: Outputs
    ) -> Awaitable[None] | None:
        del state
        records = batch.sources["contexts"]
        if records:
            out.count("contexts", len(records))
        work = self._read(records, batch.now, out)
        if any(target.plan.needs_policy for one in work for target in one.targets):
            return self._assign_asking(work, cache, out)
        told = _Told(self, cache, out)
        for one in work:
            time, context = one.event.time, one.context
            told.tell(one, [target.plan.evaluate(context, time) for target in one.targets])
        told.count()
        return None

    async def _assign_asking(self, work: Sequence[_Work], cache: Cache, out: Outputs) -> None:
        told = _Told(self, cache, out)
        for one in work:
            evaluations = []
            for target in one.targets:
                context = one.context
                if target.plan.needs_policy and context.experiment is None:
                    # The policy is asked about this experiment, whatever the context left open.
                    context = msgspec.structs.replace(context, experiment=target.key)
                evaluations.append(
                    await self._evaluator.evaluate(target.plan, context, one.event.time)
                )
            told.tell(one, evaluations)
        told.count()

    # -- reading ------------------------------------------------------------------------------

    def _read(self, records: Sequence[Record], now: int, out: Outputs) -> list[_Work]:
        limits = self._limits
        work = []
        for record in records:
            try:
                event = decode_context(record, now=now, limits=limits)
                data = event.data
                if data.experiment is None:
                    targets: Sequence[_Target] = self._all
                else:
                    targets = (self._named(data.experiment, event.version),)
            except InvalidEventError as error:
                out.dead_letter(record, error)
                continue
            context = ExperimentContext(
                experiment=data.experiment,
                version=event.version,
                user_id=data.user_id,
                organization_id=data.organization_id,
                session_id=data.session_id,
                attributes=data.attributes,
                flags=data.flags,
            )
            work.append(_Work(record, event, context, targets))
        return work

    def _named(self, key: str, version: str | None) -> _Target:
        experiments = self._catalog.experiments
        spec = self._catalog.current(key) if version is None else experiments.get(key, version)
        if spec is not None:
            return self._target(self._evaluator.plan(spec))
        versions = [spec.version for spec in experiments.versions(key)]
        if not versions:
            remedy = nearest(key, experiments.keys())
        elif version is None:
            remedy = f"its versions {', '.join(versions)} are drafts: name one, or start it"
        else:
            remedy = f"its versions are {', '.join(versions)}"
        label = key if version is None else f"{key} {version}"
        raise UnknownExperimentError(f"experiment: there is no {label!r}: {remedy}")

    def _target(self, plan: Plan) -> _Target:
        target = self._targets.get(plan.digest)
        if target is None:
            target = self._targets[plan.digest] = _Target(plan)
        return target


class _Told:
    """Writes the outputs of a batch and counts them."""

    __slots__ = (
        "_assignment_headers",
        "_assignments",
        "_cache",
        "_counters",
        "_dedupe_ms",
        "_exposure_headers",
        "_exposures",
        "_out",
        "_repeated",
        "_unitless",
    )

    def __init__(self, processor: AssignProcessor, cache: Cache, out: Outputs) -> None:
        self._assignment_headers = processor._assignment_headers  # noqa: SLF001
        self._exposure_headers = processor._exposure_headers  # noqa: SLF001
        self._dedupe_ms = processor._dedupe_ms  # noqa: SLF001
        self._cache = cache
        self._out = out
        self._assignments = self._exposures = self._repeated = self._unitless = 0

    def tell(self, work: _Work, evaluations: Sequence[Evaluation]) -> None:
        """The outputs of one context; a dead letter where no experiment finds a unit in it."""
        if evaluations and all(evaluation.unit is None for evaluation in evaluations):
            self._out.dead_letter(work.record, _no_unit(work))
            return
        event, send = work.event, self._out.send
        time = event.time
        stamp = format_time(time).encode()
        expose = event.data.exposure
        for target, evaluation in zip(work.targets, evaluations, strict=True):
            unit = evaluation.unit
            if unit is None:
                self._unitless += 1
                continue
            if evaluation.undecided:
                self._out.count("undecided_policies", len(evaluation.undecided))
            if evaluation.expression_errors:
                self._out.count("expression_errors", evaluation.expression_errors)
            before, after, after_exposure = target.bodies(evaluation)
            body = before + _encode(unit)
            run = target.run
            self._assignments += 1
            send(
                "assignments",
                (unit + target.suffix).encode(),
                body + after,
                self._assignment_headers(
                    output_id(b"assignment", event.source, event.id, run), stamp
                ),
                time,
            )
            if not (expose and evaluation.enrolled):
                continue
            if self._is_told(unit, run, evaluation.variant.id, time):
                self._repeated += 1
                continue
            self._exposures += 1
            send(
                "exposures",
                unit.encode(),
                body + after_exposure,
                self._exposure_headers(output_id(b"exposure", event.source, event.id, run), stamp),
                time,
            )

    def _is_told(self, unit: str, run: bytes, variant: str, time: int) -> bool:
        name = unit, run, variant
        told = self._cache.get(name)
        if told is not None and told <= time < told + self._dedupe_ms:
            return True
        self._cache.put(name, time)
        return False

    def count(self) -> None:
        for name, n in (
            ("assignments", self._assignments),
            ("exposures", self._exposures),
            ("repeated_exposures", self._repeated),
            ("assignments_without_unit", self._unitless),
        ):
            if n:
                self._out.count(name, n)


def _no_unit(work: _Work) -> MissingUnitError:
    wanted = sorted({identity for target in work.targets for identity in target.plan.spec.unit})
    asked = work.event.data.experiment or "the running experiments"
    return MissingUnitError(
        f"the context has no identity that {asked} can assign by: give {' or '.join(wanted)}"
    )
