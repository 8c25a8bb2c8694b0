import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment import ExperimentContext, ExperimentEvaluator, PolicyEngine
from anabranch.engine.state import BatchState
from anabranch.errors import (
    EventSchemaError,
    MalformedEventError,
    MissingUnitError,
    UnknownExperimentError,
)
from anabranch.events.cloudevents import Limits
from anabranch.events.decoding import decode_exposure
from anabranch.events.models import AssignmentData, ExposureData
from anabranch.processors.assign import AssignProcessor
from anabranch.processors.protocol import Batch
from anabranch.specs import Catalog, ExperimentSpec, PolicySpec
from tests.support.bench import NOW, Bench, Collected, In

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR


def experiment(key="shop.checkout", version=1, **changes):
    spec = {
        "meta": {"key": key, "version": version},
        "controlVariant": "control",
        "variants": [
            {"id": "control"},
            {"id": "short", "overrides": [{"type": "workflow", "target": "checkout.short"}]},
        ],
        "allocation": {"type": "random"},
        **changes,
    }
    return ExperimentSpec.model_validate(spec)


CHECKOUT = experiment()
TEAMS = experiment("shop.teams", unit=["organizationId"])
PAUSED = experiment("shop.paused", status="paused")


def bench(*specs, checker=None, cache_size=10_000, **settings):
    catalog = Catalog.of(specs or [CHECKOUT])
    evaluator = ExperimentEvaluator(catalog.experiments, checker)
    return Bench(AssignProcessor(catalog, evaluator, **settings), "contexts", cache_size=cache_size)


def context(user="ada", *, at=0, event_id=None, **data):
    """A context of a user, ``at`` milliseconds before or after now, bare or with an id."""
    if user is not None:
        data["userId"] = user
    headers = []
    if event_id is not None:
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_source", b"app"),
            ("ce_type", b"anabranch.context.v1"),
        ]
    return In("contexts", json.dumps(data).encode(), headers=headers, timestamp=NOW + at)


def variant_of(spec, **identities):
    """What the evaluator chooses, as applications ask it."""
    plan = ExperimentEvaluator(Catalog.of([spec]).experiments).plan(spec)
    return plan.evaluate(ExperimentContext(**identities)).variant.id


def users(spec, variant, n=1):
    """Names of users that a spec gives this variant."""
    names = (f"user-{i}" for i in range(10_000))
    found = [name for name in names if variant_of(spec, user_id=name) == variant][:n]
    return found if n > 1 else found[0]


def reasons(out):
    return [type(error) for _, error in out.dead]


# -- what comes out ---------------------------------------------------------------------------


async def test_a_context_is_assigned_and_exposed():
    user = users(CHECKOUT, "short")
    out = await bench().run(context(user, event_id="c-1"))
    [assignment] = out.of("assignments")
    [exposure] = out.of("exposures")
    common = {
        "experiment": "shop.checkout",
        "version": "1.0.0",
        "digest": CHECKOUT.digest,
        "variant": "short",
        "unit": f"user:{user}",
        "reason": "random",
    }
    overrides = [{"type": "workflow", "target": "checkout.short"}]
    assert assignment.json == {**common, "overrides": overrides}
    assert exposure.json == common
    assert assignment.key == f"user:{user}|shop.checkout".encode()
    assert exposure.key == f"user:{user}".encode()
    assert (assignment.timestamp, exposure.timestamp) == (NOW, NOW)
    assert out.counters == {
        "contexts": 1,
        "assignments": 1,
        "exposures": 1,
        "evaluations:random": 1,
    }


async def test_outputs_are_cloud_events_with_the_contexts_time():
    out = await bench().run(context(event_id="c-1", at=-1234))
    headers = {name: dict(out.of(name)[0].headers) for name in ("assignments", "exposures")}
    for name, kind in (("assignments", "assignment"), ("exposures", "exposure")):
        assert headers[name]["ce_type"] == f"anabranch.{kind}.v1".encode()
        assert headers[name]["ce_source"] == b"anabranch/assign"
        assert headers[name]["ce_time"] == b"2027-01-15T07:59:58.766Z"
        assert headers[name]["content-type"] == b"application/json"
    assert headers["assignments"]["ce_id"] != headers["exposures"]["ce_id"]


