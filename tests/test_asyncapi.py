"""The AsyncAPI document: whole, and true of the records that the pipeline puts out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from anabranch.asyncapi import INTERNAL, asyncapi
from anabranch.cli.app import run
from anabranch.lifecycle import encode_spec
from anabranch.runtime import EmbeddedPipeline, Message, build_stages
from anabranch.settings import load_settings
from anabranch.topology import STAGES, TOPICS, Names
from tests.chaos import specs
from tests.chaos.load import make_load

DOCUMENT = asyncapi(Names("t"))
COMMITTED = Path(__file__).parents[1] / "docs/asyncapi.json"


@pytest.fixture(scope="module")
def records() -> dict[str, list]:
    return asyncio.run(_records())


async def _records() -> dict[str, list]:
    catalog = specs.catalog(*specs.first())
    settings = load_settings(prefix="t", partitions=2, window_sizes=(3600,))
    load = make_load(5, units=40, contexts=200, events=400)
    async with EmbeddedPipeline(build_stages(catalog, settings), settings) as pipeline:
        await pipeline.publish(load.messages)
        published = [encode_spec(spec) for spec in specs.parsed(specs.first())]
        await pipeline.publish(
            [Message("specs", r.key, r.value, r.headers, None) for r in published]
        )
        await pipeline.drain()
        return {topic.name: list(await pipeline.records(topic.name)) for topic in TOPICS}


def referred(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for inner in part.values() for ref in referred(inner)]
    return [ref for inner in part for ref in referred(inner)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere():
    refs = referred(DOCUMENT)
    assert len(refs) > 40
    for ref in refs:
        part = DOCUMENT
        for name in ref.removeprefix("#/").split("/"):
            part = part[name]


def test_every_topic_that_is_not_internal_is_a_channel_and_has_who_reads_or_writes_it():
    public = {topic.name for topic in TOPICS} - INTERNAL
    assert set(DOCUMENT["channels"]) == public == set(DOCUMENT["components"]["messages"])
    told = {op["channel"]["$ref"].rpartition("/")[2] for op in DOCUMENT["operations"].values()}
    assert told == public
    assert DOCUMENT["channels"]["contexts.dlq"]["address"] == "t.contexts.v1.dlq"
    for shape in STAGES:
        for source in set(shape.sources) - INTERNAL:
            assert DOCUMENT["operations"][f"{shape.name}.receive.{source}"]["action"] == "receive"


@pytest.mark.parametrize(
    "topic",
    [
        *("contexts", "telemetry", "specs", "exposures", "assignments"),
        *("observations", "alerts", "metric-windows", "results"),
    ],
)
def test_real_records_are_as_the_document_says(records, topic):
    message = DOCUMENT["components"]["messages"][topic]
    whole = {**message["payload"], "components": DOCUMENT["components"]}
    payload = jsonschema.Draft202012Validator(whole)
    headers = jsonschema.Draft202012Validator(message.get("headers", True))
    of_anabranch = topic not in {"contexts", "telemetry"}
    checked = 0
    for record in records[topic]:
        if record.value is None:
            continue
        try:
            value = json.loads(record.value)
        except ValueError:
            assert not of_anabranch
            continue
        problems = list(payload.iter_errors(value))
        if of_anabranch:
            assert not problems, (value, problems[0].message)
            assert not list(headers.iter_errors(texts(record)))
        checked += not problems
    assert checked >= (1 if topic in {"alerts", "specs"} else 4)


def test_dead_letters_have_the_headers_that_the_document_tells(records):
    for topic in ("contexts.dlq", "telemetry.dlq"):
        told = jsonschema.Draft202012Validator(DOCUMENT["components"]["messages"][topic]["headers"])
        assert records[topic]
        for record in records[topic]:
            told.validate(texts(record))


def test_what_is_wrong_is_noticed():
    assignment = DOCUMENT["components"]["schemas"]["AssignmentData"]
    validator = jsonschema.Draft202012Validator(assignment)
    good = dict.fromkeys(("experiment", "version", "digest", "variant", "unit", "reason"), "x")
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "unit": 7})
    assert not validator.is_valid({"experiment": "x"})


def test_the_document_in_docs_is_what_the_command_prints(capsys):
    assert run(["asyncapi"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(COMMITTED.read_text("utf-8")), (
        "run: anabranch asyncapi > docs/asyncapi.json"
    )


def texts(record) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in record.headers}
