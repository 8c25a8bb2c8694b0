"""Splits of other systems, for experiments that began there: same unit, same variant.

Each algorithm says which text is hashed and how the hash comes to one of ``space`` places; a
variant is a range of places. What is hashed is the bare id, ``123`` and not ``user:123``, for that
is what those systems hash. Only the hash is kept: policies still fail closed, expressions still
reach nothing but their context, and layers, holdouts and rules' percentages are our own draws,
but for what the table names.

=================  ==================================  =========================================
algorithm          text, for an id                     place; what else it draws
=================  ==================================  =========================================
``contractspec``   id + SALT; ``id-SALT`` where the    FNV-1a 32 of UTF-16 modulo 1,000,000;
                   sticky attribute is there           the first variant whose cumulative weight
                                                       is not below it; percentages of rules hash
                                                       id + ``rule-VARIANT``
``growthbook-v1``  id + SALT                           FNV-1a 32 modulo 1000; coverage cuts each
                                                       variant's range from above
``growthbook-v2``  SALT + id, hashed twice             FNV-1a 32 modulo 10,000; coverage as v1
``eppo``           ``SALT-id``                         first 32 bits of MD5 modulo 10,000 shards
``unleash``        ``SALT:id``, SALT the group         murmur3 x86_32, seed 86028157, modulo the
                                                       total weight; coverage is the gradual
                                                       rollout: seed 0, modulo 100
``launchdarkly``   ``SALT.id``, SALT ``FLAG.SALT``     first 60 bits of SHA-1
                   or an experiment's seed
``optimizely``     id + SALT, SALT the experiment id   murmur3 x86_32, seed 1, to 10,000 places
``flagd``          SALT + id, SALT the flag key        murmur3 x86_32, seed 0, all 2^32 places
``statsig``        ``SALT.id``, SALT the experiment's  first 64 bits of SHA-256 modulo 1000, as
                                                       conditions on the user's bucket have it
=================  ==================================  =========================================

SALT is the allocation's, else the experiment's key (nothing for ``contractspec``).

Sources: the first implementation of the experiment specification (``contractspec``: "Evaluator"
of its notes, vectors recorded from it); the public SDKs' documentation and test vectors of
GrowthBook (SDK specification, ``hash`` and ``getBucketRange`` of its cases.json), Eppo (sharder of
its common SDKs), Unleash (normalized values of its client specification), LaunchDarkly (bucketing
tests of its server SDKs), Optimizely (bucketer tests of its SDKs), flagd (custom operation
``fractional``, high-precision form) and Statsig ("How evaluation works" of its documentation,
``user_bucket`` of its open SDKs, evaluation hash tests of statsig-server-core).

Shards (Eppo), traffic allocation (Optimizely) and buckets (Statsig) are configured place by place
there; here the variants' ranges follow from their weights, in order, without gaps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import md5, sha1, sha256
from itertools import accumulate, chain
from typing import Final

import mmh3

from anabranch.assignment.hashing import SPACE, Place, cumulative
from anabranch.specs import ExperimentSpec, StickyAllocation

__all__ = ["ForeignDraw", "fnv1a_32", "foreign_coverage", "foreign_percentage", "foreign_split"]

Hash = Callable[[str], int]

_MILLION: Final = 1_000_000
_SHARDS: Final = 10_000
_STATSIG_BUCKETS: Final = 1000
_SHA_SPACE: Final = 1 << 60
_VARIANT_SEED: Final = 86028157


@dataclass(frozen=True, slots=True)
class ForeignDraw:
    """One draw as another system makes it.

    Attributes:
        text: From a unit, ``user:123``, to the text that is hashed.
        place: From that text to a place, 0 to ``space - 1``.
        ranges: First place and first place after it, of each range in order; flat.
    """

    text: Callable[[str], str]
    place: Hash
    space: int
    ranges: tuple[int, ...]

    def index(self, unit: str) -> int:
        """Which range the unit falls into; -1 for none."""
        found = bisect_right(self.ranges, self.place(self.text(unit)))
        return found >> 1 if found & 1 else -1

    def inside(self, unit: str) -> bool:
        """Whether the unit falls into any range."""
        return bool(bisect_right(self.ranges, self.place(self.text(unit))) & 1)

    def show(self, unit: str) -> Place:
        """The draw in full."""
        text = self.text(unit)
        pairs = tuple(zip(self.ranges[::2], self.ranges[1::2], strict=True))
        return Place(text, self.place(text), self.space, pairs)


def fnv1a_32(text: str) -> int:
    """FNV-1a, 32 bits, over UTF-16 code units, as JavaScript's ``charCodeAt`` has them.

    Source: Fowler, Noll, Vo (draft-eastlake-fnv); each code unit is taken as one octet would be.
    """
    value = 0x811C9DC5
    units = map(ord, text) if text.isascii() else _utf16(text)
    for unit in units:
        value = (value ^ unit) * 0x01000193 & 0xFFFFFFFF
    return value


def _utf16(text: str) -> Sequence[int]:
    # In the machine's own order, in which the view reads it back.
    return memoryview(text.encode("utf-16", "surrogatepass")[2:]).cast("H")


def foreign_split(spec: ExperimentSpec) -> ForeignDraw | None:
    """The split over variants, in their order; None where it is our own."""
    weights = [variant.weight for variant in spec.variants]
    match spec.allocation.hash:
        case "mmh3":
            return None
        case "contractspec":
            return ForeignDraw(
                _contractspec_text(spec), _contractspec_place, _MILLION, _at_most(weights)
            )
        case "growthbook-v1" | "growthbook-v2":
            return _growthbook(spec, 1)
        case "eppo":
            return _in_shards(_before(_salt(spec) + "-"), _eppo_place, weights)
        case "optimizely":
            return _in_shards(_after(_salt(spec)), _optimizely_place, weights)
        case "unleash":
            sums = tuple(accumulate(int(weight) for weight in weights))
            total = sums[-1]
            return ForeignDraw(
                _before(_salt(spec) + ":"),
                lambda text: mmh3.hash(_utf8(text), _VARIANT_SEED, signed=False) % total,
                total,
                _ranges(sums),
            )
        case "launchdarkly":
            return ForeignDraw(
                _before(_salt(spec) + "."), _launchdarkly_place, _SHA_SPACE, _in_doubles(weights)
            )
        case "statsig":
            return _in_shards(
                _before(_salt(spec) + "."), _statsig_place, weights, space=_STATSIG_BUCKETS
            )
        case "flagd":
            sums = cumulative(weights)
            bounds = [-(-s * SPACE // sums[-1]) for s in sums]
            return ForeignDraw(_before(_salt(spec)), _flagd_place, SPACE, _ranges(bounds))


def foreign_coverage(spec: ExperimentSpec, share: float) -> ForeignDraw | None:
    """The draw for a coverage below 1; None where it is our own."""
    match spec.allocation.hash:
        case "growthbook-v1" | "growthbook-v2":
            return _growthbook(spec, share)
        case "unleash":
            # A unit is in when its number, 1 to 100, is not above the percentage.
            percent = int(Fraction(str(share)) * 100)
            text = _before(_salt(spec) + ":")
            return ForeignDraw(text, _unleash_rollout, 100, (0, percent))
        case _:
            return None


def foreign_percentage(spec: ExperimentSpec, variant: str, share: float) -> ForeignDraw | None:
    """The draw for a rule's percentage; None where it is our own."""
    if spec.allocation.hash != "contractspec":
        return None
    inside = bisect_right(range(_MILLION), share, key=lambda place: place / _MILLION)
    return ForeignDraw(_after(f"rule-{variant}"), _contractspec_place, _MILLION, (0, inside))


