"""The load of a run: contexts and telemetry of a few hundred units, all from one seed.

Event time covers six hours of a fixed day. Time goes up from record to record, but for some that
are late or early by up to half an hour. All records of a user have the user's key, so that their
order means something.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from anabranch.runtime import Message
from tests.chaos.specs import CHECKOUT, COMPLETED, LARGEST_AMOUNT, ONBOARDING, PURCHASE, RENEWED

BEGIN = 1_767_600_000_000
"""2026-01-05T08:00:00Z."""
SPAN = 6 * 60 * 60 * 1000
SOURCE = "chaos"
ORGANIZATIONS = 14
_JITTER = 30 * 60 * 1000
_YEAR_2100 = "2100-01-01T00:00:00Z"


@dataclass(frozen=True)
class Bad:
    """What must become of a record that is not as it should be.

    Attributes:
        error: Name of the exception that its dead letter gives as the reason.
    """

    error: str


@dataclass(frozen=True)
class Load:
    """Messages in the order of publishing, and which of them are bad by the id of their event."""

    messages: Sequence[Message]
    bad: dict[str, Bad]

    def chunks(self, size: int) -> Iterator[Sequence[Message]]:
        for at in range(0, len(self.messages), size):
            yield self.messages[at : at + size]


def make_load(seed: int, *, units: int = 300, contexts: int = 1500, events: int = 3500) -> Load:
    """The load of a seed.

    Args:
        seed: The same seed gives the same bytes.
        units: How many users there are.
        contexts: How many contexts, repeats and bad ones not counted.
        events: How many telemetry events, likewise.
    """
    return _Maker(Random(f"load {seed}"), units).make(contexts, events)


class _Maker:
    def __init__(self, random: Random, units: int) -> None:
        self.random = random
        self.users = [_User(random, n) for n in range(units)]
        self.messages: list[Message] = []
        self.bad: dict[str, Bad] = {}

    def make(self, contexts: int, events: int) -> Load:
        kinds: list[Callable[[int], None]] = [self._context] * contexts + [self._event] * events
        self.random.shuffle(kinds)
        for number, make in enumerate(kinds):
            make(BEGIN + SPAN * number // len(kinds))
            if self.random.random() < 0.02:
                self._make_bad(BEGIN + SPAN * number // len(kinds))
            if self.random.random() < 0.03:
                self._repeat()
        return Load(self.messages, self.bad)

    def _repeat(self) -> None:
        """A producer that sends again what it has sent, a little or long ago."""
        at = self.random.choice((-1, -3, -40, -400))
        if len(self.messages) + at >= 0:
            self.messages.append(self.messages[at])

    def _time(self, at: int) -> int:
        if self.random.random() < 0.15:
            at += self.random.randint(-_JITTER, _JITTER)
        return max(BEGIN, min(BEGIN + SPAN - 1, at))

    def _context(self, at: int) -> None:
        user = self.random.choice(self.users)
        data: dict[str, Any] = {**user.identities(), "attributes": user.attributes(self.random)}
        kind = self.random.random()
        if kind < 0.15:
            data["experiment"] = self.random.choice((CHECKOUT, ONBOARDING))
        elif kind < 0.20:
            data |= {"experiment": CHECKOUT, "version": self.random.choice((1, "1.0.0"))}
        if self.random.random() < 0.08:
            data["exposure"] = False
        self._add("contexts", user.key, data, self._time(at))

    def _event(self, at: int) -> None:
        user = self.random.choice(self.users)
        name, properties = self._something()
        data = {"name": name, "version": 1, **user.identities(), "properties": properties}
        self._add("telemetry", user.key, data, self._time(at))

    def _something(self) -> tuple[str, dict[str, Any]]:
        kind = self.random.random()
        if kind < 0.55:
            # Some amounts that no binary fraction holds, some whole numbers, few anomalies.
            amount = round(self.random.uniform(0.01, LARGEST_AMOUNT * 1.02), 2)
            return PURCHASE, {"amount": amount if self.random.random() < 0.8 else int(amount)}
        if kind < 0.8:
            return COMPLETED, {"seconds": round(self.random.expovariate(1 / 90) + 0.001, 3)}
        if self.random.random() < 0.2:
            return RENEWED, {}
        return RENEWED, {"seats": self.random.randint(1, 50)}

    def _make_bad(self, at: int) -> None:
        user = self.random.choice(self.users)
        time = self._time(at)
        who = user.identities()
        made: tuple[str, object, str, str | None] = self.random.choice(
            [
                ("contexts", b"{not json", "MalformedEventError", None),
                ("contexts", None, "EmptyEventError", None),
                ("contexts", {"attributes": {}}, "MissingUnitError", None),
                ("contexts", {**who, "experiment": "chaos.none"}, "UnknownExperimentError", None),
                ("contexts", {**who, "attributes": 7}, "EventSchemaError", None),
                ("contexts", who, "FutureEventError", _YEAR_2100),
                ("telemetry", b"\xff\xfe", "MalformedEventError", None),
                ("telemetry", {**who, "version": 1}, "EventSchemaError", None),
                (
                    "telemetry",
                    {"name": "chaos.undeclared", "version": 1, **who},
                    "UndeclaredTelemetryError",
                    None,
                ),
                (
                    "telemetry",
                    {"name": PURCHASE, "version": 1, **who, "properties": {"amount": "much"}},
                    "EventSchemaError",
                    None,
                ),
                (
                    "telemetry",
                    {"name": PURCHASE, "version": 1, "properties": {"amount": 1}},
                    "MissingUnitError",
                    None,
                ),
            ]
        )
        topic, data, error, when = made
        event_id = self._add(topic, user.key, data, time, when)
        self.bad[event_id] = Bad(error)

    def _add(self, topic: str, key: str, data: object, time: int, when: str | None = None) -> str:
        event_id = f"{topic[0]}-{len(self.messages)}"
        value = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", f"anabranch.{topic.removesuffix('s')}.v1".encode()),
            ("ce_source", SOURCE.encode()),
            ("ce_id", event_id.encode()),
            ("ce_time", (when or _rfc3339(time)).encode()),
        ]
        self.messages.append(Message(topic, key.encode(), value, headers, time))
        return event_id


class _User:
    """Somebody, perhaps of an organization; a few change their segment now and then."""

    def __init__(self, random: Random, number: int) -> None:
        self.name = f"u{number}"
        self.organization = random.randrange(ORGANIZATIONS) if random.random() < 0.6 else None
        self.segment = random.choice(("vip", "new", "old", None))
        self.fickle = random.random() < 0.1

    @property
    def key(self) -> str:
        return f"user:{self.name}"

    def identities(self) -> dict[str, str]:
        found = {"userId": self.name}
        if self.organization is not None:
            found["organizationId"] = f"o{self.organization}"
        return found

    def attributes(self, random: Random) -> dict[str, str]:
        segment = random.choice(("vip", "old")) if self.fickle else self.segment
        return {} if segment is None else {"segment": segment}


def _rfc3339(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds - BEGIN, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"2026-01-05T{8 + hours:02}:{minute:02}:{second:02}.{rest:03}Z"
