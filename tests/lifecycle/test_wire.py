"""Specs as records: what goes out comes back, and what is wrong is told apart."""

from __future__ import annotations

import json

import pytest

from anabranch.demo import demo_catalog
from anabranch.errors import SpecLoadError, SpecValidationError
from anabranch.lifecycle import SpecName, decode_spec, encode_spec
from tests.lifecycle.records import Recorded, experiment


@pytest.mark.parametrize("spec", list(demo_catalog()), ids=lambda s: s.kind)
def test_a_spec_comes_back_as_it_went(spec):
    sent = encode_spec(spec)
    assert sent.key == f"{spec.kind}|{spec.key}|{spec.version}".encode()
    assert dict(sent.headers) == {"anabranch.digest": spec.digest.encode()}
    name, found = decode_spec(Recorded(sent.key, sent.value, sent.headers))
    assert (name, found) == (SpecName.of(spec), spec)


def test_the_value_is_canonical_json_so_equal_specs_are_equal_bytes():
    one = encode_spec(experiment("a", 1, title="Ä", coverage=1.0, status="running"))
    assert one == encode_spec(experiment("a", "1.0.0", title="Ä"))
    assert "Ä".encode() in one.value


def test_any_client_may_publish_for_the_digest_is_optional_and_spellings_are_accepted():
    value = {"kind": "Experiment", "meta": {"name": "a", "version": 1},
             "controlVariant": "c", "variants": [{"id": "c"}], "allocation": {"type": "random"}}  # fmt: skip
    name, spec = decode_spec(Recorded(b"Experiment|a|1.0.0", json.dumps(value).encode()))
    assert str(name) == "Experiment a 1.0.0"
    assert spec is not None
    assert spec.version == "1.0.0"


def test_null_takes_back():
    assert decode_spec(Recorded(b"Policy|p|1.0.0", None)) == (
        SpecName("Policy", "p", "1.0.0"),
        None,
    )


GOOD = encode_spec(experiment("a"))
WRONG_EXPRESSION = encode_spec(experiment("a", expression="context.attributes.x === 'y'"))


@pytest.mark.parametrize(
    ("key", "value", "headers", "error", "message"),
    [
        (None, GOOD.value, (), SpecLoadError, "kind|key|version"),
        (b"Experiment|a", GOOD.value, (), SpecLoadError, "kind|key|version"),
        (b"Nonsense|a|1.0.0", GOOD.value, (), SpecLoadError, "kind|key|version"),
        (b"\xff|a|1.0.0", GOOD.value, (), SpecLoadError, r"\xff"),
        (GOOD.key, b"{", (), SpecLoadError, "Experiment a 1.0.0: .* not JSON"),
        (GOOD.key, b"\xff", (), SpecLoadError, "not JSON"),
        (GOOD.key, b"[" * 100_000, (), SpecLoadError, "not JSON"),
        (GOOD.key, b"[]", (), SpecValidationError, "a spec is an object"),
        (GOOD.key, b'{"kind": "Experiment"}', (), SpecValidationError, "meta"),
        (b"Experiment|b|1.0.0", GOOD.value, (), SpecValidationError, "under its own name"),
        (b"Experiment|a|2.0.0", GOOD.value, (), SpecValidationError, "says Experiment a 2.0.0"),
        (GOOD.key, GOOD.value, [("anabranch.digest", b"beef")], SpecValidationError, "digest beef"),
        (
            GOOD.key,
            WRONG_EXPRESSION.value.replace(b"===", b"=>"),
            (),
            SpecValidationError,
            "expression",
        ),
    ],
)
def test_what_is_wrong_is_told(key, value, headers, error, message):
    with pytest.raises(error, match=message.replace("|", r"\|").replace("\\x", r"\\x")):
        decode_spec(Recorded(key, value, headers))
