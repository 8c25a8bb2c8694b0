"""AB2xx: who gets what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from anabranch.specs.context import ContextSpec
from anabranch.specs.experiment import ExperimentSpec, TargetedAllocation, TargetingRule
from anabranch.specs.explain import nearest
from anabranch.specs.lint.reach import covered_by, reachable
from anabranch.specs.lint.rule import Found, Severity, World, rule

__all__: list[str] = []

CONTEXT_FIELDS: Final = (
    "experiment", "version", "userId", "organizationId", "sessionId", "attributes", "flags",
)  # fmt: skip
"""What ``context`` has in expressions."""


def _rules(spec: ExperimentSpec) -> tuple[TargetingRule, ...]:
    return spec.allocation.rules if isinstance(spec.allocation, TargetedAllocation) else ()


@rule("AB201", Severity.ERROR)
def unreachable_rule(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A targeting rule is never come to: an earlier one always matches where it would.

    Rules are asked in order and the first that matches decides. Put the more special rule first,
    or take the later one away.
    """
    rules = _rules(spec)
    for i in range(len(rules)):
        earlier = covered_by(rules, i, world.facts.constant)
        if earlier is not None:
            yield Found(
                ("allocation", "rules", i),
                f"is never come to, for rules[{earlier}] matches wherever it does: put it first, "
                "or take it away",
            )


@rule("AB202", Severity.WARNING)
def percentage_beyond_coverage(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A rule's percentage is above the experiment's coverage.

    A percentage is a share of the units that are enrolled and match, not of all: with a coverage of
    0.1 a percentage of 0.5 is 5 % of the matching units. Where more was meant, raise the coverage.
    """
    del world
    coverage = spec.coverage
    most = coverage[-1].share if isinstance(coverage, tuple) else coverage
    for i, one in enumerate(_rules(spec)):
        if one.percentage is not None and one.percentage > most:
            yield Found(
                ("allocation", "rules", i, "percentage"),
                f"is {one.percentage}, and coverage {most}: that is {one.percentage * most:.4g} "
                "of the matching units; lower the percentage, or raise the coverage",
            )


@rule("AB203", Severity.WARNING)
def rule_for_nobody(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A targeting rule matches nobody: its percentage is 0, or its expression is always false.

    Take the rule away; to stop an experiment, pause it.
    """
    for i, one in enumerate(_rules(spec)):
        if one.percentage == 0:
            yield Found(
                ("allocation", "rules", i, "percentage"),
                "is 0, so the rule matches nobody: take it away",
            )
        elif one.expression is not None and world.facts.constant(one.expression) is False:
            yield Found(
                ("allocation", "rules", i, "expression"),
                "is always false, so the rule matches nobody: take it away",
            )


@rule("AB204", Severity.WARNING)
def variant_for_nobody(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A variant is given to no enrolled unit.

    Its weight is 0, or the allocation falls back to control, and no rule gives it. Take it away, or
    give it a weight or a rule. A variant that units are forced to may be there for quality
    assurance alone.
    """
    known = reachable(spec, world.facts.constant) | set(spec.forced.values())
    for i, variant in enumerate(spec.variants):
        if variant.id in known or variant.id == spec.control_variant:
            continue
        if variant.weight == 0:
            yield Found(
                ("variants", i, "weight"),
                "is 0, and no rule gives it: give it a weight or a rule, or take it away",
            )
        else:
            yield Found(
                ("variants", i),
                f"is {variant.id!r}, which neither a rule nor the fallback gives: give it a rule, "
                "or take it away",
            )


@rule("AB205", Severity.WARNING)
def salt_reused(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """Two running experiments have the same salt, so that units are in like variants of both.

    Whoever is in the first variant of one is in the first variant of the other, and effects of one
    are taken for the other's. Inside a layer the second experiment inherits what the first did to
    its units. Leave the salt out: the experiment's key is then the salt.
    """
    allocation = spec.allocation
    if allocation.hash == "contractspec":  # see AB208
        return
    salt = spec.key if allocation.salt is None else allocation.salt
    same = world.by_salt.get((allocation.hash, salt), ())
    if not any(one is spec for one in same):  # it does not run
        return
    for other in same:
        if other is not spec:
            layer = spec.layer.key if spec.layer is not None else None
            shared = other.layer is not None and other.layer.key == layer
            inside = f" of the same layer {layer}" if shared else ""
            yield Found(
                ("allocation", "salt"),
                f"is {salt!r}, and so is that of Experiment {other.meta.label}{inside}: leave it "
                "out of one",
            )


@rule("AB206", Severity.WARNING)
def undeclared_attribute(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """An expression reads something that contexts do not have.

    It is undefined, so the rule will not match, or matches everybody. Attributes are declared in
    specs of the kind Context; where there are none, only the fields of a context itself are
    checked.
    """
    registry = world.catalog.of_kind("Context")
    schemas = [one for one in registry or () if isinstance(one, ContextSpec)]
    declared = {name for schema in schemas for name in schema.attributes}
    for i, one in enumerate(_rules(spec)):
        if one.expression is None:
            continue
        for path in dict.fromkeys(world.facts.paths(one.expression)):
            where = ("allocation", "rules", i, "expression")
            if path and path[0] not in CONTEXT_FIELDS:
                yield Found(where, f"reads context.{path[0]}: {nearest(path[0], CONTEXT_FIELDS)}")
            elif schemas and len(path) > 1 and path[0] == "attributes" and path[1] not in declared:
                yield Found(
                    where,
                    f"reads the attribute {path[1]!r}, which no Context declares: "
                    f"{nearest(path[1], declared)}",
                )


@rule("AB207", Severity.WARNING)
def expression_says_nothing(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """An expression is always true, whatever the context.

    Leave it out, or say what it was meant to ask.
    """
    for i, one in enumerate(_rules(spec)):
        if one.expression is not None and world.facts.constant(one.expression) is True:
            yield Found(
                ("allocation", "rules", i, "expression"),
                "is always true: leave it out, or ask something of the context",
            )


@rule("AB208", Severity.WARNING)
def unsalted_contractspec(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """The hash `contractspec` without a salt assigns every experiment alike.

    The experiment's key is no part of that hash. Use it to keep the assignments of an experiment
    that began elsewhere; leave `allocation.hash` out for a new one.
    """
    del world
    if spec.allocation.hash == "contractspec" and not spec.allocation.salt:
        yield Found(
            ("allocation", "hash"),
            "is contractspec without a salt, which gives a unit like variants in all such "
            "experiments: leave the hash out if this one began here",
        )
