"""Units keep what they were given first: the assign stage over several partitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anabranch.assignment import (
    AssignmentStore,
    ExperimentEvaluator,
    MemoryAssignmentStore,
    StickyEvaluator,
)
from anabranch.engine.murmur2 import partitions_of
from anabranch.engine.state import BatchState, MemoryStore
from anabranch.errors import (
    EventSchemaError,
    MalformedEventError,
    UnknownExperimentError,
    UnknownVariantError,
)
from anabranch.processors.assign import AssignProcessor
from anabranch.processors.kept import DAY, StateAssignmentStore
from anabranch.specs import Catalog, ExperimentSpec
from tests.support.bench import NOW, Bench, Collected, In

PARTITIONS = 3


def experiment(
    key: str = "shop.checkout", weights: Sequence[float] = (1, 1), **changes: Any
) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "meta": {"key": key, "version": changes.pop("version", 1)},
            "controlVariant": "control",
            "variants": [
                {"id": "control", "weight": weights[0]},
                {
                    "id": "short",
                    "weight": weights[1],
                    "overrides": [{"type": "workflow", "target": "checkout.short"}],
                },
            ],
            "allocation": {"type": "random"},
            "keep": "person",
            **changes,
        }
    )


class Stage:
    """All partitions of the stage: claims go to the partition of their key until none is left."""

    def __init__(self, *specs: ExperimentSpec, **settings: Any) -> None:
        self.settings = settings
        self.benches = [
            Bench(self._processor(specs), "claims", "contexts", partition=n)
            for n in range(PARTITIONS)
        ]

    def _processor(self, specs: Sequence[ExperimentSpec]) -> AssignProcessor:
        catalog = Catalog.of(specs)
        evaluator = ExperimentEvaluator(catalog.experiments)
        return AssignProcessor(catalog, evaluator, **self.settings)

    def renew(self, *specs: ExperimentSpec) -> None:
        """The specs have changed: new processors over the state that is there."""
        for bench in self.benches:
            bench.processor = self._processor(specs)

    async def run(self, record: In, partition: int = 0) -> Collected:
        """What a record comes to in the end."""
        every = Collected()
        waiting = [(partition, record)]
        while waiting:
            at, one = waiting.pop(0)
            out = await self.benches[at].run(one, now=NOW + 1000 * DAY)
            for sent in out.records:
                if sent.topic != "claims":
                    every.records.append(sent)
                    continue
                (to,) = partitions_of([sent.key or b""], PARTITIONS)
                at_ms = sent.timestamp or NOW
                waiting.append((to, In("claims", sent.value, sent.key, sent.headers, at_ms)))
            every.dead += out.dead
            for name, n in out.counters.items():
                every.count(name, n)
        return every

    async def ask(self, partition: int = 0, at: int = 0, **data: Any) -> dict[str, Any]:
        """The assignment of a context, which comes by the partition."""
        record = In("contexts", json.dumps(data).encode(), timestamp=NOW + at)
        out = await self.run(record, partition)
        assert not out.dead
        (assignment,) = out.of("assignments")
        found: dict[str, Any] = assignment.json
        return found

    @property
    def units(self) -> int:
        return sum(len(list(bench.store.keys(b"u|"))) for bench in self.benches)


async def test_weights_that_change_move_nobody_whatever_partition_asks() -> None:
    stage = Stage(experiment())
    before = {f"u{i}": await stage.ask(i % PARTITIONS, userId=f"u{i}") for i in range(40)}
    assert {one["variant"] for one in before.values()} == {"control", "short"}
    assert {one["reason"] for one in before.values()} == {"random"}
    stage.renew(experiment(version=2, weights=(0.01, 0.99)))
    after = {user: await stage.ask(2, userId=user) for user in before}
    assert {u: one["variant"] for u, one in after.items()} == {
        u: one["variant"] for u, one in before.items()
    }
    assert {one["version"] for one in after.values()} == {"2.0.0"}
    assert {one["reason"] for one in after.values() if one["variant"] == "control"} == {"sticky"}


async def test_a_new_salt_starts_anew() -> None:
    stage = Stage(experiment())
    before = [(await stage.ask(userId=f"u{i}"))["variant"] for i in range(60)]
    salted = experiment(version=2, allocation={"type": "random", "salt": "again"})
    stage.renew(salted)
    after = [await stage.ask(userId=f"u{i}") for i in range(60)]
    assert [one["variant"] for one in after] != before
    assert {one["reason"] for one in after} == {"random"}


async def test_a_variant_that_is_gone_is_given_up() -> None:
    stage = Stage(experiment(weights=(0, 1)))
    assert (await stage.ask(userId="ada"))["variant"] == "short"
    stage.renew(experiment(version=2, variants=[{"id": "control"}, {"id": "long", "weight": 0}]))
    assert (await stage.ask(userId="ada"))["variant"] == "control"


async def test_a_user_takes_over_what_the_session_was_given() -> None:
    stage = Stage(experiment())
    moved = 0
    for i in range(40):
        anonymous = await stage.ask(0, sessionId=f"s{i}")
        signed_in = await stage.ask(1, sessionId=f"s{i}", userId=f"u{i}")
        at_home = await stage.ask(2, sessionId=f"other{i}", userId=f"u{i}")
        signed_out = await stage.ask(0, sessionId=f"other{i}")
        found = {one["variant"] for one in (anonymous, signed_in, at_home, signed_out)}
        assert len(found) == 1
        assert signed_in["unit"] == f"user:u{i}"
        moved += signed_in["reason"] == "sticky"
    assert moved > 8  # those that the hash alone would have moved


async def test_kept_by_unit_the_session_is_somebody_else() -> None:
    stage = Stage(experiment(keep="unit", weights=(0, 1)))
    await stage.ask(sessionId="s")
    stage.renew(experiment(keep="unit", version=2, weights=(1, 0)))
    assert (await stage.ask(sessionId="s", userId="ada"))["variant"] == "control"
    assert (await stage.ask(sessionId="s"))["variant"] == "short"


async def test_what_it_comes_to_is_one_assignment_and_one_exposure_of_the_context() -> None:
    stage = Stage(experiment(weights=(0, 1)))
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"c-1"),
        ("ce_source", b"app"),
        ("ce_type", b"anabranch.context.v1"),
    ]
    data = b'{"userId":"ada","sessionId":"s"}'
    out = await stage.run(In("contexts", data, headers=headers))
    plain = Stage(experiment(weights=(0, 1), keep=None))
    expected = await plain.run(In("contexts", data, headers=headers))
    kept = [(r.topic, r.key, r.headers, r.timestamp) for r in out.records]
    assert kept == [(r.topic, r.key, r.headers, r.timestamp) for r in expected.records]
    told = {k: v for k, v in out.of("assignments")[0].json.items() if k != "digest"}
    assert told == {k: v for k, v in expected.of("assignments")[0].json.items() if k != "digest"}
    assert out.counters == {
        "contexts": 1, "claims": 3, "assignments": 1, "exposures": 1, "evaluations:random": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"coverage": 0}, "control"),
        ({"status": "paused"}, "control"),
        ({"forced": {"user:ada": "short"}}, "forced"),
    ],
)
async def test_whoever_is_not_enrolled_neither_asks_nor_keeps(
    changes: dict[str, Any], reason: str
) -> None:
    stage = Stage(experiment(**changes))
    assert (await stage.ask(userId="ada"))["reason"] == reason
    assert stage.units == 0


async def test_experiments_that_keep_nothing_leave_no_state_and_no_claims() -> None:
    stage = Stage(experiment(keep=None))
    out = await stage.run(In("contexts", b'{"userId":"ada","sessionId":"s"}'))
    assert {r.topic for r in out.records} == {"assignments", "exposures"}
    assert not any(len(bench.store) for bench in stage.benches)


async def test_a_prefetch_keeps_without_exposing() -> None:
    stage = Stage(experiment(weights=(0, 1)))
    out = await stage.run(In("contexts", b'{"userId":"ada","exposure":false}'))
    assert [r.topic for r in out.records] == ["assignments"]
    stage.renew(experiment(version=2, weights=(1, 0)))
    assert (await stage.ask(userId="ada"))["variant"] == "short"


async def test_what_is_not_asked_for_is_forgotten_and_asking_again_writes_once_a_day() -> None:
    stage = Stage(experiment(), keep_ms=30 * DAY)
    bench = stage.benches[partitions_of([b"user:ada"], PARTITIONS)[0]]
    await stage.ask(userId="ada")
    first = bench.store.snapshot()
    await stage.ask(userId="ada", at=1000)
    assert bench.store.snapshot() == first
    others = (f"u{i}" for i in range(100))
    beside = [u for u in others if stage.benches[
        partitions_of([f"user:{u}".encode()], PARTITIONS)[0]] is bench]  # fmt: skip
    await stage.ask(userId=beside[0], at=30 * DAY)
    assert stage.units == 2
    await stage.ask(userId=beside[1], at=32 * DAY)
    assert stage.units == 2
    assert b"u|user:ada" not in bench.store.snapshot()


async def test_a_record_without_a_value_forgets_the_unit() -> None:
    stage = Stage(experiment(weights=(0, 1)))
    await stage.ask(userId="ada")
    stage.renew(experiment(version=2, weights=(1, 0)))
    (to,) = partitions_of([b"user:ada"], PARTITIONS)
    await stage.run(In("claims", None, b"user:ada"), to)
    assert stage.units == 0
    assert (await stage.ask(userId="ada"))["variant"] == "control"


GOOD = {
    "step": "settle", "experiment": "shop.checkout", "version": "1.0.0", "unit": "user:ada",
    "variant": "short", "reason": "random", "id": "c", "source": "app", "time": NOW,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"{", MalformedEventError),
        (b'{"step":"settle"}', EventSchemaError),
        (json.dumps({**GOOD, "step": "steal"}).encode(), EventSchemaError),
        (json.dumps({**GOOD, "unit": "user:bob"}).encode(), MalformedEventError),
        (json.dumps({**GOOD, "experiment": "shop.gone"}).encode(), UnknownExperimentError),
        (json.dumps({**GOOD, "version": "9.0.0"}).encode(), UnknownExperimentError),
        (json.dumps({**GOOD, "variant": "long"}).encode(), UnknownVariantError),
    ],
)
async def test_a_claim_that_cannot_be_settled_is_a_dead_letter(
    value: bytes, error: type[Exception]
) -> None:
    out = await Stage(experiment()).run(In("claims", value, b"user:ada"))
    ((_, told),) = out.dead
    assert type(told) is error
    assert not out.records


# -- as the library does ------------------------------------------------------------------------

names = st.fixed_dictionaries(
    {}, optional={"userId": st.sampled_from("ab"), "sessionId": st.sampled_from("xyz")}
).filter(bool)
visit = st.tuples(st.integers(0, PARTITIONS - 1), names, st.sampled_from([(1, 1), (1, 0), (0, 1)]))


@settings(max_examples=60)
@given(st.lists(visit, max_size=12), st.sampled_from(["unit", "person"]))
async def test_the_stage_keeps_what_the_library_keeps(
    visits: list[tuple[int, dict[str, str], tuple[int, int]]], keep: str
) -> None:
    stage, store = Stage(), MemoryAssignmentStore()
    for version, (partition, who, weights) in enumerate(visits, start=1):
        spec = experiment(keep=keep, version=version, weights=weights)
        stage.renew(spec)
        chooser = StickyEvaluator(ExperimentEvaluator(Catalog.of([spec]).experiments), store)
        expected = await chooser.choose_variant({"experiment": spec.key, **who})
        assert expected is not None
        found = await stage.ask(partition, **who)
        assert (found["variant"], found["reason"]) == (expected.variant.id, expected.reason)
        assert (found["unit"], found["digest"]) == (expected.unit, expected.digest)


questions = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["user:1", "user:2", "session:a"]), max_size=2, unique=True),
        st.sampled_from(["control", "green", "red"]),
        st.sampled_from([("control", "green", "red"), ("control", "green")]),
    ),
    max_size=20,
)


@given(questions)
async def test_both_stores_answer_alike(
    asked: list[tuple[list[str], str, tuple[str, ...]]],
) -> None:
    stores: list[AssignmentStore] = [
        MemoryAssignmentStore(),
        StateAssignmentStore(BatchState(MemoryStore()), day=1),
    ]
    for units, variant, among in asked:
        found = {await store.settle("run", units, variant, among) for store in stores}
        assert len(found) == 1
        if variant == "red":
            for store in stores:
                await store.forget("user:1")


async def test_a_kept_exposure_names_the_segments_of_the_context_that_asked() -> None:
    segments = [{"attribute": "country", "values": ["DE"]}]
    stage = Stage(experiment(keep="person", segments=segments))
    asked = {"userId": "ada", "sessionId": "s", "attributes": {"country": "DE"}}
    out = await stage.run(In("contexts", json.dumps(asked).encode(), timestamp=NOW))
    (exposure,) = out.of("exposures")
    assert exposure.json["segments"] == {"country": "DE"}
