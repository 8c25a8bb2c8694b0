"""A seed is all it takes to have a run again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.faults import FAULTS, FEWEST, MOST
from tests.chaos.load import make_load
from tests.chaos.plan import make_plan


def told(plan) -> list[tuple[str, float, bool]]:
    return [(blow.fault.name, blow.pause, blow.at_once) for blow in plan.blows]


@pytest.mark.parametrize("seed", [0, 1, 77])
def test_a_seed_gives_the_same_load_and_the_same_plan(seed):
    one, other = (make_load(seed, units=20, contexts=50, events=50) for _ in range(2))
    assert one == other
    assert told(make_plan(seed)) == told(make_plan(seed))
    assert make_plan(seed).workers == make_plan(seed).workers


def test_other_seeds_give_other_loads():
    few = {"units": 20, "contexts": 50, "events": 50}
    assert make_load(1, **few).messages != make_load(2, **few).messages


def test_fifty_runs_meet_every_fault_often_and_begin_with_two_or_three_workers():
    plans = [make_plan(seed) for seed in range(1, 51)]
    met = Counter(blow.fault.name for plan in plans for blow in plan.blows)
    assert met.keys() == FAULTS.keys()
    assert min(met.values()) >= 5
    assert {plan.workers for plan in plans} <= set(range(FEWEST, MOST))


def test_only_the_faults_that_were_asked_for():
    plan = make_plan(3, ["sigkill", "zombie"], count=5)
    assert {blow.fault.name for blow in plan.blows} == {"sigkill", "zombie"}
    assert len(plan.blows) == 5
