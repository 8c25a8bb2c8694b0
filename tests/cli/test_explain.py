"""``anabranch explain`` as a person and a script meet it."""

from __future__ import annotations

import json

import pytest

from anabranch.cli.app import run

SPECS = """
- kind: Experiment
  meta: {key: shop.button, version: 1}
  controlVariant: blue
  variants:
    - {id: blue}
    - {id: green, overrides: [{type: theme, target: shop.green, version: 2}]}
  allocation:
    type: targeted
    rules:
      - {variantId: green, expression: 'context.attributes?.orders > 3', policy: {key: shop.staff}}
    fallback: random
  coverage: [{from: '2026-03-01T00:00:00Z', share: 1}]
- kind: Experiment
  meta: {key: shop.later, version: 1}
  status: draft
  controlVariant: blue
  variants: [{id: blue}]
  allocation: {type: random}
- kind: Policy
  meta: {key: shop.staff, version: 1}
  rules: [{effect: allow, actions: [experiment_targeting], subject: {roles: [staff]}}]
"""


@pytest.fixture
def explain(tmp_path, capsys):
    path = tmp_path / "specs.yaml"
    path.write_text(SPECS)

    def call(*arguments, code=0, experiment="shop.button"):
        assert run(["explain", experiment, "--specs", str(path), *arguments]) == code
        found = capsys.readouterr()
        return " ".join((found.err if code else found.out).split())

    return call


def test_a_tree_of_what_decided(explain):
    found = explain(
        "--user", "7", "--attribute", "orders=4", "--flag", "staff", "--at", "2026-03-02T00:00:00Z"
    )
    for words in (
        "✓ unit the unit is user:7",
        "context.attributes?.orders = 4",
        "policy shop.staff: allow",
        "green reason targeted, enrolled, decided by allocation.rules[0]",
        "theme shop.green 2.0.0",
    ):
        assert words in found


def test_before_the_ramp_begins(explain):
    found = explain("--user", "7", "--at", "2026-02-28T00:00:00Z")
    assert "✗ coverage outside the coverage of 0" in found
    assert "blue reason control, not enrolled, no exposure, decided by coverage" in found


def test_json(explain):
    found = json.loads(explain("--user", "7", "--at", "2026-03-02T00:00:00Z", "--json"))
    assert (found["unit"], found["reason"], found["decidedBy"]) == ("user:7", "random", "split")
    assert found["now"] == "2026-03-02T00:00:00.000Z"
    assert found["split"]["place"]["text"] == "shop.button:user:7"
    assert found["rules"][0]["outcome"] == "no match"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--attribute", "orders"], 2, "'orders': write NAME=VALUE"),
        (["--at", "noon"], 2, "'noon' is no RFC 3339 time"),
        (["--version", "2"], 1, "Experiment shop.button has no version '2': its versions are 1.0"),
    ],
)
def test_what_is_wrong_is_said(explain, arguments, code, words):
    assert words in explain(*arguments, code=code)


def test_unknown_experiments_and_drafts(explain):
    assert "did you mean 'shop.button'" in explain(code=1, experiment="shop.buton")
    assert "has drafts only: name one, as in --version 1.0.0" in explain(
        code=1, experiment="shop.later"
    )
    assert "the experiment is draft" in explain("--version", "1", experiment="shop.later")
