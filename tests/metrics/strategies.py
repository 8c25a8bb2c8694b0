"""Histories of a few units, dense enough that repeats, crossovers and late exposures are common."""

from itertools import pairwise

from hypothesis import strategies as st

from tests.metrics.oracle import Did, Shown

UNITS = ["user:1", "user:2", "session:a"]
TIMES = st.integers(0, 400).map(lambda s: 1_700_000_000_000 + s * 1000)
AMOUNTS = st.one_of(
    st.integers(-(10**6), 10**9),
    st.decimals(-1000, 1000, places=2).map(float),
    st.floats(1e-30, 1e18),
    st.floats(-1e18, -1e-30),
    st.just(0.0),
)

shown = st.one_of(
    st.builds(
        Shown,
        st.just("checkout"),
        # Mostly one variant, or nearly every unit would cross over.
        st.sampled_from(["control"] * 8 + ["short", "long"]),
        st.sampled_from(UNITS),
        TIMES,
        st.just(""),
        st.sampled_from(["DE", "FR", "other"]),
    ),
    st.builds(
        Shown,
        st.just("banner"),
        st.sampled_from(["on"] * 8 + ["off"]),
        st.sampled_from(UNITS),
        TIMES,
        st.sampled_from(["2.1.0"] * 3 + ["2.2.0"]),
    ),
)
did = st.builds(
    Did,
    st.integers(0, 10**12),
    st.sampled_from(["shop.order"] * 3 + ["shop.view"] * 2 + ["shop.pay"]),
    st.sampled_from(UNITS),
    TIMES,
    st.fixed_dictionaries({}, optional={"amount": AMOUNTS, "items": st.integers(0, 20)}).map(
        lambda found: tuple(found.items())
    ),
)
histories = st.tuples(
    st.lists(shown, min_size=1, max_size=8),
    st.lists(did, max_size=25, unique_by=lambda e: e.id),
).map(lambda both: [*both[0], *both[1]])


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list, list[list]]:
    """A history, and one way in which it may arrive: shuffled, repeated and cut into batches."""
    history = draw(histories)
    repeats = draw(st.lists(st.sampled_from(history), max_size=6))
    arriving = draw(st.permutations([*history, *repeats]))
    cuts = sorted(draw(st.lists(st.integers(0, len(arriving)), max_size=4)))
    edges = [0, *cuts, len(arriving)]
    return history, [arriving[a:b] for a, b in pairwise(edges)]
