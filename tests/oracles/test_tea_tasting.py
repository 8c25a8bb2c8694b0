"""Welch, ratios and covariates beside tea-tasting; skipped without the extra ``oracles``."""

from fractions import Fraction

import numpy as np
import pytest

from anabranch.metrics.moments import Moments
from anabranch.metrics.results import contrast

tea_tasting = pytest.importorskip(
    "tea_tasting", reason="tea-tasting is not installed: it comes with the extra 'oracles'"
)
pyarrow = pytest.importorskip("pyarrow", reason="comes with tea-tasting")

N, M = 4_000, 6_000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    variant = np.repeat([0, 1], [N, M])
    pace = rng.gamma(2, 1, N + M)
    views = rng.poisson(3 * pace) + 1
    orders = rng.binomial(views, 0.2 + 0.02 * variant)
    spend = (orders * rng.lognormal(3, 1, N + M)).round(2)
    before = rng.poisson(3 * pace)
    return {
        "variant": variant,
        "views": views,
        "orders": orders,
        "spend": spend,
        "before": before,
        "bought": (orders > 0).astype(int),
    }


@pytest.fixture(scope="module")
def theirs(data):
    experiment = tea_tasting.Experiment(
        spend=tea_tasting.Mean("spend"),
        bought=tea_tasting.Mean("bought"),
        rate=tea_tasting.RatioOfMeans("orders", "views"),
        adjusted=tea_tasting.Mean("orders", "before"),
    )
    return experiment.analyze(pyarrow.table(data))


def ours(data, aggregation, name, beside=None, **options):
    arms = []
    for of in (1, 0):
        chosen = data["variant"] == of
        values = [Fraction(str(v)) for v in data[name][chosen]]
        others = [] if beside is None else [Fraction(str(v)) for v in data[beside][chosen]]
        moments = Moments(
            converted=sum(v > 0 for v in values),
            events=len(values),
            sum=sum(values),
            sum_squares=sum(v * v for v in values),
            beside=sum(others),
            beside_squares=sum(v * v for v in others),
            cross=sum(v * w for v, w in zip(values, others, strict=bool(others))),
        )
        arms.append((int(chosen.sum()), moments))
    return contrast(aggregation, *arms, **options)


@pytest.mark.parametrize(
    ("metric", "aggregation", "name", "beside"),
    [
        ("spend", "sum", "spend", None),
        ("bought", "unique", "bought", None),
        ("rate", "ratio", "orders", "views"),
    ],
)
def test_difference_lift_interval_and_p_value(data, theirs, metric, aggregation, name, beside):
    found, expected = ours(data, aggregation, name, beside), theirs[metric]
    assert found.difference == pytest.approx(expected.effect_size, rel=1e-9)
    assert found.relative_lift == pytest.approx(expected.rel_effect_size, rel=1e-9)
    assert (found.fixed.low, found.fixed.high) == pytest.approx(
        (expected.effect_size_ci_lower, expected.effect_size_ci_upper), rel=1e-7
    )
    assert found.fixed.p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_a_covariate(data, theirs):
    found = ours(data, "count", "orders", "before", adjusted=True)
    expected = theirs["adjusted"]
    # tea-tasting takes the slope over both arms together, and we within them: alike for many units.
    assert found.difference == pytest.approx(expected.effect_size, rel=2e-3)
    assert (found.fixed.low, found.fixed.high) == pytest.approx(
        (expected.effect_size_ci_lower, expected.effect_size_ci_upper), rel=2e-3
    )
    assert found.adjustment.variance_reduction > 0.1
