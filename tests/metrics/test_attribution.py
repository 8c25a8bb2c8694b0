from collections import Counter, defaultdict
from fractions import Fraction
from itertools import permutations

import orjson
import pytest
from hypothesis import given

from anabranch.metrics.attribution import Unit
from anabranch.metrics.changes import RunChanges
from anabranch.metrics.ledger import LedgerSettings
from anabranch.metrics.moments import Moments
from anabranch.metrics.plan import Counting, Plan
from anabranch.metrics.segments import parts_of, settle
from anabranch.metrics.windows import Days
from tests.metrics.oracle import ZONE, Did, Shown, recompute, version_of
from tests.metrics.shop import BANNER, CATALOG, CHECKOUT, NEXT_BANNER
from tests.metrics.strategies import deliveries

PLAN = Plan(CATALOG)
SIZES = (60_000, 300_000, Days(86_400_000, ZONE))
T = 1_700_000_000_000 // 300_000 * 300_000

SEGMENTED = {run.key: run for run in PLAN.runs.values() if run.segments}


class World:
    """Units' records and the sum of all changes, with state going through JSON between batches."""

    def __init__(self, settings=None, sizes=SIZES):
        self.settings = settings or LedgerSettings()
        self.sizes = sizes
        self.store = {}
        self.totals = {}
        self.evicted = self.repeats = 0

    def batch(self, *events, arrival=T):
        records = {}
        parts = {}
        changes = defaultdict(RunChanges)
        for event in events:
            if event.unit not in records:
                record = records[event.unit] = orjson.loads(self.store.get(event.unit, b"{}"))
                parts[event.unit] = parts_of(record.get("r", {}), SEGMENTED)
            unit = Unit(records[event.unit], self.sizes, changes.__getitem__)
            if isinstance(event, Shown):
                run = PLAN.runs[event.experiment, version_of(event)]
                segments = {"country": event.country} if run.segments else {}
                unit.expose(run, event.variant, event.time, segments)
                continue
            plan = PLAN.event(event.event, "1.0.0")
            values = {k: v for k, v in event.properties if k in plan.properties}
            gone = unit.observe(
                plan, event.id, event.time, values, arrival=arrival, settings=self.settings
            )
            if gone is None:
                self.repeats += 1
            else:
                self.evicted += gone
        for name, record in records.items():
            settle(parts[name], parts_of(record["r"], SEGMENTED), changes)
            self.store[name] = orjson.dumps(record)
        for key, change in changes.items():
            self.totals.setdefault(key, Total()).add(change)
        return self

    def of(self, key="checkout@1.0.0"):
        return self.totals.setdefault(key, Total()).figures()


class Total:
    """Changes of a run, added up."""

    def __init__(self):
        self.as_of = None
        self.units = Counter()
        self.crossovers = Counter()
        self.moments = defaultdict(Moments)
        self.windows = Counter()
        self.sums = defaultdict(Fraction)
        self.segments = defaultdict(Counter)
        self.segment_moments = defaultdict(lambda: defaultdict(Moments))

    def add(self, change):
        self.as_of = max(self.as_of or 0, change.as_of or 0) or None
        for name, variant in change.variants.items():
            self.units[name] += variant.units
            self.crossovers[name] += variant.crossovers
            for metric, moments in variant.moments.items():
                self.moments[name, metric].add(moments)
        for (attribute, value, name), variant in change.segments.items():
            self.segments[attribute, value][name] += variant.units
            for metric, moments in variant.moments.items():
                self.segment_moments[attribute, value][name, metric].add(moments)
        for (size, start, variant), window in change.windows.items():
            self.windows["exposures", size, start, variant] += window.exposures
            for metric, cell in window.cells.items():
                at = (size, start, variant, metric)
                self.windows["units", *at] += cell.units
                self.windows["events", *at] += cell.events
                self.sums[at] += Fraction(cell.sum)
                self.sums["beside", *at] += Fraction(cell.beside)
                for name, count in cell.bins.items():
                    self.windows["bins", *at, name] += count

    def figures(self):
        return {
            "as_of": self.as_of,
            "units": _clean(self.units),
            "crossovers": _clean(self.crossovers),
            "metrics": _figures(self.moments),
            "windows": _clean(self.windows),
            "window_sums": _clean(self.sums),
            "segments": {
                at: {"units": _clean(units), "metrics": _figures(self.segment_moments[at])}
                for at, units in self.segments.items()
                if _clean(units)
            },
        }


