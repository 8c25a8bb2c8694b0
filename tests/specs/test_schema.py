"""JSON Schemas for editors: what validation accepts fits, what it would not is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from anabranch.cli.app import run
from anabranch.errors import SpecLoadError
from anabranch.specs import parse_document
from anabranch.specs.base import SpecModel
from anabranch.specs.describe import field_texts, model_text
from anabranch.specs.documents import KINDS
from anabranch.specs.schema import json_schema, models_of
from tests.specs.examples import NEWER_YAML, OLDER_YAML, TELEMETRY_YAML
from tests.specs.strategies import documents
from tests.support.json_schema import errors

MODELS = list(dict.fromkeys(model for kind in KINDS.values() for model in models_of(kind)))


@given(documents)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_what_validation_accepts_fits_the_schema(document: dict[str, Any]) -> None:
    spec = parse_document(document)
    for written in (document, spec.document):
        assert errors(SCHEMAS[spec.kind], json.loads(json.dumps(written))) == []


SCHEMAS = {kind: json_schema(kind) for kind in KINDS}
ANY = json_schema()


@pytest.mark.parametrize("text", [OLDER_YAML.replace("Experimental", "experimental"), NEWER_YAML,
                                  TELEMETRY_YAML])  # fmt: skip
def test_the_examples_fit(text: str) -> None:
    document = yaml.safe_load(text)
    assert errors(ANY, document) == []
    assert errors(ANY, [document, document]) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("controlVariant: control\n", "", "lacks controlVariant"),
        ("fallback: random", "fallbak: random", "does not know fallbak"),
        ("aggregation: count", "aggregation: cuont", "'cuont' is none of"),
        ("kind: Experiment", "kind: Experimint", "'Experimint' is none of"),
        ("  name: sigil.onboarding.split_form\n", "", "lacks key"),
        ("type: workflow", "type: workflw", "'workflw' is none of"),
        ("fallback: random", "rules: []", "too few items"),
    ],
)
def test_what_is_wrong_does_not_fit(old: str, new: str, words: str) -> None:
    text = OLDER_YAML.replace("Experimental", "experimental")
    assert old in text
    if new == "rules: []":
        document = yaml.safe_load(text)
        document["allocation"]["rules"] = []
    else:
        document = yaml.safe_load(text.replace(old, new))
    found = errors(json_schema("Experiment") if "kind" not in old else ANY, document)
    assert any(words in problem for problem in found), found


def test_shares_have_bounds() -> None:
    document = {**yaml.safe_load(NEWER_YAML), "coverage": 1.5}
    assert any("is above 1" in problem for problem in errors(SCHEMAS["Experiment"], document))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model: type[SpecModel]) -> None:
    silent = [name for name in model.model_fields if not field_texts(model).get(name)]
    assert silent == [], f"put a text below these fields of {model.__name__}"
    assert model_text(model)


def test_texts_are_in_the_schema() -> None:
    coverage = SCHEMAS["Experiment"]["properties"]["coverage"]
    assert coverage["description"].startswith("Share of eligible units enrolled, or a ramp")
    meta = SCHEMAS["Experiment"]["$defs"]["Meta"]["properties"]
    assert meta["key"]["description"] == meta["name"]["description"]


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_the_command_prints_it(kind: str | None, capsys: Any) -> None:
    assert run(["schema", *([] if kind is None else [kind])]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema(kind)


def test_an_unknown_kind_has_none(capsys: Any) -> None:
    with pytest.raises(SpecLoadError, match="did you mean 'Experiment'"):
        json_schema("Experimnt")
    assert run(["schema", "Experimnt"]) == 1
    assert "did you mean" in capsys.readouterr().err
