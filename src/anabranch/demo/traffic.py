"""Made-up traffic for the onboarding experiment, the same for the same seed.

What people do depends on the variant they see. An application knows it, because it asks for an
assignment; this generator plays application and people in one, and asks the experiment's own
compiled plan in this process. Assignment is deterministic, so the pipeline comes to the same
variants. What it does with the records (exposures, counting, statistics) is not known here.

The truth that results should find, :data:`BEHAVIOUR`, depends on the variant alone: people of the
segment ``vip``, who all get the multi-step form by targeting, behave like everybody else.
Otherwise they would bias the comparison.

Some of it is not as it should be, as in life: about 1 % of the records are sent twice under the
same id, 3 % of the completions arrive minutes late, and 0.2 % of the arrivals bring a record that
no stage can process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from anabranch.assignment import ExperimentContext
from anabranch.assignment.plan import Plan
from anabranch.errors import SettingsError
from anabranch.events.cloudevents import STRUCTURED, format_time
from anabranch.events.decoding import CONTEXT, TELEMETRY
from anabranch.processors.protocol import Headers
from anabranch.runtime import Message
from anabranch.specs import Catalog, ExperimentSpec, load_specs

__all__ = ["BEHAVIOUR", "EXPERIMENT", "SPECS", "Behaviour", "Traffic", "demo_catalog"]

SPECS: Final = Path(__file__).parent / "specs"
"""Folder of the demonstration's spec files."""

EXPERIMENT: Final = "sigil.onboarding.split_form"
EVENT: Final = "sigil.telemetry.onboarding_completed"
SOURCE: Final = "/demo/onboarding"

VIP_SHARE: Final = 0.1
RETURNING_SHARE: Final = 0.2
DUPLICATE_SHARE: Final = 0.01
LATE_SHARE: Final = 0.03
BAD_SHARE: Final = 0.002

_REMEMBERED: Final = 2000
"""People who may come back."""

_HEADERS: Final[Headers] = (("content-type", STRUCTURED),)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How people who see a variant behave.

    Attributes:
        completion: Share of them who complete the form.
        median_seconds: Half of those take less time than this.
        spread: Standard deviation of the time's logarithm.
    """

    completion: float
    median_seconds: float
    spread: float = 0.5


BEHAVIOUR: Final[Mapping[str, Behaviour]] = {
    "control": Behaviour(completion=0.30, median_seconds=24),
    "multi_step": Behaviour(completion=0.36, median_seconds=19),
}


def demo_catalog() -> Catalog:
    """The demonstration's specs."""
    return load_specs(SPECS)


@dataclass(frozen=True, slots=True)
class _Person:
    user: str
    segment: str


