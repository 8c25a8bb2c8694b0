"""``anabranch simulate``: an experiment under made-up traffic, beside what was planted in it."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final

import msgspec
import typer

from anabranch.cli import options
from anabranch.cli.console import errors, out, table
from anabranch.cli.pipelines import progress_bars, temporary_pipeline, warn_of_dead_letters
from anabranch.cli.results_tables import rendered
from anabranch.cli.specs import checked_catalog
from anabranch.errors import SettingsError
from anabranch.events.models import Comparison, Interval, Results
from anabranch.runtime import Message, Pipeline
from anabranch.runtime.replaying import dead_letters, decode_results, final_results
from anabranch.settings import Settings, load_settings
from anabranch.simulation import Faults, Traffic, Truth, plant, simulated
from anabranch.specs import Catalog, ExperimentSpec
from anabranch.specs.writing import to_yaml

BEGIN_MS: Final = 1_704_067_200_000
"""2024-01-01: simulated time is the same on every day it is simulated."""
DAY_MS: Final = 24 * 60 * 60 * 1000
LEVEL: Final = 0.05


def simulate(
    experiment: Annotated[
        str | None, typer.Argument(help="Its key; may be left out where there is one")
    ] = None,
    *,
    specs: options.Specs = None,
    effect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=+10%",
            help="Relative effect of every variant, or VARIANT:METRIC=…; none is an A/A test",
        ),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=0.2", help="Share of control's units that do its event"),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=20", help="Median of the values of its property"),
    ] = None,
    noise: Annotated[
        float, typer.Option(min=0, help="Standard deviation of the values' logarithms")
    ] = 0.5,
    repeats: Annotated[
        float, typer.Option(min=0, help="How many more times units do what they do, on average")
    ] = 0.0,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=a:1,b:9", help="Attribute of units, with weights"),
    ] = None,
    units: Annotated[int, typer.Option(min=10, help="How many come")] = 10_000,
    days: Annotated[float, typer.Option(min=0.01, max=90, help="Within how many days")] = 14.0,
    looks: Annotated[int, typer.Option(min=1, help="How often results are looked at")] = 20,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="Share of telemetry that comes late")
    ] = 0.03,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of records that are sent twice")
    ] = 0.01,
    early: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of units whose events arrive before their exposure"),
    ] = 0.02,
    before: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of units that do it before their exposure, too"),
    ] = 0.02,
    crossing: Annotated[
        float, typer.Option(min=0, max=1, help="Share of units that are exposed to two variants")
    ] = 0.005,
    seed: Annotated[int, typer.Option(help="The same seed gives the same traffic")] = 1,
    bootstrap: options.Bootstrap = None,
    prefix: Annotated[str | None, typer.Option(help="Prefix of the topics on Kafka")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Run an experiment's own specs under made-up traffic with a planted effect.

    The whole pipeline runs, embedded unless a broker is given, and its results are shown beside
    the truth. The experiment is taken as running at all times, whatever its status and schedule.
    Faults are shares: telemetry that is late, records sent twice, units whose events arrive early
    or happen before exposure, units exposed to two variants. None of them may move the results.
    """
    settings = load_settings(
        bootstrap=bootstrap,
        prefix=prefix or f"simulate-{secrets.token_hex(4)}",
        specs=specs,
        breaker_share=1,
        results_linger=0,
        # A pause half-way would leave nothing to compare with what was planted.
        pause_on_breach=False,
    )
    given = checked_catalog(settings.specs)
    catalog, spec = simulated(given, _experiment(given, experiment))
    behaviour, truths = plant(
        catalog,
        spec,
        effects=_effects(effect or [], spec),
        rates=_numbers(rate or []),
        values=_numbers(value or []),
        noise=noise,
        repeats=repeats,
    )
    traffic = Traffic(
        Random(seed),  # noqa: S311 - traffic, not secrets
        catalog,
        spec,
        behaviour,
        units=units,
        start_ms=BEGIN_MS,
        duration_ms=round(days * DAY_MS),
        faults=Faults(late, duplicates, early, before, crossing),
        attributes=dict(_attribute(text) for text in attribute or []),
    )
    found = asyncio.run(_simulate(settings, catalog, traffic, units=units, looks=looks))
    history, dead = found
    if as_json:
        told = _json(spec, traffic, truths, history, dead) | {"seed": seed}
        out.file.write(json.dumps(told) + "\n")
    else:
        _show(spec, traffic, truths, history)
        warn_of_dead_letters(dead)


# -- what was asked for -----------------------------------------------------------------------


def _experiment(catalog: Catalog, key: str | None) -> ExperimentSpec:
    if key is not None:
        name, _, version = key.partition("@")
        return catalog.experiments.require(name, version or None)
    keys = catalog.experiments.keys()
    if len(keys) != 1:
        raise SettingsError(
            f"which experiment? name one of {', '.join(keys)}" if keys else "there is no experiment"
        )
    return catalog.experiments.require(keys[0])


def _pair(text: str) -> tuple[str, str]:
    name, equals, number = text.rpartition("=")
    if not equals or not name or not number:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    return name.strip(), number.strip()


def _number(text: str, number: str) -> float:
    try:
        return float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: {number!r} is not a number") from None


def _numbers(texts: list[str]) -> dict[str, float]:
    pairs = [(text, *_pair(text)) for text in texts]
    return {name: _number(text, number) for text, name, number in pairs}


def _effects(texts: list[str], spec: ExperimentSpec) -> dict[tuple[str, str], float]:
    """Variant and metric to the relative effect; a metric alone means every variant but control."""
    found: dict[tuple[str, str], float] = {}
    for name, effect in _numbers(texts).items():
        variant, colon, metric = name.partition(":")
        if colon and name not in spec.metrics_by_name:
            found[variant, metric] = effect
        else:
            others = [v for v in spec.variants_by_id if v != spec.control_variant]
            found |= {(other, name): effect for other in others}
    return found


