import pytest

from anabranch.errors import DuplicateSpecError, UnknownSpecError
from anabranch.specs import ExperimentRegistry, TelemetryRegistry, TelemetrySpec
from tests.specs.examples import spec


def version(number, key="shop.checkout", **changes):
    return spec(meta={"key": key, "version": number}, **changes)


def test_without_a_version_the_latest_by_semantic_version():
    registry = ExperimentRegistry([version("1.10"), version("1.9"), version("2.0.0-rc.1")])
    assert registry.get("shop.checkout").version == "2.0.0-rc.1"
    registry.register(version(2))
    assert registry.get("shop.checkout").version == "2.0.0"
    assert [s.version for s in registry.versions("shop.checkout")] == [
        "1.9.0",
        "1.10.0",
        "2.0.0-rc.1",
        "2.0.0",
    ]


@pytest.mark.parametrize("spelling", [2, "2", "2.0", "2.0.0"])
def test_a_version_is_found_in_any_spelling(spelling):
    two = version(2)
    assert ExperimentRegistry([version(1), two]).get("shop.checkout", spelling) is two


@pytest.mark.parametrize("ask", [("shop.checkout", 3), ("shop.checkout", "x"), ("shop", None)])
def test_what_is_not_there_is_none(ask):
    assert ExperimentRegistry([version(1)]).get(*ask) is None


def test_a_key_and_version_are_taken_once():
    registry = ExperimentRegistry([version(1)])
    with pytest.raises(DuplicateSpecError, match=r"Experiment shop\.checkout 1\.0\.0"):
        registry.register(version("1.0", coverage=0.5))
    assert len(registry) == 1


def test_requiring_names_what_is_near():
    registry = ExperimentRegistry([version(1), version("1.5")])
    with pytest.raises(UnknownSpecError, match=r"did you mean 'shop\.checkout'\?"):
        registry.require("shop.chekout")
    with pytest.raises(UnknownSpecError, match=r"no version 2: its versions are 1\.0\.0, 1\.5\.0"):
        registry.require("shop.checkout", 2)


def test_walking_a_registry():
    specs = [version(2), version(1), version(1, key="b")]
    registry = ExperimentRegistry(specs)
    assert list(registry) == specs
    assert registry.latest() == [specs[0], specs[2]]
    assert registry.keys() == ["shop.checkout", "b"]
    assert "b" in registry
    assert "c" not in registry


def telemetry(key="shop.events", number=1, event_version=1, **event):
    return TelemetrySpec.model_validate(
        {
            "meta": {"key": key, "version": number},
            "events": [{"key": "order", "version": event_version, **event}],
        }
    )


@pytest.mark.parametrize("spelling", [1, "1", "1.0", "1.0.0", " 1.0"])
def test_an_event_is_found_in_any_spelling(spelling):
    declared = telemetry()
    assert TelemetryRegistry([declared]).event("order", spelling) is declared.events[0]


@pytest.mark.parametrize("ask", [("order", 2), ("order", "one"), ("orders", 1)])
def test_an_event_nobody_declares_is_none(ask):
    assert TelemetryRegistry([telemetry()]).event(*ask) is None


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_latest_declaration_of_an_event_holds(order):
    specs = {n: telemetry(number=n, tags=[f"v{n}"]) for n in (1, 2)}
    registry = TelemetryRegistry(specs[n] for n in order)
    for spelling in (1, "1.0.0"):
        assert registry.event("order", spelling).tags == ("v2",)
    assert registry.declarations() == [(specs[2], specs[2].events[0])]


def test_two_specs_must_not_declare_the_same_event():
    registry = TelemetryRegistry([telemetry()])
    with pytest.raises(DuplicateSpecError, match=r"order 1\.0\.0 .*shop\.events.*other\.events"):
        registry.register(telemetry("other.events"))
    assert len(registry) == 1
