import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anabranch.errors import AnabranchError, SpecValidationError
from anabranch.specs import (
    ExperimentSpec,
    Stability,
    Status,
    TargetingRule,
    Variant,
    parse_document,
)
from tests.specs.examples import experiment, spec


def message(**changes) -> str:
    with pytest.raises(SpecValidationError) as caught:
        spec(**changes)
    return str(caught.value)


def targeted(**rule):
    return {"type": "targeted", "rules": [{"variantId": "green", **rule}]}


def test_defaults_keep_the_documents_meaning():
    found = spec()
    assert found.status is Status.RUNNING
    assert found.coverage == 1
    assert found.unit == ("userId", "sessionId", "organizationId")
    assert found.forced == {}
    assert found.schedule is None
    assert [v.weight for v in found.variants] == [1, 1]
    assert (found.key, found.version) == ("shop.checkout", "1.0.0")
    assert found.control.id == "control"


def test_a_targeted_allocation_falls_back_to_control_unless_told():
    assert spec(allocation=targeted()).allocation.fallback == "control"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"controlVariant": "contrl"},
            "controlVariant: no variant has the id 'contrl': did you mean 'control'?",
        ),
        (
            {"keep": "person", "unit": ["userId", "organizationId"]},
            (
                "keep: is person, and the unit is userId, organizationId: a person is known by "
                "userId and sessionId, so list both as unit, or keep by unit"
            ),
        ),
        (
            {"variants": [{"id": "control"}, {"id": "control"}]},
            "variants: two have the id 'control': ids are unique",
        ),
        (
            {"variants": [{"id": "control", "weight": 0}]},
            "variants: all weights are 0: give at least one variant a positive weight",
        ),
        ({"variants": []}, "variants: needs at least 1, has 0"),
        (
            {"segments": [{"attribute": "country", "values": ["DE", "other"]}]},
            "segments[0].values: hold 'other', which stands for the units with none of them",
        ),
        (
            {"segments": [{"attribute": "country", "values": ["DE", "DE"]}]},
            "segments[0].values: hold 'DE' twice",
        ),
        (
            {"segments": [{"attribute": "country", "values": []}]},
            "segments[0].values: needs at least 1",
        ),
        (
            {
                "segments": [
                    {"attribute": "a", "values": ["1"]},
                    {"attribute": "a", "values": ["2"]},
                ]
            },
            "segments: two are of 'a': name all its values in one",
        ),
        (
            {"segments": [{"attribute": "zip", "values": [f"{n}" for n in range(51)]}]},
            "segments: have 51 values, and results are told for 50 at most",
        ),
        (
            {"variants": [{"id": "control", "weight": -2}]},
            "variants[0].weight: must not be negative, but is -2: 0 takes the variant out",
        ),
        (
            {"variants": [{"id": "control", "weight": float("inf")}]},
            "variants[0].weight: must be a finite number, not inf",
        ),
        (
            {"variants": [{"id": "control", "weight": True}]},
            "variants[0].weight: must be a number, not True",
        ),
        (
            {"variants": [{"id": "a|b"}]},
            "variants[0].id: 'a|b' is not a key",
        ),
        (
            {
                "allocation": {
                    "type": "targeted",
                    "rules": [{"variantId": "green"}, {"variantId": "gren"}],
                }
            },
            "allocation.rules[1].variantId: no variant has the id 'gren': did you mean 'green'?",
        ),
        (
            {"allocation": targeted(percentage=50)},
            "allocation.rules[0].percentage: must lie between 0 and 1 (0.25 is 25 %), but is 50",
        ),
        (
            {"allocation": targeted(expresion="true")},
            "allocation.rules[0].expresion: unknown field: did you mean 'expression'?",
        ),
        (
            {"allocation": targeted(policy={"version": 1})},
            "allocation.rules[0].policy.key: is missing: add it",
        ),
        (
            {"allocation": {"type": "randm"}},
            "allocation: there is no type 'randm': did you mean 'random'?",
        ),
        ({"allocation": {"salt": "x"}}, "allocation: must say its 'type'"),
        ({"allocation": "random"}, "allocation: must be an object, not 'random'"),
        ({"allocation": {"type": "random", "hash": "md5"}}, "allocation.hash: input should be"),
        ({"allocation": {"type": "sticky"}}, "allocation.attribute: is missing: add it"),
        ({"layer": "checkout"}, "layer: must be an object, not 'checkout'"),
        ({"layer": {"key": "a", "start": 0.5, "end": 0.5}}, "layer.end: 0.5 is not after the st"),
        ({"layer": {"key": "a", "end": 50}}, "layer.end: must lie between 0 and 1"),
        ({"holdout": 0.1}, "holdout: must be a list, not 0.1"),
        ({"holdout": {"key": "a"}}, "holdout[0].share: is missing: add it"),
        (
            {"holdout": [{"key": "a", "share": 0.1}, {"key": "a", "share": 0.1}]},
            "holdout: 'a' is named twice: once is enough",
        ),
        (
            {"prerequisites": [{"experiment": "shop.checkout"}]},
            "prerequisites[0].experiment: an experiment cannot require itself",
        ),
        (
            {"prerequisites": [{"experiment": "a"}, {"experiment": "a", "version": 2}]},
            "prerequisites: 'a' is named twice: once is enough",
        ),
        ({"coverage": []}, "coverage: is a ramp without steps: give one, or a number"),
        (
            {"coverage": [{"from": "2026-01-01T00:00:00Z", "share": 10}]},
            "coverage[0].share: must lie between 0 and 1",
        ),
        ({"coverage": [{"share": 0.1}]}, "coverage[0].from: is missing: add it"),
        (
            {"coverage": [{"from": "2026-01-01T00:00:00Z", "shar": 0.1, "share": 0.1}]},
            "coverage[0].shar: unknown field: did you mean 'share'?",
        ),
        (
            {
                "coverage": [
                    {"from": "2026-01-02T00:00:00Z", "share": 0.1},
                    {"from": "2026-01-01T00:00:00Z", "share": 0.2},
                ]
            },
            "coverage[1].from: 2026-01-01 00:00:00+00:00 is not after the step before",
        ),
        (
            {
                "coverage": [
                    {"from": "2026-01-01T00:00:00Z", "share": 0.2},
                    {"from": "2026-01-02T00:00:00Z", "share": 0.1},
                ]
            },
            "coverage[1].share: falls from 0.2 to 0.1: units that were exposed would leave",
        ),
        (
            {
                "allocation": {"type": "sticky", "attribute": "userId", "hash": "contractspec"},
                "unit": ["sessionId"],
            },
            "unit: a sticky allocation's unit begins with 'userId'",
        ),
        ({"controlVarient": "a"}, "controlVarient: unknown field: did you mean 'controlVariant'?"),
        (
            {"control_variant": "control"},
            "is given twice: keep one of 'controlVariant' or 'control_variant'",
        ),
        (
            {"meta": {"key": "a", "name": "b", "version": 1}},
            "meta.name: is given twice: keep one of 'key' or 'name'",
        ),
        (
            {"meta": {"key": "a", "version": 1.2}},
            "meta.version: version 1.2 is neither a whole number nor text: put it in quotes",
        ),
        ({"meta": {"key": "a b", "version": 1}}, "meta.key: 'a b' is not a key"),
        ({"unit": []}, "unit: is empty"),
        ({"unit": ["userId", "userId"]}, "unit: 'userId' is listed twice"),
        ({"unit": ["user"]}, "unit[0]: input should be 'userId', 'sessionId' or 'organizationId'"),
        (
            {"allocation": {"type": "sticky", "attribute": "userId"}, "unit": ["sessionId"]},
            "unit: a sticky allocation's unit is its attribute, 'userId': leave unit out",
        ),
        ({"forced": {"123": "green"}}, "forced.123: is not a unit: write user:ID"),
        ({"forced": {"user:": "green"}}, "forced.user:: is not a unit"),
        (
            {"forced": {"user:1": "gren"}},
            "forced.user:1: no variant has the id 'gren': did you mean 'green'?",
        ),
        ({"schedule": {"start": "2026-01-01T00:00:00"}}, "schedule.start: input should have timez"),
        (
            {"schedule": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}},
            "schedule.end: 2026-01-01 00:00:00+00:00 is not after the start",
        ),
        ({"coverage": 1.5}, "coverage: must lie between 0 and 1"),
        ({"status": "live"}, "status: input should be 'draft', 'running'"),
        (
            {"variants": [{"id": "control", "metadata": {"a": {"b": {1, 2}}}}]},
            "variants[0].metadata: a.b holds a set, which JSON does not have",
        ),
    ],
)
def test_a_wrong_spec_names_key_path_and_remedy(changes, expected):
    found = message(**changes)
    assert expected in found
    assert found.startswith("Experiment ")
    assert "\n" not in found