@given(st.text(min_size=1))
async def test_any_identity_can_be_read_back_by_the_next_stage(user):
    out = await bench().run(context(user, event_id="c-1"))
    [sent] = out.of("exposures")
    record = In("exposures", sent.value, sent.key, sent.headers, sent.timestamp)
    exposure = decode_exposure(record, now=NOW, limits=Limits())
    assert exposure.data.unit == f"user:{user}"
    assert exposure.data.variant == variant_of(CHECKOUT, user_id=user)
    assert exposure.time == NOW


async def test_outputs_hold_what_their_models_declare():
    out = await bench(CHECKOUT, TEAMS, PAUSED).run(context(organizationId="acme"))
    for topic, model in (("assignments", AssignmentData), ("exposures", ExposureData)):
        fields = set(model.__struct_encode_fields__)
        assert all(set(sent.json) <= fields for sent in out.of(topic))
        assert {"experiment", "version", "variant", "unit"} <= fields


async def test_a_context_that_comes_twice_has_the_same_ids():
    first = await bench().run(context(event_id="c-1"))
    again = await bench().run(context(event_id="c-1"))
    other = await bench().run(context(event_id="c-2"))
    assert [r.headers for r in first.records] == [r.headers for r in again.records]
    ids = [dict(r.headers)["ce_id"] for out in (first, other) for r in out.records]
    assert len(set(ids)) == 4


# -- which experiments ------------------------------------------------------------------------


async def test_a_context_that_names_none_gets_all_that_take_traffic():
    specs = [
        CHECKOUT,
        TEAMS,
        PAUSED,
        experiment("shop.draft", status="draft"),
        experiment("shop.completed", status="completed"),
        experiment("shop.retired", status="retired"),
    ]
    out = await bench(*specs).run(context("ada", organizationId="acme"))
    units = {r.json["experiment"]: r.json["unit"] for r in out.of("assignments")}
    assert units == {
        "shop.checkout": "user:ada",
        "shop.teams": "organization:acme",
        "shop.paused": "user:ada",
    }
    assert {r.json["experiment"] for r in out.of("exposures")} == {"shop.checkout", "shop.teams"}


async def test_a_context_that_names_one_gets_that_one():
    out = await bench(CHECKOUT, TEAMS).run(context(experiment="shop.checkout"))
    assert [r.json["experiment"] for r in out.of("assignments")] == ["shop.checkout"]


@pytest.mark.parametrize(
    ("version", "expected"), [(None, "2.0.0"), (1, "1.0.0"), ("2", "2.0.0"), (3, "3.0.0")]
)
async def test_without_a_version_the_current_one_is_meant(version, expected):
    specs = [experiment(version=1), experiment(version=2), experiment(version=3, status="draft")]
    named = {} if version is None else {"version": version}
    out = await bench(*specs).run(context(experiment="shop.checkout", **named))
    assert [r.json["version"] for r in out.of("assignments")] == [expected]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"experiment": "shop.chekout"}, "no 'shop.chekout': .*shop.checkout"),
        ({"experiment": "shop.checkout", "version": 9}, r"its versions are 1\.0\.0"),
        ({"experiment": "shop.draft"}, r"drafts only \(1\.0\.0\)"),
        ({"experiment": "shop.retired"}, r"1\.0\.0 is retired"),
    ],
)
async def test_an_unknown_experiment_is_a_dead_letter(named, message):
    specs = [
        CHECKOUT,
        experiment("shop.draft", status="draft"),
        experiment("shop.retired", status="retired"),
    ]
    out = await bench(*specs).run(context(**named), context("bob"))
    [(record, error)] = out.dead
    assert isinstance(error, UnknownExperimentError)
    assert record.offset == 0
    with pytest.raises(UnknownExperimentError, match=message):
        raise error
    assert len(out.of("assignments")) == 1  # bob goes on


