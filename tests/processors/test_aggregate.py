from itertools import permutations

import msgspec
import pytest

from anabranch.errors import (
    EmptyEventError,
    EventSchemaError,
    LateEventError,
    MalformedEventError,
    UnknownExperimentError,
)
from anabranch.events.models import (
    Delta,
    MetricDelta,
    VariantDelta,
    WindowDelta,
    WindowMetricDelta,
)
from anabranch.metrics.windows import DAY, HOUR, MINUTE, WindowSettings
from anabranch.processors.aggregate import AggregateProcessor
from tests.metrics.shop import CATALOG
from tests.support.bench import Bench, In

T = 1_767_323_040_000  # 2026-01-02T03:04:00Z
SETTINGS = WindowSettings(lateness_ms=MINUTE, retention_ms=DAY, idle_ms=5 * MINUTE)


def bench(settings=SETTINGS):
    return Bench(AggregateProcessor(CATALOG, windows=settings), "deltas")


def delta(at=0, *, source=0, as_of=None, **fields):
    """A delta of checkout 1.0.0 whose source has come to T + at."""
    made = Delta(
        experiment="checkout",
        version="1.0.0",
        source=source,
        watermark=T + at,
        as_of=T + at if as_of is None else as_of,
        **fields,
    )
    return In("deltas", msgspec.json.encode(made), key=b"checkout")


def changed(record, **fields):
    made = msgspec.json.decode(record.value) | fields
    return In("deltas", msgspec.json.encode(made), key=fields["experiment"].encode())


def bought(amount="5", events=1, units=1, at=0, variant="short", bins=None):
    """A window with orders worth so much."""
    return WindowDelta(
        start=T + at,
        size=MINUTE,
        variant=variant,
        metrics={
            "revenue": WindowMetricDelta(units=units, events=events, sum=amount, bins=bins or {})
        },
    )


def heartbeat(at, source=0):
    return delta(at, source=source, as_of=T)


def cells(out):
    """Published cells by key, as (units, events, sum, revision, final)."""
    return {
        record.key.decode().removeprefix("checkout|1.0.0|"): tuple(
            record.json[name] for name in ("units", "events", "sum", "revision", "final")
        )
        for record in out.of("metric-windows")
    }


REVENUE = "short|revenue|1m|2026-01-02T03:04:00.000Z"


async def test_a_cell_is_published_with_its_documented_shape():
    window = bought("12.5", events=2)
    window.exposures = 3
    out = await bench().run(delta(windows=[window]))
    exposures, revenue = [record.json for record in out.of("metric-windows")]
    assert revenue == {
        "experiment": "checkout",
        "version": "1.0.0",
        "variant": "short",
        "metric": "revenue",
        "aggregation": "sum",
        "window": {
            "start": "2026-01-02T03:04:00.000Z",
            "end": "2026-01-02T03:05:00.000Z",
            "size": "1m",
        },
        "units": 1,
        "events": 2,
        "sum": 12.5,
        "value": 12.5,
        "revision": 0,
        "final": False,
    }
    assert out.of("metric-windows")[1].key == f"checkout|1.0.0|{REVENUE}".encode()
    assert (exposures["metric"], exposures["aggregation"]) == ("$exposures", "exposures")
    assert (exposures["units"], exposures["value"]) == (3, 3.0)


@pytest.mark.parametrize(
    ("metric", "value"),
    [("orders", 4.0), ("revenue", 10.0), ("order value", 2.5), ("buyers", 2.0), ("views", 4.0)],
)
async def test_the_value_of_a_window_is_what_the_aggregation_comes_to(metric, value):
    cell = WindowMetricDelta(units=2, events=4, sum="10")
    window = WindowDelta(start=T, size=MINUTE, variant="short", metrics={metric: cell})
    out = await bench().run(delta(windows=[window]))
    assert out.of("metric-windows")[0].json["value"] == value


async def test_the_value_of_a_window_of_a_quantile_metric_comes_from_its_sketch():
    cell = WindowMetricDelta(units=1, events=3, sum="1", bins={"0": 1, "z": 1, "n0": 1})
    window = WindowDelta(start=T, size=MINUTE, variant="short", metrics={"large orders": cell})
    out = await bench().run(delta(windows=[window]))
    assert out.of("metric-windows")[0].json["value"] == 0.0


def per_view(**cell):
    made = delta(
        windows=[
            WindowDelta(
                start=T,
                size=MINUTE,
                variant="on",
                metrics={"revenue per view": WindowMetricDelta(**cell)},
            )
        ]
    )
    return changed(made, experiment="banner", version="2.1.0")


