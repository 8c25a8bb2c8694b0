"""Specs as files: written, read again, and the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch.errors import SpecLoadError
from anabranch.specs import load_files, load_specs, parse_document
from anabranch.specs.writing import FORMATS, to_json, to_python, to_yaml, write
from tests.specs.examples import OnboardingSplitFormExperiment
from tests.specs.strategies import documents

SLOW = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("suffix", FORMATS)
@given(document=documents)
@SLOW
def test_every_spec_comes_back_as_it_was(
    suffix: str, document: dict[str, Any], tmp_path: Path
) -> None:
    spec = parse_document(document)
    path = tmp_path / f"spec{suffix}"
    path.write_text(write(spec, suffix), encoding="utf-8", newline="\n")
    (found,) = load_files(path)
    assert found.spec == spec
    assert found.spec.document == spec.document
    assert found.spec.digest == spec.digest


@pytest.mark.parametrize("suffix", FORMATS)
@given(many=st.lists(documents, min_size=2, max_size=4))
@settings(SLOW, max_examples=10)
def test_several_in_one_file(suffix: str, many: list[dict[str, Any]], tmp_path: Path) -> None:
    specs = [parse_document(document) for document in many]
    path = tmp_path / f"specs{suffix}"
    path.write_text(FORMATS[suffix](*specs), encoding="utf-8", newline="\n")
    assert [one.spec for one in load_files(path)] == specs


def test_python_is_what_a_person_would_write(tmp_path: Path) -> None:
    source = to_python(OnboardingSplitFormExperiment)
    assert source.startswith("from anabranch.specs import (\n    ExperimentSpec,\n    Meta,\n")
    assert "split_form = ExperimentSpec(\n    meta=Meta(\n" in source
    assert "stability=" not in source  # the default
    assert max(map(len, source.splitlines())) <= 100
    path = tmp_path / "split_form.py"
    path.write_text(source)
    assert load_specs(path).experiments.require(OnboardingSplitFormExperiment.key)


def test_python_passes_the_type_checker_and_the_formatter(tmp_path: Path) -> None:
    """So that whoever has specs in Python keeps them under their own checks."""
    path = tmp_path / "split_form.py"
    path.write_text(to_python(OnboardingSplitFormExperiment))
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--isolated", "--select=E,F,I,B,UP", "--line-length=100", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    done = subprocess.run(
        [ruff, "format", "--isolated", "--line-length=100", "--diff", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a.b-c", "b_c"),
        ("a.1b", "spec_1b"),
        ("a.class", "spec_class"),
        ("a.datetime", "spec_datetime"),
        ("ü", "_"),
        ("x", "x"),
    ],
)
def test_names_are_made_of_keys(key: str, name: str) -> None:
    spec = parse_document({"kind": "Theme", "meta": {"key": key, "version": 1}})
    assert f"\n{name} = ThemeSpec(" in to_python(spec)


def test_two_of_one_key_have_names_of_their_own() -> None:
    specs = [
        parse_document({"kind": "Theme", "meta": {"key": "shop.theme", "version": n}})
        for n in (1, 2)
    ]
    assert "\ntheme = " in to_python(*specs)
    assert "\ntheme_2 = " in to_python(*specs)


def test_another_suffix_is_refused() -> None:
    with pytest.raises(SpecLoadError, match=r"no spec file ends in '\.toml'"):
        write(OnboardingSplitFormExperiment, ".toml")


def test_yaml_and_json_keep_the_order_of_fields() -> None:
    for text in (to_yaml(OnboardingSplitFormExperiment), to_json(OnboardingSplitFormExperiment)):
        fields = ["kind", "meta", "controlVariant", "variants", "allocation", "successMetrics"]
        places = [text.index(f"{name}:") if f"\n{name}:" in text or text.startswith(f"{name}:")
                  else text.index(f'"{name}"') for name in fields]  # fmt: skip
        assert places == sorted(places)
