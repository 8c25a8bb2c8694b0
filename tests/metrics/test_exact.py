from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import EventSchemaError
from anabranch.metrics.exact import EXACT, check, decimal, from_text, text
from tests.metrics.strategies import AMOUNTS


@given(st.lists(AMOUNTS, max_size=30), st.randoms())
def test_sums_and_squares_are_exact_in_any_order(values, random):
    expected = sum(Fraction(repr(v)) ** 2 for v in values)
    random.shuffle(values)
    total = EXACT.create_decimal(0)
    for value in values:
        amount = decimal(check(value, "it"))
        total = EXACT.add(total, EXACT.multiply(amount, amount))
    assert Fraction(total) == expected
    assert from_text(text(total)) == total
    assert float(total) == float(expected)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (10.0, "10"),
        (1e18, "1" + "0" * 18),
        (1.5e-7, "0.00000015"),
    ],
)
def test_a_number_has_one_plain_spelling(value, plain):
    assert text(decimal(value)) == plain


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "the boolean true"),
        ("12", "the string '12'"),
        (None, "null"),
        ([], "an array"),
        ({}, "an object"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-1.1e18, "another unit of measure"),
        (1e-31, "another unit of measure"),
        (10**400, "more than 30 digits"),
    ],
)
def test_what_cannot_be_added_up_is_refused_and_named(value, said):
    with pytest.raises(EventSchemaError, match=said) as caught:
        check(value, "property 'amount' of event 'shop.order'")
    assert str(caught.value).startswith("property 'amount' of event 'shop.order' is ")
