"""Alerts of the aggregate stage: harm, mismatch, imbalance and silence, each told once."""

from __future__ import annotations

import msgspec
import pytest

from anabranch.cli.results_tables import show_results
from anabranch.events.models import (
    Delta,
    MetricDelta,
    VariantDelta,
    WindowDelta,
    WindowMetricDelta,
)
from anabranch.metrics.windows import HOUR, MINUTE
from anabranch.processors.aggregate import AggregateProcessor
from anabranch.specs import Catalog, ExperimentSpec
from tests.metrics.shop import ORDER, TELEMETRY
from tests.support.bench import Bench, In

T = 1_767_323_040_000  # 2026-01-02T03:04:00Z


def shop(**fields):
    return ExperimentSpec.model_validate(
        {
            "meta": {"key": "checkout", "version": 1},
            "controlVariant": "control",
            "variants": [{"id": "control"}, {"id": "short"}],
            "allocation": {"type": "random"},
            "successMetrics": [
                {
                    "name": "buyers",
                    "telemetryEvent": ORDER,
                    "aggregation": "unique",
                    "guardrail": {},
                },
                {"name": "orders", "telemetryEvent": ORDER, "aggregation": "count"},
            ],
        }
        | fields
    )


def bench(spec=None):
    return Bench(AggregateProcessor(Catalog.of([TELEMETRY, spec or shop()])), "deltas")


def moved(at, **arms):
    """Units and buyers that came at T + at, by variant; both in that minute's window."""
    start = T + at
    made = Delta(
        experiment="checkout",
        version="1.0.0",
        source=0,
        watermark=start,
        as_of=start,
        variants={
            variant: VariantDelta(
                units=units,
                metrics={
                    name: MetricDelta(
                        converted=buyers, events=buyers, sum=f"{buyers}", sum_squares=f"{buyers}"
                    )
                    for name in ("buyers", "orders")
                    if buyers
                },
            )
            for variant, (units, buyers) in arms.items()
        },
        windows=[
            WindowDelta(
                start=start,
                size=size,
                variant=variant,
                exposures=units,
                metrics={
                    name: WindowMetricDelta(units=buyers, events=buyers, sum=f"{buyers}")
                    for name in ("buyers", "orders")
                    if buyers
                },
            )
            for size in (MINUTE, HOUR)
            for variant, (units, buyers) in arms.items()
        ],
    )
    return In("deltas", msgspec.json.encode(made), key=b"checkout")


def alerts(out):
    return [
        (record.json["kind"], record.json["state"], record.json.get("metric"))
        for record in out.of("alerts")
    ]


HARMFUL = {"control": (2000, 600), "short": (2000, 300)}
HARMLESS = {"control": (2000, 400), "short": (2000, 400)}


async def test_harm_to_a_guardrail_is_told_with_its_documented_shape():
    out = await bench().run(moved(0, **HARMFUL))
    (alert,) = out.of("alerts")
    assert alert.key == b"checkout"
    told = alert.json
    evidence = told.pop("evidence")
    assert told == {
        "id": told["id"],
        "kind": "guardrail",
        "state": "raised",
        "at": "2026-01-02T03:04:00.000Z",
        "since": "2026-01-02T03:04:00.000Z",
        "message": told["message"],
        "action": "alert",
        "experiment": "checkout",
        "version": "1.0.0",
        "metric": "buyers",
        "variant": "short",
    }
    assert told["message"].startswith(
        "short is worse than control in 'buyers' by 0.15 (95 % at any"
    )
    (result,) = out.of("results")
    interval = result.json["metrics"][0]["comparisons"][0]["sequential"]
    assert evidence["difference"] == pytest.approx(-0.15)
    assert (evidence["low"], evidence["high"], evidence["pValue"], evidence["test"]) == (
        interval["low"],
        interval["high"],
        interval["pValue"],
        "sequential",
    )
    assert out.counters["alerts"] == 1


async def test_what_the_fixed_interval_alone_finds_harmful_is_not():
    out = await bench().run(moved(0, control=(2000, 600), short=(2000, 538)))
    comparison = out.of("results")[0].json["metrics"][0]["comparisons"][0]
    assert comparison["fixed"]["high"] < 0 < comparison["sequential"]["high"]
    assert alerts(out) == []


async def test_a_metric_that_is_no_guardrail_is_not_watched_for_harm():
    out = await bench().run(moved(0, **HARMFUL))
    assert [metric for kind, _, metric in alerts(out) if kind == "guardrail"] == ["buyers"]


@pytest.mark.parametrize(
    ("on_metric", "on_experiment", "action"),
    [
        (None, None, "alert"),
        (None, "pause", "pause"),
        ("pause", None, "pause"),
        ("alert", "pause", "alert"),
    ],
)
async def test_a_breach_pauses_where_the_spec_says_so(on_metric, on_experiment, action):
    guardrail = {} if on_metric is None else {"onBreach": on_metric}
    metric = {
        "name": "buyers",
        "telemetryEvent": ORDER,
        "aggregation": "unique",
        "guardrail": guardrail,
    }
    fields = {} if on_experiment is None else {"onBreach": on_experiment}
    out = await bench(shop(successMetrics=[metric], **fields)).run(moved(0, **HARMFUL))
    assert [record.json["action"] for record in out.of("alerts")] == [action]


