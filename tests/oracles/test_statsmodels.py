"""Welch, covariates, several comparisons and power beside statsmodels; needs the extra ``oracles``."""

from fractions import Fraction

import numpy as np
import pytest

from anabranch.metrics.moments import Moments
from anabranch.metrics.multiplicity import benjamini_hochberg, holm
from anabranch.metrics.power import least_difference, power_of, units_per_arm
from anabranch.metrics.results import contrast

REASON = "statsmodels is not installed: it comes with the extra 'oracles'"
api = pytest.importorskip("statsmodels.api", reason=REASON)
weightstats = pytest.importorskip("statsmodels.stats.weightstats", reason=REASON)
multitest = pytest.importorskip("statsmodels.stats.multitest", reason=REASON)
power = pytest.importorskip("statsmodels.stats.power", reason=REASON)


def moments(values, before):
    ys = [Fraction(int(v)) for v in values]
    xs = [Fraction(int(v)) for v in before]
    return len(ys), Moments(
        events=len(ys),
        sum=sum(ys),
        sum_squares=sum(y * y for y in ys),
        beside=sum(xs),
        beside_squares=sum(x * x for x in xs),
        cross=sum(x * y for x, y in zip(xs, ys, strict=True)),
    )


@pytest.fixture(scope="module", params=[(50, 80), (3_000, 2_000)], ids=str)
def arms(request):
    rng = np.random.default_rng(request.param)
    made = []
    for n, rate in zip(request.param, (1.2, 1.0), strict=True):
        pace = rng.gamma(2, 1, n)
        made.append((rng.poisson(rate * pace), rng.poisson(pace)))
    return made


def test_welch(arms):
    (ours, _), (theirs, _) = arms
    found = contrast("count", *(moments(*arm) for arm in arms))
    expected = weightstats.CompareMeans.from_data(ours, theirs)
    assert (found.fixed.low, found.fixed.high) == pytest.approx(
        expected.tconfint_diff(usevar="unequal"), rel=1e-9
    )
    _, p_value, _ = weightstats.ttest_ind(ours, theirs, usevar="unequal")
    assert found.fixed.p_value == pytest.approx(p_value, rel=1e-9)


def test_a_covariate_is_an_analysis_of_covariance(arms):
    y = np.concatenate([arm[0] for arm in arms])
    x = np.concatenate([arm[1] for arm in arms])
    shown = np.repeat([1, 0], [len(arm[0]) for arm in arms])
    fitted = api.OLS(y, np.column_stack([np.ones_like(y), shown, x])).fit()
    found = contrast("count", *(moments(*arm) for arm in arms), adjusted=True)
    assert found.difference == pytest.approx(fitted.params[1], rel=1e-9)
    assert found.adjustment.theta == pytest.approx(fitted.params[2], rel=1e-9)
    robust = fitted.get_robustcov_results("HC1")
    assert (found.fixed.high - found.fixed.low) / 2 / 1.96 == pytest.approx(robust.bse[1], rel=0.05)


@pytest.mark.parametrize(("method", "ours"), [("holm", holm), ("fdr_bh", benjamini_hochberg)])
def test_several_comparisons(method, ours):
    p_values = np.random.default_rng(1).uniform(0, 0.2, 40) ** 2
    _, expected, *_ = multitest.multipletests(p_values, method=method)
    assert list(ours(p_values.tolist())) == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize(("n", "effect"), [(20, 0.5), (400, 0.2), (5_000, 0.05)])
def test_power(n, effect):
    expected = power.TTestIndPower().power(effect, n, 0.05)
    assert power_of(effect, units=(n, n), variances=(1.0, 1.0)) == pytest.approx(expected, rel=1e-6)
    needed = power.TTestIndPower().solve_power(effect, power=0.8, alpha=0.05)
    assert units_per_arm(effect, variances=(1.0, 1.0))[0] == pytest.approx(needed, abs=1)
    least = power.TTestIndPower().solve_power(nobs1=n, power=0.8, alpha=0.05)
    assert least_difference(units=(n, n), variances=(1.0, 1.0)) == pytest.approx(least, rel=1e-4)
