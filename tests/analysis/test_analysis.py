"""Notebooks without any optional package: rows, histories, errors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from anabranch import analysis
from anabranch.analysis import frames
from anabranch.errors import (
    EventSchemaError,
    MissingPackageError,
    SpecValidationError,
    UnknownSpecError,
)
from anabranch.metrics.multiplicity import holm
from tests.analysis import shop


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> analysis.Analysis:
    file = shop.file(tmp_path_factory.mktemp("shop") / "events.jsonl")
    return analysis.read_events(file, specs=shop.catalog())


def figures(of: analysis.Analysis) -> list[dict]:
    """Without when it was."""
    return [{k: v for k, v in row.items() if k != "as_of"} for row in of.rows("comparisons")]


def test_rows_say_what_the_units_did(found):
    assert [(r.experiment, r.version) for r in found.results] == [("shop.button", "1.0.0")]
    assert found.dead == {}
    rows = {(r["metric"], r["variant"]): r for r in found.rows("figures")}
    for arm in ("blue", "green"):
        spent = [shop.amount(n) or 0 for n in range(shop.UNITS) if shop.variant(n) == arm]
        assert rows["revenue", arm]["sum"] == sum(spent)
        assert rows["revenue", arm]["mean"] == float(Fraction(sum(spent)) / 60)
        assert rows["orders", arm]["converted"] == sum(amount > 0 for amount in spent)
    assert rows["orders", "blue"]["as_of"] == datetime(2026, 1, 1, 1, 59, tzinfo=UTC)


def test_differences_are_those_of_scipy(found):
    arms = [
        [shop.amount(n) or 0.0 for n in range(shop.UNITS) if shop.variant(n) == arm]
        for arm in ("green", "blue")
    ]
    welch = stats.ttest_ind(*arms, equal_var=False)
    interval = welch.confidence_interval(0.95)
    (row,) = [r for r in found.rows() if r["metric"] == "revenue"]
    assert row["difference"] == pytest.approx(np.mean(arms[0]) - np.mean(arms[1]))
    assert (row["fixed_low"], row["fixed_high"], row["fixed_p_value"]) == pytest.approx(
        (interval.low, interval.high, welch.pvalue)
    )
    assert row["sequential_low"] < row["fixed_low"] < row["fixed_high"] < row["sequential_high"]
    assert row["unadjusted_difference"] is None


def test_figures_have_the_interval_of_the_mean_and_the_chance_to_be_best(found):
    rows = [row for row in found.rows("figures") if row["metric"] == "revenue"]
    assert all(row["mean_low"] < row["mean"] < row["mean_high"] for row in rows)
    assert sum(row["probability_best"] for row in rows) == pytest.approx(1)


def test_the_split_comes_with_its_sample_ratio(found):
    rows = found.rows("split")
    assert [(r["variant"], r["units"], r["is_control"]) for r in rows] == [
        ("blue", 60, True),
        ("green", 60, False),
    ]
    assert {r["srm_sequential_p_value"] for r in rows} == {1.0}
    assert {r["expected_share"] for r in rows} == {0.5}


def test_adjusted_p_values_are_over_all_comparisons_of_a_run(found):
    plain = [row["sequential_p_value"] for row in found.rows()]
    adjusted = [row["sequential_p_value_holm"] for row in found.rows(adjust="holm")]
    assert adjusted == holm(plain)
    assert len(adjusted) == 2


def test_events_of_a_frame_give_the_same(found):
    assert figures(analysis.read_frame(shop.columns(shop.rows()), specs=shop.catalog())) == (
        figures(found)
    )


def test_a_table_of_units_gives_the_same(found):
    of_units = analysis.read_units(
        shop.by_unit(),
        variant="arm",
        control="blue",
        metrics={"orders": analysis.UnitMetric("spent", "unique"), "revenue": "spent"},
        experiment="shop.button",
    )
    assert figures(of_units) == figures(found)


def test_a_history_is_what_was_known_at_each_time(tmp_path, found):
    """Each look is the results of the events up to its time, and the last one is the whole."""
    looked = analysis.read_events(
        shop.file(tmp_path / "events.jsonl"), specs=shop.catalog(), looks=5
    )
    assert looked.results == found.results
    assert len(looked.history) == 5
    rows = looked.rows("split", over_time=True)
    times = [r.timestamp() * 1000 for r in dict.fromkeys(row["as_of"] for row in rows)]
    assert times == sorted(times)
    for time, results in zip(times, looked.history, strict=True):
        part = [row for row in shop.rows() if row["time"] <= time]
        by_then = analysis.read_frame(shop.columns(part), specs=shop.catalog())
        assert sum(arm.units for arm in results.variants) in {
            sum(arm.units for arm in by_then.results[0].variants) - late for late in (0, 1)
        }


async def test_it_works_where_a_loop_is_running_already(found):
    """As it is in a notebook."""
    assert asyncio.get_running_loop().is_running()
    again = analysis.read_frame(shop.columns(shop.rows()), specs=shop.catalog())
    assert figures(again) == figures(found)


# -- tables of units --------------------------------------------------------------------------


def test_units_with_a_covariate_are_adjusted_as_by_least_squares():
    rng = np.random.default_rng(3)
    n = 400
    arm = np.arange(n) % 2
    before = rng.poisson(5, n).astype(float)
    after = np.round(before * 2 + rng.normal(0, 1, n) + arm, 6)
    found = analysis.read_units(
        {"arm": arm.tolist(), "before": before.tolist(), "after": after.tolist()},
        variant="arm",
        control="0",
        metrics={"spend": analysis.UnitMetric("after", "sum", before="before")},
    )
    x, y = (v - np.array([v[arm == a].mean() for a in arm]) for v in (before, after))
    theta = (x @ y) / (x @ x)
    rest = after - theta * before
    (row,) = found.rows()
    assert row["difference"] == pytest.approx(rest[arm == 1].mean() - rest[arm == 0].mean())
    assert row["variance_reduction"] > 0.9
    assert row["relative_lift_low"] < row["relative_lift"] < row["relative_lift_high"]
    assert row["unadjusted_difference"] == pytest.approx(
        after[arm == 1].mean() - after[arm == 0].mean()
    )


def test_units_with_bounds_ratios_and_quantiles():
    units = {
        "arm": ["a"] * 6 + ["b"] * 6,
        "spent": [0, 1, 2, 3, 4, 100, 0, 2, 4, 6, 8, 200],
        "views": [1, 1, 2, 2, 4, 4, 2, 2, 2, 2, 4, 4],
    }
    found = analysis.read_units(
        units,
        variant="arm",
        control="a",
        metrics={
            "bounded": analysis.UnitMetric("spent", upper=10),
            "per view": analysis.UnitMetric("spent", "ratio", over="views"),
            "median": analysis.UnitMetric("spent", "p50"),
        },
    )
    rows = {row["metric"]: row for row in found.rows()}
    assert rows["bounded"]["difference"] == pytest.approx(30 / 6 - 20 / 6)
    assert rows["per view"]["difference"] == pytest.approx(220 / 16 - 110 / 14)
    values = {r["variant"]: r["value"] for r in found.rows("figures") if r["metric"] == "median"}
    assert values == pytest.approx({"a": 2, "b": 4}, rel=0.01)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"variant": "colour"}, "no column 'colour': there are arm, spent"),
        ({}, {"control": "bleu"}, "'bleu'.* did you mean 'blue'"),
        ({"arm": ["blue", None]}, {}, "row 1 has no variant"),
        ({"spent": [1]}, {}, "differ in length"),
        ({"spent": [1, "2"]}, {}, "row 1 of column 'spent' is the string '2'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(change, options, words):
    table = {"arm": ["blue", "green"], "spent": [1, 2]} | change
    given = {"variant": "arm", "control": "blue", "metrics": {"revenue": "spent"}} | options
    with pytest.raises(EventSchemaError, match=words):
        analysis.read_units(table, **given)


def test_metrics_that_do_not_fit_are_refused():
    with pytest.raises(SpecValidationError, match="denominator"):
        analysis.read_units(
            {"arm": ["a", "b"], "spent": [1, 2]},
            variant="arm",
            control="a",
            metrics={"r": analysis.UnitMetric("spent", "ratio")},
        )


# -- what is wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"unit": "1", "variant": "blue", "experiment": "e"}, "time is missing"),
        ({"time": 1, "variant": "blue", "unit": "1"}, "there is no experiment"),
        ({"time": 1, "name": "shop.order"}, "there is no unit: give unit, or userId"),
        ({"time": "yesterday", "name": "x", "unit": "1"}, "yesterday"),
        ({"time": 1, "unit": "1", "type": "click"}, "'click' is none of exposure, telemetry"),
    ],
)
def test_a_row_that_is_no_event_is_named(row, words):
    good = shop.rows()[0]
    names = dict.fromkeys([*good, *row])
    table = {name: [good.get(name), row.get(name)] for name in names}
    with pytest.raises(EventSchemaError, match=f"row 1 of the data frame.*{words}"):
        analysis.read_frame(table, specs=shop.catalog())


@pytest.mark.parametrize("unit", [7, 7.0, "7", "user:7"])
def test_units_are_read_as_people_write_them(unit):
    row = {"time": shop.BEGIN, "experiment": "shop.button", "variant": "green", "unit": unit}
    order = {"time": "2026-01-01T00:00:01Z", "name": "shop.order", "userId": 7, "amount": 3}
    names = dict.fromkeys([*row, *order])
    found = analysis.read_frame(
        {name: [row.get(name), order.get(name)] for name in names}, specs=shop.catalog()
    )
    sums = {(r["metric"], r["variant"]): r["sum"] for r in found.rows("figures")}
    assert sums["revenue", "green"] == 3


def test_contexts_of_a_frame_are_assigned():
    times = [datetime(2026, 1, 1, 0, n % 60) for n in range(200)]  # noqa: DTZ001 - UTC unless told
    found = analysis.read_frame(
        {"time": times, "userId": list(range(200)), "country": ["NL"] * 200},
        specs=shop.catalog(),
    )
    assert sum(arm.units for arm in found.results[0].variants) == 200


def test_dead_letters_are_counted():
    row = {"time": 1, "experiment": "shop.button", "variant": "red", "unit": "1"}
    found = analysis.read_frame({k: [v] for k, v in row.items()}, specs=shop.catalog())
    assert found.dead == {"exposures: UnknownVariantError": 1}
    assert found.results == ()
    assert "no results" in repr(found)
    assert "1 dead letters" in repr(found)


def test_a_frame_that_is_none_is_refused():
    with pytest.raises(EventSchemaError, match="int is no data frame"):
        analysis.read_frame(5, specs=shop.catalog())


def test_no_looks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="0 times"):
        analysis.read_events(shop.file(tmp_path / "e.jsonl"), specs=shop.catalog(), looks=0)


def test_without_a_package_it_says_how_to_get_it(found, monkeypatch):
    def missing(name: str):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(frames, "import_module", missing)
    with pytest.raises(MissingPackageError, match=r"pandas or polars.*anabranch\[analysis\]"):
        found.comparisons()
    for backend in ("pandas", "polars"):
        with pytest.raises(MissingPackageError, match=f"{backend} .*pip install"):
            found.figures(backend=backend)
    with pytest.raises(MissingPackageError, match="matplotlib, which is not installed"):
        found.plot("orders")
    assert found.rows("split")


@pytest.mark.parametrize(
    ("metric", "experiment", "words"),
    [
        ("order", None, "did you mean 'orders'"),
        ("orders", "shop.buton", "did you mean 'shop.button@1.0.0'"),
        ("orders", "shop.button@2.0.0", "no results of 'shop.button@2.0.0'"),
    ],
)
def test_what_is_not_there_cannot_be_plotted(found, metric, experiment, words):
    with pytest.raises(UnknownSpecError, match=words):
        found.plot(metric, experiment=experiment)
