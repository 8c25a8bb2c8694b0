"""State on disk does what state in memory does, and knows how far it goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.engine.disk import MAX_AGE, DiskStore
from anabranch.engine.state import MemoryStore
from anabranch.errors import FencedError

KEYS = st.binary(min_size=1, max_size=3)
CHANGES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=4)), max_size=6)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "0.sqlite3"


@given(CHANGES, KEYS)
def test_it_holds_what_memory_holds(tmp_path_factory, batches, prefix):
    memory, disk = MemoryStore(), DiskStore(tmp_path_factory.mktemp("state") / "0.sqlite3")
    for changes in batches:
        memory.apply(changes)
        disk.apply(changes)
        for key in changes:
            assert disk.get(key) == memory.get(key)
    assert disk.snapshot() == memory.snapshot()
    assert len(disk) == len(memory)
    assert list(disk.keys()) == sorted(memory.keys())
    assert list(disk.keys(prefix)) == sorted(memory.keys(prefix))
    disk.close()


def test_what_is_there_stays_with_the_position_it_goes_with(path):
    store = DiskStore(path)
    assert store.position is None
    store.apply({b"a": b"1", b"b": b"2"}, 7)
    store.apply({b"b": None})
    store.close()

    again = DiskStore(path)
    assert (again.snapshot(), again.position) == ({b"a": b"1"}, 7)


def test_keys_may_change_while_they_are_walked(path):
    store = DiskStore(path)
    store.apply({b"%05d" % n: b"" for n in range(2_500)})
    walked = store.keys()
    for key in walked:
        store.apply({key: None})
    assert len(store) == 0


def test_who_opens_it_takes_it_from_whoever_had_it(path):
    zombie = DiskStore(path)
    zombie.apply({b"a": b"old"}, 1)
    owner = DiskStore(path)
    owner.apply({b"a": b"new"}, 5)
    with pytest.raises(FencedError, match="another worker"):
        zombie.apply({b"a": b"from the zombie"}, 2)
    assert (owner.get(b"a"), owner.position) == (b"new", 5)
    assert DiskStore(path).position == 5


def test_clearing_forgets_the_position_too(path):
    store = DiskStore(path)
    store.apply({b"a": b"1"}, 7)
    store.clear()
    assert (store.snapshot(), store.position, DiskStore(path).position) == ({}, None, None)


def test_a_file_that_cannot_be_read_is_thrown_away(path, caplog):
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1_000)
    store = DiskStore(path)
    assert (store.snapshot(), store.position) == ({}, None)
    assert "restoring from the changelog" in caplog.text


@pytest.mark.parametrize(("age", "kept"), [(MAX_AGE - 1, True), (MAX_AGE + 1, False)])
def test_a_file_older_than_tombstones_last_is_not_trusted(path, age, kept):
    store = DiskStore(path, clock=lambda: 1_000.0)
    store.apply({b"a": b"1"}, 7)
    store.close()
    again = DiskStore(path, clock=lambda: 1_000.0 + age)
    assert (len(again), again.position) == ((1, 7) if kept else (0, None))