# -- who is exposed ---------------------------------------------------------------------------


SEGMENTED = experiment(
    "shop.segmented",
    segments=[
        {"attribute": "country", "values": ["DE", "FR"]},
        {"attribute": "seats", "values": ["1", "2.5"]},
        {"attribute": "paying", "values": ["true"]},
    ],
)


@pytest.mark.parametrize(
    ("attributes", "segments"),
    [
        ({"country": "DE", "seats": 1, "paying": True}, ("DE", "1", "true")),
        ({"country": "FR", "seats": 2.5, "paying": False}, ("FR", "2.5", "other")),
        ({"country": "US", "seats": 1.0, "paying": "true"}, ("other", "1", "true")),
        ({"country": ["DE"], "seats": None}, ("other", "other", "other")),
        ({}, ("other", "other", "other")),
    ],
)
async def test_an_exposure_names_the_segments_of_its_context(attributes, segments):
    out = await bench(CHECKOUT, SEGMENTED).run(context(attributes=attributes))
    told = {r.json["experiment"]: r.json.get("segments") for r in out.of("exposures")}
    named = dict(zip(("country", "seats", "paying"), segments, strict=True))
    assert told == {"shop.checkout": None, "shop.segmented": named}
    for record in out.of("assignments"):
        assert "segments" not in record.json


async def test_a_prefetch_is_no_exposure():
    out = await bench().run(context(exposure=False))
    assert [r.topic for r in out.records] == ["assignments"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (PAUSED, "control"),
        (experiment(coverage=0), "control"),
        (experiment(schedule={"start": "2027-02-01T00:00:00Z"}), "control"),
        (experiment(schedule={"end": "2027-01-01T00:00:00Z"}), "control"),
        (experiment(forced={"user:ada": "short"}), "forced"),
    ],
    ids=["paused", "outside coverage", "before its start", "after its end", "forced"],
)
async def test_who_is_not_enrolled_is_assigned_but_not_exposed(spec, reason):
    out = await bench(spec).run(context("ada"))
    assert [r.topic for r in out.records] == ["assignments"]
    expected = "short" if reason == "forced" else "control"
    assert out.records[0].json["reason"] == reason
    assert out.records[0].json["variant"] == expected


async def test_schedules_are_held_against_event_time():
    spec = experiment(schedule={"end": "2027-01-15T08:00:00Z"})  # now
    out = await bench(spec).run(context("ada", at=-1), context("bob", at=0))
    assert [r.key for r in out.of("exposures")] == [b"user:ada"]


async def test_an_exposure_is_told_once_a_day():
    b = bench()
    out = await b.run(*[context(at=at) for at in (0, 0, 1, DAY - 1)], now=NOW + 3 * DAY)
    assert len(out.of("assignments")) == 4
    assert [r.timestamp for r in out.of("exposures")] == [NOW]
    assert out.counters["repeated_exposures"] == 3
    later = await b.run(
        context(at=DAY), context(at=DAY + 1), context(at=2 * DAY - 1), now=NOW + 3 * DAY
    )
    assert [r.timestamp for r in later.of("exposures")] == [NOW + DAY]


async def test_an_exposure_that_turns_out_to_be_earlier_is_told():
    out = await bench().run(context(at=0), context(at=-HOUR), context(at=-1))
    assert [r.timestamp for r in out.of("exposures")] == [NOW, NOW - HOUR]


async def test_each_unit_and_version_is_exposed_by_itself():
    b = bench(experiment(version=1), experiment(version=2))
    out = await b.run(
        context("ada", experiment="shop.checkout", version=1),
        context("ada", experiment="shop.checkout", version=2),
        context("bob", experiment="shop.checkout", version=1),
        context("ada", experiment="shop.checkout", version=1),
    )
    told = [(r.json["unit"], r.json["version"]) for r in out.of("exposures")]
    assert told == [("user:ada", "1.0.0"), ("user:ada", "2.0.0"), ("user:bob", "1.0.0")]


