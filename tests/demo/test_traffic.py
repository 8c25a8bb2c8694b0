"""The demo's traffic: the same for a seed, as the stages expect it, and true to its behaviour."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anabranch.assignment import ExperimentContext, ExperimentEvaluator
from anabranch.demo import BEHAVIOUR, EXPERIMENT, Traffic, demo_catalog
from anabranch.errors import InvalidEventError, SettingsError
from anabranch.events.decoding import Limits, decode_context, decode_telemetry
from anabranch.runtime import Message
from tests.support.bench import In

START = 1_790_000_000_000
MINUTE = 60_000
DECODE = {"contexts": decode_context, "telemetry": decode_telemetry}


def minutes(n: int, seed: int = 7, rate: float = 100.0) -> list[Message]:
    return Traffic(seed, rate).batch(START, START + n * MINUTE)


@pytest.fixture(scope="module")
def hour() -> list[Message]:
    """An hour's arrivals, compressed: 30,000 of them."""
    return minutes(60, rate=30_000 / 3600)


def decoded(message: Message):
    record = In(message.topic, message.value, message.key, message.headers, message.timestamp)
    return DECODE[message.topic](record, now=message.timestamp, limits=Limits())


def valid(messages: list[Message]):
    for message in messages:
        try:
            yield message, decoded(message)
        except InvalidEventError:
            continue


def test_the_same_seed_gives_the_same_records():
    assert minutes(1) == minutes(1)
    assert minutes(1) != minutes(1, seed=8)


@given(cuts=st.lists(st.integers(0, 2 * MINUTE), max_size=8))
@settings(max_examples=15, deadline=None)
def test_how_time_is_cut_makes_no_difference(cuts):
    traffic = Traffic(7, 20.0)
    ends = [START + cut for cut in sorted(cuts)] + [START + 2 * MINUTE]
    sent, start = [], START
    for end in ends:
        sent += traffic.batch(start, end)
        start = end
    assert sent == minutes(2, rate=20.0)


def test_records_are_sent_in_order_within_their_batch(hour):
    times = [message.timestamp for message in hour]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < START + 60 * MINUTE


def test_about_so_many_arrivals(hour):
    assert sum(message.topic == "contexts" for message in hour) == pytest.approx(30_000, rel=0.03)


def test_batches_follow_each_other():
    traffic = Traffic(1)
    traffic.batch(START, START + 10)
    with pytest.raises(ValueError, match="start there"):
        traffic.batch(START + 20, START + 30)
    with pytest.raises(ValueError, match="before its start"):
        traffic.batch(START + 10, START)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_the_rate_is_above_zero(rate):
    with pytest.raises(SettingsError, match="above 0"):
        Traffic(1, rate)


def test_all_but_a_few_records_decode_and_those_are_the_bad_ones(hour):
    bad = len(hour) - sum(1 for _ in valid(hour))
    # Of three kinds of bad records, decoding finds the malformed one; the gate finds the others.
    assert 0 < bad < 0.002 * len(hour)


def test_specs_refuse_what_is_undeclared_or_of_the_wrong_type(hour):
    names, values = Counter(), Counter()
    for message, event in valid(hour):
        if message.topic == "telemetry":
            names[event.data.name] += 1
            values[type(event.data.properties["durationSeconds"])] += 1
    registry = demo_catalog().telemetry
    undeclared = [name for name in names if registry.event(name, 1) is None]
    assert undeclared == ["sigil.telemetry.onboarding_abandoned"]
    assert set(values) == {float, str}


def test_keys_are_units(hour):
    for message, event in valid(hour):
        assert message.key == f"user:{event.data.user_id}".encode()


def test_some_come_twice_under_one_id(hour):
    ids = Counter(event.id for _, event in valid(hour))
    share = sum(n == 2 for n in ids.values()) / len(ids)
    assert share == pytest.approx(0.01, abs=0.003)
    assert max(ids.values()) == 2


def test_some_completions_are_late(hour):
    late = [
        message.timestamp - event.time >= MINUTE
        for message, event in valid(hour)
        if message.topic == "telemetry"
    ]
    assert sum(late) / len(late) == pytest.approx(0.03, abs=0.01)


async def test_completions_are_as_likely_as_the_variant_says(hour):
    """The evaluator that applications use comes to the same variants as the generator."""
    evaluator = ExperimentEvaluator(demo_catalog().experiments)
    variants: dict[str, str] = {}
    vips = set()
    completed: dict[str, float] = {}
    for message, event in valid(hour):
        user = event.data.user_id
        if message.topic == "contexts" and event.time < START + 50 * MINUTE:
            context = ExperimentContext(
                experiment=EXPERIMENT, user_id=user, attributes=event.data.attributes
            )
            variants[user] = (await evaluator.choose_variant(context)).variant.id
            if event.data.attributes["segment"] == "vip":
                vips.add(user)
        elif message.topic == "telemetry" and isinstance(
            event.data.properties["durationSeconds"], float
        ):
            completed[user] = event.data.properties["durationSeconds"]
    assert {variants[user] for user in vips} == {"multi_step"}
    assert len(vips) / len(variants) == pytest.approx(0.1, abs=0.01)
    for variant, behaviour in BEHAVIOUR.items():
        users = [user for user, got in variants.items() if got == variant]
        done = sorted(completed[user] for user in users if user in completed)
        assert len(done) / len(users) == pytest.approx(behaviour.completion, abs=0.02)
        assert done[len(done) // 2] == pytest.approx(behaviour.median_seconds, rel=0.06)


def test_the_specs_are_sound():
    catalog = demo_catalog()
    assert catalog.problems() == []
    (spec,) = catalog.running()
    assert spec.key == EXPERIMENT
    assert set(BEHAVIOUR) == set(spec.variants_by_id)