class Traffic:
    """Records of the topics ``contexts`` and ``telemetry`` over time.

    Args:
        seed: The same seed gives the same records, whichever way time is cut into batches.
        rate_per_second: Arrivals, on average; their gaps are exponential.
        spec: The experiment; the demonstration's own when not given.
        behaviour: What people do, by variant id; those of other variants behave as ``control``.

    Raises:
        SettingsError: The rate is not above 0.
    """

    def __init__(
        self,
        seed: int,
        rate_per_second: float = 20.0,
        *,
        spec: ExperimentSpec | None = None,
        behaviour: Mapping[str, Behaviour] = BEHAVIOUR,
    ) -> None:
        if not 0 < rate_per_second < math.inf:
            raise SettingsError(
                f"the rate of the demo's traffic is {rate_per_second:g}: give arrivals per "
                "second, above 0"
            )
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - traffic, not secrets
        self._rate_per_ms = rate_per_second / 1000
        self._plan = Plan(spec or demo_catalog().experiments.require(EXPERIMENT))
        self._behaviour = behaviour
        self._people: list[_Person] = []
        self._arrivals = 0
        self._events = 0
        self._due: list[tuple[int, int, Message]] = []
        self._queued = 0
        self._next: float | None = None
        self._until = 0

    def batch(self, start_ms: int, end_ms: int) -> list[Message]:
        """Records sent from ``start_ms`` up to, not including, ``end_ms``, in order of time.

        Args:
            start_ms: Milliseconds since the epoch; where the last batch ended.
            end_ms: Milliseconds since the epoch.

        Raises:
            ValueError: Batches do not follow each other.
        """
        if self._next is None:
            self._next = start_ms + self._gap()
        elif start_ms != self._until:
            raise ValueError(f"the last batch ended at {self._until}, so start there")
        if end_ms < start_ms:
            raise ValueError(f"a batch cannot end at {end_ms}, before its start {start_ms}")
        while self._next < end_ms:
            self._arrive(int(self._next))
            self._next += self._gap()
        self._until = end_ms
        sent: list[Message] = []
        while self._due and self._due[0][0] < end_ms:
            sent.append(heappop(self._due)[2])
        return sent

    def _gap(self) -> float:
        return self._random.expovariate(self._rate_per_ms)

    # -- people -------------------------------------------------------------------------------

    def _arrive(self, now: int) -> None:
        """Somebody comes: everything that follows from it is decided, and falls due in time."""
        chance = self._random.random
        self._arrivals += 1
        if chance() < BAD_SHARE:
            self._send_bad(now)
        if self._people and chance() < RETURNING_SHARE:
            self._send_context(now, self._random.choice(self._people))
            return
        person = _Person(
            user=f"u{self._seed}-{self._arrivals}",
            segment="vip" if chance() < VIP_SHARE else "standard",
        )
        if len(self._people) < _REMEMBERED:
            self._people.append(person)
        else:
            self._people[self._arrivals % _REMEMBERED] = person
        self._send_context(now, person)
        behaviour = self._behaviour.get(self._variant(person, now), BEHAVIOUR["control"])
        if chance() < behaviour.completion:
            seconds = self._random.lognormvariate(
                math.log(behaviour.median_seconds), behaviour.spread
            )
            late = self._random.uniform(60, 600) if chance() < LATE_SHARE else 0.0
            self._send_completion(now, person, seconds, late)

    def _variant(self, person: _Person, now: int) -> str:
        context = ExperimentContext(
            experiment=self._plan.key,
            user_id=person.user,
            attributes={"segment": person.segment},
        )
        return self._plan.evaluate(context, now).variant.id

    # -- records ------------------------------------------------------------------------------

    def _send_context(self, now: int, person: _Person) -> None:
        data = {
            "experiment": self._plan.key,
            "userId": person.user,
            "attributes": {"segment": person.segment},
        }
        self._send(now, "contexts", person.user, self._event(CONTEXT, now, data))

    def _send_completion(self, now: int, person: _Person, seconds: float, late: float) -> None:
        completed = now + round(seconds * 1000)
        value = self._event(TELEMETRY, completed, _completion(person.user, round(seconds, 1)))
        self._send(completed + round(late * 1000), "telemetry", person.user, value)

    def _send_bad(self, now: int) -> None:
        user = f"u{self._seed}-{self._arrivals}"
        kind = self._random.randrange(3)
        if kind == 0:
            whole = self._event(CONTEXT, now, {"experiment": self._plan.key, "userId": user})
            self._queue(now, "contexts", user, whole[: len(whole) // 2])
        elif kind == 1:
            data = _completion(user, 12.5) | {"name": "sigil.telemetry.onboarding_abandoned"}
            self._queue(now, "telemetry", user, self._event(TELEMETRY, now, data))
        else:
            self._queue(
                now, "telemetry", user, self._event(TELEMETRY, now, _completion(user, "fast"))
            )

    def _event(self, kind: str, at: int, data: Mapping[str, Any]) -> bytes:
        """A structured CloudEvent."""
        self._events += 1
        return _encode(
            {
                "specversion": "1.0",
                "id": f"demo-{self._seed}-{self._events}",
                "source": SOURCE,
                "type": kind,
                "time": format_time(at),
                "datacontenttype": "application/json",
                "data": data,
            }
        )

    def _send(self, at: int, topic: str, user: str, value: bytes) -> None:
        """Once, or now and then twice, as producers that deliver at least once do."""
        self._queue(at, topic, user, value)
        if self._random.random() < DUPLICATE_SHARE:
            self._queue(at + self._random.randrange(100, 5000), topic, user, value)

    def _queue(self, at: int, topic: str, user: str, value: bytes) -> None:
        self._queued += 1
        message = Message(topic, f"user:{user}".encode(), value, _HEADERS, at)
        heappush(self._due, (at, self._queued, message))


def _completion(user: str, seconds: float | str) -> dict[str, Any]:
    return {
        "name": EVENT,
        "version": 1,
        "userId": user,
        "properties": {"durationSeconds": seconds},
    }
