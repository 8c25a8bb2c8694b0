import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.telemetry import compile_event, sampled
from tests.telemetry.examples import event

IDS = [f"event-{i}" for i in range(20_000)]
KEPT = [13, 24, 25, 28, 29]


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.9])
def test_the_share_that_is_kept_is_the_rate(rate):
    kept = sum(sampled(id_, "shop", rate) for id_ in IDS)
    sigma = (len(IDS) * rate * (1 - rate)) ** 0.5
    assert abs(kept - len(IDS) * rate) < 4 * sigma


def test_sources_are_sampled_apart():
    both = sum(sampled(id_, "shop", 0.5) and sampled(id_, "blog", 0.5) for id_ in IDS)
    assert abs(both - len(IDS) / 4) < 4 * (len(IDS) * 3 / 16) ** 0.5


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_rate_keeps_what_a_lower_one_does(id_, source, one, other):
    low, high = sorted([one, other])
    assert sampled(id_, source, low) <= sampled(id_, source, high)
    assert sampled(id_, source, 1)
    assert not sampled(id_, source, 0)


def test_replays_agree_with_what_was_decided_before():
    """Fixed forever: another hash would keep other events in a replay."""
    assert [i for i in range(30) if sampled(f"event-{i}", "shop", 0.2)] == KEPT


def test_a_plan_samples_by_the_events_rate_else_the_specs():
    assert compile_event(event(sampling={"rate": 0.2})).rate == 0.2
    plan = compile_event(event(sampling={"rate": 0.2}))
    assert [i for i in range(30) if plan.keeps(f"event-{i}", "shop")] == KEPT
    assert compile_event(event()).rate == 1