async def test_the_value_of_a_window_of_a_ratio_is_numerator_over_denominator():
    b = bench()
    out = await b.run(per_view(beside="4"))
    (views,) = (r.json for r in out.of("metric-windows"))
    assert (views["events"], views["value"]) == (0, 0.0)
    out = await b.run(per_view(units=1, events=2, sum="9"), per_view(beside="2"))
    (cell,) = (r.json for r in out.of("metric-windows"))
    assert (cell["aggregation"], cell["sum"], cell["value"]) == ("ratio", 9.0, 1.5)


async def test_a_window_without_a_denominator_has_no_ratio():
    out = await bench().run(per_view(units=1, events=2, sum="9"))
    assert out.of("metric-windows")[0].json["value"] is None


async def test_results_of_a_funnel():
    """Five units: two came to no step, one to the first, two to the second and last."""
    on = {"view to order": MetricDelta(2, 2, "2", bins={"1": 1, "2": 2})}
    off = {"view to order": MetricDelta(1, 1, "1", bins={"1": 3, "2": 1})}
    made = delta(variants={"on": VariantDelta(5, 0, on), "off": VariantDelta(5, 0, off)})
    out = await bench().run(changed(made, experiment="banner", version="2.1.0"))
    found = {metric["name"]: metric for metric in out.of("results")[0].json["metrics"]}
    funnel = found["view to order"]
    assert [(v["steps"], v["converted"], v["rate"]) for v in funnel["variants"]] == [
        ([3, 2], 2, 0.4),
        ([4, 1], 1, 0.2),
    ]
    assert funnel["comparisons"][0]["difference"] == pytest.approx(0.2)
    assert "steps" not in found["orders"]["variants"][0]


async def test_results_of_ratios_bounds_and_covariates():
    on = {
        "revenue per view": MetricDelta(
            1, 2, "9", "81", "45", beside="6", beside_squares="20", cross="27"
        ),
        "capped revenue": MetricDelta(1, 2, "900", "10000", "405000", capped="100"),
        "more orders": MetricDelta(1, 2, "2", "4", "2", beside="3", beside_squares="9", cross="6"),
    }
    off = {
        "revenue per view": MetricDelta(
            1, 1, "2", "4", "4", beside="4", beside_squares="8", cross="4"
        ),
        "more orders": MetricDelta(2, 3, "3", "5", "3", beside="1", beside_squares="1", cross="2"),
    }
    made = delta(
        format=2,
        variants={"on": VariantDelta(3, 0, on), "off": VariantDelta(3, 0, off)},
    )
    out = await bench().run(changed(made, experiment="banner", version="2.1.0"))
    (record,) = out.of("results")
    found = {metric["name"]: metric for metric in record.json["metrics"]}
    ratio = found["revenue per view"]
    assert [(v["sum"], v["denominator"], v["value"]) for v in ratio["variants"]] == [
        (9.0, 6.0, 1.5),
        (2.0, 4.0, 0.5),
    ]
    assert ratio["comparisons"][0]["difference"] == 1.0
    assert "adjustment" not in ratio["comparisons"][0]
    capped = found["capped revenue"]
    assert [(v["sum"], v["mean"]) for v in capped["variants"]] == [(900.0, 100 / 3), (0.0, 0.0)]
    assert capped["comparisons"][0]["difference"] == pytest.approx(100 / 3)
    # Slope of (2, 0, 0) on (3, 0, 0) and of (2, 1, 0) on (1, 0, 0), each around its mean: 5 / (20/3).
    adjusted = found["more orders"]["comparisons"][0]
    assert adjusted["adjustment"]["theta"] == pytest.approx(0.75)
    assert adjusted["adjustment"]["difference"] == pytest.approx(-1 / 3)
    assert adjusted["difference"] == pytest.approx(-1 / 3 - 0.75 * (1 - 1 / 3))


async def test_a_window_closes_once_when_the_watermark_passes_its_end_and_the_lateness():
    b = bench()
    out = await b.run(delta(windows=[bought()]))
    assert cells(out) == {REVENUE: (1, 1, 5.0, 0, False)}
    out = await b.run(heartbeat(2 * MINUTE - 1))
    assert cells(out) == {}
    out = await b.run(heartbeat(2 * MINUTE))
    assert cells(out) == {REVENUE: (1, 1, 5.0, 0, True)}
    assert out.counters["windows_closed"] == 1
    out = await b.run(heartbeat(3 * MINUTE))
    assert cells(out) == {}


async def test_closing_publishes_every_cell_of_the_window():
    b = bench()
    await b.run(delta(windows=[bought(), bought("7", variant="long")]))
    out = await b.run(heartbeat(HOUR))
    assert {value[-1] for value in cells(out).values()} == {True}
    assert len(cells(out)) == 2


