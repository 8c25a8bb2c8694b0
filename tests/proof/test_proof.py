"""A small part of the proof; ``make proof`` is the whole of it."""

import json
from collections import Counter
from fractions import Fraction
from itertools import combinations
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from anabranch.metrics.moments import Moments
from anabranch.metrics.quantiles import EventQuantiles, UnitQuantiles
from anabranch.metrics.results import contrast
from anabranch.metrics.sample_ratio import sample_ratio, sequential_sample_ratio
from anabranch.metrics.sketch import bin_of
from tests.proof import watch
from tests.proof.__main__ import main
from tests.proof.cases import LIFTED, NOTHING_TO_FIND, RANKS, SOMETHING_TO_FIND, SPLITS
from tests.proof.plots import EVEN
from tests.proof.ranks import Bins, OverEvents, OverUnits
from tests.proof.streams import (
    Arrivals,
    Converts,
    Normal,
    Pairs,
    Spends,
    Visits,
    as_before,
    clicks_per_view,
)
from tests.proof.trial import counting, watching


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Everything, in few streams: the report and the folder of its figures."""
    folder = tmp_path_factory.mktemp("proof")
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("builtins.print", lambda text, **_: written.append(text))
        code = main(["--streams", "100", "--json", "--plots", str(folder)])
    return code, json.loads(written[0]), folder


def test_every_bound_holds(report):
    code, found, _ = report
    assert code == 0
    assert found["holds"]
    assert all(case["holds"] for case in found["cases"])
    promised = [case for case in found["cases"] if case["limit"] is not None]
    kinds = (NOTHING_TO_FIND, SOMETHING_TO_FIND, LIFTED, RANKS)
    assert len(promised) == sum(map(len, kinds)) + 6
    assert all(case["error"] <= case["limit"] < 3 * 0.05 for case in promised)


def test_the_fixed_test_does_not_survive_being_watched(report):
    _, found, _ = report
    nothing = {case.name for case in NOTHING_TO_FIND}
    for case in found["cases"]:
        if case["case"] in nothing:
            assert case["fixedWatched"] > 0.15
            assert case["fixedWatched"] > 3 * case["sequentialWatched"]


def test_what_is_there_is_found(report):
    _, found, _ = report
    powers = [case["power"] for case in found["cases"] if "power" in case]
    assert len(powers) == len(SOMETHING_TO_FIND)
    for power in powers:
        assert power["fixedAtPlanned"] > 0.7
        assert power["sequentialBy"]["4"] > 0.9
        shares = list(power["sequentialBy"].values())
        assert shares == sorted(shares)
    assert powers[2]["medianStop"] < 0.6 * powers[0]["medianStop"]


def test_lost_units_are_found(report):
    _, found, _ = report
    lost = {c["case"]: c["sequentialWatched"] for c in found["cases"] if "are lost" in c["case"]}
    assert lost["1 : 1, but 10 % of one arm are lost"] == 1
    assert lost["1 : 1, but 5 % of one arm are lost"] > 0.85


def test_the_figures_are_drawn(report):
    _, _, folder = report
    drawn = {path.name for path in folder.iterdir()}
    assert drawn == {*EVEN, "interval-width.svg", "power.svg"}
    for path in folder.iterdir():
        chart = ET.parse(path).getroot()
        assert len(chart.findall("{*}polyline")) >= 3


def test_a_broken_bound_is_told(monkeypatch, capsys):
    """Were the sequential interval no better than the fixed one, the proof would say so."""
    monkeypatch.setattr(watch, "sequential", watch.fixed)
    assert main(["--streams", "100", "--only", "10 % convert, split"]) == 1
    assert "broken: 10 % convert, split 10 : 90" in capsys.readouterr().out


def test_a_broken_count_is_told(monkeypatch, capsys):
    monkeypatch.setattr(watch, "split_sequential", watch.split_fixed)
    assert main(["--streams", "200", "--only", "ten arms"]) == 1
    assert "broken" in capsys.readouterr().out


def test_a_name_that_no_case_has_is_told(capsys):
    assert main(["--only", "nonsense", "--only", "folly"]) == 2
    assert "'nonsense' or 'folly'" in capsys.readouterr().err


def test_cases_can_be_chosen_by_several_names(capsys):
    assert main(["--streams", "5", "--only", "ten arms", "--only", "1 : 1 : 2"]) == 0
    said = capsys.readouterr().out
    assert "ten arms alike" in said
    assert "1 : 1 : 2" in said
    assert "1 : 99" not in said


def test_the_same_seed_gives_the_same_streams():
    case = NOTHING_TO_FIND[0]
    once, again, other = (watching(case, 20, seed, lambda _: None) for seed in (3, 3, 4))
    assert list(once.fixed.at) == list(again.fixed.at) != list(other.fixed.at)


@pytest.mark.parametrize(
    "source",
    [
        Arrivals(0.5, Converts(0.12), Converts(0.1), 20, 100),
        Arrivals(0.1, Spends(0.05, 20, 1.5), Spends(0.05, 20, 1.5), 20, 100),
        Arrivals(0.3, Normal(100, 3), Normal(101, 2), 20, 100),
        Visits(arriving=5, rate=0.5, looks=20, per_stream=300),
    ],
    ids=lambda source: type(source).__name__,
)
def test_what_is_proved_is_what_results_have(source):
    """The statistics over many streams are those that a run's results are made of."""
    streams = source.draw(np.random.default_rng(2), 6)
    seen = watch.fixed(streams), watch.sequential(streams)
    assert _compare(streams, seen, "sum") > 200


