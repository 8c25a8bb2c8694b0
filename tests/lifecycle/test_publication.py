"""What publishing would change, and who is told when somebody else was faster."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import (
    DuplicateSpecError,
    IllegalTransitionError,
    LifecycleError,
    MalformedEventError,
    PublishConflictError,
    SpecError,
    SpecReferenceError,
)
from anabranch.lifecycle import (
    AuditEntry,
    Published,
    Specs,
    decode_audit,
    differences,
    encode_audit,
    fold,
    impact,
    propose,
)
from anabranch.specs import Catalog, Status
from tests.lifecycle.records import Recorded, experiment, metric, numbered, said, telemetry

NOW = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


def published(*specs, files=(), audit=()) -> Published:
    return Published(fold(Specs.of(files), numbered(map(said, specs)))[0], audit)


def entry(spec, **more) -> AuditEntry:
    given = {"at": "2026-01-01T00:00:00Z", "who": "ada", "action": "publish"} | more
    return AuditEntry(
        kind=spec.kind, key=spec.key, version=spec.version, to_digest=spec.digest, **given
    )


# -- what changes -----------------------------------------------------------------------------


def test_differences_are_told_by_path():
    before = experiment("a", variants=[{"id": "a"}, {"id": "b"}], coverage=0.5)
    after = experiment("a", "2.0.0", variants=[{"id": "a"}, {"id": "b", "weight": 3}], title="T")
    assert [(d.path, d.before, d.after) for d in differences(before, after)] == [
        ("meta.title", None, "T"),
        ("variants[1].weight", None, 3),
        ("coverage", 0.5, 1),
    ]
    assert differences(before, before) == []


def test_a_new_version_is_held_against_the_one_that_holds():
    one, two = experiment("a"), experiment("a", "2.0.0", title="T")
    publication = propose(published(one), [two])
    (proposed,) = publication.proposed
    assert (proposed.before, proposed.held) == (None, one)
    assert [d.path for d in proposed.differences] == ["meta.title"]
    assert publication.before.current("a") == one
    assert publication.after.current("a") == two


def test_what_the_topic_says_already_is_not_written_again():
    spec, file = experiment("a"), experiment("b")
    publication = propose(published(spec, files=[file]), [spec, file])
    assert publication.unchanged == [spec]
    assert [p.spec for p in publication.proposed] == [file]


def test_what_commands_have_set_stays_where_files_do_not_say():
    """Publishing the same files again resumes nothing and takes no ramp back."""
    ramped = experiment("a", status="paused", coverage=0.25)
    same = propose(published(ramped), [experiment("a")])
    assert (same.proposed, same.unchanged) == ([], [ramped])
    assert {str(n): list(f) for n, f in same.kept.items()} == {
        "Experiment a 1.0.0": ["status", "coverage"]
    }
    (titled,) = propose(published(ramped), [experiment("a", title="T", coverage=0.5)]).proposed
    assert titled.spec == experiment("a", title="T", status="paused", coverage=0.5)
    stopped = experiment("a", status="completed")
    assert propose(published(stopped), [experiment("a")]).unchanged == [stopped]
    (explicit,) = propose(published(ramped), [experiment("a", status="running")]).proposed
    assert explicit.spec.status is Status.RUNNING
    assert propose(published(ramped), [experiment("a", "2.0.0")]).kept == {}


def test_leaving_out_that_it_is_a_draft_starts_it():
    publication = propose(published(experiment("a", status="draft")), [experiment("a")])
    assert [p.spec.status for p in publication.proposed] == [Status.RUNNING]


def test_what_may_not_be_published():
    one = experiment("a", status="completed")
    with pytest.raises(IllegalTransitionError, match="is completed and cannot become running"):
        propose(published(one), [experiment("a", status="running")])
    with pytest.raises(LifecycleError, match="--in-place"):
        propose(published(experiment("a")), [experiment("a", unit=["userId"])])
    propose(published(experiment("a")), [experiment("a", unit=["userId"])], in_place=True)
    with pytest.raises(DuplicateSpecError, match=r"Experiment a 1.0.0 is given twice"):
        propose(published(), [one, one])


def test_references_must_hold_with_what_is_there():
    needs, orders = experiment("a", successMetrics=[metric("order")]), telemetry("shop", "order")
    with pytest.raises(SpecReferenceError, match=r"(?s)event order.*publish together"):
        propose(published(), [needs])
    for now, wanted in [
        (published(), [needs, orders]),
        (published(orders), [needs]),
        (published(files=[orders]), [needs]),
    ]:
        assert propose(now, wanted).after.problems() == []


# -- what units get ---------------------------------------------------------------------------


def catalog(*specs) -> Catalog:
    return Catalog.of(specs)


def test_a_ramp_moves_nobody_who_is_in():
    found = impact(
        catalog(experiment("a", coverage=0.1)), catalog(experiment("a", coverage=0.5)), "a", NOW
    )
    assert found.units == 10_000
    assert abs(found.before - 1000) < 150
    assert abs(found.after - 5000) < 250
    assert (found.moved, found.left) == (0, 0)
    assert found.joined == found.after - found.before


def test_pausing_takes_everybody_out_and_moves_nobody():
    found = impact(
        catalog(experiment("a")), catalog(experiment("a", status="paused")), "a", NOW, 500
    )
    assert (found.before, found.after, found.left, found.moved) == (500, 0, 500, 0)


def test_a_new_salt_moves_half_and_a_new_version_nobody():
    one, two = experiment("a"), experiment("a", "2.0.0")
    salted = experiment("a", "2.0.0", allocation={"type": "random", "salt": "s"})
    assert impact(catalog(one), catalog(one, two), "a", NOW).moved == 0
    found = impact(catalog(one), catalog(one, salted), "a", NOW)
    assert abs(found.moved - 5000) < 300
    assert (found.version_before, found.version_after) == ("1.0.0", "2.0.0")
    assert "results start anew with 2.0.0" in found.notes[0]


def test_a_new_experiment_and_one_with_targeting_rules():
    rules = experiment("a", expression="context.attributes?.x === 'y'", unit=["organizationId"])
    found = impact(catalog(), catalog(rules), "a", NOW, 100)
    assert (found.version_before, found.before, found.joined) == (None, 0, 100)
    assert "without attributes" in found.notes[0]


def test_prerequisites_on_another_identity_are_met():
    first = experiment("first", unit=["organizationId"])
    second = experiment("a", unit=["userId"], prerequisites=[{"experiment": "first"}])
    assert impact(catalog(first), catalog(first, second), "a", NOW, 100).after == 100


# -- two people at once -----------------------------------------------------------------------


def test_whoever_was_slower_is_told_who_was_faster():
    one = experiment("a")
    mine = propose(published(one), [experiment("a", title="mine")])
    theirs = experiment("a", title="theirs")
    now = published(one, theirs, audit=[entry(one), entry(theirs, who="bob", why="a typo")])
    with pytest.raises(PublishConflictError, match=r"bob published 1\.0\.0 at 2026.*\(a typo\)"):
        mine.check(now)


def test_another_version_of_the_key_is_a_conflict_too():
    one, two = experiment("a"), experiment("a", "2.0.0")
    mine = propose(published(one), [experiment("a", coverage=0.5)])
    with pytest.raises(PublishConflictError, match=r"bob did pause of 2\.0\.0"):
        mine.check(published(one, two, audit=[entry(two, who="bob", action="pause")]))
    with pytest.raises(PublishConflictError, match="without an entry in the audit"):
        mine.check(published(one, two))


def test_another_key_is_no_conflict_unless_references_break():
    mine = propose(published(telemetry("shop", "order")), [
        experiment("a", successMetrics=[metric("order")])
    ])  # fmt: skip
    mine.check(published(telemetry("shop", "order"), experiment("b")))
    with pytest.raises(SpecReferenceError, match="event order"):
        mine.check(published(telemetry("shop", "refund")))


EVENTS = ["order", "refund"]
WANTED = st.one_of(
    st.builds(
        experiment,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["1.0.0", "2.0.0"]),
        status=st.sampled_from(list(Status)),
        successMetrics=st.lists(st.sampled_from(EVENTS).map(metric), max_size=1),
        layer=st.sampled_from([None, {"key": "l", "end": 0.6}, {"key": "l", "start": 0.5}]),
        prerequisites=st.sampled_from([[], [{"experiment": "c"}]]),
    ),
    st.builds(experiment, st.just("c"), status=st.sampled_from(list(Status))),
    st.builds(telemetry, st.just("shop"), st.sampled_from(EVENTS)),
)


@given(st.lists(st.lists(WANTED, max_size=3), max_size=6))
def test_what_may_be_published_is_never_refused_by_a_worker(publications):
    """Not by one that follows, nor by one that starts afterwards."""
    following, log = Specs(), []
    for wanted in publications:
        try:
            publication = propose(published_log(log), wanted)
        except (LifecycleError, SpecError):
            continue
        new = [said(p.spec, offset=len(log) + n) for n, p in enumerate(publication.proposed)]
        log += new
        following, wrong = fold(following, new)
        starting, _ = fold(Specs(), log)
        assert wrong == []
        for specs in (following, starting):
            assert (specs.refused, specs.waiting) == ({}, ())
            assert list(specs.catalog()) == list(publication.after)


def published_log(log) -> Published:
    return Published(fold(Specs(), log)[0])


# -- audit ------------------------------------------------------------------------------------


def test_the_audit_says_who_when_from_what_to_what_and_why():
    one, two = experiment("a"), experiment("a", "2.0.0", coverage=0.5)
    publication = propose(published(one), [two])
    (made,) = publication.entries(at="2026-01-01T00:00:00Z", who="ada", action="publish", why="w")
    assert (made.from_version, made.from_digest) == ("1.0.0", one.digest)
    assert (made.version, made.to_digest) == ("2.0.0", two.digest)
    assert made.changes == ("coverage: 1 -> 0.5",)
    key, value = encode_audit(made)
    assert key == b"Experiment|a"
    assert decode_audit(Recorded(key, value)) == made


def test_what_is_no_audit_entry_is_told_with_its_place():
    with pytest.raises(MalformedEventError, match=r"t\.specs\.v1\[0\]@7 is no audit entry"):
        decode_audit(Recorded(b"k", b"{}", offset=7))
