"""What an experiment can find, and how long it still takes, from its results."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from anabranch import analysis
from anabranch.errors import UnknownSpecError
from anabranch.metrics.power import least_difference, units_per_arm
from tests.analysis import shop

ARMS = ("green", "blue")


def spent(arm: str) -> list[float]:
    return [shop.amount(n) or 0.0 for n in range(shop.UNITS) if shop.variant(n) == arm]


@pytest.fixture(scope="module")
def found() -> analysis.Analysis:
    return analysis.read_frame(shop.columns(shop.rows()), specs=shop.catalog(), looks=6)


def test_it_is_what_the_units_themselves_give(found):
    told = found.outlook("revenue", difference=4.0)
    variances = tuple(float(np.var(spent(arm), ddof=1)) for arm in ARMS)
    assert told.needed == sum(units_per_arm(4.0, variances=variances))
    assert told.least_difference == pytest.approx(
        least_difference(units=(60, 60), variances=variances)
    )
    assert (told.variant, told.control, told.units) == ("green", "blue", 120)
    assert told.needed > 120


def test_traffic_goes_on_as_between_the_looks(found):
    told = found.outlook("revenue", difference=4.0)
    assert told.per_day == pytest.approx(24 * 60, rel=0.02)  # a unit a minute
    assert told.days == pytest.approx((told.needed - 120) / told.per_day)


def test_a_lift_is_a_share_of_the_mean_of_control(found):
    told = found.outlook("revenue", lift=0.2)
    assert told.difference == pytest.approx(0.2 * np.mean(spent("blue")))
    assert told == found.outlook("revenue", difference=told.difference)


def test_what_is_found_already_takes_no_time(found):
    least = found.outlook("orders", lift=0.1).least_difference
    assert found.outlook("orders", difference=1.01 * least).days == 0
    assert 0 < found.outlook("orders", difference=0.9 * least).days < inf


def test_a_covariate_makes_it_shorter():
    table = {
        "arm": ["a", "b"] * 40,
        "spent": [float(n * 7 % 11 + n * 5 % 3) for n in range(80)],
        "before": [float(n * 7 % 11) for n in range(80)],
    }
    metrics = {
        "plain": "spent",
        "adjusted": analysis.UnitMetric("spent", before="before"),
    }
    of = analysis.read_units(table, variant="arm", control="a", metrics=metrics)
    later = of.results[0]
    earlier = analysis.read_units(
        {name: column[:40] for name, column in table.items()},
        variant="arm",
        control="a",
        metrics=metrics,
    ).results[0]
    earlier.as_of, later.as_of = "2026-01-01T00:00:00.000Z", "2026-01-03T00:00:00.000Z"
    both = analysis.Analysis([earlier, later])
    plain, adjusted = (both.outlook(name, difference=0.5) for name in metrics)
    assert adjusted.needed < 0.2 * plain.needed
    assert plain.per_day == adjusted.per_day == 20


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"metric": "revenue"}, "lift or difference"),
        ({"metric": "revenue", "lift": 0.1, "difference": 1.0}, "one of them"),
    ],
)
def test_what_cannot_be_told_is_refused(found, asked, says):
    with pytest.raises(ValueError, match=says):
        found.outlook(**asked)


@pytest.mark.parametrize("asked", [{"metric": "revnue"}, {"metric": "orders", "variant": "gren"}])
def test_what_there_is_not_is_named(found, asked):
    with pytest.raises(UnknownSpecError, match="did you mean"):
        found.outlook(**asked, lift=0.1)


def test_one_look_tells_nothing_of_traffic():
    one = analysis.read_frame(shop.columns(shop.rows()), specs=shop.catalog())
    with pytest.raises(ValueError, match="more looks"):
        one.outlook("orders", lift=0.1)
