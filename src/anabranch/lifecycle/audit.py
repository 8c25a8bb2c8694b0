"""The audit: who published what, when and why. Its topic is never compacted."""

from __future__ import annotations

import msgspec

from anabranch.errors import MalformedEventError
from anabranch.events.records import Record
from anabranch.lifecycle.wire import SpecName

__all__ = ["AuditEntry", "decode_audit", "encode_audit"]


class AuditEntry(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """One published spec; topic ``audit``, keyed ``kind|key``.

    Attributes:
        at: RFC 3339 in UTC.
        who: Whoever it was, as the command was told or the system knows.
        action: ``publish``, or what was done: ``pause``, ``resume``, ``ramp``, ``stop``, …
        from_version: The version that held before; None where there was none.
        from_digest: The digest of what this took the place of: the same version's spec, else that
            of the version that held before.
        to_digest: The digest of what was published.
        why: In the publisher's words.
        changes: The fields that changed, in words.
        cause: Id of the alert that led to it; None where somebody did it.
        via: Where it was done, such as ``dashboard``; None for the command line.
    """

    at: str
    who: str
    action: str
    kind: str
    key: str
    version: str
    to_digest: str
    from_version: str | None = None
    from_digest: str | None = None
    why: str = ""
    changes: tuple[str, ...] = ()
    cause: str | None = None
    via: str | None = None

    @property
    def name(self) -> SpecName:
        return SpecName(self.kind, self.key, self.version)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditEntry).decode


def encode_audit(entry: AuditEntry) -> tuple[bytes, bytes]:
    """Key and value of the record."""
    return f"{entry.kind}|{entry.key}".encode(), _encode(entry)


def decode_audit(record: Record) -> AuditEntry:
    """The entry of a record.

    Raises:
        MalformedEventError: It is none.
    """
    try:
        return _decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEventError(
            f"{record.topic}[{record.partition}]@{record.offset} is no audit entry: {error}"
        ) from None
