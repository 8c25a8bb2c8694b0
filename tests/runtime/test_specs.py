"""A published spec reaches a running pipeline without a restart, on both runtimes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from anabranch.demo import EXPERIMENT, demo_catalog
from anabranch.lifecycle import encode_spec
from anabranch.runtime import Message
from anabranch.specs import Catalog, ExperimentSpec, PolicySpec, Spec, parse_document
from tests.pipeline.test_dead_letters import completed, context
from tests.support.clusters import eventually
from tests.support.pipelines import running


@pytest.fixture(params=["embedded", "kafka"])
async def onboarding(request):
    async with running(request, demo_catalog(), partitions=2) as pipeline:
        yield pipeline


@pytest.fixture(params=["embedded"])
async def without_files(request):
    """Worker processes without files are tested on Kafka, by the command."""
    async with running(request, Catalog(), partitions=2) as pipeline:
        yield pipeline


def the_experiment() -> ExperimentSpec:
    return demo_catalog().experiments.require(EXPERIMENT)


def changed(**fields) -> ExperimentSpec:
    return the_experiment().model_copy(update=fields)


def next_version() -> ExperimentSpec:
    spec = the_experiment()
    return spec.model_copy(update={"meta": spec.meta.model_copy(update={"version": 2})})


def published(*specs) -> list[Message]:
    records = [encode_spec(spec) for spec in specs]
    return [Message("specs", r.key, r.value, r.headers) for r in records]


async def values(pipeline, topic: str) -> list[dict]:
    return [json.loads(record.value) for record in await pipeline.records(topic)]


class Asking:
    """Sends contexts of ever new users until assignments come out as they are expected to."""

    def __init__(self, pipeline) -> None:
        self.pipeline = pipeline
        self.users = 0

    async def ask(self, n: int = 20, **data) -> list[dict]:
        """The assignments of ``n`` new users."""
        users = [f"u{self.users + i}" for i in range(n)]
        self.users += n
        await self.pipeline.publish(Message("contexts", None, context(u, **data)) for u in users)
        await self.pipeline.drain()
        wanted = {f"user:{user}" for user in users}
        return [one for one in await values(self.pipeline, "assignments") if one["unit"] in wanted]

    async def until(self, condition) -> list[dict]:
        found: list[dict] = []

        async def holds() -> bool:
            nonlocal found
            found = await self.ask()
            return bool(found) and all(condition(one) for one in found)

        await eventually(holds, 30, "the published spec to decide")
        return found


async def test_an_application_pauses_an_experiment_and_lets_go_of_it(onboarding):
    def config(version: int, **lists) -> Spec:
        meta = {"key": "sigil.app", "version": version}
        return parse_document({"kind": "AppConfig", "meta": meta, "experiments": lists})

    asking = Asking(onboarding)
    await onboarding.publish(published(config(1, paused=[{"key": EXPERIMENT}])))
    paused = await asking.until(lambda a: a["reason"] == "control")
    assert {a["variant"] for a in paused} == {"control"}
    exposed = {one["unit"] for one in await values(onboarding, "exposures")}
    assert exposed.isdisjoint(a["unit"] for a in paused)

    await onboarding.publish(published(config(2, active=[{"key": EXPERIMENT}])))
    await asking.until(lambda a: a["reason"] == "random")


async def test_a_new_version_takes_over_and_every_assignment_says_what_decided_it(onboarding):
    asking, second = Asking(onboarding), next_version()
    before = await asking.ask()
    assert {(a["version"], a["digest"]) for a in before} == {("1.0.0", the_experiment().digest)}

    await onboarding.publish(published(second))
    after = await asking.until(lambda a: a["version"] == "2.0.0")
    assert {a["digest"] for a in after} == {second.digest}

    # Nobody moves by a version alone, and what was exposed before still counts for its version.
    await onboarding.publish([Message("telemetry", None, completed("u0", durationSeconds=9))])
    await onboarding.drain()
    results = {(r["version"], r["digest"]): r for r in await values(onboarding, "results")}
    assert set(results) == {("1.0.0", the_experiment().digest), ("2.0.0", second.digest)}
    assert sum(len(m["variants"]) for m in results["1.0.0", the_experiment().digest]["metrics"])
    assert await onboarding.records("contexts.dlq") == []


async def test_pausing_gives_control_without_exposure_and_resuming_goes_on(onboarding):
    asking, paused = Asking(onboarding), changed(status="paused")
    await onboarding.publish(published(paused))
    await asking.until(lambda a: a["digest"] == paused.digest)
    exposed = len(await onboarding.records("exposures"))
    while_paused = await asking.ask(50)
    assert Counter(a["variant"] for a in while_paused) == {"control": 50}
    assert len(await onboarding.records("exposures")) == exposed

    await onboarding.publish(published(the_experiment()))
    resumed = await asking.until(lambda a: a["digest"] == the_experiment().digest)
    assert {a["variant"] for a in resumed} == {"control", "multi_step"}


async def test_specs_may_come_from_the_topic_alone(without_files):
    """A context that asks for an experiment just published is not given up."""
    asking = Asking(without_files)
    await without_files.publish(published(*reversed(list(demo_catalog()))))
    found = await asking.ask(experiment=EXPERIMENT)
    assert len(found) == 20
    assert await without_files.records("contexts.dlq") == []
    assert await without_files.records("specs.dlq") == []


async def test_telemetry_is_taken_from_the_moment_its_spec_is_published(without_files):
    """Also where the experiment that counts it was published before."""
    telemetry = list(demo_catalog().telemetry)
    event = Message("telemetry", None, completed("u0", durationSeconds=9))
    await without_files.publish([event])
    await without_files.drain()
    assert len(await without_files.records("telemetry.dlq")) == 1

    await without_files.publish([*published(the_experiment()), *published(*telemetry), event])
    await without_files.drain()
    assert len(await without_files.records("telemetry.dlq")) == 1
    assert len(await without_files.records("observations")) == 1


def staff_only(effect: str) -> PolicySpec:
    return PolicySpec.model_validate(
        {
            "meta": {"key": "staff", "version": 1},
            "rules": [{"effect": effect, "actions": ["experiment_targeting"]}],
        }
    )


@pytest.mark.parametrize("onboarding", ["embedded"], indirect=True)
async def test_a_changed_policy_decides(onboarding):
    asking = Asking(onboarding)
    rule = {"variantId": "multi_step", "policy": {"key": "staff"}}
    guarded = changed(allocation={"type": "targeted", "rules": [rule], "fallback": "control"})
    await onboarding.publish(published(staff_only("deny"), guarded))
    await asking.until(lambda a: (a["digest"], a["variant"]) == (guarded.digest, "control"))
    await onboarding.publish(published(staff_only("allow")))
    await asking.until(lambda a: (a["digest"], a["variant"]) == (guarded.digest, "multi_step"))


BAD = [
    (b"Experiment|sigil.onboarding.split_form|1.0.0", b'{"kind": "Experiment"', "not JSON"),
    (b"Experiment|sigil.onboarding.split_form|1.0.0", b'{"kind": "Experiment"}', "meta"),
    (b"Experiment|another|1.0.0", encode_spec(the_experiment()).value, "under its own name"),
    (b"nonsense", b"{}", "kind|key|version"),
]


async def test_a_bad_spec_is_refused_and_told_and_the_last_good_one_stays(onboarding):
    asking = Asking(onboarding)
    await onboarding.publish(Message("specs", key, value) for key, value, _ in BAD)
    broken = encode_spec(
        changed(
            prerequisites=[{"experiment": "no.such.experiment"}],
            meta={"key": EXPERIMENT, "version": "1.5.0"},
        )
    )
    await onboarding.publish([Message("specs", broken.key, broken.value, broken.headers)])

    async def all_told() -> bool:
        told = [len(await onboarding.records(topic)) for topic in ("specs.dlq", "alerts")]
        return told == [len(BAD) + 1] * 2

    await eventually(all_told, 30, "every refused spec on the dead letters and the alerts")
    letters = [(r.key, r.value, dict(r.headers)) for r in await onboarding.records("specs.dlq")]
    for key, value, message in [*BAD, (broken.key, broken.value, "no.such.experiment")]:
        (headers,) = [h for k, v, h in letters if (k, v) == (key, value)]
        assert message in headers["__streams.errors.message"].decode()
        assert headers["__streams.errors.topic"].decode().endswith(".specs.v1")
    alerts = [(r.key, json.loads(r.value)) for r in await onboarding.records("alerts")]
    assert len({told["id"] for _, told in alerts}) == len(alerts) == len(BAD) + 1
    (about,) = [(key, told) for key, told in alerts if "no.such.experiment" in told["message"]]
    assert (about[0], about[1]["kind"]) == (EXPERIMENT.encode(), "spec_refused")
    assert (about[1]["experiment"], about[1]["version"]) == (EXPERIMENT, "1.5.0")

    assert {a["digest"] for a in await asking.ask()} == {the_experiment().digest}
    second = next_version()
    await onboarding.publish(published(second))
    await asking.until(lambda a: a["digest"] == second.digest)
    assert len(await onboarding.records("specs.dlq")) == len(BAD) + 1