# -- texts ------------------------------------------------------------------------------------


def _salt(spec: ExperimentSpec) -> str:
    salt = spec.allocation.salt
    return spec.key if salt is None else salt


def _before(salt: str) -> Callable[[str], str]:
    return lambda unit: salt + unit[unit.index(":") + 1 :]


def _after(salt: str) -> Callable[[str], str]:
    return lambda unit: unit[unit.index(":") + 1 :] + salt


def _contractspec_text(spec: ExperimentSpec) -> Callable[[str], str]:
    allocation = spec.allocation
    # The random fallback of a targeted allocation has no salt there, whatever the spec says.
    salt = "" if allocation.type == "targeted" else allocation.salt or ""
    if not isinstance(allocation, StickyAllocation):
        return _after(salt)
    prefix = allocation.attribute.removesuffix("Id") + ":"

    def text(unit: str) -> str:
        kind, _, id_ = unit.partition(":")
        return f"{id_}-{salt}" if kind == prefix[:-1] else id_ + salt

    return text


# -- places -----------------------------------------------------------------------------------


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _contractspec_place(text: str) -> int:
    return fnv1a_32(text) % _MILLION


def _growthbook_v1_place(text: str) -> int:
    return fnv1a_32(text) % 1000


def _growthbook_v2_place(text: str) -> int:
    return fnv1a_32(str(fnv1a_32(text))) % 10_000