@pytest.mark.parametrize(
    ("pair", "estimate"), [(clicks_per_view, "ratio"), (as_before, "adjusted")]
)
def test_what_is_proved_of_ratios_and_covariates_is_what_results_have(pair, estimate):
    streams = Pairs(0.3, pair, 20, 40).draw(np.random.default_rng(2), 6)
    seen = tuple(look(streams, 0.0, estimate) for look in (watch.fixed, watch.sequential))
    aggregation = "ratio" if estimate == "ratio" else "sum"
    assert _compare(streams, seen, aggregation, adjusted=estimate == "adjusted") > 200


@pytest.mark.parametrize(
    "source",
    [
        Arrivals(0.3, Converts(0.3), Converts(0.2), 20, 100),
        Arrivals(0.5, Spends(0.2, 20, 0.5), Spends(0.2, 20, 0.5), 20, 100),
    ],
    ids=lambda source: type(source.variant).__name__,
)
def test_what_is_proved_of_lifts_is_what_results_have(source):
    streams = source.draw(np.random.default_rng(2), 6)
    seen = tuple(look(streams, 0.25, "lift") for look in (watch.fixed, watch.sequential))
    compared = 0
    for at in np.ndindex(6, 20):
        arms = [
            (
                int(sums.units[at]),
                Moments(
                    sum=Fraction(float(sums.total[at])),
                    sum_squares=Fraction(float(sums.squares[at])),
                ),
            )
            for sums in (streams.variant, streams.control)
        ]
        found = contrast("sum", *arms)
        for ours, theirs in zip(seen, (found.fixed_lift, found.sequential_lift), strict=True):
            if theirs is None:
                assert ours.reach[at] == np.inf
                continue
            compared += 1
            assert ours.reach[at] == pytest.approx((theirs.high - theirs.low) / 2, rel=1e-6)
            assert ours.off[at] == (theirs.low > 0.25 or theirs.high < 0.25)
            assert (ours.p_value[at] == 0) == (theirs.low > 0 or theirs.high < 0)
    assert compared > 200


def sketched(values):
    return dict(Counter(map(bin_of, values)))


def test_what_is_proved_of_quantiles_is_what_sketches_of_the_values_give(monkeypatch):
    """The streams' sums by bin are those of the sketches that results are made of."""
    drawn = []
    spread = Bins.of
    monkeypatch.setattr(Bins, "of", lambda bins, v: drawn.append(v.copy()) or spread(bins, v))
    rng = np.random.default_rng(5)
    mine = np.random.default_rng(5).random(500) < 0.5
    look = next(OverUnits(0.9, factor=1.2).watch(rng))
    for arm, of_arm in ((look.variant, mine), (look.control, ~mine)):
        values = drawn[0][of_arm]
        sketch = UnitQuantiles.of(values.size, sketched(values))
        assert arm.units == sketch.units
        assert _at(arm) == _at(sketch)