def _figures(kept):
    return {
        name: (
            m.converted,
            m.events,
            Fraction(m.sum),
            Fraction(m.sum_squares),
            Fraction(m.event_squares),
            m.bins,
            Fraction(m.capped),
            Fraction(m.beside),
            Fraction(m.beside_squares),
            Fraction(m.cross),
            m.pairs,
            m.others,
            m.excluded,
        )
        for name, m in kept.items()
        if m
    }


def _clean(counts):
    return {name: count for name, count in counts.items() if count}


@given(deliveries())
def test_any_order_repetition_and_batching_gives_what_a_batch_recomputation_gives(delivery):
    history, batches = delivery
    world = World()
    for batch in batches:
        world.batch(*batch)
    for spec in (CHECKOUT, BANNER, NEXT_BANNER):
        assert world.of(f"{spec.key}@{spec.version}") == recompute(history, spec, SIZES)


def shown(at, variant="short", unit="user:1"):
    return Shown("checkout", variant, unit, T + at * 1000)


def order(number, at, amount=None, unit="user:1"):
    return Did(
        number, "shop.order", unit, T + at * 1000, () if amount is None else (("amount", amount),)
    )


def orders(world, variant="short"):
    """Converted and events of the metric "orders"."""
    return world.of()["metrics"].get((variant, "orders"), (0, 0))[:2]


@pytest.mark.parametrize(
    ("at", "counts"),
    [(-1, 0), (0, 1), (1, 1), (10**6, 1)],
    ids=["before the exposure", "with it", "after it", "long after it"],
)
@pytest.mark.parametrize("early", [False, True], ids=["exposure first", "observation first"])
def test_an_observation_counts_from_first_exposure_on(at, counts, early):
    events = [shown(0), order(1, at)]
    world = World()
    for event in reversed(events) if early else events:
        world.batch(event)
    assert orders(world) == (counts, counts)


@pytest.mark.parametrize(("at", "total"), [(89, 5), (90, 0)], ids=["just inside", "just outside"])
@pytest.mark.parametrize("early", [False, True], ids=["exposure first", "observation first"])
def test_an_attribution_window_ends_before_first_exposure_plus_window(at, total, early):
    events = [shown(0), order(1, at, 5)]
    world = World().batch(*(reversed(events) if early else events))
    metrics = world.of()["metrics"]
    assert metrics.get(("short", "early revenue"), (0, 0, 0))[2] == total
    assert metrics["short", "revenue"][2] == 5


def test_an_observation_that_comes_twice_counts_once():
    world = World().batch(shown(0), order(1, 1), order(1, 1)).batch(order(1, 1))
    assert orders(world) == (1, 1)
    assert world.repeats == 2


def test_a_first_exposure_that_moves_earlier_takes_in_what_waited_and_lets_go_of_what_is_too_late():
    world = World().batch(shown(60), order(1, 30, 1), order(2, 140, 10))
    assert world.of()["metrics"]["short", "early revenue"][:3] == (1, 1, 10)
    world.batch(shown(20))
    assert world.of()["metrics"]["short", "early revenue"][:3] == (1, 1, 1)
    assert world.of()["metrics"]["short", "revenue"][:3] == (1, 2, 11)
    assert world.of()["units"] == {"short": 1}
    assert world.of()["windows"]["exposures", 60_000, T, "short"] == 1
    assert ("exposures", 60_000, T + 60_000, "short") not in world.of()["windows"]