def _eppo_place(text: str) -> int:
    return int.from_bytes(md5(_utf8(text), usedforsecurity=False).digest()[:4], "big") % _SHARDS


def _optimizely_place(text: str) -> int:
    return mmh3.hash(_utf8(text), 1, signed=False) * _SHARDS >> 32


def _unleash_rollout(text: str) -> int:
    return mmh3.mmh3_32_uintdigest(_utf8(text)) % 100


def _launchdarkly_place(text: str) -> int:
    return int.from_bytes(sha1(_utf8(text), usedforsecurity=False).digest()[:8], "big") >> 4


def _statsig_place(text: str) -> int:
    return int.from_bytes(sha256(_utf8(text)).digest()[:8], "big") % _STATSIG_BUCKETS


def _flagd_place(text: str) -> int:
    return mmh3.mmh3_32_uintdigest(_utf8(text))


# -- ranges -----------------------------------------------------------------------------------


def _ranges(bounds: Sequence[int]) -> tuple[int, ...]:
    """Ranges that follow on each other, each up to its bound."""
    return tuple(chain.from_iterable(zip((0, *bounds[:-1]), bounds, strict=True)))


def _at_most(weights: Sequence[float]) -> tuple[int, ...]:
    """The first variant with ``place / 1,000,000 * total <= cumulative``, in doubles as there."""
    sums = list(accumulate(weights))
    total = sums[-1]
    places = range(_MILLION)
    return _ranges([bisect_right(places, s, key=lambda p: p / _MILLION * total) for s in sums])


def _in_shards(
    text: Callable[[str], str], place: Hash, weights: Sequence[float], *, space: int = _SHARDS
) -> ForeignDraw:
    sums = cumulative(weights)
    return ForeignDraw(text, place, space, _ranges([s * space // sums[-1] for s in sums]))


def _in_doubles(weights: Sequence[float]) -> tuple[int, ...]:
    """The first variant with ``bucket < cumulative``; the last one also takes what is left over."""
    total, scale = sum(weights), float(_SHA_SPACE)
    places = range(_SHA_SPACE)
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    bounds, reached = [], 0.0
    for i, weight in enumerate(weights):
        reached += weight / total
        found = bisect_left(places, reached, key=lambda p: float(p) / scale)
        bounds.append(_SHA_SPACE if i >= last else found)
    return _ranges(bounds)


def _growthbook(spec: ExperimentSpec, coverage: float) -> ForeignDraw:
    """Each variant's range begins where the weights before it end, and covers its share."""
    newer = spec.allocation.hash == "growthbook-v2"
    space = 10_000 if newer else 1000
    total = sum(variant.weight for variant in spec.variants)
    if 0.99 <= total <= 1.01:  # taken as they are there, though doubles add up to a little less
        total = 1.0
    places = range(space)
    flat: list[int] = []
    start = 0.0
    for variant in spec.variants:
        weight = variant.weight / total
        for bound in (start, start + coverage * weight):
            found = bisect_left(places, bound, key=lambda p: p / space)
            flat.append(max(found, flat[-1]) if flat else found)
        start += weight
    if coverage == 1:  # the doubles may end a little below 1
        last = max(i for i, variant in enumerate(spec.variants) if variant.weight > 0)
        flat[2 * last + 1 :] = [space] * (len(flat) - 2 * last - 1)
    salt = _salt(spec)
    if newer:
        return ForeignDraw(_before(salt), _growthbook_v2_place, space, tuple(flat))
    return ForeignDraw(_after(salt), _growthbook_v1_place, space, tuple(flat))
