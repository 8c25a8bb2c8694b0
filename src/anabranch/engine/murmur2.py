"""Kafka's default partitioning: murmur2 of the key, so that any Kafka client co-partitions.

The constants and the treatment of the tail follow ``org.apache.kafka.common.utils.Utils``. A
batch of keys is hashed together with numpy, grouped by length, since murmur2 in plain Python
costs more than all else that is done to a record.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_VECTOR_FROM = 24
"""Below so many keys the plain loop is quicker than numpy's set-up."""


def murmur2(key: bytes) -> int:
    """The unsigned 32-bit hash of one key."""
    length = len(key)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of one key among ``partitions``."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """The partition of each key, in order."""
    if partitions == 1:
        return [0] * len(keys)
    if len(keys) < _VECTOR_FROM:
        return [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys]
    by_length: dict[int, list[int]] = {}
    for index, key in enumerate(keys):
        by_length.setdefault(len(key), []).append(index)
    if len(by_length) == 1:
        hashes = _hash_equal_lengths(keys, len(keys[0]))
        found: list[int] = ((hashes & 0x7FFFFFFF) % partitions).tolist()
        return found
    result = np.empty(len(keys), dtype=np.int64)
    for length, indices in by_length.items():
        group = [keys[i] for i in indices]
        result[indices] = (_hash_equal_lengths(group, length) & 0x7FFFFFFF) % partitions
    return list(map(int, result))


def _hash_equal_lengths(
    keys: Sequence[bytes], length: int
) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    m = np.uint32(_M)
    h = np.full(len(keys), (_SEED ^ length) & _MASK, dtype=np.uint32)
    if length:
        grid = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), length)
        whole = length & ~3
        if whole:
            words = np.ascontiguousarray(grid[:, :whole]).view("<u4").T
            mixed = words * m
            mixed ^= mixed >> np.uint32(24)
            mixed *= m
            for k in mixed:
                h *= m
                h ^= k
        if length > whole:
            tail = np.zeros(len(keys), dtype=np.uint32)
            for shift, column in enumerate(range(whole, length)):
                tail |= grid[:, column].astype(np.uint32) << np.uint32(8 * shift)
            h ^= tail
            h *= m
    h ^= h >> np.uint32(13)
    h *= m
    h ^= h >> np.uint32(15)
    return h
