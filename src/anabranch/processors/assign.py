"""Assign: contexts into assignments and exposures.

An assignment says which variant a unit has, an exposure that it was shown it. Exposures of one
unit to one variant are told once in a while only: the cache remembers when, and may be lost, since
whoever reads exposures takes the first by event time. An exposure earlier than the one told is
told again for that reason.

Of experiments that keep variants, the variant is claimed first: see
:mod:`anabranch.processors.kept`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from anabranch.assignment import ExperimentContext, ExperimentEvaluator
from anabranch.errors import InvalidEventError, UnknownExperimentError
from anabranch.events.cloudevents import Limits
from anabranch.events.decoding import Context, decode_context
from anabranch.processors.assignments import ASSIGNMENT, Target, Writer
from anabranch.processors.kept import DAY, Keeper
from anabranch.processors.protocol import Batch, Cache, Outputs, Record, State
from anabranch.specs import Catalog, Status
from anabranch.specs.explain import nearest

__all__ = ["ASSIGNMENT", "AssignProcessor"]


class AssignProcessor:
    """Sources ``contexts`` and ``claims``; outputs ``assignments``, ``exposures`` and ``claims``.

    A context that names no experiment gets an assignment of every running one, and of every
    paused one (control, without exposure); experiments whose unit it does not carry are passed
    over. One that names an experiment gets the version it names, else the current one.

    Event time is what schedules are held against, and the time of the outputs.

    Args:
        catalog: The specs.
        evaluator: Chooses variants and asks the policies.
        limits: What is taken in at all.
        dedupe_ms: A unit's exposure to a variant is told again only after so long, by event time.
        keep_ms: What a unit keeps is forgotten so long after it was last asked for, by event time.

    Counters: ``contexts``, ``assignments``, ``exposures``, ``repeated_exposures``,
    ``assignments_without_unit``, ``undecided_policies``, ``expression_errors``,
    ``excluded_contexts``, ``claims``, ``kept_assignments``, ``forgotten_units``, and
    ``evaluations:REASON`` of the assignments.

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
        keep_ms: int = 180 * DAY,
    ) -> None:
        self._catalog = catalog
        self._evaluator = evaluator
        self._limits = limits or Limits()
        self._dedupe_ms = dedupe_ms
        self._targets = {
            spec.digest: Target(evaluator.plan(spec), spec.keep) for spec in catalog.experiments
        }
        self._all = tuple(self._targets[spec.digest] for spec in catalog.evaluated())
        self._named: dict[tuple[str, str | None], tuple[Target]] = {}
        plans = [target.plan for target in self._targets.values()]
        self._asks = any(plan.needs_policy for plan in plans)
        self._reads_more = any(plan.reads_more for plan in plans)
        self._keeper = Keeper(self._find, keep_ms)

    def process(
        self, batch: Batch, state: State, cache: Cache, out: Outputs
    ) -> Awaitable[None] | None:
        records = batch.sources["contexts"]
        claims = batch.sources.get("claims")
        if not (records or claims):
            return None
        writer = Writer(cache, out, self._dedupe_ms)
        if claims:
            self._keeper.process(claims, state, writer, out, batch.now)
        if records:
            out.count("contexts", len(records))
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
        self, records: Sequence[Record], now: int, writer: Writer, out: Outputs
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

    def _asked(self, event: Context) -> tuple[Target, ...]:
        """The experiment that the context names."""
        key = event.data.experiment or ""
        name = key, event.version
        targets = self._named.get(name)
        if targets is None:
            targets = self._named[name] = (self._find(*name),)
        return targets

    def _find(self, key: str, version: str | None) -> Target:
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
