"""A unit's ledger: what it finds again, and the layout of before."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from anabranch.metrics.ledger import IDENTITY_BITS, Ledger

T = 1_760_000_000_000

_values = st.dictionaries(
    st.sampled_from(["amount", "items"]), st.integers(-9, 9) | st.floats(0, 9)
)
_entries = st.lists(
    st.tuples(
        st.integers(0, IDENTITY_BITS),
        st.integers(-50, 50).map(lambda n: T + n),
        st.sampled_from(["order@1", "view@1"]),
        _values,
    ),
    max_size=12,
)


def ledger_of(entries):
    made = Ledger.empty()
    for identity, time, event, values in entries:
        Ledger(made).insert(identity, time, time + 5, event, values)
    return made


@given(_entries)
def test_it_finds_what_was_put_in_by_event_and_property(entries):
    ledger = Ledger(orjson.loads(orjson.dumps(ledger_of(entries))))
    for event in ("order@1", "view@1"):
        mine = sorted((t, n) for n, (_, t, name, _) in enumerate(entries) if name == event)
        assert ledger.times(event) == [t for t, _ in mine]
        assert ledger.latest(event) == max((t for t, _ in mine), default=None)
        for prop in ("amount", "items"):
            carrying = [(t, entries[n][3][prop]) for t, n in mine if prop in entries[n][3]]
            assert ledger.of(event, prop) == carrying
            for start in range(T - 60, T + 60, 13):
                found = any(start <= t < start + 13 for t, _ in carrying)
                assert ledger.has(event, prop, start, start + 13) == found
    assert ledger.last == max((time for _, time, _, _ in entries), default=None)
    assert all(identity in ledger for identity, *_ in entries)


@given(_entries)
def test_the_layout_of_before_is_read_and_rewritten(entries):
    by_time = sorted(entries, key=lambda entry: entry[1])
    names = sorted({event for _, _, event, _ in entries})
    before = [
        names,
        [identity - (1 << 60) for identity, *_ in by_time],
        [time for _, time, _, _ in by_time],
        [time + 5 for _, time, _, _ in by_time],
        [names.index(event) for _, _, event, _ in by_time],
        [values or 0 for *_, values in by_time],
    ]
    Ledger(before)
    assert before == ledger_of(
        (identity - (1 << 60) & IDENTITY_BITS, *rest) for identity, *rest in by_time
    )


def test_a_long_ledger_knows_its_entries_and_not_those_that_left():
    ledger = Ledger(ledger_of((n, T + n, "order@1", {}) for n in range(100)))
    assert 99 in ledger
    assert 100 not in ledger
    ledger.insert(100, T + 100, T + 105, "order@1", {})
    assert 100 in ledger
    assert ledger.evict(80) == 31
    assert [n for n in range(101) if n in ledger] == list(range(31, 101))
    ledger.forget(T + 60 + 5)
    assert [n for n in range(101) if n in ledger] == list(range(60, 101))
