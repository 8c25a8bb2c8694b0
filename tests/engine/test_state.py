"""State of one batch above, committed bytes below."""

from __future__ import annotations

import sys
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from anabranch.engine.state import BatchState, LruCache, MemoryStore

KEYS = st.sampled_from([b"a", b"b", b"ab", b"c"])
VALUES = st.dictionaries(st.text(max_size=3), st.integers(-5, 5), max_size=3)


def test_a_value_may_be_changed_in_place():
    store = MemoryStore({b"k": b'{"n":1}'})
    state = BatchState(store)
    state.get(b"k")["n"] += 1
    assert state.seal() == {b"k": b'{"n":2}'}


def test_what_was_only_looked_at_is_not_written():
    state = BatchState(MemoryStore({b"k": b'{"n":1}'}))
    assert state.get(b"k") == {"n": 1}
    assert state.seal() == {}


def test_a_deleted_key_is_gone_and_leaves_a_tombstone():
    store = MemoryStore({b"k": b"{}"})
    state = BatchState(store)
    state.delete(b"k")
    assert state.get(b"k") is None
    assert list(state.keys()) == []
    changes = state.seal()
    assert changes == {b"k": None}
    store.apply(changes)
    assert len(store) == 0


def test_deleting_what_never_was_writes_nothing():
    state = BatchState(MemoryStore())
    state.put(b"k", {})
    state.delete(b"k")
    assert state.seal() == {}


@given(st.lists(st.tuples(KEYS, st.none() | VALUES)), st.lists(st.tuples(KEYS, st.none() | VALUES)))
def test_a_batch_of_writes_equals_a_dict(before, after):
    store, model = MemoryStore(), {}
    for writes in (before, after):
        state = BatchState(store)
        for key, value in writes:
            if value is None:
                state.delete(key)
                model.pop(key, None)
            else:
                state.put(key, value)
                model[key] = value
        for prefix in (b"", b"a"):
            assert sorted(state.keys(prefix)) == sorted(k for k in model if k.startswith(prefix))
        assert {k: state.get(k) for k in model} == model
        store.apply(state.seal())
    assert {k: BatchState(store).get(k) for k in store.snapshot()} == model


def test_the_cache_forgets_a_dropped_batch_and_the_least_recently_used():
    cache = LruCache(2)
    cache.put("a", 1)
    cache.drop()
    assert cache.get("a") is None
    for key in "ab":
        cache.put(key, key)
    cache.apply()
    assert cache.get("a") == "a"
    cache.put("c", "c")
    cache.apply()
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("a", None, "c")
    assert len(cache) == 2


def test_what_stays_in_memory_takes_no_more_than_it_is_long():
    """A JSON writer's buffer of kilobytes must not stay behind every value of 100 bytes."""
    state = BatchState(MemoryStore())
    for number in range(1000):
        state.put(b"%d" % number, {"value": "x" * 100})
    tracemalloc.start()
    changes = state.seal()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held - sys.getsizeof(changes) < 1.2 * sum(map(sys.getsizeof, changes.values()))