@pytest.mark.parametrize("arrival", list(permutations(["short", "long", "control"])))
def test_a_crossover_leaves_all_arms_and_is_counted_in_each_it_saw(arrival):
    world = World().batch(shown(0, "control", "user:2"), order(7, 5, 3, "user:2"))
    alone = world.of()
    for i, variant in enumerate(arrival):
        world.batch(shown(i, variant), order(100 + i, 10, 4))
    found = world.of()
    assert found["crossovers"] == {"short": 1, "long": 1, "control": 1}
    assert {k: v for k, v in found.items() if k not in {"crossovers", "as_of"}} == {
        k: v for k, v in alone.items() if k not in {"crossovers", "as_of"}
    }


def banner(at, variant="on", unit="user:1", version="2.1.0"):
    return Shown("banner", variant, unit, T + at * 1000, version)


def first_orders(world, variant="on"):
    """Converted, events and units left out of the metric "first orders"."""
    figures = world.of("banner@2.1.0")["metrics"].get((variant, "first orders"), [0] * 13)
    return figures[0], figures[1], figures[12]


@pytest.mark.parametrize("arrival", list(permutations([banner(0), order(1, -1), order(2, 5)])))
def test_who_ordered_before_is_left_out_of_a_metric_that_says_so(arrival):
    world = World()
    for event in arrival:
        world.batch(event)
    assert first_orders(world) == (0, 0, 1)
    assert world.of("banner@2.1.0")["units"] == {"on": 1}, "the run has the unit all the same"
    assert world.of("banner@2.1.0")["metrics"]["on", "orders"][:2] == (1, 1), "as other metrics"
    assert ("units", 60_000, T, "on", "first orders") not in world.of("banner@2.1.0")["windows"]


def test_a_first_exposure_that_moves_before_the_order_takes_the_unit_in_again():
    world = World().batch(banner(10), order(1, 5), order(2, 15))
    assert first_orders(world) == (0, 0, 1)
    world.batch(banner(7))
    assert first_orders(world) == (0, 0, 1)
    world.batch(banner(5))
    assert first_orders(world) == (1, 2, 0)


def test_a_unit_that_was_left_out_and_crosses_over_is_left_out_no_more():
    world = World().batch(banner(0), order(1, -1)).batch(banner(5, "off"))
    assert first_orders(world) == first_orders(world, "off") == (0, 0, 0)
    assert world.of("banner@2.1.0")["crossovers"] == {"on": 1, "off": 1}


def test_what_the_ledger_forgets_keeps_the_unit_out():
    world = World(LedgerSettings(most=2)).batch(banner(0), order(1, -1))
    world.batch(*(order(n, n) for n in range(2, 12)))
    assert first_orders(world) == (0, 0, 1)


def from_country(at, country, variant="short", unit="user:1"):
    return Shown("checkout", variant, unit, T + at * 1000, "", country)


def countries(world):
    """Country to the units it has and their orders, of the variant "short"."""
    return {
        value: (of["units"].get("short", 0), of["metrics"].get(("short", "orders"), (0, 0))[1])
        for (_, value), of in world.of()["segments"].items()
    }


@pytest.mark.parametrize(
    "arrival",
    list(permutations([from_country(0, "DE"), from_country(5, "FR"), order(1, 2), order(2, 9)])),
)
def test_a_unit_belongs_to_the_segment_of_its_first_exposure(arrival):
    world = World()
    for event in arrival:
        world.batch(event)
    assert countries(world) == {"DE": (1, 2)}


def test_of_two_exposures_at_one_moment_the_same_one_names_the_segment():
    both = [from_country(0, "FR"), from_country(0, "DE")]
    assert countries(World().batch(*both)) == countries(World().batch(*reversed(both)))


def test_a_crossover_leaves_its_segment_too():
    world = World().batch(from_country(0, "DE"), order(1, 1)).batch(from_country(1, "DE", "long"))
    assert countries(world) == {}
    assert world.of()["crossovers"] == {"short": 1, "long": 1}


def test_a_unit_with_several_orders_in_a_window_is_one_unit_of_it():
    world = World().batch(shown(0), order(1, 1), order(2, 2)).batch(order(3, 3), order(4, 65))
    windows = world.of()["windows"]
    assert windows["units", 60_000, T, "short", "orders"] == 1
    assert windows["events", 60_000, T, "short", "orders"] == 3
    assert windows["units", 60_000, T + 60_000, "short", "orders"] == 1
    assert windows["units", 300_000, T, "short", "orders"] == 1