async def test_an_alert_is_told_once_and_once_more_when_it_ends():
    watched = bench(shop(onBreach="pause"))
    first = await watched.run(moved(0, **HARMFUL))
    again = await watched.run(moved(MINUTE, **HARMFUL))
    assert (alerts(first), alerts(again)) == ([("guardrail", "raised", "buyers")], [])
    short = {"control": (2000, 100), "short": (2000, 900)}
    better = await watched.run(moved(2 * MINUTE, **short))
    assert alerts(better) == [("guardrail", "resolved", "buyers")]
    (ended,) = better.of("alerts")
    assert ended.json["action"] == "alert"
    assert ended.json["since"] == first.of("alerts")[0].json["at"] < ended.json["at"]


async def test_a_batch_that_is_dropped_tells_the_same_again():
    watched = bench()
    lost = await watched.run(moved(0, **HARMFUL), commit=False)
    kept = await watched.run(moved(0, **HARMFUL))
    assert lost.of("alerts")[0].value == kept.of("alerts")[0].value


async def test_a_worker_that_starts_anew_does_not_tell_it_again():
    watched = bench()
    await watched.run(moved(0, **HARMFUL))
    watched.processor = AggregateProcessor(Catalog.of([TELEMETRY, shop()]))
    assert alerts(await watched.run(moved(MINUTE, **HARMFUL))) == []


async def test_each_version_has_alerts_of_its_own():
    two = Catalog.of([TELEMETRY, shop(), shop(meta={"key": "checkout", "version": 2})])
    watched = Bench(AggregateProcessor(two), "deltas")
    first = await watched.run(moved(0, **HARMFUL))
    other = msgspec.json.decode(moved(0, **HARMFUL).value) | {"version": "2.0.0"}
    second = await watched.run(In("deltas", msgspec.json.encode(other), key=b"checkout"))
    assert alerts(first) == alerts(second) == [("guardrail", "raised", "buyers")]
    assert first.of("alerts")[0].json["id"] != second.of("alerts")[0].json["id"]


async def test_units_in_other_shares_than_planned_are_told_with_p_and_shares():
    # Spread over hours, each in balance by itself as far as its few units can tell.
    watched = bench()
    found = []
    for n in range(60):
        found += (await watched.run(moved(n * HOUR, control=(40, 4), short=(60, 6)))).of("alerts")
    assert [(a.json["kind"], a.json["state"]) for a in found] == [("sample_ratio", "raised")]
    evidence = found[0].json["evidence"]
    assert evidence["pValue"] <= 0.001
    assert evidence["expected"] == {"control": 0.5, "short": 0.5}
    units = evidence["units"]
    assert units["short"] == units["control"] * 1.5


async def test_an_hour_in_which_one_arm_was_missing_is_told_and_ends():
    watched = bench()
    fair, broken = {"control": (500, 50), "short": (500, 50)}, {"control": (300, 30)}
    found = []
    for hour, arms in enumerate([*[fair] * 20, broken, fair, fair]):
        out = await watched.run(moved(hour * HOUR, **arms))
        found += [(hour, *alert[:2]) for alert in alerts(out)]
    assert found == [
        (20, "exposure_imbalance", "raised"),
        (22, "exposure_imbalance", "resolved"),
    ]


async def test_events_that_stop_while_exposures_go_on_are_told_and_when_they_come_again():
    watched = bench(shop(health={"silence": "2h"}))
    found = []
    for n, buyers in enumerate([20, 20, *[0] * 10, 20]):
        out = await watched.run(moved(n * 30 * MINUTE, control=(100, buyers), short=(100, buyers)))
        found += [(n, *alert) for alert in alerts(out)]
    # The last events are in the minute of n = 1; two hours without any are over with n = 6.
    assert found == [
        (6, "silence", "raised", "buyers"),
        (6, "silence", "raised", "orders"),
        (11, "silence", "changed", "buyers"),
        (11, "silence", "changed", "orders"),
        (12, "silence", "resolved", "buyers"),
        (12, "silence", "resolved", "orders"),
    ]


async def test_a_metric_that_never_had_an_event_is_not_silent():
    watched = bench()
    for n in range(10):
        out = await watched.run(moved(n * HOUR, control=(100, 0), short=(100, 0)))
        assert alerts(out) == []


async def test_one_look_over_many_hours_judges_by_the_latest_that_is_decisive():
    fair, broken = {"control": (500, 50), "short": (500, 50)}, {"control": (300, 30)}
    hours = [*[fair] * 20, broken, *[fair] * 5]
    records = [moved(n * HOUR, **arms) for n, arms in enumerate(hours)]
    assert alerts(await bench().run(*records)) == []
    assert alerts(await bench().run(*records[:21])) == [("exposure_imbalance", "raised", None)]


async def test_results_say_what_they_breach_and_nothing_where_there_is_nothing():
    watched = bench()
    fair, harmed = [
        (await one.run(moved(0, **arms))).of("results")[0].json
        for one, arms in ((watched, HARMLESS), (bench(), HARMFUL))
    ]
    assert "breaches" not in fair
    assert harmed["breaches"] == [{"kind": "guardrail", "metric": "buyers", "variant": "short"}]


async def test_results_that_breach_show_it_in_the_terminal(capsys):
    out = await bench().run(moved(0, **HARMFUL))
    show_results([out.of("results")[0].value])
    lines = capsys.readouterr().out.splitlines()
    (head,) = [line for line in lines if "status" in line]
    assert "expected share" in head
    assert any("short" in line and "harms buyers" in line for line in lines)
    assert any("control" in line and " ok " in line for line in lines)