async def test_the_time_between_exposures_can_be_set():
    out = await bench(dedupe_ms=0).run(context(), context())
    assert len(out.of("exposures")) == 2


async def test_what_a_dropped_batch_told_is_told_again():
    b = bench()
    dropped = await b.run(context(), commit=False)
    again = await b.run(context())
    assert len(dropped.of("exposures")) == len(again.of("exposures")) == 1


async def test_a_full_cache_forgets_and_tells_again():
    b = bench(cache_size=1)
    await b.run(context("ada"))
    await b.run(context("bob"))
    assert len((await b.run(context("ada"))).of("exposures")) == 1


# -- units ------------------------------------------------------------------------------------


async def test_an_experiment_whose_unit_is_not_there_is_passed_over():
    out = await bench(CHECKOUT, TEAMS).run(context("ada"))
    assert [r.json["experiment"] for r in out.of("assignments")] == ["shop.checkout"]
    assert out.counters["assignments_without_unit"] == 1
    assert not out.dead


@pytest.mark.parametrize(
    ("specs", "data", "message"),
    [
        ([CHECKOUT], {}, "the running experiments can assign by: .*userId"),
        ([CHECKOUT], {"userId": "", "attributes": {"userId": "ada"}}, "userId"),
        ([TEAMS], {"userId": "ada"}, "give organizationId$"),
        ([TEAMS], {"userId": "ada", "experiment": "shop.teams"}, "shop.teams can assign by"),
        ([PAUSED], {}, "give organizationId or sessionId or userId$"),
        ([experiment(status="draft")], {}, "give userId or sessionId or organizationId$"),
    ],
)
async def test_a_context_without_a_unit_is_a_dead_letter(specs, data, message):
    out = await bench(*specs).run(context(None, **data))
    assert reasons(out) == [MissingUnitError]
    with pytest.raises(MissingUnitError, match=message):
        raise out.dead[0][1]
    assert not out.records


async def test_nothing_running_is_no_error():
    out = await bench(experiment(status="draft")).run(context("ada"))
    assert not out.records
    assert not out.dead


# -- what cannot be read ----------------------------------------------------------------------


async def test_what_cannot_be_read_does_not_stop_the_rest():
    bad = [In("contexts", b"{"), In("contexts", b'{"userId": 1}')]
    out = await bench().run(bad[0], context("ada"), bad[1], context("bob"))
    assert reasons(out) == [MalformedEventError, EventSchemaError]
    assert [r.key for r in out.of("exposures")] == [b"user:ada", b"user:bob"]
    assert out.counters["contexts"] == 4


async def test_limits_are_the_readers():
    out = await bench(limits=Limits(max_event_bytes=10)).run(context("a" * 20))
    assert len(out.dead) == 1


# -- targeting and policies -------------------------------------------------------------------

VIPS = {
    "type": "targeted",
    "rules": [{"variantId": "short", "expression": "context.attributes?.segment === 'vip'"}],
}
BETA = {"type": "targeted", "rules": [{"variantId": "short", "policy": {"key": "shop.beta"}}]}
POLICY = PolicySpec.model_validate(
    {
        "meta": {"key": "shop.beta", "version": 1},
        "rules": [
            {
                "effect": "allow",
                "actions": ["experiment_targeting"],
                "subject": {"roles": ["beta"]},
            }
        ],
    }
)


def chosen(out):
    return {r.json["unit"]: (r.json["variant"], r.json["reason"]) for r in out.of("assignments")}


async def test_rules_see_attributes():
    out = await bench(experiment(allocation=VIPS)).run(
        context("ada", attributes={"segment": "vip"}), context("bob", attributes={"segment": "x"})
    )
    assert chosen(out) == {"user:ada": ("short", "targeted"), "user:bob": ("control", "control")}


BOTS_AND_STAFF = "context.attributes.staff || context.attributes.agent?.includes('bot')"


