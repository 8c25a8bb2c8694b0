"""What an alert that pauses makes of the specs."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from anabranch.errors import PublishConflictError
from anabranch.events.models import Alert
from anabranch.lifecycle import Published, SpecName, Specs, pause_for
from anabranch.specs import Status
from tests.lifecycle.records import experiment

AT = "2026-01-02T00:00:00Z"


def alert(**fields) -> Alert:
    given = {
        "id": "alert-1",
        "kind": "guardrail",
        "state": "raised",
        "at": AT,
        "since": AT,
        "message": "b is worse than a",
        "evidence": {},
        "action": "pause",
        "experiment": "checkout",
        "version": "1.0.0",
    }
    return msgspec.convert(given | fields, Alert)


def holding(*specs, audit=()) -> Published:
    return Published(Specs.of(specs), audit)


def test_a_running_experiment_is_paused_with_who_and_why():
    running = experiment("checkout", onBreach="pause")
    found = pause_for(holding(running), alert(), at=AT)
    assert found is not None
    publication, (entry,) = found
    (proposed,) = publication.proposed
    assert proposed.spec == running.model_copy(update={"status": Status.PAUSED})
    assert (entry.who, entry.action, entry.why, entry.cause, entry.at) == (
        "anabranch guardrail",
        "pause",
        "guardrail: b is worse than a",
        "alert-1",
        AT,
    )
    assert entry.changes == ("status: running -> paused",)


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        ([experiment("checkout")], {"action": "alert"}),
        ([experiment("checkout")], {"version": "0.9.0"}),
        ([experiment("checkout"), experiment("checkout", "2.0.0")], {}),
        ([experiment("checkout", status="paused")], {}),
        ([experiment("checkout", status="completed")], {}),
        ([experiment("other")], {}),
        ([], {}),
    ],
)
def test_there_is_nothing_to_do_where_it_does_not_run(specs, told):
    assert pause_for(holding(*specs), alert(**told), at=AT) is None


def test_a_draft_of_the_next_version_does_not_keep_it_from_being_paused():
    specs = [experiment("checkout"), experiment("checkout", "2.0.0", status="draft")]
    found = pause_for(holding(*specs), alert(), at=AT)
    assert found is not None
    assert [one.spec.version for one in found[0].proposed] == ["1.0.0"]


def test_an_alert_that_has_paused_does_not_again_though_somebody_resumed():
    running = experiment("checkout")
    found = pause_for(holding(running), alert(), at=AT)
    assert found is not None
    after = holding(running, audit=found[1])
    assert pause_for(after, alert(), at=AT) is None
    assert pause_for(after, alert(id="alert-2"), at=AT) is not None


def test_what_was_published_meanwhile_is_not_overwritten():
    running = experiment("checkout")
    found = pause_for(holding(running), alert(), at=AT)
    assert found is not None
    two = experiment("checkout", "2.0.0")
    newer = replace(Specs.of([running]), said={SpecName.of(two): two})
    with pytest.raises(PublishConflictError):
        found[0].check(Published(newer))
