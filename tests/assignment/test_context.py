"""Who asks, and which identity is the unit."""

from __future__ import annotations

import pytest

from anabranch.assignment import ExperimentContext, unit_of
from anabranch.errors import EventSchemaError
from anabranch.events.models import ContextData, TelemetryData
from anabranch.specs import Identity


@pytest.mark.parametrize(
    ("identities", "unit"),
    [
        (("userId", "sessionId", "organizationId"), "user:u"),
        (("sessionId", "userId"), "session:s"),
        (("organizationId",), "organization:o"),
        ((), None),
    ],
)
def test_the_first_identity_of_the_list_is_the_unit(
    identities: tuple[Identity, ...], unit: str | None
) -> None:
    ids = {"user_id": "u", "organization_id": "o", "session_id": "s"}
    assert unit_of(identities, ExperimentContext(**ids)) == unit
    assert unit_of(identities, TelemetryData(name="n", version=1, **ids)) == unit
    assert unit_of(identities, ContextData(**ids)) == unit


@pytest.mark.parametrize("missing", [None, ""])
def test_an_empty_identity_is_none(missing: str | None) -> None:
    context = ExperimentContext(user_id=missing, session_id="s")
    assert unit_of(("userId", "sessionId"), context) == "session:s"
    assert unit_of(("userId",), context) is None


def test_camel_case_and_snake_case_are_the_same() -> None:
    fields = {"experiment": "e", "version": 1, "attributes": {"a": 1}, "flags": ["f"]}
    camel = ExperimentContext.from_mapping(
        fields | {"userId": "u", "organizationId": "o", "sessionId": "s", "exposure": True}
    )
    snake = ExperimentContext.from_mapping(
        fields | {"user_id": "u", "organization_id": "o", "session_id": "s"}
    )
    assert camel == snake
    assert camel.mapping == fields | {"userId": "u", "organizationId": "o", "sessionId": "s"}


def test_what_is_not_there_is_absent_from_the_mapping() -> None:
    context = ExperimentContext(user_id="u")
    assert context.mapping == {"userId": "u"}
    assert context.mapping is context.mapping
    assert context == ExperimentContext(user_id="u") != ExperimentContext(user_id="v")
    assert context != {"userId": "u"}
    assert repr(context) == "ExperimentContext(userId='u')"


def test_asking_for_one_experiment_changes_nothing_else() -> None:
    context = ExperimentContext(user_id="u", flags=("f",))
    assert context.mapping
    assert context.asking_for("e").mapping == {"experiment": "e", "userId": "u", "flags": ("f",)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user_id": 123}, "user_id must be text, not 123: write '123'"),
        ({"session_id": b"s"}, "session_id must be text"),
        ({"organization_id": 1}, "organization_id must be text"),
        ({"experiment": 1}, "experiment must be text"),
        ({"attributes": ["a"]}, "attributes must be a mapping"),
        ({"flags": "beta"}, "flags must be a list"),
        ({"flags": 1}, "flags must be a list"),
    ],
)
def test_fields_of_the_wrong_type_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(EventSchemaError, match=message):
        ExperimentContext(**fields)
    with pytest.raises(EventSchemaError, match=message):
        ExperimentContext.from_mapping(fields)