async def test_every_update_after_closing_raises_the_revision_by_one_and_stays_final():
    b = bench()
    await b.run(delta(windows=[bought()]))
    await b.run(heartbeat(HOUR))
    out = await b.run(heartbeat(HOUR), delta(HOUR, windows=[bought("2"), bought("3", units=0)]))
    assert cells(out) == {REVENUE: (2, 3, 10.0, 1, True)}
    assert out.counters["window_revisions"] == 1
    out = await b.run(delta(HOUR, windows=[bought("-10", events=-3, units=-2)]))
    assert cells(out) == {REVENUE: (0, 0, 0.0, 2, True)}
    assert out.of("metric-windows")[0].json["value"] is None


async def test_a_window_first_heard_of_after_its_closing_is_a_revision_at_once():
    b = bench()
    await b.run(heartbeat(HOUR))
    out = await b.run(delta(HOUR, windows=[bought()]))
    assert cells(out) == {REVENUE: (1, 1, 5.0, 1, True)}
    assert cells(await b.run(heartbeat(2 * HOUR))) == {}


async def test_the_slowest_source_holds_windows_open_until_it_is_idle():
    b = bench()
    await b.run(delta(windows=[bought()]), heartbeat(0, source=1))
    assert cells(await b.run(heartbeat(2 * MINUTE))) == {}
    assert cells(await b.run(heartbeat(2 * MINUTE, source=1))) == {REVENUE: (1, 1, 5.0, 0, True)}
    await b.run(delta(windows=[bought(at=10 * MINUTE)]))
    # Source 1 stays at two minutes; more than five behind, it no longer counts.
    assert cells(await b.run(heartbeat(12 * MINUTE)))


async def test_what_is_older_than_the_retention_is_a_dead_letter_once_but_counts_cumulatively():
    b = bench()
    await b.run(delta(windows=[bought()]))
    await b.run(heartbeat(DAY + HOUR))
    assert not [key for key in b.store.snapshot() if key.startswith((b"w|", b"o|"))]
    late = delta(
        DAY + HOUR,
        variants={"short": VariantDelta(units=1, metrics={"revenue": MetricDelta(1, 2, "9")})},
        windows=[bought(), bought("4", at=MINUTE), bought("6", at=DAY)],
    )
    out = await b.run(late)
    assert out.counters["late_window_updates"] == 2
    ((record, error),) = out.dead
    assert record is late
    assert isinstance(error, LateEventError)
    assert list(cells(out)) == ["short|revenue|1m|2026-01-03T03:04:00.000Z"]
    (results,) = out.of("results")
    short = results.json["metrics"][1]["variants"][1]
    assert (short["events"], short["sum"]) == (2, 9.0)


async def test_windows_leave_the_state_after_the_retention():
    b = bench()
    await b.run(delta(windows=[bought()]))
    assert any(key.startswith(b"w|") for key in b.store.snapshot())
    out = await b.run(heartbeat(DAY + MINUTE))
    assert out.counters["windows_expired"] == 1
    assert cells(out) == {REVENUE: (1, 1, 5.0, 0, True)}
    assert not any(key.startswith((b"w|", b"o|")) for key in b.store.snapshot())


# -- results ----------------------------------------------------------------------------------

CONTROL = delta(
    variants={
        "control": VariantDelta(
            units=4,
            metrics={
                "orders": MetricDelta(1, 2, "2", "4", "2"),
                "revenue": MetricDelta(1, 2, "8", "64", "40"),
                "large orders": MetricDelta(1, 2, "8", "64", "40", {"70": 1, "90": 1}),
                "buyers": MetricDelta(1, 2, "2", "4", "2"),
            },
        )
    }
)
SHORT = delta(
    1000,
    source=1,
    variants={
        "short": VariantDelta(
            units=2,
            crossovers=1,
            metrics={
                "orders": MetricDelta(2, 3, "3", "5", "3"),
                "revenue": MetricDelta(2, 3, "12", "90", "60"),
                "buyers": MetricDelta(2, 3, "3", "5", "3"),
            },
        )
    },
)
TAKEN_BACK = delta(
    500,
    source=2,
    variants={
        "control": VariantDelta(
            units=-1, crossovers=1, metrics={"orders": MetricDelta(-1, -1, "-1", "-1", "-1")}
        )
    },
)