def metric(**changes):
    return {
        "name": "Orders",
        "telemetryEvent": {"key": "order", "version": 1},
        "aggregation": "sum",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"guardrail": {"max": 1}}, "successMetrics[0].guardrail.max: unknown field"),
        (
            {"guardrail": {"tolerance": -1}},
            "successMetrics[0].guardrail.tolerance: must be a number that is not negative",
        ),
        ({"aggregation": "mean"}, "successMetrics[0].aggregation: input should be 'count', 'avg'"),
        (
            {"aggregation": "count", "property": "value"},
            "successMetrics[0].property: count counts occurrences, not values",
        ),
        ({"window": "7 days"}, "successMetrics[0].window: '7 days' is not a duration"),
        ({"window": 0}, "successMetrics[0].window: must be a positive number of whole seconds"),
        ({"window": 1.5}, "must be a positive number of whole seconds, but is 1.5"),
        ({"target": "5"}, "successMetrics[0].target: must be a number, not '5'"),
        ({"name": "a|b"}, "successMetrics[0].name: 'a|b' holds '|'"),
        ({"name": "$exposures"}, "successMetrics[0].name: '$exposures' begins with '$'"),
        ({"telemetryEvent": {"key": "order"}}, "telemetryEvent.version: is missing"),
    ],
)
def test_a_wrong_metric_is_refused(changes, expected):
    assert expected in message(successMetrics=[metric(**changes)])


