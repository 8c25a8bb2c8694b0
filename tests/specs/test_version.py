import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import SpecValidationError
from anabranch.specs import normalize_version, version_key
from anabranch.specs.version import spellings


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        (1, "1.0.0"),
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        ("1.2.3", "1.2.3"),
        (" 2 ", "2.0.0"),
        ("2.0.0-rc.1", "2.0.0-rc.1"),
        (0, "0.0.0"),
    ],
)
def test_versions_have_one_spelling(given_, canonical):
    assert normalize_version(given_) == canonical


@pytest.mark.parametrize("wrong", ["", "v1", "1.2.3.4", "01", -1, "-1", "1.0.0+build", "latest"])
def test_other_text_is_no_version(wrong):
    with pytest.raises(SpecValidationError):
        normalize_version(wrong)


@pytest.mark.parametrize("wrong", [1.2, True, None])
def test_other_kinds_are_no_version(wrong):
    with pytest.raises(SpecValidationError, match="put it in quotes"):
        normalize_version(wrong)


def test_the_order_is_that_of_semantic_versions():
    ordered = ["0.9.0", "1.0.0-alpha", "1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0", "2.0.0"]
    assert sorted(sorted(ordered), key=version_key) == ordered


@given(st.tuples(*[st.integers(0, 10**6)] * 3))
def test_every_spelling_means_its_version(parts):
    version = ".".join(map(str, parts))
    assert {normalize_version(s) for s in spellings(version)} == {version}