async def test_bots_and_people_of_the_house_get_control_and_are_neither_exposed_nor_uncounted():
    spec = experiment(exclude=BOTS_AND_STAFF)
    out = await bench(spec).run(
        context("ada", attributes={"staff": True}),
        context("crawler", attributes={"agent": "a bot"}),
        context("bob", attributes={"agent": "a browser"}),
        context("eve"),
    )
    assert chosen(out)["user:ada"] == chosen(out)["user:crawler"] == ("control", "control")
    assert {r.json["unit"] for r in out.of("exposures")} == {"user:bob", "user:eve"}
    assert out.counters["excluded_contexts"] == 2
    alike = await bench(experiment()).run(context("bob"), context("eve"))
    assert {u: v for u, v in chosen(out).items() if u in {"user:bob", "user:eve"}} == chosen(alike)


async def test_an_exclusion_that_raises_leaves_nobody_out():
    spec = experiment(exclude="context.attributes.a.b === 1")
    out = await bench(spec).run(context("ada"))
    assert len(out.of("exposures")) == out.counters["expression_errors"] == 1
    assert "excluded_contexts" not in out.counters


async def test_expressions_that_raise_are_counted():
    rules = [{"variantId": "short", "expression": "context.attributes.a.b === 1"}]
    spec = experiment(allocation={"type": "targeted", "rules": rules})
    out = await bench(spec).run(context("ada"))
    assert chosen(out) == {"user:ada": ("control", "control")}
    assert out.counters["expression_errors"] == 1


@pytest.mark.parametrize("named", [{}, {"experiment": "shop.checkout"}])
async def test_policies_are_asked(named):
    engine = PolicyEngine(Catalog.of([POLICY]).policies)
    b = bench(experiment(allocation=BETA), PAUSED, checker=engine.allows_targeting)
    out = await b.run(context("ada", flags=["beta"], **named), context("bob", **named))
    of_checkout = {
        r.json["unit"]: r.json["variant"]
        for r in out.of("assignments")
        if r.json["experiment"] == "shop.checkout"
    }
    assert of_checkout == {"user:ada": "short", "user:bob": "control"}


async def test_a_checker_may_take_its_time_and_knows_the_experiment():
    asked = []

    async def checker(ref, context):
        asked.append((ref.key, context.experiment, context.user_id))
        return context.user_id == "ada"

    b = bench(experiment(allocation=BETA), checker=checker)
    bad = In("contexts", b"{")
    out = await b.run(context("ada"), bad, context("bob"))
    assert asked == [
        ("shop.beta", "shop.checkout", "ada"),
        ("shop.beta", "shop.checkout", "bob"),
    ]
    assert chosen(out) == {"user:ada": ("short", "targeted"), "user:bob": ("control", "control")}
    assert reasons(out) == [MalformedEventError]


async def test_a_policy_nobody_decides_keeps_its_rule_shut():
    out = await bench(experiment(allocation=BETA)).run(context("ada", flags=["beta"]))
    assert chosen(out) == {"user:ada": ("control", "control")}
    assert out.counters["undecided_policies"] == 1


def test_without_policies_nothing_is_awaited():
    b = bench()
    batch = Batch({"contexts": [context()]}, partition=0, now=NOW)
    out = Collected()
    assert b.processor.process(batch, BatchState(b.store), b.cache, out) is None
    assert [r.topic for r in out.records] == ["assignments", "exposures"]


# -- agreement --------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abcdefgh"), max_size=30), st.integers(1, 30))
async def test_batches_do_not_matter(names, size):
    contexts = [context(name, at=i - 30, event_id=f"c-{i}") for i, name in enumerate(names)]
    whole = await bench().run(*contexts)
    b, parts = bench(), []
    for start in range(0, len(contexts), size):
        parts += (await b.run(*contexts[start : start + size])).records
    for topic in ("assignments", "exposures"):
        assert [r for r in parts if r.topic == topic] == whole.of(topic)
