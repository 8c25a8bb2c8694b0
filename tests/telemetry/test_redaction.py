import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.telemetry import REDACTED, compile_event, mask, redact
from tests.telemetry.examples import event

DECLARED = {
    "mail": {"type": "string", "pii": True},
    "age": {"type": "number", "redact": True},
    "adult": {"type": "boolean", "pii": True},
    "seen": {"type": "timestamp", "pii": True},
    "address": {"type": "json", "pii": True},
    "value": "number",
}
GIVEN = {
    "mail": "ada@example.org",
    "age": 36,
    "adult": True,
    "seen": "1843-01-01T00:00:00Z",
    "address": {"street": "St James's Square", "numbers": [12, None, {"flat": True}]},
    "value": 5,
}
MASKED = {
    "mail": "REDACTED",
    "age": 0,
    "adult": False,
    "seen": "REDACTED",
    "address": {"street": "REDACTED", "numbers": [0, None, {"flat": False}]},
}


@pytest.mark.parametrize(("privacy", "value"), [("internal", 5), ("pii", 5), ("sensitive", 0)])
def test_flagged_properties_and_all_of_a_sensitive_event_are_masked(privacy, value):
    declared = event(DECLARED, privacy=privacy)
    assert redact(declared, GIVEN) == {**MASKED, "value": value}
    assert compile_event(declared).apply(GIVEN) == ({**MASKED, "value": value}, 0)


def test_masking_leaves_the_event_itself_alone():
    given_ = {"address": {"street": "x"}}
    compile_event(event(DECLARED)).apply(given_)
    assert given_ == {"address": {"street": "x"}}


def test_undeclared_properties_are_never_shown():
    assert redact(event(), {"mail": "a@b"}) == {"mail": REDACTED}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def values(value):
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in values(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in values(inner)]
    return [value]


@given(json)
def test_a_masked_value_keeps_its_shape_and_says_nothing(value):
    masked = mask(value)
    assert all(leaf in (REDACTED, 0, False, None) for leaf in values(masked))
    assert len(values(masked)) == len(values(value))
    assert mask(masked) == masked
