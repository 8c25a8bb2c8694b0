"""Lint: what is valid and still unwise, by code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anabranch.assignment import compile_expression
from anabranch.assignment.expressions import constant, paths
from anabranch.specs import Catalog, load_files, parse_document
from anabranch.specs.lint import RULES, Facts, Finding, lint, lint_catalog, read_ignores, sarif
from anabranch.specs.lint.rule import Severity, rule
from tests.specs.examples import experiment, spec
from tools import lintdocs

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = ("Experiment", "shop.checkout", "1.0.0")


def facts(**changes: Any) -> Facts:
    return Facts(
        **{
            "now": NOW,
            "paths": lambda source: paths(compile_expression(source)),
            "constant": lambda source: constant(compile_expression(source)),
            **changes,
        }
    )


TELEMETRY = parse_document(
    {
        "kind": "Telemetry",
        "meta": {"key": "shop.events", "version": 1},
        "events": [
            {
                "key": "order",
                "version": 1,
                "tags": ["privacy-reviewed"],
                "properties": {
                    "value": {"type": "number"},
                    "age": {"type": "number", "pii": True},
                },
            },
            {"key": "visit", "version": 1},
            {
                "key": "symptom",
                "version": 1,
                "privacy": "sensitive",
                "tags": ["privacy-reviewed"],
            },
        ],
    }
)
CONTEXT = parse_document(
    {"kind": "Context", "meta": {"key": "shop", "version": 1}, "attributes": {"plan": {}}}
)
POLICY = parse_document(
    {
        "kind": "Policy",
        "meta": {"key": "eu", "version": 1},
        "rules": [{"effect": "allow", "actions": ["experiment_targeting"]}],
    }
)


def metric(event: str = "order", aggregation: str = "count", **changes: Any) -> dict[str, Any]:
    ref = {"key": event, "version": 1}
    return {"name": "Orders", "telemetryEvent": ref, "aggregation": aggregation, **changes}


def good(**changes: Any) -> dict[str, Any]:
    """An experiment that no rule has anything to say of."""
    return {
        "kind": "Experiment",
        **experiment(
            meta={"key": "shop.checkout", "version": 1, "owners": ["@shop"]},
            schedule={"start": "2026-05-20T00:00:00Z", "end": "2026-06-20T00:00:00Z"},
            successMetrics=[metric()],
        ),
        **changes,
    }


def targeted(*rules: dict[str, Any], fallback: str = "random", **changes: Any) -> dict[str, Any]:
    """Each rule asks a policy, unless it says otherwise."""
    asked = [{"variantId": "green", "policy": {"key": "eu"}} | one for one in (rules or ({},))]
    for one in asked:
        if one["policy"] is None:
            del one["policy"]
    return good(allocation={"type": "targeted", "fallback": fallback, "rules": asked}, **changes)


def overriding(config: Any = None, variant: str = "green", **override: Any) -> dict[str, Any]:
    one = {"type": "workflow", "target": "checkout", "version": 1, "config": config, **override}
    one = {name: value for name, value in one.items() if value is not None}
    variants = [{"id": "control"}, {"id": "green"}]
    found = [v | ({"overrides": [one]} if v["id"] == variant else {}) for v in variants]
    return good(variants=found)


def variants(*weights: float) -> list[dict[str, Any]]:
    ids = ["control", "green", "red"][: len(weights)]
    return [{"id": one, "weight": weight} for one, weight in zip(ids, weights, strict=True)]


def findings(*documents: dict[str, Any], **changes: Any) -> list[Finding]:
    specs = [TELEMETRY, CONTEXT, POLICY, *map(parse_document, documents)]
    return lint_catalog(Catalog.of(specs), facts(**changes))


def codes(*documents: dict[str, Any], **changes: Any) -> list[str]:
    return [one.rule.code for one in findings(*documents, **changes)]


def result(low: float, high: float, **changes: Any) -> dict[tuple[str, str], dict[str, Any]]:
    interval = {"low": low, "high": high, "pValue": 0.01}
    comparison = {"variant": "green", "control": "control", "sequential": interval}
    found = {
        "srm": {"pValue": 0.4, "sequentialPValue": 1.0},
        "metrics": [{"name": "Orders", "comparisons": [comparison]}],
        **changes,
    }
    return {("shop.checkout", "1.0.0"): found}


def test_a_good_experiment_has_no_findings() -> None:
    assert findings(good()) == []
    assert findings(targeted()) == []
    assert findings(overriding({"steps": 1})) == []


VIP = "context.attributes?.plan === 'vip'"
DECISIVE = {"allocation": {"type": "random", "salt": "other"}}

# Code, document, facts, where.
BAD: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("AB101", good(), {"before": {KEY: parse_document(good(**DECISIVE))}}, "allocation"),
    ("AB101", good(), {"published": {KEY: "0" * 16}}, "meta.version"),
    ("AB101", good(variants=variants(1, 2)), {"before": {KEY: parse_document(good())}}, "variants"),
    ("AB102", good(), {"now": NOW + timedelta(days=30)}, "status"),
    ("AB102", good(), {"longest": timedelta(days=20)}, "schedule"),
    ("AB102", good(schedule=None),
     {"born": {KEY: NOW - timedelta(days=43)}}, "status"),
    ("AB103", good(schedule=None), {}, "schedule"),
    ("AB104", good(variants=variants(0, 1)), {}, "variants[0].weight"),
    ("AB104", targeted(variants=variants(0, 1)), {}, "variants[0].weight"),
    ("AB105", overriding({"a": 1}, "control"), {}, "variants[0].overrides"),
    ("AB106", overriding({"meta": {"key": "x"}}), {}, "variants[1].overrides[0].config.meta.key"),
    ("AB106", overriding({"kind": "Theme"}), {}, "variants[1].overrides[0].config.kind"),
    ("AB106", overriding({"meta": {}}), {}, "variants[1].overrides[0].config.meta"),
    ("AB107", overriding({"a": 1}, version=""), {}, "variants[1].overrides[0]"),
    ("AB108", good(successMetrics=[metric("visit")]), {}, "successMetrics[0].telemetryEvent"),
    ("AB109", good(successMetrics=[metric("symptom")]), {}, "successMetrics[0].telemetryEvent"),
    ("AB109", good(successMetrics=[metric("order", "avg", property="age")]), {},
     "successMetrics[0].property"),
    ("AB108", good(successMetrics=[metric("order", "funnel", steps=[{"key": "visit", "version": 1}])]),
     {}, "successMetrics[0].steps[0]"),
    ("AB109", good(successMetrics=[metric("order", "ratio", denominator={
        "telemetryEvent": {"key": "order", "version": 1}, "property": "age"})]), {},
     "successMetrics[0].denominator.property"),
    ("AB110", targeted({"policy": None, "expression": VIP}), {}, "allocation.rules[0]"),
    ("AB111", targeted(*[{"expression": f"context.attributes?.plan === '{n}'"} for n in range(6)]),
     {}, "allocation.rules"),
    ("AB112", good(), {"results": result(0.01, 0.2)}, "status"),
    ("AB112", good(successMetrics=[metric(direction="decrease")]),
     {"results": result(-0.2, -0.01)}, "status"),
    ("AB113", good(status="completed"), {}, "status"),
    ("AB201", targeted({}, {"expression": VIP}), {}, "allocation.rules[1]"),
    ("AB201", targeted({"expression": VIP}, {"expression": f" {VIP} ", "percentage": 0.5}), {},
     "allocation.rules[1]"),
    ("AB202", targeted({"percentage": 0.5}, coverage=0.1), {}, "allocation.rules[0].percentage"),
    ("AB202", targeted({"percentage": 0.5}, coverage=[{"from": NOW.isoformat(), "share": 0.2}]),
     {}, "allocation.rules[0].percentage"),
    ("AB203", targeted({"percentage": 0}), {}, "allocation.rules[0].percentage"),
    ("AB203", targeted({"expression": "1 > 2"}), {}, "allocation.rules[0].expression"),
    ("AB204", good(variants=variants(1, 1, 0)), {}, "variants[2].weight"),
    ("AB204", targeted(fallback="control", variants=variants(1, 1, 1)), {}, "variants[2]"),
    ("AB206", targeted({"expression": "context.attributes?.plna === 'vip'"}), {},
     "allocation.rules[0].expression"),
    ("AB206", targeted({"expression": "context.atributes.plan === 'vip'"}), {},
     "allocation.rules[0].expression"),
    ("AB207", targeted({"expression": "true"}), {}, "allocation.rules[0].expression"),
    ("AB208", good(allocation={"type": "random", "hash": "contractspec"}), {}, "allocation.hash"),
    ("AB301", good(successMetrics=[metric("order", "avg")]), {}, "successMetrics[0]"),
    ("AB302", good(successMetrics=[]), {}, "successMetrics"),
    ("AB303", good(variants=variants(1)), {}, "variants"),
    ("AB401", good(meta={"key": "shop.checkout", "version": 1}), {}, "meta.owners"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "document", "told", "path"), BAD)
def test_a_rule_finds(code: str, document: dict[str, Any], told: Any, path: str) -> None:
    if code == "AB107":
        del document["variants"][1]["overrides"][0]["version"]
    found = [one for one in findings(document, **told) if one.rule.code == code]
    assert [one.as_dict()["path"] for one in found] == [path]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (good(), {"before": {KEY: parse_document(good())}}),
        (good(coverage=0.2), {"before": {KEY: parse_document(good())}}),
        (good(status="paused"), {"before": {KEY: parse_document(good())}}),
        (good(**DECISIVE), {"before": {KEY: parse_document(good(status="draft"))}}),
        (good(), {"published": {KEY: parse_document(good()).digest}}),
        (good(), {"results": result(-0.01, 0.2)}),
        (good(), {"results": result(-0.2, -0.01)}),
        (good(), {"results": result(0.1, 0.2, srm={"sequentialPValue": 1e-6})}),
        (good(), {"results": result(0.1, 0.2, metrics=[])}),
        (targeted({"expression": VIP}, {}), {}),
        (targeted({"percentage": 0.5}, {}), {}),
        (targeted({"policy": {"key": "eu"}}, {"policy": {"key": "eu", "version": 1}}), {}),
        (targeted({"percentage": 0.1}, coverage=0.1), {}),
        (targeted({"variantId": "red"}, variants=variants(1, 1, 0)), {}),
        (good(variants=variants(1, 1, 0), forced={"user:1": "red"}), {}),
        (targeted(fallback="control", variants=variants(0, 1)), {}),
        (targeted({"expression": "context.flags?.includes('beta')"}), {}),
        (good(successMetrics=[metric("order", "avg", property="value")]), {}),
    ],
)
def test_what_is_all_right_is_not_found(document: dict[str, Any], told: Any) -> None:
    assert codes(document, **told) == []


def test_every_rule_has_an_example() -> None:
    shown = {code for code, *_ in BAD} | {"AB205", "AB901", "AB902"}
    assert set(RULES) == shown
    assert {rule.practice for rule in RULES.values()} == {None, 1, 2, 3, 4, 5}


def test_a_salt_is_used_once() -> None:
    def one(key: str, **changes: Any) -> dict[str, Any]:
        return good(meta={"key": key, "version": 1, "owners": ["@a"]}, **changes)

    salted = {"allocation": {"type": "random", "salt": "s"}}
    found = findings(one("a", **salted), one("b", **salted))
    assert [(f.rule.code, f.spec[1]) for f in found] == [("AB205", "a"), ("AB205", "b")]
    parts = [{"key": "line", "end": 0.5}, {"key": "line", "start": 0.5}]
    found = findings(*[one(k, layer=p, **salted) for k, p in zip("ab", parts, strict=True)])
    assert "of the same layer line" in found[0].message
    named = {"allocation": {"type": "random", "salt": "b"}}
    assert codes(one("a", **named), one("b")) == ["AB205", "AB205"]
    assert codes(one("a", **salted), one("b", status="paused", **salted)) == []
    assert codes(one("a"), one("b")) == []


def test_retired_experiments_are_left_alone() -> None:
    assert codes(good(status="retired", successMetrics=[], schedule=None)) == []


def test_without_facts_rules_that_need_them_find_nothing() -> None:
    assert (
        lint_catalog(
            Catalog.of([TELEMETRY, spec(**{k: v for k, v in good().items() if k != "kind"})])
        )
        == []
    )


def test_a_code_is_given_once() -> None:
    with pytest.raises(ValueError, match="AB101 is changed-without-version already"):
        rule("AB101", Severity.INFO)(lambda spec, world: iter(()))


# -- files ------------------------------------------------------------------------------------

YAML = """\
kind: Experiment
meta: {key: shop.checkout, version: 1}
controlVariant: control
variants: [{id: control}, {id: green}]
allocation:
  type: targeted
  rules:
    - variantId: green
      expression: "true"
