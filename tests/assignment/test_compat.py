"""Splits of other systems against the values that their own tests publish."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment import ExperimentContext, Plan
from anabranch.assignment.compat import ForeignDraw, foreign_coverage, foreign_split
from anabranch.errors import SpecValidationError
from anabranch.specs import HashAlgorithm
from tests.assignment.specs import experiment

FOREIGN = [name for name in get_args(HashAlgorithm) if name != "mmh3"]


def split(algorithm: str, salt: str | None = None, **fields: Any) -> ForeignDraw:
    allocation = {"type": "random", "hash": algorithm, "salt": salt}
    found = foreign_split(experiment(allocation=allocation, **fields))
    assert found is not None
    return found


# -- published values -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "seed", "value", "expected"),
    [
        (1, "", "a", 220),
        (1, "", "b", 77),
        (1, "b", "a", 946),
        (1, "ef", "d", 652),
        (1, "asdf", "8952klfjas09ujk", 549),
        (1, "", "123", 11),
        (1, "", '___)((*":&', 563),
        (2, "seed", "a", 505),
        (2, "seed", "b", 2696),
        (2, "foo", "ab", 2575),
        (2, "foo", "def", 2019),
        (2, "89123klj", "8952klfjas09ujkasdf", 1240),
        (2, "90850943850283058242805", "123", 7516),
        (2, "()**(%$##$%#$#", '___)((*":&', 128),
    ],
)
def test_growthbook(version: int, seed: str, value: str, expected: int) -> None:
    """``hash`` of the SDKs' cases.json."""
    assert split(f"growthbook-v{version}", seed).show(f"user:{value}").place == expected


@pytest.mark.parametrize(
    ("weights", "coverage", "expected"),
    [
        ([1, 1], 1, [(0, 5000), (5000, 10_000)]),
        ([1, 1], 0.5, [(0, 2500), (5000, 7500)]),
        ([1, 1], 0, [(0, 0), (5000, 5000)]),
        ([1, 1, 1, 1], 1, [(0, 2500), (2500, 5000), (5000, 7500), (7500, 10_000)]),
        ([0.4, 0.6], 1, [(0, 4000), (4000, 10_000)]),
        ([0.2, 0.3, 0.5], 1, [(0, 2000), (2000, 5000), (5000, 10_000)]),
        # 0.2 * 0.2 is a little more than 0.04 in doubles, there as here
        ([0.2, 0.3, 0.5], 0.2, [(0, 401), (2000, 2600), (5000, 6000)]),
        # the doubles add up to less than 1, and are not made larger for it
        ([0.7, 0.2, 0.1], 1, [(0, 7000), (7000, 9000), (9000, 10_000)]),
    ],
)
def test_growthbook_ranges(
    weights: list[float], coverage: float, expected: list[tuple[int, int]]
) -> None:
    """``getBucketRange`` of the SDKs' cases.json, in ten-thousandths."""
    spec = experiment(
        weights={f"v{i}": weight for i, weight in enumerate(weights)},
        allocation={"type": "random", "hash": "growthbook-v2"},
    )
    found = foreign_coverage(spec, coverage)
    assert found is not None
    assert list(found.show("user:1").ranges) == expected


@pytest.mark.parametrize(
    ("coverage", "weights", "expected"),
    [
        (1, [1, 1], "100111010"),
        (1, [0.1, 0.9], "110111011"),
        (0.4, [1, 1], "-00-1-01-"),
        (1, [1, 1, 1], "200212010"),
    ],
)
def test_growthbook_experiments(coverage: float, weights: list[float], expected: str) -> None:
    """Users 1 to 9 of the experiment ``my-test`` in its SDKs' tests; - is not in it."""
    plan = Plan(
        experiment(
            "my-test",
            allocation={"type": "random", "hash": "growthbook-v1"},
            coverage=coverage,
            weights={str(i): weight for i, weight in enumerate(weights)},
        )
    )
    found = [plan.evaluate(ExperimentContext(user_id=str(i))) for i in range(1, 10)]
    assert "".join(e.variant.id if e.enrolled else "-" for e in found) == expected


@pytest.mark.parametrize(
    ("salt", "key", "expected"),
    [
        ("hashKey.saltyA", "userKeyA", 0.42157587),
        ("hashKey.saltyA", "userKeyB", 0.6708485),
        ("hashKey.saltyA", "userKeyC", 0.10343106),
        ("hashKey.saltyA", "33333", 0.54771423),
        ("61", "userKeyA", 0.09801207),
        ("61", "userKeyB", 0.14483777),
        ("61", "userKeyC", 0.9242641),
    ],
)
def test_launchdarkly(salt: str, key: str, expected: float) -> None:
    """Bucketing tests of its server SDKs, by flag and salt and by an experiment's seed."""
    found = split("launchdarkly", salt).show(f"user:{key}")
    assert found.place / (found.space - 1) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("user", "experiment_id", "expected"),
    [
        ("ppid1", "1886780721", 5254),
        ("ppid2", "1886780721", 4299),
        ("ppid2", "1886780722", 2434),
        ("ppid3", "1886780721", 5439),
        (
            f"a {'very ' * 15}long ppd string",
            "1886780721",
            6128,
        ),
    ],
)
def test_optimizely(user: str, experiment_id: str, expected: int) -> None:
    """Bucketer tests of its SDKs."""
    assert split("optimizely", experiment_id).show(f"user:{user}").place == expected


