"""Asks the broker, and holds its answers against what should be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from aiokafka.errors import KafkaError

from anabranch.engine.kafka.inspection import Group, Inspection, Trial
from anabranch.errors import KafkaAccessError, KafkaUnavailableError
from anabranch.runtime.client import kafka_client
from anabranch.runtime.doctor.broker import check_clock, check_transactions, check_versions
from anabranch.runtime.doctor.findings import Finding, Level
from anabranch.runtime.doctor.rights import check_rights, needed_of_topics
from anabranch.runtime.doctor.stages import check_dead_letters, check_stage
from anabranch.runtime.doctor.state import check_state_dir
from anabranch.runtime.doctor.topics import (
    check_configuration,
    check_partitions,
    check_replicas,
    check_there,
)
from anabranch.settings import Settings
from anabranch.topology import Names, StageShape, topics_of

__all__ = ["examine"]


async def examine(
    settings: Settings,
    shapes: Sequence[StageShape],
    *,
    clock: Callable[[], float],
    max_lag: int = 100_000,
) -> AsyncIterator[Finding]:
    """Findings about what a worker of the stages needs, one after the other.

    Nothing is changed but for transactions that are begun and aborted, under ids of their own.

    Args:
        settings: The worker's.
        shapes: Its stages.
        clock: Seconds since the epoch.
        max_lag: A stage further behind than so many records is told.

    Raises:
        SettingsError: They name no broker, or a certificate that cannot be used.
    """
    for finding in check_state_dir(settings.state_dir):
        yield finding
    client = kafka_client(settings)
    try:
        async with Inspection(client, clock) as asked:
            brokers = await asked.brokers()
            yield Finding("broker", Level.OK, f"{client.bootstrap} answers, one of {brokers}")
            async for finding in _inspected(settings, shapes, asked, brokers, max_lag):
                yield finding
    except KafkaUnavailableError as error:
        yield Finding(
            "broker",
            Level.UNREACHABLE,
            f"{error}".split(". ", maxsplit=1)[0],
            "check ANABRANCH_BOOTSTRAP, that the broker runs, and that its advertised.listeners "
            "are addresses that this machine reaches; `make kafka` starts one for development",
        )
    except KafkaAccessError as error:
        yield Finding(
            "broker",
            Level.UNREACHABLE,
            f"{error}",
            "check ANABRANCH_SECURITY_PROTOCOL, ANABRANCH_SASL_… and ANABRANCH_SSL_…; "
            "docs/security.md has an example of each way to log in",
        )
    except KafkaError as error:
        yield Finding(
            "broker",
            Level.UNREACHABLE,
            f"{client.bootstrap} does not answer as it should: {type(error).__name__}: {error}",
            "look at the brokers' logs and at the network between",
        )


async def _inspected(
    settings: Settings,
    shapes: Sequence[StageShape],
    asked: Inspection,
    brokers: int,
    max_lag: int,
) -> AsyncIterator[Finding]:
    names = Names(settings.prefix)
    where = f"--bootstrap-server {settings.bootstrap}"
    create = f"anabranch topics create --bootstrap {settings.bootstrap} --prefix {settings.prefix}"
    topics = topics_of(shapes)
    physical = [names.topic(topic.name) for topic in topics]

    for finding in check_versions(await asked.versions()):
        yield finding
    found, hidden = await asked.describe(physical)
    configs, unseen = await asked.configs(found)
    groups = {
        names.group(shape.name): await asked.group(names.group(shape.name)) for shape in shapes
    }
    trials = await _trials(asked, shapes, names) if names.topic("specs.dlq") in found else {}

    for finding in (
        *check_there(physical, found, hidden, create=create),
        *check_partitions(shapes, names, found, create=create),
        *check_replicas(found, configs, brokers=brokers),
        *check_configuration(
            topics,
            names,
            configs,
            unseen,
            alter=f"kafka-configs {where} --alter --entity-type topics",
        ),
        *check_rights(
            needed_of_topics(shapes, names),
            found,
            hidden,
            groups,
            [prefix for prefix, trial in trials.items() if trial.refused],
            acls=f"kafka-acls {where} --add --allow-principal User:{_user(settings)}",
        ),
    ):
        yield finding
    trial = next((t for t in trials.values() if t.skew is not None), None)
    trial = trial or next(iter(trials.values()), Trial())
    if trials:
        for finding in check_transactions(trial, names.topic("specs.dlq")):
            yield finding
    for finding in check_clock(trial, tolerance=settings.future_tolerance):
        yield finding
    for shape in shapes:
        group = groups[names.group(shape.name)]
        lag = await _lag(asked, shape, names, set(found), group)
        for finding in check_stage(shape, group, lag, max_lag=max_lag):
            yield finding
    for finding in check_dead_letters(await _put_aside(asked, shapes, names, set(found))):
        yield finding


async def _trials(
    asked: Inspection, shapes: Sequence[StageShape], names: Names
) -> dict[str, Trial]:
    """Prefix of the stage's transactional ids to how a transaction under such an id went."""
    return {
        f"{names.group(shape.name)}-": await asked.try_transaction(
            f"{names.group(shape.name)}-doctor", names.topic("specs.dlq")
        )
        for shape in shapes
    }


async def _lag(
    asked: Inspection, shape: StageShape, names: Names, found: set[str], group: Group | None
) -> dict[str, int] | None:
    sources = [names.topic(source) for source in shape.sources]
    if group is None or not found.issuperset(sources):
        return None
    try:
        return await asked.topics.lag(names.group(shape.name), sources)
    except KafkaAccessError:
        return None


async def _put_aside(
    asked: Inspection, shapes: Sequence[StageShape], names: Names, found: set[str]
) -> dict[str, int]:
    """Source to what lies behind the position up to which its dead letters were sent back."""
    waiting = {}
    for source in (source for shape in shapes for source in shape.sources):
        topic = names.topic(f"{source}.dlq")
        if topic in found:
            try:
                lag = await asked.topics.lag(names.group(f"redrive-{source}"), [topic])
            except KafkaAccessError:  # those who run stages need no right to look at that
                continue
            waiting[source] = sum(lag.values())
    return waiting


def _user(settings: Settings) -> str:
    return settings.sasl_username or settings.oauth_client_id or "NAME"
