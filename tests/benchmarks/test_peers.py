"""What the comparison with other engines rests on: inputs, expectations, counting, metering."""

from __future__ import annotations

import asyncio
import subprocess
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mmh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anabranch.engine import BatchState, LruCache, MemoryStore, Outbox
from anabranch.processors.protocol import Batch
from anabranch.runtime import build_stages
from anabranch.settings import load_settings
from anabranch.specs import Catalog
from anabranch.topology import choose_stages
from benchmarks.assign.work import EXPERIMENT, contexts
from benchmarks.contestants import ContestantError
from benchmarks.peers import work
from benchmarks.peers.counting import WindowCount
from benchmarks.peers.meter import Measured, Sample, between
from benchmarks.peers.report import PeerComparison
from benchmarks.tables import Floor
from tools.devkafka.errors import DevKafkaMissingError
from tools.devkafka.jars import find_java

JAVA = Path("benchmarks/peers/kafka-streams/src/main/java/anabranch/peers/Murmur3.java")
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Read:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def read(topic, messages):
    return [
        Read(topic, 2, n, m.timestamp or 1_760_000_000_000 + 7 * n, m.key, m.value)
        for n, m in enumerate(messages)
    ]


def run(processor, logical, batches, store=None):
    """All batches through a processor as a task does it; what it put out, in order."""
    store = MemoryStore() if store is None else store
    made = []
    for batch in batches:
        out, state = Outbox({"in": logical}), BatchState(store)
        done = processor.process(
            Batch({logical: batch}, 2, 1_770_000_000_000), state, LruCache(9), out
        )
        if done is not None:
            asyncio.run(done)
        store.apply(state.seal())
        made += [
            Read(topic, 2, n, 0, key, value, headers)
            for topic, entries in out.topics.items()
            for n, (key, value, headers, _) in enumerate(entries)
        ]
    return made


def assigned(records):
    (stage,) = build_stages(Catalog.of([EXPERIMENT]), load_settings(), choose_stages(["assign"]))
    return run(stage.make_processor(), "contexts", [records])


class TestAssign:
    def test_what_peers_must_put_out_is_what_the_stage_puts_out(self):
        records = read("in", contexts(300))
        assert work.wrong_assignments(work.expected_assignments(records), assigned(records)) is None

    @pytest.mark.parametrize(
        ("spoil", "problem"),
        [
            (lambda found: found[1:], "1 of 20 contexts were not assigned"),
            (lambda found: [*found, found[0]], "was assigned twice"),
            (lambda found: [*found, Read("out", 0, 0, 0, b"other", b"")], "names no unit"),
            (lambda found: [*found[1:], Read("", 0, 0, 0, found[0].key, b"{}")], "instead of"),
        ],
    )
    def test_anything_else_is_told(self, spoil, problem):
        records = read("in", contexts(20))
        found = work.wrong_assignments(work.expected_assignments(records), spoil(assigned(records)))
        assert problem in found

    def test_java_draws_the_same_buckets_and_ids(self):
        try:
            java = find_java()
        except DevKafkaMissingError as error:
            pytest.skip(str(error))
        texts = ["x" * n + "é" for n in range(40)] + [
            f"checkout.button:user:{n}" for n in range(500)
        ]
        done = subprocess.run(
            [java, ROOT / JAVA],
            input="\n".join(texts) + "\n",
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
            timeout=120,
        )
        ours = []
        for text in texts:
            bucket = mmh3.mmh3_32_uintdigest(text.encode())
            index = bisect_right((1, 3, 8), (bucket * 8) >> 32)
            ours.append(f"{bucket} {index} {mmh3.mmh3_x64_128_digest(text.encode()).hex()}")
        assert done.stdout.splitlines() == ours


class TestCount:
    @given(size=st.integers(1, 400))
    @settings(max_examples=20, deadline=None)
    def test_batches_of_any_size_end_with_the_counts_of_a_recount(self, size):
        records = read("in", work.observations(800))
        batches = [records[i : i + size] for i in range(0, len(records), size)]
        counter = WindowCount(work.WINDOW_MS, work.GRACE_MS)
        found = run(counter, "observations", batches)
        assert work.wrong_counts(work.expected_counts(records), found) is None

    def test_a_window_is_dropped_when_its_grace_is_over_and_late_records_are_not_counted(self):
        store, counter = MemoryStore(), WindowCount(60_000, 120_000)
        first = Read("in", 0, 0, 30_000, b"k", b"")
        run(counter, "observations", [[first], [Read("in", 0, 1, 179_999, b"k", b"")]], store)
        assert b"k@0" in set(store.keys())
        late = run(
            counter, "observations", [[Read("in", 0, 2, 180_000, b"k", b"")], [first]], store
        )
        assert [r.key for r in late] == [b"k@180000"]
        assert set(store.keys()) == {b"watermark", b"k@120000", b"k@180000"}

    @pytest.mark.parametrize(
        ("last", "problem"),
        [
            ({b"k@0": b"1"}, "was counted b'1' instead of b'2'"),
            ({}, "was counted None instead of b'2'"),
            ({b"k@0": b"2", b"j@0": b"1"}, "1 windows too many"),
        ],
    )
    def test_wrong_counts_are_told(self, last, problem):
        found = [Read("out", 0, 0, 0, key, value) for key, value in last.items()]
        assert problem in work.wrong_counts({b"k@0": b"2"}, found)


class TestMeter:
    def test_only_what_lies_between_commits_with_a_backlog_counts(self):
        samples = [
            Sample(0.0, 0.0, (0, 0)),
            Sample(1.0, 9.0, (50, 40)),
            Sample(2.0, 10.0, (60, 60)),
            Sample(2.5, 10.5, (60, 60)),
            Sample(3.0, 11.0, (110, 110)),
            Sample(4.0, 13.0, (160, 160)),
            Sample(9.0, 14.0, (200, 200)),
        ]
        found = between(samples, warm_up=100, records=400)
        assert found == Measured(rate=100.0, cpu=15_000.0, commit_ms=1000.0)

    def test_who_commits_seldom_is_measured_between_the_last_two(self):
        samples = [Sample(float(n), n / 2, (100 * n,)) for n in range(4)]
        found = between(samples, warm_up=290, records=300)
        assert (found.rate, found.cpu) == (100.0, 5_000.0)

    def test_one_commit_tells_nothing(self):
        samples = [Sample(float(n), 0.0, (100 * n,)) for n in range(3)]
        with pytest.raises(ContestantError, match="give more --records"):
            between(samples, warm_up=100, records=200)


def test_floors_look_at_the_ratio_within_each_round():
    ours = [Measured(90.0, 1, 1), Measured(10.0, 1, 1), Measured(30.0, 1, 1)]
    theirs = [Measured(100.0, 1, 1), Measured(5.0, 1, 1), Measured(20.0, 1, 1)]
    made = PeerComparison("t", "u", {"we": ours, "they": theirs}, [Floor("we", "they", 1.6)])
    assert made.ratio("we", "they") == 1.5
    assert made.missed() == ["we reaches 1.50 of they: the floor is 1.6"]
