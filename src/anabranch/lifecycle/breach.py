"""What an alert that pauses makes of the specs: the pause and its audit, or nothing."""

from __future__ import annotations

from anabranch.events.models import Alert
from anabranch.lifecycle.audit import AuditEntry
from anabranch.lifecycle.publication import Publication, Published, propose
from anabranch.lifecycle.states import Action
from anabranch.specs import Status

__all__ = ["GUARDRAIL", "pause_for"]

GUARDRAIL = "anabranch guardrail"
"""Who it is that pauses, in the audit."""


def pause_for(
    now: Published, alert: Alert, *, at: str
) -> tuple[Publication, list[AuditEntry]] | None:
    """The pause that an alert asks for; None if there is nothing to do.

    There is nothing to do where the alert does not pause, where it has paused before (whatever
    came after, such as somebody who looked and resumed), where another version of the experiment
    holds by now, and where this one is not running.

    Args:
        now: What the topics say.
        alert: What was told.
        at: RFC 3339 in UTC.

    Raises:
        SpecReferenceError: A reference does not hold with what the topics say.
    """
    if alert.action != "pause" or not alert.experiment or not alert.version:
        return None
    if any(entry.cause == alert.id for entry in now.history(alert.experiment)):
        return None
    spec = now.specs.catalog().current(alert.experiment)
    if spec is None or spec.version != alert.version or spec.status is not Status.RUNNING:
        return None
    publication = propose(now, [spec.model_copy(update={"status": Status.PAUSED})])
    entries = publication.entries(
        at=at,
        who=GUARDRAIL,
        action=str(Action.PAUSE),
        why=f"{alert.kind}: {alert.message}",
        cause=alert.id,
    )
    return publication, list(entries)