def test_cents_add_up():
    world = World().batch(shown(0), *(order(i, 1, 0.1) for i in range(1, 11)))
    assert world.of()["metrics"]["short", "revenue"][2:4] == (1, 1)


def test_a_calm_ledger_remembers_beyond_the_horizon():
    day = 24 * 3_600_000
    world = World().batch(shown(0), order(1, 1)).batch(order(2, 2), arrival=T + 30 * day)
    world.batch(order(1, 1), arrival=T + 30 * day)
    assert orders(world) == (1, 2)


def test_a_long_ledger_lets_go_of_what_arrived_before_the_horizon_but_totals_stay():
    day = 24 * 3_600_000
    world = World().batch(shown(0), *(order(i, 1, 2) for i in range(40)))
    world.batch(*(order(i, 2, 2) for i in range(100, 164)), arrival=T + 8 * day)
    base, _, _, _, arrivals, _, _ = orjson.loads(world.store["user:1"])["l"]
    assert base + min(arrivals) == T + 8 * day
    assert world.of()["metrics"]["short", "revenue"][:3] == (1, 104, 208)
    # Cumulative results are taken back in full nevertheless.
    world.batch(shown(0, "long"))
    assert world.of()["metrics"] == {}


def test_a_ledger_has_a_hard_bound_and_evictions_are_told():
    world = World(LedgerSettings(most=16)).batch(*(order(i, i) for i in range(40)))
    base, _, _, times, _, _, _ = orjson.loads(world.store["user:1"])["l"]
    assert len(times) == 40 - world.evicted <= 16
    assert times == sorted(times)
    assert base + times[-1] == T + 39_000


def test_a_metric_that_a_spec_gains_later_takes_nothing_back_that_it_never_counted():
    record = {}
    grown = PLAN.runs["checkout", "1.0.0"]
    bare = type(grown)(
        grown.key, grown.experiment, grown.version, grown.variants, grown.measures[:1]
    )
    only_orders = PLAN.event("shop.order", "1.0.0")
    first = type(only_orders)(
        only_orders.name, ("amount",), {grown.key: Counting(plain=bare.measures)}
    )
    total = Total()
    for plan, variant in ((bare, "short"), (grown, "long")):
        changes = defaultdict(RunChanges)
        unit = Unit(record, SIZES, changes.__getitem__)
        unit.expose(plan, variant, T)
        unit.observe(first, 1, T, {"amount": 3}, arrival=T, settings=LedgerSettings())
        total.add(changes[grown.key])
    assert total.figures()["metrics"] == {}
    assert total.figures()["windows"] == {}


BOTH = (
    Shown("banner", "on", "user:1", T, "2.1.0"),
    Shown("banner", "off", "user:1", T + 9_000, "2.2.0"),
)


@pytest.mark.parametrize("arrival", list(permutations([*BOTH, order(1, 8), order(2, 9)])))
def test_a_unit_that_is_shown_a_newer_version_counts_for_the_older_one_no_longer(arrival):
    world = World()
    for event in arrival:
        world.batch(event)
    older, newer = world.of("banner@2.1.0"), world.of("banner@2.2.0")
    assert older["units"] == {"on": 1}
    assert newer["units"] == {"off": 1}
    assert older["crossovers"] == newer["crossovers"] == {}
    assert older["metrics"]["on", "orders"][:2] == (1, 1)
    assert newer["metrics"]["off", "orders"][:2] == (1, 1)


def test_a_newer_version_closes_the_older_one_for_units_that_saw_it_and_no_others():
    other = Shown("banner", "on", "user:2", T, "2.1.0")
    world = World().batch(*BOTH, other, order(1, 20), order(2, 20, unit="user:2"))
    assert world.of("banner@2.1.0")["metrics"]["on", "orders"][:2] == (1, 1)