def _attribute(text: str) -> tuple[str, tuple[list[str], list[float]]]:
    name, choices = _pair(text)
    values, weights = [], []
    for choice in choices.split(","):
        value, colon, weight = choice.partition(":")
        values.append(value)
        weights.append(_number(text, weight) if colon else 1.0)
    return name, (values, weights)


# -- running ----------------------------------------------------------------------------------

History = list[Results]


async def _simulate(
    settings: Settings, catalog: Catalog, traffic: Traffic, *, units: int, looks: int
) -> tuple[History, dict[str, int]]:
    """Results after each look, the last one at the very end."""
    history: History = []
    step = max(1, units // looks)
    messages = traffic.messages()
    async with _pipeline(settings, catalog) as pipeline:
        with progress_bars() as progress:
            task = progress.add_task("units", total=units)
            while chunk := list(_until(messages, traffic, traffic.came + step)):
                await pipeline.publish(chunk)
                await pipeline.drain()
                history += [decode_results(value) for value in await final_results(pipeline)]
                progress.update(task, completed=traffic.came)
        return history, await dead_letters(pipeline)


def _until(messages: Iterator[Message], traffic: Traffic, came: int) -> Iterator[Message]:
    """Records until so many units have come; after the last unit all that are still due."""
    for message in messages:
        yield message
        if came <= traffic.came < traffic.units:
            return


@asynccontextmanager
async def _pipeline(settings: Settings, catalog: Catalog) -> AsyncIterator[Pipeline]:
    """Workers on Kafka read the specs as they are simulated, not as they are."""
    if settings.bootstrap is None:
        async with temporary_pipeline(settings, catalog) as pipeline:
            yield pipeline
        return
    with tempfile.TemporaryDirectory(prefix="anabranch-") as folder:
        path = Path(folder) / "specs.yaml"
        path.write_text(to_yaml(*catalog), encoding="utf-8")
        async with temporary_pipeline(
            settings.model_copy(update={"specs": path}), catalog
        ) as pipeline:
            yield pipeline


# -- what came of it --------------------------------------------------------------------------


def _comparisons(results: Results) -> dict[tuple[str, str], Comparison]:
    return {(m.name, c.variant): c for m in results.metrics for c in m.comparisons}


def _called(interval: Interval | None) -> bool:
    return interval is not None and interval.p_value <= LEVEL


def _verdicts(truths: list[Truth], history: History, control: str) -> list[dict[str, Any]]:
    """What was found of each planted difference: now, and at some look."""
    if not history:
        return []
    looks = [_comparisons(results) for results in history]
    told = []
    for truth in truths:
        if truth.variant == control:
            continue
        name = truth.metric, truth.variant
        last = looks[-1][name]
        interval, planted = last.sequential, truth.difference
        told.append(
            {
                "metric": truth.metric,
                "variant": truth.variant,
                "planted": msgspec.to_builtins(
                    {"difference": planted, "relativeLift": truth.relative_lift}
                ),
                "difference": last.difference,
                "relativeLift": last.relative_lift,
                "sequential": msgspec.to_builtins(interval),
                "holdsPlanted": None
                if planted is None or interval is None
                else interval.low <= planted <= interval.high,
                "calledSequential": any(_called(look[name].sequential) for look in looks),
                "calledFixed": any(_called(look[name].fixed) for look in looks),
            }
        )
    return told


def _json(
    spec: ExperimentSpec,
    traffic: Traffic,
    truths: list[Truth],
    history: History,
    dead: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "experiment": spec.key,
        "version": spec.version,
        "units": traffic.came,
        "looks": len(history),
        "sent": dict(sorted(traffic.sent.items())),
        "deadLetters": dict(dead),
        "truth": [
            {
                "metric": truth.metric,
                "variant": truth.variant,
                "expected": truth.expected,
                "difference": truth.difference,
                "relativeLift": truth.relative_lift,
            }
            for truth in truths
        ],
        "found": _verdicts(truths, history, spec.control_variant),
        "results": msgspec.to_builtins(history[-1]) if history else None,
    }


def _show(spec: ExperimentSpec, traffic: Traffic, truths: list[Truth], history: History) -> None:
    if not history:
        out.print("no results: no unit was exposed to the experiment")
        return
    for part in rendered(history[-1], out.width):
        out.print(part, highlight=False)
    planted = any(truth.difference for truth in truths)
    kind = "planted and found" if planted else "an A/A test: no difference was planted"
    out.print(f"\n[bold]{kind}[/], in {len(history)} looks", highlight=False)
    shown = table(
        "metric",
        "variant",
        figures=("planted lift", "found", "interval holds it", "called", "[dim]called by fixed[/]"),
    )
    for told in _verdicts(truths, history, spec.control_variant):
        holds = told["holdsPlanted"]
        shown.add_row(
            told["metric"],
            told["variant"],
            _percent(told["planted"]["relativeLift"]),
            _percent(told["relativeLift"]),
            "" if holds is None else "yes" if holds else "[yellow]no[/]",
            "at some look" if told["calledSequential"] else "never",
            f"[dim]{'at some look' if told['calledFixed'] else 'never'}[/]",
        )
    out.print(shown)
    sent = ", ".join(f"{count:,} {kind}" for kind, count in sorted(traffic.sent.items()))
    errors.print(f"sent: {sent}", highlight=False)


def _percent(lift: float | None) -> str:
    return "" if lift is None else f"{lift:+.1%}"
