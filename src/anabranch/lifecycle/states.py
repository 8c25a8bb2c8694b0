"""The states of an experiment and what leads from one to another: the one place that says so.

::

    draft ──start──► running ──stop──► completed ──retire──► retired
                      │   ▲               ▲
                    pause resume          │
                      ▼   │               │
                     paused ─────stop─────┘

Ramping changes the coverage of a running or a paused experiment and leaves its state. Promoting a
variant stops what is not stopped yet: its overrides go into the specs that they change. What is
completed takes no new units and never runs again: another run is another version. A draft cannot
be retired: a version that is no draft takes the place of those before it, running or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from anabranch.errors import IllegalTransitionError
from anabranch.specs import ExperimentSpec, Status

__all__ = ["TRANSITIONS", "Action", "legal", "move", "transition"]


class Action(StrEnum):
    """What people do to a published experiment."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    RAMP = "ramp"
    STOP = "stop"
    PROMOTE = "promote"
    RETIRE = "retire"


TRANSITIONS: Final[Mapping[tuple[Status, Action], Status]] = {
    (Status.DRAFT, Action.START): Status.RUNNING,
    (Status.RUNNING, Action.PAUSE): Status.PAUSED,
    (Status.RUNNING, Action.RAMP): Status.RUNNING,
    (Status.RUNNING, Action.STOP): Status.COMPLETED,
    (Status.RUNNING, Action.PROMOTE): Status.COMPLETED,
    (Status.PAUSED, Action.RESUME): Status.RUNNING,
    (Status.PAUSED, Action.RAMP): Status.PAUSED,
    (Status.PAUSED, Action.STOP): Status.COMPLETED,
    (Status.PAUSED, Action.PROMOTE): Status.COMPLETED,
    (Status.COMPLETED, Action.PROMOTE): Status.COMPLETED,
    (Status.COMPLETED, Action.RETIRE): Status.RETIRED,
}
"""State and action to the state it leads to; what is not here is illegal."""

_NOTE: Final[Mapping[Action, str]] = {
    Action.START: "start (publish it with status: running)",
}


def legal(status: Status) -> list[Action]:
    """The actions that a state allows."""
    return [action for action in Action if (status, action) in TRANSITIONS]


def transition(spec: ExperimentSpec, action: Action) -> Status:
    """The state that the action leads to.

    Raises:
        IllegalTransitionError: The experiment's state does not allow it.
    """
    after = TRANSITIONS.get((spec.status, action))
    if after is None:
        raise IllegalTransitionError(
            f"{_is(spec)}, and {action} is not possible then: {_allowed(spec.status)}"
        )
    return after


def move(before: ExperimentSpec, after: ExperimentSpec) -> None:
    """Whether one version of an experiment may be published over itself, as to their states.

    Raises:
        IllegalTransitionError: No action leads from the one state to the other.
    """
    if before.status is after.status:
        return
    if not any(
        TRANSITIONS[before.status, action] is after.status for action in legal(before.status)
    ):
        raise IllegalTransitionError(
            f"{_is(before)} and cannot become {after.status}: {_allowed(before.status)}"
        )


def _is(spec: ExperimentSpec) -> str:
    status = "a draft" if spec.status is Status.DRAFT else str(spec.status)
    return f"Experiment {spec.meta.label} is {status}"


def _allowed(status: Status) -> str:
    actions = [_NOTE.get(action, str(action)) for action in legal(status)]
    if actions:
        return f"what is possible is {', '.join(actions)}, or publishing a new version"
    return "it is there for its history only; publish a new version"
