"""When refused telemetry is more than its error budget, and when that is chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from anabranch.metrics.budget import Hour, overspent
from anabranch.metrics.windows import HOUR


def hours(*seen_and_refused: tuple[int, int]) -> dict[int, Hour]:
    return {
        number * HOUR: Hour(seen, {"EventSchemaError": refused} if refused else {})
        for number, (seen, refused) in enumerate(seen_and_refused)
    }


@pytest.mark.parametrize(
    ("given_hours", "budget", "word"),
    [
        (hours((1000, 0)), 0.01, "between"),  # well, but the hour is not over
        (hours((1000, 15)), 0.01, "between"),  # more than the budget, and may be chance
        (hours((1000, 40)), 0.01, "breach"),
        (hours((4, 4)), 0.01, "breach"),  # not even once in a million hours
        (hours((2, 2)), 0.01, "between"),
        (hours((1, 1)), 0, "breach"),
        (hours((1000, 1000)), 1, "between"),
        (hours((1000, 40), (10, 0)), 0.01, "breach"),  # the later hour has yet to show it
        (hours((1000, 40), (1000, 0)), 0.01, "breach"),
        (hours((1000, 40), (1000, 0), (1, 0)), 0.01, "over"),
        (hours((1000, 40), (49, 0), (1, 0)), 0.01, "breach"),  # too few to end it
        (hours((1000, 0), (1000, 40)), 0.01, "breach"),
    ],
)
def test_words(given_hours, budget, word):
    assert overspent(given_hours, budget).word == word


def test_without_records_there_is_no_verdict():
    assert overspent({}, 0.01) is None


def test_the_evidence_is_told():
    hour = Hour(1000, {"EventSchemaError": 30, "MissingUnitError": 10})
    verdict = overspent({0: hour}, 0.01, "shop.buy 1.0.0")
    assert verdict.figure == 0.04
    assert verdict.evidence == {
        "start": 0,
        "seen": 1000,
        "refused": 40,
        "reasons": {"EventSchemaError": 30, "MissingUnitError": 10},
        "share": 0.04,
        "budget": 0.01,
        "pValue": pytest.approx(binomtest(40, 1000, 0.01, alternative="greater").pvalue),
    }
    assert verdict.message == (
        "40 of 1,000 records of shop.buy 1.0.0 within an hour were refused, 4.00% where 1.00% may "
        "be; most by EventSchemaError: see the dead letters of telemetry"
    )


@given(st.integers(1, 2000), st.data(), st.sampled_from([0.001, 0.01, 0.2]))
def test_a_breach_is_what_the_exact_binomial_test_finds(seen, data, budget):
    refused = data.draw(st.integers(0, seen))
    found = overspent(hours((seen, refused)), budget).word == "breach"
    p_value = binomtest(refused, seen, budget, alternative="greater").pvalue
    assert found == (refused / seen > budget and p_value <= 1e-6)
