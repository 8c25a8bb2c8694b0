"""The questions of ``anabranch create``: every branch by a script, and a real terminal."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence

import pytest
import yaml

from anabranch.authoring.drafts import spec_of
from anabranch.cli.app import run
from anabranch.cli.wizard.asker import TerminalAsker
from anabranch.cli.wizard.experiment import ask_experiment
from anabranch.cli.wizard.policy import ask_policy
from anabranch.cli.wizard.telemetry import ask_telemetry
from anabranch.errors import SettingsError
from anabranch.specs import Catalog, load_specs
from anabranch.specs.documents import parse_document
from tests.lifecycle.records import experiment, telemetry
from tests.support.terminal import DOWN, Terminal


class Script:
    """Answers questions in order: pairs of how the question begins, and the answer.

    An answer of None takes the default. A text answer may be a list: all but the last must be
    refused.
    """

    def __init__(self, *script: tuple[str, object]) -> None:
        self._left = list(script)
        self.offered: dict[str, Sequence[str]] = {}
        self.refused: list[str] = []

    def _next(self, question: str) -> object:
        assert self._left, f"nobody expected {question!r}"
        begins, answer = self._left.pop(0)
        assert question.startswith(begins), f"{question!r} came where {begins!r} was expected"
        return answer

    def text(self, question, *, default="", check=None, offers=()) -> str:
        given = self._next(question)
        self.offered[question] = offers
        tries = given if isinstance(given, list) else [default if given is None else given]
        *wrong, right = tries
        for one in wrong:
            told = check(one)
            assert told, f"{question!r} took {one!r}"
            self.refused.append(told)
        assert check is None or check(right) is None, check(right)
        return right

    def choose(self, question, choices, default=None) -> str:
        answer = self._next(question)
        if answer is None:
            return default or choices[0]
        return next(one for one in choices if one.startswith(answer))

    def confirm(self, question, *, default) -> bool:
        answer = self._next(question)
        return default if answer is None else answer

    def done(self) -> None:
        assert self._left == []


def identity(key: str) -> list[tuple[str, object]]:
    return [
        ("Key", ["", "a b", key]),
        ("Version", None),
        ("Title", "T"),
        ("Description", "D"),
        ("Domain", ""),
        ("Owners", [" , ", "@a, @b"]),
        ("Tags", "x"),
        ("Stability", None),
    ]


META = {
    "version": "1.0.0",
    "title": "T",
    "description": "D",
    "owners": ["@a", "@b"],
    "tags": ["x"],
    "stability": "experimental",
}
THEME = parse_document({"kind": "Theme", "meta": {"key": "shop.theme", "version": "1.0.0"}})
POLICY = parse_document(
    {
        "kind": "Policy",
        "meta": {"key": "staff", "version": 1},
        "rules": [{"effect": "allow", "actions": ["experiment_targeting"]}],
    }
)


def test_an_experiment_from_nothing():
    catalog = Catalog.of([telemetry("shop", "order", "visit"), THEME, POLICY])
    asker = Script(
        *identity("shop.button"),
        ("Id of the control", None),
        ("Name of control", "Grey"),
        ("Weight of control", ["-1", "x", "2"]),
        ("Id of variant 2", ["control", "green"]),
        ("Name of green", "Green"),
        ("Weight of green", None),
        ("Does green override", True),
        ("Type", "theme"),
        ("Key of the target", "shop.theme"),
        ("Config", ["{", "[1]", '{"colour": "green"}']),
        ("Another override", False),
        ("Another variant", False),
        ("Allocation", "targeted"),
        ("Salt", "s"),
        ("Rule 1 gives", "green"),
        ("Policy", "staff"),
        ("Expression", ["context.", "plan === 1", "context.attributes?.plan === 'pro'"]),
        ("Percentage of those", ["101", "25"]),
        ("Another rule", True),
        ("Rule 2 gives", "control"),
        ("Policy", ""),
        ("Expression", ""),
        ("Percentage of those", None),
        ("Another rule", False),
        ("Fallback", "random"),
        ("Percentage of eligible", "50"),
        ("Takes traffic from", ["soon", "2030-01-01", ""]),
        ("Takes none", "2030-02-01T00:00:00Z"),
        ("Is there a success metric", None),
        ("Name of the metric", "Orders"),
        ("Telemetry event", "order"),
        ("Aggregation", None),
        ("Better is", None),
        ("Attribution", ["7 moons", "7d"]),
        ("Is Orders a guardrail", False),
        ("Another success metric", True),
        ("Name of the metric", ["Orders", "a|b", "Rate"]),
        ("Telemetry event", "order"),
        ("Aggregation", "ratio"),
        ("Event that the ratio is over", "visit"),
        ("Numeric property of visit", ""),
        ("Numeric property of order", ""),
        ("Better is", "decrease"),
        ("Attribution", ""),
        ("Is Rate a guardrail", True),
        ("How much worse", ["-1", "0.01"]),
        ("When it is harmed", "pause"),
        ("Another success metric", True),
        ("Name of the metric", "Path"),
        ("Telemetry event", "visit"),
        ("Aggregation", "funnel"),
        ("Second step", "order"),
        ("Another step", False),
        ("Better is", None),
        ("Attribution", ""),
        ("Is Path a guardrail", True),
        ("How much worse", None),
        ("When it is harmed", None),
        ("Another success metric", None),
        ("When it is published", "it stays"),
    )
    made = ask_experiment(asker, {}, catalog)
    asker.done()
    assert asker.offered["Telemetry event"] == ["order", "visit"]
    assert asker.offered["Key of the target"] == ["shop.theme"]
    assert any(told.startswith("line 1, column") for told in asker.refused)
    order, visit = ({"key": key, "version": "1.0.0"} for key in ("order", "visit"))
    assert made == {
        "meta": META | {"key": "shop.button"},
        "variants": [
            {"id": "control", "name": "Grey", "weight": 2},
            {
                "id": "green",
                "name": "Green",
                "overrides": [
                    {
                        "type": "theme",
                        "target": "shop.theme",
                        "version": "1.0.0",
                        "config": {"colour": "green"},
                    }
                ],
            },
        ],
        "controlVariant": "control",
        "allocation": {
            "type": "targeted",
            "salt": "s",
            "rules": [
                {
                    "variantId": "green",
                    "policy": {"key": "staff"},
                    "expression": "context.attributes?.plan === 'pro'",
                    "percentage": 0.25,
                },
                {"variantId": "control"},
            ],
            "fallback": "random",
        },
        "coverage": 0.5,
        "schedule": {"end": "2030-02-01T00:00:00Z"},
        "successMetrics": [
            {"name": "Orders", "telemetryEvent": order, "aggregation": "unique", "window": "7d"},
            {
                "name": "Rate",
                "telemetryEvent": order,
                "aggregation": "ratio",
                "denominator": {"telemetryEvent": visit},
                "direction": "decrease",
                "guardrail": {"tolerance": 0.01, "onBreach": "pause"},
            },
            {
                "name": "Path",
                "telemetryEvent": visit,
                "aggregation": "funnel",
                "steps": [order],
                "guardrail": {},
            },
        ],
        "status": "draft",
    }
    assert spec_of("Experiment", made, catalog).key == "shop.button"


def test_what_is_known_is_not_asked():
    known = experiment("shop.button", coverage=0.5, successMetrics=[], status="draft").document
    given = {name: value for name, value in known.items() if name != "kind"}
    given |= {"schedule": {}, "successMetrics": []}
    asker = Script(
        ("Title", "T"),
        ("Description", ""),
        ("Domain", ""),
        ("Owners", "@a"),
        ("Tags", ""),
        ("Stability", None),
        ("Salt", ""),
    )
    made = ask_experiment(asker, given, Catalog())
    asker.done()
    assert made["variants"] == known["variants"]


def test_a_sticky_allocation_asks_for_its_identity_and_a_version_that_is_taken_is_refused():
    taken = Catalog.of([experiment("shop.button")])
    asker = Script(
        ("Key", "shop.button"),
        ("Version", ["1", "x.y", "1.1"]),
        *identity("x")[2:],
        ("Control", "b"),
        ("Allocation", "sticky"),
        ("Identity", "organizationId"),
        ("Salt", ""),
        ("Percentage", None),
        ("Takes traffic", ""),
        ("Takes none", ""),
        ("Is there", False),
        ("When", None),
    )
    made = ask_experiment(asker, {"variants": [{"id": "a"}, {"id": "b"}]}, taken)
    asker.done()
    assert made["allocation"] == {"type": "sticky", "attribute": "organizationId"}
    assert made["controlVariant"] == "b"
    assert "is there already: give a higher version" in asker.refused[0]


def test_telemetry_from_nothing():
    asker = Script(
        *identity("shop.telemetry"),
        ("Key of the event", ["order", "shop.visit"]),
        ("Version of shop.visit", None),
        ("Who", "a shopper"),
        ("What", ""),
        ("Why", ""),
        ("Has shop.visit properties", None),
        ("Name of the property", "seconds"),
        ("Type of seconds", "number"),
        ("Does every event carry", True),
        ("Is seconds personal", None),
        ("What does seconds mean", ""),
        ("Another property", True),
        ("Name of the property", ["seconds", "mail"]),
        ("Type of mail", "string"),
        ("Does every event carry", None),
        ("Is mail personal", True),
        ("What does mail mean", "Where to write"),
        ("Another property", None),
        ("Privacy", "pii"),
        ("Days", ["long", "90"]),
        ("Percentage of events", "10"),
        ("Tags of the event", "privacy-reviewed"),
        ("Another event", None),
    )
    made = ask_telemetry(asker, {}, Catalog.of([telemetry("shop", "order")]))
    asker.done()
    assert made == {
        "meta": META | {"key": "shop.telemetry"},
        "events": [
            {
                "key": "shop.visit",
                "version": "1.0.0",
                "semantics": {"who": "a shopper"},
                "properties": {
                    "seconds": {"type": "number", "required": True},
                    "mail": {"type": "string", "pii": True, "description": "Where to write"},
                },
                "privacy": "pii",
                "retention": {"days": 90},
                "sampling": {"rate": 0.1},
                "tags": ["privacy-reviewed"],
            }
        ],
    }
    spec_of("Telemetry", made, Catalog())


def test_a_policy_from_nothing():
    asker = Script(
        *identity("shop.staff"),
        ("Effect", None),
        ("Actions", None),
        ("Roles", "staff, admin"),
        ("Attributes", '{"level": 3}'),
        ("Consents", "ads"),
        ("Condition", ["context.x ===", "subject.attributes.level === 3"]),
        ("Reason", "they may"),
        ("Another rule", None),
        ("Purpose of the consent ads", "To tell of offers"),
    )
    made = ask_policy(asker, {}, Catalog())
    asker.done()
    assert made["rules"] == [
        {
            "effect": "allow",
            "actions": ["experiment_targeting"],
            "subject": {"roles": ["staff", "admin"], "attributes": {"level": {"equals": 3}}},
            "requiresConsent": ["ads"],
            "conditions": [{"expression": "subject.attributes.level === 3"}],
            "reason": "they may",
        }
    ]
    assert made["consents"] == [{"id": "ads", "purpose": "To tell of offers"}]
    spec_of("Policy", made, Catalog())


def test_without_questionary_it_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "questionary":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "questionary", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SettingsError, match="answer by flags and --yes"):
        TerminalAsker()


# -- on a real terminal -----------------------------------------------------------------------


ANSWERS = [
    ("Key (like checkout.button_colour)", "shop.button"),
    ("Version",),
    ("Title", "Button"),
    ("Description",),
    ("Domain",),
    ("Owners", "@team.shop"),
    ("Tags",),
    ("Stability",),
    ("Id of the control variant",),
    ("Name of control", "Grey"),
    ("Weight of control",),
    ("Id of variant 2", "green"),
    ("Name of green", "Green"),
    ("Weight of green",),
    ("Does green override a spec?", "n"),
    ("Another variant?", "n"),
    ("targeted: by rules", DOWN, DOWN),
    ("Salt",),
    ("Rule 1 gives the variant",),
    ("Policy",),
]
ANSWERS_AFTER_THE_EXPRESSION = [
    ("Percentage of those that match",),
    ("Another rule?", "n"),
    ("random: whoever", DOWN),
    ("Percentage of eligible units",),
    ("Takes traffic from",),
    ("Takes none any more from", "2090-01-01T00:00:00Z"),
    ("Is there a success metric?", "y"),
    ("Name of the metric", "Orders"),
]
ANSWERS_AFTER_THE_EVENT = [
    ("p99",),
    ("Better is",),
    ("Attribution window", "7d"),
    ("Is Orders a guardrail", "n"),
    ("Another success metric?", "n"),
    ("it stays a draft",),
]


def test_somebody_creates_an_experiment_on_a_terminal(tmp_path):
    assert run(["init", str(tmp_path)]) == 0
    with Terminal(["create", "experiment", "--format", "yaml"], tmp_path) as terminal:
        for question, *keys in ANSWERS:
            terminal.answer(question, *keys)
        terminal.expect("Expression")
        terminal.type("context.attributes?.plan ===")
        terminal.expect("line 1, column")  # told while it is typed
        terminal.type(" 'pro'", "\r")
        for question, *keys in ANSWERS_AFTER_THE_EXPRESSION:
            terminal.answer(question, *keys)
        terminal.expect("Telemetry event")
        terminal.type("example.o")
        terminal.expect("example.order_placed")  # offered
        terminal.type("\t", "\r")
        for question, *keys in ANSWERS_AFTER_THE_EVENT:
            terminal.answer(question, *keys)
        terminal.answer("Attributes and flags that every unit of the preview carries")
        terminal.expect("key: shop.button")
        terminal.expect("AB110")
        terminal.expect("of 10,000 made-up units 10,000 take part")
        terminal.answer("Write specs/button_experiment.yaml?", "y")
        terminal.expect("written specs/button_experiment.yaml")
        assert terminal.end() == 0
    written = tmp_path / "specs/button_experiment.yaml"
    catalog = load_specs(tmp_path / "specs").check()
    spec = catalog.experiments.require("shop.button")
    assert spec.document == yaml.safe_load(written.read_text())
    assert spec.allocation.rules[0].expression == "context.attributes?.plan === 'pro'"
    assert spec.success_metrics[0].telemetry_event.key == "example.order_placed"


def test_on_a_terminal_it_asks_before_it_overwrites_and_giving_up_writes_nothing(tmp_path):
    given = [
        "create", "policy", "--key", "shop.staff", "--version", "1", "--title", "T",
        "--description", "D", "--domain", "d", "--owner", "@t", "--tag", "x",
        "--stability", "beta", "--rule", "allow experiment_targeting roles=staff",
        "--dir", "specs", "--format", "yaml",
    ]  # fmt: skip
    path = tmp_path / "specs/staff_policy.yaml"
    with Terminal(given, tmp_path) as terminal:
        terminal.answer("Write specs/staff_policy.yaml?")
        assert terminal.end() == 0
    before = path.read_bytes()
    with Terminal([*given, "--domain", "other"], tmp_path) as terminal:
        terminal.answer("specs/staff_policy.yaml is there: overwrite it? [y/N]")
        terminal.expect("nothing was written")
        assert terminal.end() == 1
    assert path.read_bytes() == before
    with Terminal(["create", "experiment"], tmp_path) as terminal:
        terminal.expect("Key (like")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert [one.name for one in (tmp_path / "specs").iterdir()] == ["staff_policy.yaml"]


def test_what_was_answered_is_not_lost_where_it_makes_no_spec(tmp_path):
    given = [
        "create", "experiment", "--key", "shop.button", "--version", "1", "--title", "T",
        "--description", "D", "--domain", "d", "--tag", "x", "--stability", "beta",
        "--variant", "a:0", "--variant", "b:0", "--control", "a", "--allocation", "random",
        "--salt", "s", "--coverage", "1", "--end", "2090-01-01T00:00:00Z", "--status", "draft",
        "--metric", "Orders: shop.order count",
    ]  # fmt: skip
    with Terminal(given, tmp_path) as terminal:
        terminal.answer("Owners", "@team.shop")
        terminal.expect("what was answered, for --from:")
        terminal.expect("- '@team.shop'")
        terminal.expect("all weights are 0")
        assert terminal.end() == 1
    assert list(tmp_path.iterdir()) == []


def test_init_asks_on_a_terminal_before_it_overwrites(tmp_path):
    assert run(["init", str(tmp_path)]) == 0
    readme = tmp_path / "specs/README.md"
    theirs = readme.read_bytes()
    for keys, kept in (("n", True), ("y", False)):
        readme.write_text("mine")
        with Terminal(["init"], tmp_path) as terminal:
            terminal.answer("specs/README.md differs: overwrite it? [y/N]", keys)
            assert terminal.end() == 0
        assert readme.read_bytes() == (b"mine" if kept else theirs)
