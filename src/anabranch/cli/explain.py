"""``anabranch explain``: why has this unit this variant?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from anabranch.assignment import ExperimentContext, Explanation, explain_in
from anabranch.assignment.explain import RuleStep, SplitStep, Step
from anabranch.assignment.hashing import Place
from anabranch.cli import options
from anabranch.cli.console import out
from anabranch.cli.specs import checked_catalog
from anabranch.errors import UnknownSpecError
from anabranch.settings import load_settings
from anabranch.specs import Catalog, ExperimentSpec

_MARKS = {
    "passed": "[green]✓[/]",
    "matched": "[green]✓[/]",
    "forced": "[yellow]→[/]",
    "stopped": "[red]✗[/]",
    "no match": "[red]✗[/]",
    "raised": "[red]![/]",
    "undecided": "[red]?[/]",
    "not reached": "[dim]·[/]",
}


def explain(
    experiment: Annotated[str, typer.Argument(help="Key of the experiment")],
    *,
    specs: options.Specs = None,
    version: Annotated[str | None, typer.Option(help="Version; by default the current one")] = None,
    user: Annotated[str | None, typer.Option("--user", help="userId")] = None,
    session: Annotated[str | None, typer.Option("--session", help="sessionId")] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", help="organizationId")
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME=VALUE", help="JSON value, else text; repeatable"),
    ] = None,
    flag: Annotated[
        list[str] | None, typer.Option("--flag", help="A flag that is on; repeatable")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="RFC 3339; by default now")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show step by step which variant a unit gets, and why."""
    catalog = checked_catalog(specs or load_settings().specs)
    spec = _find(catalog, experiment, version)
    attributes = dict(_attribute(one) for one in attribute or ())
    context = ExperimentContext(
        experiment=spec.key,
        version=version,
        user_id=user,
        session_id=session,
        organization_id=organization,
        attributes=attributes or None,
        flags=flag or None,
    )
    found = explain_in(catalog, spec, context, _moment(at))
    if as_json:
        out.print_json(json.dumps(found.as_dict()))
    else:
        out.print(_tree(found))


def _find(catalog: Catalog, key: str, version: str | None) -> ExperimentSpec:
    if version is not None:
        return catalog.experiments.require(key, version)
    found = catalog.current(key)
    if found is None:
        draft = catalog.experiments.require(key)
        raise UnknownSpecError(
            f"experiment {key} has drafts only: name one, as in --version {draft.version}"
        )
    return found


def _attribute(given: str) -> tuple[str, Any]:
    name, equals, text = given.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{given!r}: write NAME=VALUE", param_hint="--attribute")
    try:
        return name, json.loads(text)
    except json.JSONDecodeError:
        return name, text


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no RFC 3339 time", param_hint="--at") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# -- the tree ---------------------------------------------------------------------------------


def _tree(found: Explanation) -> Tree:
    evaluation = found.evaluation
    tree = Tree(Text(f"{evaluation.experiment} {evaluation.version}", style="bold"))
    for step in found.steps:
        _add_step(tree, step)
    for rule in found.rules:
        _add_rule(tree, rule)
    if found.split is not None:
        _add_split(tree, found.split)
    enrolled = "enrolled" if evaluation.enrolled else "not enrolled, no exposure"
    result = tree.add(
        Text.assemble(
            (evaluation.variant.id, "bold"),
            f"  reason {evaluation.reason}, {enrolled}, decided by {found.decided_by}",
        )
    )
    if found.keep is not None and evaluation.enrolled:
        result.add(
            Text(f"kept by {found.keep}: what it was given first, if anything, holds instead")
        )
    for override in evaluation.variant.overrides:
        version = f" {override.version}" if override.version else ""
        result.add(Text(f"{override.type} {override.target}{version}"))
    return tree


def _line(mark: str, name: str, why: str) -> Text:
    return Text.assemble(Text.from_markup(_MARKS[mark]), " ", (name, "bold"), f"  {why}")


def _add_step(tree: Tree, step: Step) -> None:
    node = tree.add(_line(step.outcome, step.name, step.why))
    if step.name == "unit":
        for name, value in step.facts["identities"].items():
            node.add(Text(f"{name}: {'not given' if value is None else value}", style="dim"))
    if step.place is not None:
        node.add(_place(step.place))
    if step.prerequisite is not None:
        node.add(_tree(step.prerequisite))


def _add_rule(tree: Tree, rule: RuleStep) -> None:
    node = tree.add(_line(rule.outcome, f"{rule.name} gives {rule.variant}", rule.why))
    if rule.expression is not None:
        inner = node.add(Text(f"expression {rule.expression}"))
        for read in rule.reads:
            inner.add(Text(str(read), style="dim"))
    if rule.place is not None:
        node.add(_place(rule.place))
    if rule.policy is not None:
        node.add(Text(f"policy {rule.policy}: {rule.verdict or 'not asked'}"))


def _add_split(tree: Tree, split: SplitStep) -> None:
    node = tree.add(_line("passed", "split", f"by {split.algorithm} gives {split.variant}"))
    node.add(Text(f"hash of {split.place.text!r} is {_share(split.place)}", style="dim"))
    for name, low, high in split.ranges:
        space = split.place.space
        node.add(Text(f"{name}: {low / space:.6f} to {high / space:.6f}", style="dim"))


def _place(place: Place) -> Text:
    parts = " and ".join(
        f"{low / place.space:.6f} to {high / place.space:.6f}" for low, high in place.ranges
    )
    return Text(
        f"hash of {place.text!r} is {_share(place)}; inside is {parts or 'nowhere'}", style="dim"
    )


def _share(place: Place) -> str:
    return f"{place.place} of {place.space} ({place.place / place.space:.6f})"
