import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import EventSchemaError
from anabranch.telemetry import Checker, check
from anabranch.telemetry.checks import is_timestamp
from tests.telemetry.examples import event


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", ""),
        ("number", 1),
        ("number", -0.5),
        ("number", 2**70),
        ("boolean", False),
        ("timestamp", "2026-02-28T23:59:60.25Z"),
        ("timestamp", 1_700_000_000.5),
        ("timestamp", 0),
        ("json", {"a": [1, None]}),
        ("json", None),
        ("json", 1.5),
    ],
)
def test_what_fits_is_kept_as_it_is(kind, value):
    assert check(event({"p": {"type": kind, "required": True}}), {"p": value}) == {"p": value}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", 1, "must be a string, but is a number"),
        ("string", ["a"], "must be a string, but is a list"),
        ("number", "1", "must be a finite number, but is a string"),
        ("number", True, "must be a finite number, but is a boolean"),
        ("number", math.nan, "must be a finite number, but is not finite"),
        ("number", math.inf, "must be a finite number, but is not finite"),
        ("boolean", 0, "must be true or false, but is a number"),
        ("boolean", {}, "must be true or false, but is an object"),
        ("timestamp", "yesterday", "must be an RFC 3339 time or an epoch number, but is a string"),
        ("timestamp", True, "must be an RFC 3339 time or an epoch number, but is a boolean"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_what_does_not_fit_is_refused(kind, value, expected, required):
    declared = event({"p": {"type": kind, "required": required}})
    with pytest.raises(EventSchemaError) as caught:
        check(declared, {"p": value})
    assert str(caught.value) == f"event order 1.0.0: property 'p' {expected}"


def test_messages_do_not_quote_values():
    with pytest.raises(EventSchemaError) as caught:
        check(event({"age": "number"}), {"age": "ada@example.org"})
    assert "ada" not in str(caught.value)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, "property 'p' is required and missing: send a string"),
        ({"p": None}, "property 'p' must be a string, but is null"),
    ],
)
def test_required_properties_must_be_there(properties, expected):
    with pytest.raises(EventSchemaError, match=expected):
        check(event({"p": {"type": "string", "required": True}}), properties)


@pytest.mark.parametrize("properties", [{}, {"p": None}])
def test_an_optional_property_may_be_absent_or_null(properties):
    assert Checker(event({"p": "string"})).check(properties) == ({}, 0)


def test_undeclared_properties_are_left_out_and_counted():
    checker = Checker(event({"p": "string", "q": "number"}))
    given_ = {"p": "a", "q": None, "secret": "x", "other": None}
    assert checker.check(given_) == ({"p": "a"}, 2)
    assert checker.undeclared(given_) == ["secret", "other"]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2024-02-29t12:30:00.123456789+05:30", True),
        ("2026-01-01 00:00:00-00:00", True),
        ("2023-02-29T00:00:00Z", False),
        ("2026-13-01T00:00:00Z", False),
        ("2026-01-01T24:00:00Z", False),
        ("2026-01-01T00:00:00", False),
        ("2026-01-01", False),
        ("2026-01-01T00:00:00Z\n", False),
        ("٢٠٢٦-01-01T00:00:00Z", False),
    ],
)
def test_timestamps_are_those_of_rfc_3339(text, valid):
    assert is_timestamp(text) is valid


@given(st.datetimes(timezones=st.timezones()).filter(lambda t: t.utcoffset().seconds % 60 == 0))
def test_every_aware_time_in_iso_form_is_a_timestamp(time):
    assert is_timestamp(time.isoformat())


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from("abcdef")


@given(
    st.dictionaries(names, st.sampled_from(["string", "number", "boolean", "timestamp", "json"])),
    st.dictionaries(names, json),
)
def test_what_passes_is_declared_and_unchanged(declared, properties):
    checker = Checker(event(declared))
    try:
        clean, undeclared = checker.check(properties)
    except EventSchemaError:
        return
    assert set(clean) <= set(declared)
    assert all(clean[name] is properties[name] for name in clean)
    assert undeclared == len(set(properties) - set(declared)) == len(checker.undeclared(properties))
    assert checker.check(clean) == (clean, 0)