def test_metric_names_are_unique():
    found = message(successMetrics=[metric(), metric()])
    assert "successMetrics: two are named 'Orders': names are unique" in found


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        ("7d", 604_800),
        ("12h", 43_200),
        ("30m", 1800),
        ("90s", 90),
        ("2w", 1_209_600),
        (60, 60),
        (timedelta(hours=1), 3600),
    ],
)
def test_windows_are_seconds(window, seconds):
    assert spec(successMetrics=[metric(window=window)]).success_metrics[0].window == seconds


def test_every_problem_is_told_at_once():
    found = message(variants=[{"id": "control", "weight": "1"}, {"name": "x"}], coverage=2)
    assert found.splitlines() == [
        "Experiment shop.checkout 1 has 3 problems:",
        "  - variants[0].weight: must be a number, not '1'",
        "  - variants[1].id: is missing: add it",
        "  - coverage: must lie between 0 and 1 (0.25 is 25 %), but is 2",
    ]


@pytest.mark.parametrize(
    "construct",
    [
        lambda: Variant(idd="x"),
        lambda: Variant.model_validate({"idd": "x"}),
        lambda: Variant.model_validate_json('{"idd": "x"}'),
        ExperimentSpec,
        lambda: spec().model_copy(update={"status": "live"}),
        lambda: TargetingRule(variant_id="a", expression=""),
    ],
)
def test_however_it_is_made_a_wrong_part_raises_our_own_error(construct):
    with pytest.raises(AnabranchError) as caught:
        construct()
    assert type(caught.value) is SpecValidationError


def test_specs_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        spec().coverage = 0.5


def test_a_copy_is_validated_and_has_its_own_digest():
    before = spec()
    assert before.digest
    after = before.model_copy(update={"status": "paused"})
    assert after.status is Status.PAUSED
    assert after.digest != before.digest
    assert after.digest == spec(status="paused").digest


def test_the_unit_of_a_sticky_allocation_is_its_attribute():
    allocation = {"type": "sticky", "attribute": "organizationId"}
    implied = spec(allocation=allocation)
    told = spec(allocation=allocation, unit=["organizationId"])
    assert implied.unit == ("organizationId",)
    assert (implied, implied.digest) == (told, told.digest)
    assert parse_document(implied.document) == implied


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Experimental", Stability.EXPERIMENTAL),
        ("InCreation", Stability.IN_CREATION),
        ("in_creation", Stability.IN_CREATION),
        ("STABLE", Stability.STABLE),
        (Stability.BETA, Stability.BETA),
    ],
)
def test_stability_in_either_style(given, expected):
    found = spec(meta={"key": "a", "version": 1, "stability": given})
    assert found.meta.stability is expected