def test_events_of_one_unit_are_counted_together(monkeypatch):
    drawn = []
    spread = Bins.of
    monkeypatch.setattr(Bins, "of", lambda bins, v: drawn.append(v.copy()) or spread(bins, v))
    look = next(OverEvents(0.9, share=1.0).watch(np.random.default_rng(5)))
    rng = np.random.default_rng(5)
    rng.random(250)
    ends = np.cumsum(1 + rng.poisson(2.0, 250))
    bins, pairs, others = Counter(), Counter(), Counter()
    for values in np.split(drawn[0], ends[:-1]):
        bins.update(map(bin_of, values))
        pairs.update(bin_of(max(pair)) for pair in combinations(values, 2))
        others.update(bin_of(value) for value in values for _ in values[1:])
    sketch = EventQuantiles.of(250, bins, pairs, others)
    assert _at(look.variant) == _at(sketch)
    for q in (0.5, 0.9):
        ours, theirs = look.variant.sequential(q)[0], sketch.sequential(q)[0]
        assert sorted(set(ours.round(9))) == sorted(set(theirs.round(9)))


def _at(arm):
    """Bins with something in them, and how much is below their upper edge."""
    steps = np.diff(arm.below) > 0
    return {
        (float(low), float(high)): float(below)
        for low, high, below in zip(
            arm.lower[steps], arm.upper[steps], arm.below[1:][steps], strict=True
        )
    }


def _compare(streams, seen, aggregation, **how):
    """How many statistics were compared, each at a look of a stream."""
    compared = 0
    for at in np.ndindex(6, 20):
        arms = []
        for sums in (streams.variant, streams.control):
            names = ("total", "squares", "beside", "beside_squares", "cross")
            total, squares, *beside = (
                Fraction(float(np.broadcast_to(getattr(sums, name), (6, 20))[at])) for name in names
            )
            kept = dict(zip(names[2:], beside, strict=True))
            moments = Moments(sum=total, sum_squares=squares, **kept)
            arms.append((int(sums.units[at]), moments))
        found = contrast(aggregation, *arms, **how)
        for ours, theirs in zip(seen, (found.fixed, found.sequential), strict=True):
            if theirs is None:
                assert (ours.p_value[at], ours.reach[at]) == (1, np.inf)
                continue
            compared += 1
            assert ours.p_value[at] == pytest.approx(theirs.p_value, rel=1e-6)
            assert ours.reach[at] == pytest.approx((theirs.high - theirs.low) / 2, rel=1e-6)
            assert ours.off[at] == (theirs.low > 0 or theirs.high < 0)
    return compared


@pytest.mark.parametrize("case", SPLITS[:5], ids=lambda case: f"{case.name} {case.alpha}")
def test_what_is_proved_of_splits_is_what_results_have(case):
    units = case.source.draw(np.random.default_rng(7), 2)
    expected = {f"arm {i}": share for i, share in enumerate(case.expected)}
    ours = watch.split_fixed(units, case.expected), watch.split_sequential(units, case.expected)
    for at in np.ndindex(2, case.source.looks):
        counts = dict(zip(expected, map(int, units[at]), strict=True))
        fixed = sample_ratio(counts, expected)
        assert ours[0][at] == pytest.approx(1.0 if fixed is None else fixed)
        assert ours[1][at] == pytest.approx(sequential_sample_ratio(counts, expected))


def test_outcomes_have_the_moments_they_say():
    rng = np.random.default_rng(3)
    units = np.full(400, 2_000)
    for outcome in (Converts(0.1), Normal(5, 3), Spends(0.2, 10, 0.5)):
        total, squares = outcome.draw(rng, units)
        count = units.sum()
        mean = total.sum() / count
        variance = squares.sum() / count - mean**2
        assert mean == pytest.approx(outcome.mean, rel=0.01)
        assert variance == pytest.approx(outcome.variance, rel=0.03)


def test_a_trial_counts_a_stream_once():
    trial = counting(SPLITS[6], 50, 1, lambda _: None)
    assert trial.sequential.called[-1] == len(trial.stopped)
    assert list(trial.sequential.called) == sorted(trial.sequential.called)
    assert np.all(trial.sequential.at <= trial.sequential.called)
