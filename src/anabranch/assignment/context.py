"""Who asks for a variant, and which of its identities is the unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, Self

import msgspec

from anabranch.errors import EventSchemaError
from anabranch.specs import Identity

__all__ = ["ExperimentContext", "Identified", "unit_of"]


class Identified(Protocol):
    """Whatever carries the three identities: a context or a telemetry event."""

    @property
    def user_id(self) -> str | None: ...
    @property
    def organization_id(self) -> str | None: ...
    @property
    def session_id(self) -> str | None: ...


IDENTITIES: Final[Mapping[Identity, tuple[str, str]]] = {
    "userId": ("user:", "user_id"),
    "organizationId": ("organization:", "organization_id"),
    "sessionId": ("session:", "session_id"),
}
"""Identity to the prefix of its units and the field that holds it."""


def unit_of(identities: Iterable[Identity], carrier: Identified) -> str | None:
    """The unit: the first identity of the list that is there and not empty, else None.

    Evaluator and gate both ask here, so that exposures and observations meet.

    Returns:
        ``user:123``, ``organization:acme`` or ``session:abc``.
    """
    for identity in identities:
        prefix, field = IDENTITIES[identity]
        value: str | None = getattr(carrier, field)
        if value:
            return prefix + value
    return None


_SPELLINGS: Final = {
    "experiment": "experiment",
    "version": "version",
    "userId": "user_id",
    "user_id": "user_id",
    "organizationId": "organization_id",
    "organization_id": "organization_id",
    "sessionId": "session_id",
    "session_id": "session_id",
    "attributes": "attributes",
    "flags": "flags",
}


class ExperimentContext(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is known of whoever asks for a variant. Immutable.

    Attributes:
        experiment: Key of the experiment; None where every running one is meant.
        version: Its version; None is the current one.
        attributes: Whatever targeting expressions look at; what JSON can hold.
        flags: Flags that are on, roles of the subject where policies are asked.

    Raises:
        EventSchemaError: an identity is not text, attributes are no mapping, or flags no strings.
    """

    experiment: str | None = None
    version: str | int | None = None
    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    attributes: Mapping[str, Any] | None = None
    flags: Sequence[str] | None = None
    _mapping: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("user_id", self.user_id),
            ("session_id", self.session_id),
            ("organization_id", self.organization_id),
            ("experiment", self.experiment),
        ):
            if value is not None and not isinstance(value, str):
                raise EventSchemaError(
                    f"context: {name} must be text, not {value!r}: write {str(value)!r}"
                )
        attributes, flags = self.attributes, self.flags
        if attributes is not None and not isinstance(attributes, Mapping):
            raise EventSchemaError(f"context: attributes must be a mapping, not {attributes!r}")
        if flags is not None and (isinstance(flags, str) or not isinstance(flags, Sequence)):
            raise EventSchemaError(f"context: flags must be a list of strings, not {flags!r}")

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """A context from its fields in camelCase or snake_case.

        Other fields are passed over, as on the wire, where producers may add their own.

        Raises:
            EventSchemaError: a field is of the wrong type.
        """
        return cls(**{_SPELLINGS[name]: given[name] for name in given if name in _SPELLINGS})

    def asking_for(self, experiment: str, version: str | int | None = None) -> Self:
        """The same context, asking for one experiment."""
        return msgspec.structs.replace(self, experiment=experiment, version=version, _mapping=None)

    @property
    def mapping(self) -> dict[str, Any]:
        """What expressions see as ``context``: fields that are not there are undefined.

        Built once; not to be changed.
        """
        found = self._mapping
        if found is None:
            found = {}
            for name, value in (
                ("experiment", self.experiment),
                ("version", self.version),
                ("userId", self.user_id),
                ("organizationId", self.organization_id),
                ("sessionId", self.session_id),
                ("attributes", self.attributes),
                ("flags", self.flags),
            ):
                if value is not None:
                    found[name] = value
            msgspec.structs.force_setattr(self, "_mapping", found)
        return found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExperimentContext):
            return NotImplemented
        return self.mapping == other.mapping

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.mapping.items())
        return f"ExperimentContext({fields})"