def test_schedules_are_kept_in_utc():
    schedule = {"start": "2026-01-01T02:00:00+02:00"}
    assert spec(schedule=schedule).schedule.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert spec(schedule=schedule).document["schedule"] == {"start": "2026-01-01T00:00:00Z"}


def test_weights_are_kept_as_given():
    found = spec(variants=[{"id": "control", "weight": 3}, {"id": "green", "weight": 0.5}])
    assert [repr(v.weight) for v in found.variants] == ["3", "0.5"]


def test_one_holdout_is_a_list_of_one():
    holdout = {"key": "all", "share": 0.05}
    assert spec(holdout=holdout).digest == spec(holdout=[holdout]).digest
    assert spec(holdout=holdout).document["holdout"] == [holdout]


def test_a_ramp_is_written_as_it_was_given():
    steps = [
        {"from": "2026-01-01T00:00:00Z", "share": 0.1},
        {"from": "2026-01-08T00:00:00Z", "share": 1},
    ]
    found = spec(coverage=steps)
    assert found.document["coverage"] == steps
    assert [step.share for step in found.coverage] == [0.1, 1]


# -- documents and digests --------------------------------------------------------------------


def test_defaults_that_are_written_down_do_not_change_the_digest():
    written = spec(
        variants=[{"id": "control", "weight": 1.0, "description": ""}, {"id": "green"}],
        coverage=1.0,
        status="running",
        successMetrics=[],
        schedule=None,
    )
    assert written.digest == spec().digest


def test_whole_floats_and_integers_are_the_same_number():
    def weighted(weight):
        return spec(variants=[{"id": "control", "weight": weight}]).digest

    assert weighted(2) == weighted(2.0)
    assert weighted(2) != weighted(2.5)


def test_digests_stay_what_they_were():
    """A change here unsettles every stored digest: new fields must leave it alone."""
    text = (
        '{"allocation":{"type":"random"},"controlVariant":"control","kind":"Experiment",'
        '"meta":{"key":"shop.checkout","version":"1.0.0"},'
        '"variants":[{"id":"control"},{"id":"green"}]}'
    )
    assert spec().digest == hashlib.sha256(text.encode()).hexdigest()[:16] == "ea0f552c506c8b2b"


weights = st.one_of(st.integers(0, 10), st.floats(0, 10, allow_nan=False))
documents = st.builds(
    experiment,
    variants=st.lists(weights, min_size=1, max_size=4).map(
        lambda given: (
            [{"id": "control", "weight": 1}]
            + [{"id": f"v{i}", "weight": weight} for i, weight in enumerate(given)]
        )
    ),
    allocation=st.one_of(
        st.builds(dict, type=st.just("random"), salt=st.none() | st.text()),
        st.builds(dict, type=st.just("sticky"), attribute=st.sampled_from(["userId", "sessionId"])),
        st.builds(
            dict,
            type=st.just("targeted"),
            rules=st.lists(
                st.builds(
                    dict,
                    variantId=st.just("v0"),
                    percentage=st.none() | st.floats(0, 1),
                    expression=st.none() | st.text(min_size=1),
                ),
                min_size=1,
                max_size=3,
            ),
            fallback=st.sampled_from(["control", "random"]),
        ),
    ),
    coverage=st.one_of(
        st.floats(0, 1),
        st.lists(st.floats(0, 1), min_size=1, max_size=3).map(
            lambda shares: [
                {"from": f"2026-01-0{day}T00:00:00Z", "share": share}
                for day, share in enumerate(sorted(shares), start=1)
            ]
        ),
    ),
    layer=st.none() | st.just({"key": "a", "start": 0.25, "end": 0.5}),
    holdout=st.sampled_from([[], {"key": "all", "share": 0.1}, [{"key": "all", "share": 0}]]),
    prerequisites=st.sampled_from([[], [{"experiment": "b", "version": 1, "variant": "x"}]]),
    status=st.sampled_from([s.value for s in Status]),
)


@given(documents)
def test_a_spec_survives_its_document(document):
    found = ExperimentSpec.model_validate(document)
    again = parse_document(found.document)
    assert again == found
    assert again.digest == found.digest
    assert hash(again) == hash(found)


def test_the_usual_unit_is_kept_where_the_hash_has_another_default():
    """It was left out of the document, which then meant sessionId first."""
    given = spec(
        allocation={"type": "random", "hash": "contractspec"},
        unit=["userId", "sessionId", "organizationId"],
    )
    assert parse_document(given.document) == given