schedule: {end: 2026-06-10T00:00:00Z}
successMetrics:
  - {name: Orders, telemetryEvent: {key: order, version: 1}, aggregation: count}
"""


def of_file(path: Path, text: str) -> list[Finding]:
    path.write_text(text)
    return lint(load_files(path), facts(), {str(path): text})


def test_findings_know_their_lines(tmp_path: Path) -> None:
    found = of_file(tmp_path / "a.yaml", YAML)
    assert [(f.rule.code, f.line) for f in found] == [("AB110", 8), ("AB207", 9), ("AB401", 2)]
    assert str(found[0]) == (
        f"{tmp_path / 'a.yaml'}:8: AB110 warning: Experiment shop.checkout 1.0.0: "
        "allocation.rules[0]: gives 'green' without asking a policy: name one, so that nobody gets "
        "it who may not see it"
    )


def with_comment(comment: str, line: int, *, behind: bool = False) -> str:
    lines = YAML.splitlines()
    if behind:
        lines[line - 1] += f"  {comment}"
    else:
        lines.insert(line - 1, comment)
    return "\n".join(lines) + "\n"


WHY = "-- everybody may see it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_comment(f"    # anabranch: ignore AB110 {WHY}", 8), ["AB207", "AB401"]),
        (with_comment(f"# anabranch: ignore AB110 {WHY}", 8, behind=True), ["AB207", "AB401"]),
        (with_comment(f"# anabranch: ignore AB110, AB207 {WHY}", 1), ["AB401"]),
        (with_comment(f"# a comment\n\n# anabranch: ignore AB110 AB401 {WHY}\n# more\n", 1),
         ["AB207"]),
        (with_comment(f"    # anabranch: ignore AB110 {WHY}", 11),
         ["AB110", "AB207", "AB401", "AB902"]),
        (with_comment(f"# anabranch: ignore AB105 {WHY}", 1),
         ["AB110", "AB207", "AB401", "AB902"]),
        (with_comment("# anabranch: ignore AB110", 8), ["AB110", "AB207", "AB401", "AB901"]),
        (with_comment("# anabranch: ignore AB110 --  ", 8), ["AB110", "AB207", "AB401", "AB901"]),
        (with_comment(f"# anabranch: ignore {WHY}", 8), ["AB110", "AB207", "AB401", "AB901"]),
        (with_comment(f"# anabranch: ignore AB999 {WHY}", 8),
         ["AB110", "AB207", "AB401", "AB901"]),
    ],
)  # fmt: skip
def test_comments_silence_what_they_stand_at(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert sorted(f.rule.code for f in of_file(tmp_path / "a.yaml", text)) == expected


def test_a_comment_of_one_spec_is_not_of_the_next(tmp_path: Path) -> None:
    text = with_comment(f"# anabranch: ignore AB110 AB207 AB401 {WHY}", 1)
    other = YAML.replace("shop.checkout", "shop.other")
    found = of_file(tmp_path / "a.yaml", f"{text}---\n{other}")
    assert {f.spec[1] for f in found} == {"shop.other"}


def test_in_python_a_comment_holds_for_the_file(tmp_path: Path) -> None:
    text = (
        f"# anabranch: ignore AB110 AB207 AB401 {WHY}\n"
        "from anabranch.specs import parse_document\nimport yaml\n"
        f"MINE = parse_document(yaml.safe_load({YAML.replace('2026-06-10T00:00:00Z', chr(34) + '2026-06-10T00:00:00Z' + chr(34))!r}))\n"
    )
    assert of_file(tmp_path / "a.py", text) == []


def test_a_hash_inside_a_word_is_no_comment() -> None:
    assert list(read_ignores("a: x#anabranch: ignore AB110 -- no\n")) == []
    assert [i.codes for i in read_ignores("#anabranch:ignore AB110--yes")] == [("AB110",)]


# -- SARIF ------------------------------------------------------------------------------------


def test_sarif_says_it_all(tmp_path: Path) -> None:
    found = of_file(tmp_path / "a.yaml", YAML)
    log = json.loads(json.dumps(sarif(found, "1.2.3")))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("anabranch", "1.2.3")
    assert [one["id"] for one in driver["rules"]] == sorted(RULES)
    assert len(run["results"]) == len(found)
    for finding, one in zip(found, run["results"], strict=True):
        assert driver["rules"][one["ruleIndex"]]["id"] == one["ruleId"] == finding.rule.code
        assert one["level"] in {"error", "warning", "note"}
        assert finding.message in one["message"]["text"]
        (location,) = one["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"].endswith("a.yaml")
        assert physical["region"]["startLine"] == finding.line
    prints = [json.dumps(one["partialFingerprints"]) for one in run["results"]]
    assert len(set(prints)) == len(prints)


def test_fingerprints_stay_when_lines_move(tmp_path: Path) -> None:
    def prints(text: str) -> list[Any]:
        log = sarif(of_file(tmp_path / "a.yaml", text), "1")
        return [one["partialFingerprints"] for one in log["runs"][0]["results"]]

    assert prints(YAML) == prints("# moved\n\n" + YAML)


# -- the page ---------------------------------------------------------------------------------


def test_the_page_says_what_the_rules_say() -> None:
    assert lintdocs.PAGE.read_text(encoding="utf-8") == lintdocs.page(), (
        "run python -m tools.lintdocs"
    )


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    for one in RULES.values():
        assert one.title.endswith(".")
        assert one.why
        assert f"\n### {one.code}\n" in lintdocs.page()