@pytest.mark.parametrize(("user", "group", "expected"), [("123", "gr1", 73), ("999", "groupX", 25)])
def test_unleash_rollout(user: str, group: str, expected: int) -> None:
    """ "Normalized values are the same across node, java, and go clients", numbered from 1."""
    allocation = {"type": "random", "hash": "unleash", "salt": group}
    found = foreign_coverage(experiment(allocation=allocation), 0.5)
    assert found is not None
    assert found.show(f"user:{user}").place + 1 == expected
    for percent in range(1, 100):
        spec = experiment(allocation=allocation, coverage=percent / 100)
        inside = Plan(spec).evaluate(ExperimentContext(user_id=user)).enrolled
        assert inside == (expected <= percent)


@pytest.mark.parametrize(("user", "group", "expected"), [("123", "gr1", 96), ("999", "groupX", 60)])
def test_unleash_variants(user: str, group: str, expected: int) -> None:
    """The same with the variants' seed and a total weight of 100."""
    found = split("unleash", group, weights={"a": 50, "b": 50}).show(f"user:{user}")
    assert (found.place + 1, found.ranges) == (expected, ((0, 50), (50, 100)))


def test_unleash_counts_in_whole_weights() -> None:
    with pytest.raises(SpecValidationError, match=r"variants\[1\]\.weight: is 0\.5, and the hash"):
        split("unleash", weights={"a": 1, "b": 0.5})


def test_eppo() -> None:
    """MD5 of RFC 1321's own examples, cut as the sharder of its SDKs does."""
    salted = split("eppo", "message", weights={"a": 1, "b": 3}).show("user:digest")
    assert (salted.text, salted.space) == ("message-digest", 10_000)
    assert salted.ranges == ((0, 2500), (2500, 10_000))
    # RFC 1321, "a": 0cc175b9c0f1b6a831c399e269772661; hello-world as its .NET tests have it.
    assert split("eppo", "hello").show("user:world").place == 0x20953121 % 10_000


def test_flagd() -> None:
    """The 32-bit hash against weights in integers: murmur3 of "hello, world" is published."""
    found = split("flagd", "hello, ", weights={"a": 1, "b": 1, "c": 2})
    shown = found.show("user:world")
    assert (shown.text, shown.place) == ("hello, world", 0x149BBB7F)
    assert shown.ranges == ((0, 1 << 30), (1 << 30, 1 << 31), (1 << 31, 1 << 32))
    assert found.index("user:world") == (0x149BBB7F * 4) >> 32


@pytest.mark.parametrize(
    ("text", "first_64_bits"),
    [("", 0xE3B0C44298FC1C14), ("blargh", 0x0AC33512D18E20D5), ("\U0001f5fb", 0x1DDBF4EA8DAE91E5)],
)
def test_statsig_hashes(text: str, first_64_bits: int) -> None:
    """hash_util_evaluation_hash_tests.rs of statsig-server-core; SDKs take it modulo 1000."""
    assert split("statsig").place(text) == first_64_bits % 1000


def test_statsig_texts_and_buckets() -> None:
    """``user_bucket`` of its SDKs hashes ``salt.unitID``; the second group begins at a bound."""
    found = split("statsig", "salt", weights={"a": 1, "b": 3}).show("user:ann")
    assert (found.text, found.space) == ("salt.ann", 1000)
    assert found.ranges == ((0, 250), (250, 1000))


# -- what holds for all of them ---------------------------------------------------------------


@pytest.mark.parametrize("algorithm", FOREIGN)
def test_shares_are_kept(algorithm: str) -> None:
    weights = {"a": 500, "none": 0, "b": 300, "c": 200}
    allocation = {"type": "random", "hash": algorithm, "salt": "s"}
    plan = Plan(experiment(weights=weights, allocation=allocation))
    found = [plan.evaluate(ExperimentContext(user_id=f"user-{i}")) for i in range(10_000)]
    assert all(e.enrolled and e.reason == "random" for e in found)
    counts = Counter(e.variant.id for e in found)
    assert counts["none"] == 0
    for name, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert abs(counts[name] - 10_000 * share) < 4 * (10_000 * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("algorithm", FOREIGN)
@given(
    weights=st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any),
    user=st.text(st.characters(exclude_categories=()), min_size=1, max_size=8),
)
def test_everybody_has_a_variant(algorithm: str, weights: list[int], user: str) -> None:
    found = split(algorithm, weights={f"v{i}": weight for i, weight in enumerate(weights)})
    index = found.index(f"user:{user}")
    shown = found.show(f"user:{user}")
    low, high = shown.ranges[index]
    assert 0 <= index < len(weights)
    assert low <= shown.place < high
    assert shown.ranges[-1][1] == found.space
    assert all(
        low == high for (low, high), w in zip(shown.ranges, weights, strict=True) if not w
    ) or (
        algorithm == "contractspec"  # its <= gives a leading weight of 0 one place in a million
    )


@pytest.mark.parametrize("algorithm", FOREIGN)
def test_the_bare_id_is_hashed(algorithm: str) -> None:
    found = split(algorithm, "s")
    assert found.show("user:a:b").text == found.show("session:a:b").text
    assert "a:b" in found.show("user:a:b").text
    assert "user" not in found.show("user:a:b").text


@pytest.mark.parametrize("algorithm", FOREIGN)
@given(low=st.floats(0, 1), high=st.floats(0, 1), user=st.text(min_size=1, max_size=8))
def test_raising_the_coverage_moves_nobody(
    algorithm: str, low: float, high: float, user: str
) -> None:
    low, high = sorted([low, high])
    allocation = {"type": "random", "hash": algorithm, "salt": "s"}
    context = ExperimentContext(user_id=user)
    before = Plan(experiment(allocation=allocation, coverage=low)).evaluate(context)
    after = Plan(experiment(allocation=allocation, coverage=high)).evaluate(context)
    if before.enrolled:
        assert (after.enrolled, after.variant) == (True, before.variant)
