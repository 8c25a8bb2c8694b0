"""Which specs hold: the fold over files and the records of the specs topic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.lifecycle import Specs, fold
from tests.lifecycle.records import (
    Recorded,
    experiment,
    metric,
    numbered,
    said,
    taken_back,
    telemetry,
)

ORDERS = telemetry("shop", "order")


def after(records, files=()) -> Specs:
    return fold(Specs.of(files), numbered(records))[0]


def held(specs: Specs) -> dict[str, str]:
    return {f"{s.key} {s.version}": s.digest for s in specs.catalog()}


def holding(*specs) -> dict[str, str]:
    return {f"{s.key} {s.version}": s.digest for s in specs}


def reasons(specs: Specs) -> list[str]:
    return [str(refusal.error) for refusal in specs.refused.values()]


# -- files and topic --------------------------------------------------------------------------


def test_files_hold_until_the_topic_says_otherwise():
    file, newer = experiment("a"), experiment("a", status="paused")
    assert held(Specs.of([file])) == holding(file)
    assert held(after([said(newer)], [file])) == holding(newer)


def test_taking_back_lets_the_file_hold_again_and_removes_what_only_the_topic_said():
    file, newer, other = experiment("a"), experiment("a", status="paused"), experiment("b")
    log = [said(newer), said(other), taken_back(newer), taken_back(other)]
    assert held(after(log, [file])) == holding(file)


def test_a_bad_record_leaves_what_held_before_from_the_topic_and_from_files():
    file, newer = experiment("a"), experiment("a", status="paused")
    bad = replace(said(file), value=b"{")
    assert held(after([said(newer), bad], [file])) == holding(newer)
    assert held(after([bad], [file])) == holding(file)


def test_a_refusal_stands_until_a_later_record_of_its_key_holds():
    good = experiment("a")
    bad = replace(said(good), value=b"{")
    specs, wrong = fold(Specs(), numbered([bad]))
    assert [r.place for r in wrong] == ["t.specs.v1[0]@0"]
    assert list(specs.refused) == [bad.key]
    specs, wrong = fold(specs, [replace(said(good), offset=1)])
    assert (wrong, specs.refused) == ([], {})


# -- references -------------------------------------------------------------------------------


def test_a_spec_waits_for_what_it_names():
    needs = experiment("a", successMetrics=[metric("order")])
    first, wrong = fold(Specs(), numbered([said(needs)]))
    assert (held(first), wrong) == ({}, [])
    (refusal,) = first.refused.values()
    assert refusal.waits
    assert "no TelemetrySpec declares the event order" in str(refusal.error)

    second, _ = fold(first, [said(ORDERS, partition=1)])
    assert held(second) == holding(needs, ORDERS)
    assert second.refused == {}
    assert second.waiting == ()


def test_what_others_need_cannot_be_taken_back():
    needs = experiment("a", successMetrics=[metric("order")])
    specs = after([said(ORDERS), said(needs), taken_back(ORDERS)])
    assert held(specs) == holding(needs, ORDERS)
    assert "Experiment a 1.0.0" in reasons(specs)[0]
    specs, _ = fold(specs, [replace(taken_back(needs), offset=9)])
    assert held(specs) == {}


def test_the_waiting_one_that_is_replaced_is_forgotten():
    lost = experiment("a", successMetrics=[metric("order")])
    kept = experiment("a", title="without the metric")
    specs = after([said(lost), said(kept)])
    assert held(specs) == holding(kept)
    specs, _ = fold(specs, [said(ORDERS, partition=1)])
    assert held(specs) == holding(kept, ORDERS)


def layered(key: str, start: float, end: float):
    return experiment(key, layer={"key": "page", "start": start, "end": end})


def test_the_one_published_later_is_refused_where_two_cannot_both_hold():
    early, late = layered("z", 0, 0.6), layered("a", 0.5, 1)
    specs = after([said(early), said(late)])
    assert held(specs) == holding(early)
    assert list(specs.refused) == [b"Experiment|a|1.0.0"]
    assert "holds 0.5 to 0.6 of page" in reasons(specs)[0]


def test_parts_of_a_layer_may_change_hands_in_one_publication():
    before = [said(layered("a", 0, 0.5)), said(layered("b", 0.5, 1))]
    swapped = [layered("a", 0.5, 1), layered("b", 0, 0.5)]
    specs = after(before)
    specs, _ = fold(specs, [replace(said(s), offset=9 + n) for n, s in enumerate(swapped)])
    assert held(specs) == holding(*swapped)


def test_one_bad_among_many_keeps_out_itself_alone():
    good = [experiment(f"e{n}") for n in range(40)]
    bad = experiment("bad", successMetrics=[metric("order")])
    specs = after([said(s) for s in [*good[:17], bad, *good[17:]]])
    assert held(specs) == holding(*good)
    assert list(specs.refused) == [b"Experiment|bad|1.0.0"]


def test_a_key_that_moves_when_the_topic_gets_more_partitions_goes_on_there():
    before, after_, bad = experiment("a"), experiment("a", title="x"), experiment("a", title="y")
    old = [said(before, partition=0, offset=n, timestamp=n) for n in range(9)]
    new = said(after_, partition=1, offset=0, timestamp=20)
    for log in ([*old, new], [new, *old]):
        assert held(fold(Specs(), log)[0]) == holding(after_)
        state = Specs()
        for record in log:
            state, _ = fold(state, [record])
        assert held(state) == holding(after_)
    wrong = replace(said(bad, partition=0, offset=9, timestamp=10), value=b"{")
    assert fold(Specs(), [wrong, new])[0].refused == {}


# -- properties -------------------------------------------------------------------------------

KEYS = ["a", "b"]
TELEMETRY = st.sampled_from([ORDERS, telemetry("shop", "order", "refund")])
EXPERIMENTS = st.builds(
    experiment,
    st.sampled_from(KEYS),
    st.sampled_from(["1.0.0", "2.0.0"]),
    status=st.sampled_from(["draft", "running", "paused", "completed"]),
    title=st.sampled_from(["", "x"]),
)
GOOD = st.one_of(EXPERIMENTS, TELEMETRY).map(said)
TAKEN_BACK = st.one_of(EXPERIMENTS, TELEMETRY).map(taken_back)
BAD = st.builds(
    lambda r, value: replace(r, value=value, headers=()),
    GOOD,
    st.sampled_from([b"", b"{", b"[]", b'{"kind": "Experiment"}', b'{"kind": "Theme"}']),
)
NONSENSE = st.just(Recorded(b"nonsense", b"{}"))
FILES = st.lists(EXPERIMENTS, max_size=3, unique_by=lambda s: (s.key, s.version))


def compacted(log: list[Recorded]) -> list[Recorded]:
    latest = {record.key: record for record in log}
    return sorted(latest.values(), key=lambda r: r.offset)


@given(FILES, st.lists(st.one_of(GOOD, TAKEN_BACK), max_size=12), st.data())
def test_a_log_says_the_same_however_far_it_is_compacted(files, records, data):
    log = numbered(records)
    at = data.draw(st.integers(0, len(log)))
    whole = fold(Specs.of(files), log)[0]
    kept = fold(Specs.of(files), [*compacted(log[:at]), *log[at:]])[0]
    without_tombstones = [r for r in compacted(log) if r.value is not None]
    assert held(whole) == held(kept)
    assert held(whole) == held(fold(Specs.of(files), without_tombstones)[0])
    assert whole.refused == {}


@given(FILES, st.lists(st.one_of(GOOD, TAKEN_BACK, BAD, NONSENSE), max_size=12))
def test_bad_records_change_nothing_and_each_is_told_once(files, records):
    log = numbered(records)
    specs, told = fold(Specs.of(files), log)
    bad = {r.record.offset for r in told}
    assert len(bad) == len(told)
    assert bad == {r.offset for r in log if is_bad(r)}
    good = fold(Specs.of(files), [r for r in log if r.offset not in bad])[0]
    assert held(specs) == held(good)
    last = {r.key: r for r in log}
    assert set(specs.refused) == {key for key, r in last.items() if r.offset in bad}


def is_bad(record: Recorded) -> bool:
    named = record.key != b"nonsense"
    return not named or (record.value is not None and not record.headers)


@given(st.lists(st.one_of(GOOD, TAKEN_BACK, BAD), max_size=12), st.data())
def test_it_does_not_matter_in_which_pieces_a_log_is_read(records, data):
    log = numbered(records)
    specs, told = Specs(), []
    rest = log
    while rest:
        n = data.draw(st.integers(1, len(rest)))
        specs, wrong = fold(specs, rest[:n])
        told += wrong
        rest = rest[n:]
    whole, wrong = fold(Specs(), log)
    assert held(specs) == held(whole)
    assert {str(r) for r in specs.refused.values()} == {str(r) for r in whole.refused.values()}
    assert [str(r) for r in told] == [str(r) for r in wrong]


NEEDING = [experiment(f"n{n}", successMetrics=[metric("order")]) for n in range(3)]


@given(st.permutations([ORDERS, *NEEDING, experiment("a"), experiment("a", "2.0.0")]), st.data())
def test_it_does_not_matter_which_partition_is_read_first(specs, data):
    """Every interleaving of partitions ends with all that hold together."""
    state = Specs()
    for offset, spec in enumerate(specs):
        partition = data.draw(st.integers(0, 3))
        state, wrong = fold(state, [said(spec, partition=partition, offset=offset)])
        assert wrong == []
    assert held(state) == holding(*specs)
    assert (state.refused, state.waiting) == ({}, ())


@pytest.mark.parametrize("files", [[], [experiment("a"), experiment("b")]])
def test_the_order_of_a_catalog_does_not_depend_on_the_order_of_records(files):
    specs = [experiment(k, v) for k in "cba" for v in ("2.0.0", "1.0.0")]
    one = after([said(s) for s in specs], files).catalog()
    other = after([said(s) for s in reversed(specs)], files).catalog()
    assert [s.digest for s in one] == [s.digest for s in other]
