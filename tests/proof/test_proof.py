"""A small part of the proof; ``make proof`` is the whole of it."""

import json
from fractions import Fraction
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from anabranch.metrics.moments import Moments
from anabranch.metrics.results import contrast
from anabranch.metrics.sample_ratio import sample_ratio, sequential_sample_ratio
from tests.proof import watch
from tests.proof.__main__ import main
from tests.proof.cases import NOTHING_TO_FIND, SOMETHING_TO_FIND, SPLITS
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
    assert len(promised) == len(NOTHING_TO_FIND) + len(SOMETHING_TO_FIND) + 6
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
    assert drawn == {"false-calls.svg", "interval-width.svg", "power.svg"}
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
    assert main(["--only", "nonsense"]) == 2
    assert "'nonsense'" in capsys.readouterr().err


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