async def test_results_have_their_documented_shape():
    out = await bench().run(CONTROL, SHORT)
    (record,) = out.of("results")
    assert record.key == b"checkout|1.0.0"
    found = record.json
    assert {k: found[k] for k in ("experiment", "version", "asOf", "control")} == {
        "experiment": "checkout",
        "version": "1.0.0",
        "asOf": "2026-01-02T03:04:01.000Z",
        "control": "control",
    }
    assert found["variants"] == [
        {"id": "control", "units": 4, "crossovers": 0},
        {"id": "short", "units": 2, "crossovers": 1},
        {"id": "long", "units": 0, "crossovers": 0},
    ]
    assert found["srm"].pop("sequentialPValue") == pytest.approx(0.9871747453131404)
    assert found["srm"] == {
        "pValue": None,
        "expected": {"control": 0.25, "short": 0.25, "long": 0.5},
    }
    orders = found["metrics"][0]
    assert set(orders["variants"][0].pop("interval")) == {"low", "high"}
    assert orders["variants"][0] == {
        "id": "control",
        "units": 4,
        "events": 2,
        "converted": 1,
        "rate": 0.25,
        "sum": 2.0,
        "mean": 0.5,
        "eventMean": 1.0,
        "value": 2.0,
    }
    short, long = orders["comparisons"]
    assert (short["variant"], short["control"]) == ("short", "control")
    assert (short["difference"], short["relativeLift"]) == (1.0, 2.0)
    assert set(short["fixed"]) == {"low", "high", "pValue"}
    assert set(short["lift"]) == {"fixed", "sequential"}
    assert (long["difference"], long["relativeLift"], long["fixed"]) == (None, None, None)
    assert [m["name"] for m in found["metrics"]] == [
        "orders",
        "revenue",
        "order value",
        "large orders",
        "buyers",
        "early revenue",
        "views",
    ]


async def test_results_do_not_depend_on_order_or_batches():
    seen = set()
    for arrival in permutations([CONTROL, SHORT, TAKEN_BACK]):
        for cut in range(4):
            b = bench()
            last = None
            for batch in (arrival[:cut], arrival[cut:]):
                out = await b.run(*batch)
                last = out.of("results") or last
            seen.add(last[-1].value)
    assert len(seen) == 1
    assert msgspec.json.decode(seen.pop())["variants"][0] == {
        "id": "control",
        "units": 3,
        "crossovers": 1,
    }


async def test_results_come_once_a_batch_and_only_for_runs_that_changed():
    b = bench()
    assert len((await b.run(CONTROL, SHORT)).of("results")) == 1
    assert (await b.run(heartbeat(MINUTE))).of("results") == []
    (record,) = (await b.run(delta(MINUTE))).of("results")
    assert record.json["asOf"] == "2026-01-02T03:05:00.000Z"


async def test_a_dropped_batch_leaves_nothing_behind():
    b = bench()
    await b.run(CONTROL)
    before = b.store.snapshot()
    dropped = await b.run(SHORT, delta(HOUR, windows=[bought()]), commit=False)
    assert b.store.snapshot() == before
    again = await b.run(SHORT, delta(HOUR, windows=[bought()]))
    assert [r.value for r in again.records] == [r.value for r in dropped.records]


async def test_a_new_processor_continues_from_state():
    whole, parts = bench(), bench()
    inputs = [
        delta(windows=[bought()]),
        CONTROL,
        heartbeat(HOUR),
        delta(HOUR, windows=[bought()]),
        SHORT,
    ]
    for record in inputs:
        expected = await whole.run(record)
        parts.processor = AggregateProcessor(CATALOG, windows=SETTINGS)
        found = await parts.run(record)
        assert [(r.topic, r.key, r.value) for r in found.records] == [
            (r.topic, r.key, r.value) for r in expected.records
        ]
    assert parts.store.snapshot() == whole.store.snapshot()


# -- what cannot be read ----------------------------------------------------------------------


def _json(**fields):
    return msgspec.json.encode(
        {"experiment": "checkout", "version": "1.0.0", "source": 0, "watermark": T, "asOf": T}
        | fields
    )


def _with_sum(digits):
    return {"short": {"metrics": {"revenue": {"sum": digits}}}}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, EmptyEventError),
        (b"{", MalformedEventError),
        (b"\xff", MalformedEventError),
        (b"{}", EventSchemaError),
        (_json(format=6), EventSchemaError),
        (_json(experiment="chekout"), UnknownExperimentError),
        (_json(version="3.0.0"), UnknownExperimentError),
        (_json(variants=_with_sum("12,5")), EventSchemaError),
        (_json(variants=_with_sum("NaN")), EventSchemaError),
        (_json(variants=_with_sum("1e999999")), EventSchemaError),
        (_json(windows=[{"start": T, "size": 0, "variant": "short"}]), EventSchemaError),
    ],
)
async def test_what_is_no_delta_goes_to_the_dead_letters_and_changes_nothing(value, error):
    b = bench()
    out = await b.run(In("deltas", value), CONTROL)
    assert [type(e) for _, e in out.dead] == [error]
    alone = bench()
    assert [r.value for r in (await alone.run(CONTROL)).records] == [r.value for r in out.records]
    assert alone.store.snapshot() == b.store.snapshot()
