"""``hash: contractspec`` keeps the assignments of the specification's first implementation."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment import ExperimentContext, Plan
from anabranch.assignment.compat import fnv1a_32
from anabranch.specs import ExperimentSpec, parse_document
from tests.assignment.specs import experiment, targeted

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("ANABRANCH_SHARED", ROOT.parent / "shared"))
VECTORS = SHARED / "data" / "contractspec_vectors.json.gz"

CONTRACTSPEC = {"type": "random", "hash": "contractspec"}


@pytest.mark.skipif(
    not VECTORS.is_file(),
    reason=f"{VECTORS.name} is not there: ANABRANCH_SHARED names the folder with data/ in it",
)
def test_every_recorded_assignment_is_kept() -> None:
    recorded = json.loads(gzip.decompress(VECTORS.read_bytes()))
    plans: dict[str, Plan] = {}
    for document in recorded["specs"]:
        document["allocation"]["hash"] = "contractspec"
        spec = ExperimentSpec.model_validate(document)
        assert parse_document(spec.document) == spec
        plans[spec.key] = Plan(spec)
    assert (len(plans), len(recorded["cases"])) == (40, 3000)
    differ = []
    for case in recorded["cases"]:
        context = ExperimentContext.from_mapping(case["context"])
        found = plans[case["context"]["experiment"]].evaluate(context)
        assert found.enrolled
        if (found.variant.id, found.reason) != (case["variant"], case["reason"]):
            differ.append((case, found))
    assert differ == []


def test_without_a_salt_two_experiments_assign_alike() -> None:
    """As there; the reason for our own hash to begin with the experiment's key."""
    one, other = (Plan(experiment(key, allocation=CONTRACTSPEC)) for key in ("one", "other"))
    contexts = [ExperimentContext(user_id=str(i)) for i in range(200)]
    assert [one.evaluate(c).variant.id for c in contexts] == [
        other.evaluate(c).variant.id for c in contexts
    ]


@pytest.mark.parametrize(
    ("allocation", "unit"),
    [
        (CONTRACTSPEC, ("sessionId", "userId", "organizationId")),
        (
            {"type": "sticky", "attribute": "organizationId", "hash": "contractspec"},
            ("organizationId", "sessionId", "userId"),
        ),
        ({"type": "random"}, ("userId", "sessionId", "organizationId")),
    ],
)
def test_the_unit_is_what_is_hashed(allocation: dict[str, str], unit: tuple[str, ...]) -> None:
    assert experiment(allocation=allocation).unit == unit


def test_a_policy_that_nobody_decides_does_not_match() -> None:
    rule = {"variantId": "treatment", "policy": {"key": "p"}}
    found = Plan(targeted(rule, hash_="contractspec")).evaluate(ExperimentContext(user_id="1"))
    assert (found.variant.id, found.undecided) == ("control", ("p",))


def test_our_own_draws_stay_our_own() -> None:
    """Coverage is independent of the split although the split's salt is empty."""
    plan = Plan(experiment(allocation=CONTRACTSPEC, coverage=0.5))
    found = [plan.evaluate(ExperimentContext(user_id=str(i))) for i in range(4000)]
    counts = Counter(e.variant.id for e in found if e.enrolled)
    assert abs(sum(counts.values()) - 2000) < 130
    assert abs(counts["treatment"] - sum(counts.values()) / 2) < 100


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)]
)
def test_fnv1a_has_its_published_values(text: str, expected: int) -> None:
    assert fnv1a_32(text) == expected


@given(st.text(st.characters(exclude_categories=())))
def test_fnv1a_takes_code_units(text: str) -> None:
    encoded = text.encode("utf-16-le", "surrogatepass")
    value = 0x811C9DC5
    for low, high in zip(encoded[::2], encoded[1::2], strict=True):
        value = (value ^ (low | high << 8)) * 0x01000193 % 2**32
    assert fnv1a_32(text) == value
