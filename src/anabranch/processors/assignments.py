"""What the assign stage puts out: assignments, exposures, and claims of what is to be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from anabranch.assignment import Evaluation, Plan, names_of_unit
from anabranch.assignment.segments import segments_of
from anabranch.errors import MissingUnitError
from anabranch.events.cloudevents import HeaderMaker, time_header
from anabranch.events.decoding import EXPOSURE, Context
from anabranch.events.ids import context_name, output_hash
from anabranch.events.models import Claim
from anabranch.events.records import Headers
from anabranch.processors.protocol import Cache, Output, Outputs
from anabranch.specs import Keep

__all__ = ["ASSIGNMENT", "Target", "Writer"]

ASSIGNMENT: Final = "anabranch.assignment.v1"
SOURCE: Final = "anabranch/assign"
"""CloudEvents source of assignments and exposures."""

_encode = msgspec.json.Encoder().encode
_ASSIGNMENT_HEADERS = HeaderMaker(ASSIGNMENT, SOURCE).fixed
_EXPOSURE_HEADERS = HeaderMaker(EXPOSURE, SOURCE).fixed


class Target:
    """An experiment that contexts are evaluated for, with what its outputs have in common.

    Args:
        plan: The experiment's.
        keep: By what its variants are kept: they are claimed first. None assigns at once.
    """

    __slots__ = ("keep", "made", "plan", "run", "segments", "suffix")

    def __init__(self, plan: Plan, keep: Keep | None = None) -> None:
        self.plan = plan
        self.keep = keep
        self.run = f"{plan.key}@{plan.version}".encode()
        self.suffix = f"|{plan.key}".encode()
        self.segments = plan.spec.segments
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


class Writer:
    """Makes the outputs of a batch and counts them."""

    __slots__ = (
        "_assignments",
        "_cache",
        "_claims",
        "_dedupe_ms",
        "_errors",
        "_excluded",
        "_exposures",
        "_out",
        "_reasons",
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
        self._claims: list[Output] = []
        self._reasons: list[str] = []
        self._repeated = self._unitless = self._undecided = self._errors = 0
        self._excluded = 0

    def write(
        self, event: Context, targets: Sequence[Target], evaluations: Sequence[Evaluation]
    ) -> None:
        """The outputs of one context.

        Raises:
            MissingUnitError: No experiment finds its unit in the context; nothing was written.
        """
        time, expose, trace = event.time, event.data.exposure, event.trace
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
                self._excluded += evaluation.excluded
            if target.keep is not None and evaluation.enrolled:
                self._claim(event, target, evaluation, target.keep)
                continue
            self._reasons.append(evaluation.reason)
            variant = evaluation.variant.id
            before, after = target.made.get((variant, evaluation.reason)) or target.make(evaluation)
            run = target.run
            hashed = output_hash(context, run)
            self._assignments.append(
                (
                    unit_bytes + target.suffix,
                    before + unit_json + after,
                    [*_ASSIGNMENT_HEADERS, ("ce_id", b"assignment-" + hashed), stamp, *trace],
                    time,
                )
            )
            if expose and evaluation.enrolled:
                told = b"}"
                if target.segments:
                    segments = segments_of(target.segments, event.data.attributes)
                    told = b',"segments":' + _encode(segments) + b"}"
                self._expose(
                    (unit, run, variant),
                    (
                        unit_bytes,
                        before + unit_json + told,
                        [*_EXPOSURE_HEADERS, ("ce_id", b"exposure-" + hashed), stamp, *trace],
                        time,
                    ),
                )
        if not last:
            self._unitless -= len(targets)
            _require_unit(event, targets)

    def _claim(self, event: Context, target: Target, evaluation: Evaluation, keep: Keep) -> None:
        """Ask what the unit was given first, its other name beforehand."""
        unit, *others = names_of_unit(target.plan.spec, event.data, keep)
        other = others[0] if others else None
        self.claim(
            Claim(
                "settle" if other is None else "look",
                target.plan.key,
                target.plan.version,
                unit,
                evaluation.variant.id,
                evaluation.reason,
                event.id,
                event.source,
                event.time,
                other,
                None,
                event.data.exposure,
                segments_of(target.segments, event.data.attributes) if target.segments else None,
            ),
            event.trace,
        )

    def claim(self, claim: Claim, trace: Headers) -> None:
        """Send a claim where its step belongs, within the trace of its context."""
        name = claim.unit if claim.step == "settle" else claim.other or claim.unit
        self._claims.append((name.encode(), _encode(claim), trace, claim.time))

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
        if self._claims:
            out.send_all("claims", self._claims)
        for name, n in (
            ("assignments", len(self._assignments)),
            ("exposures", len(self._exposures)),
            ("repeated_exposures", self._repeated),
            ("claims", len(self._claims)),
            ("assignments_without_unit", self._unitless),
            ("undecided_policies", self._undecided),
            ("expression_errors", self._errors),
            ("excluded_contexts", self._excluded),
        ):
            if n:
                out.count(name, n)
        for reason, n in Counter(self._reasons).items():
            out.count(f"evaluations:{reason}", n)


def _require_unit(event: Context, targets: Sequence[Target]) -> None:
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
