import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anabranch.metrics.multiplicity import benjamini_hochberg, holm

p_values = st.lists(st.floats(0, 1), max_size=12)


def test_holm_by_hand():
    # 4 * 0.01, 3 * 0.013, never below the one before: 0.04; then 2 * 0.03, 1 * 0.04 likewise.
    assert holm([0.04, 0.01, 0.03, 0.013]) == pytest.approx([0.06, 0.04, 0.06, 0.04])


def test_benjamini_hochberg_by_hand():
    # From the top: 0.9 * 4/4; 0.039 * 4/3 = 0.052; 0.03 * 4/2 = 0.06, held at 0.052; 0.001 * 4.
    assert benjamini_hochberg([0.03, 0.9, 0.001, 0.039]) == pytest.approx(
        [0.052, 0.9, 0.004, 0.052]
    )


def test_the_example_of_the_paper():
    """Benjamini and Hochberg 1995, section 4.1: fifteen endpoints, four rejected; Holm three."""
    found = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
    ]
    assert sum(p <= 0.05 for p in benjamini_hochberg(found)) == 4
    assert sum(p <= 0.05 for p in holm(found)) == 3


@given(p_values)
def test_benjamini_hochberg_is_scipys(found):
    expected = stats.false_discovery_control(found, method="bh") if found else []
    assert benjamini_hochberg(found) == pytest.approx(list(expected))


@given(p_values, st.floats(0.001, 0.5))
def test_holm_rejects_step_by_step(found, level):
    """As the paper has it: the smallest against a/m, the next against a/(m-1), until one fails."""
    rejected = set()
    for rank, (p, index) in enumerate(sorted((p, i) for i, p in enumerate(found))):
        if p * (len(found) - rank) > level:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(found)) if p <= level} == rejected


@given(p_values, st.randoms())
def test_adjusting_only_raises_keeps_the_order_and_does_not_depend_on_it(found, random):
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(found)
        assert all(p <= q <= 1 for p, q in zip(found, adjusted, strict=True))
        ranked = [q for _, q in sorted(zip(found, adjusted, strict=True))]
        assert ranked == sorted(ranked)
        order = list(range(len(found)))
        random.shuffle(order)
        assert adjust([found[i] for i in order]) == [adjusted[i] for i in order]


@given(p_values)
def test_holm_is_stricter(found):
    for strict, lenient in zip(holm(found), benjamini_hochberg(found), strict=True):
        assert strict >= lenient - 1e-12


@given(st.floats(0, 1))
def test_one_alone_is_left_as_it_is(p):
    assert holm([p]) == benjamini_hochberg([p]) == [p]


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(adjust, wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust([0.5, wrong])
