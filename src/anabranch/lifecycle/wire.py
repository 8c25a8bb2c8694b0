"""Specs as records of the specs topic.

The key is ``kind|key|version``, the value the spec's document as canonical JSON, and the header
``anabranch.digest`` its content digest, so that a reader notices when it does not understand a
spec as its publisher did. A null value takes back what the topic said under that key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from anabranch.assignment import compile_spec
from anabranch.errors import AnabranchError, SpecLoadError, SpecValidationError
from anabranch.events.records import Headers, Record
from anabranch.specs import Spec
from anabranch.specs.documents import KINDS, parse_document

__all__ = ["DIGEST_HEADER", "SpecName", "SpecRecord", "decode_spec", "encode_spec"]

DIGEST_HEADER: Final = "anabranch.digest"


@dataclass(frozen=True, slots=True, order=True)
class SpecName:
    """What a spec is known by: no two have the same kind, key and version."""

    kind: str
    key: str
    version: str

    @classmethod
    def of(cls, spec: Spec) -> SpecName:
        return cls(spec.kind, spec.key, spec.version)

    @classmethod
    def parse(cls, key: bytes | None) -> SpecName:
        """The name that a record's key spells.

        Raises:
            SpecLoadError: It spells none.
        """
        parts = (key or b"").decode("utf-8", "backslashreplace").split("|")
        if len(parts) != 3 or parts[0] not in KINDS or not all(parts):
            raise SpecLoadError(
                f"the record's key {'|'.join(parts)!r} is no kind|key|version, such as "
                "'Experiment|checkout.button|1.0.0'"
            )
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.version}"

    @property
    def record_key(self) -> bytes:
        return f"{self.kind}|{self.key}|{self.version}".encode()


@dataclass(frozen=True, slots=True)
class SpecRecord:
    """A record to be written to the specs topic; no value takes back what the key said."""

    key: bytes
    value: bytes | None
    headers: Headers = ()


def encode_spec(spec: Spec) -> SpecRecord:
    """The record that says the spec."""
    value = json.dumps(
        spec.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return SpecRecord(
        SpecName.of(spec).record_key, value.encode(), [(DIGEST_HEADER, spec.digest.encode())]
    )


def decode_spec(record: Record) -> tuple[SpecName, Spec | None]:
    """What a record says: a name and its spec, expressions compiled; None takes it back.

    A record without the digest's header is taken too, so that any client may publish.

    Raises:
        SpecLoadError: The key is no name, or the value no document.
        SpecValidationError: The spec is wrong, is another than the key says, or has another digest
            than its publisher gave it.
    """
    name = SpecName.parse(record.key)
    if record.value is None:
        return name, None
    spec = _parse(name, record.value)
    if SpecName.of(spec) != name:
        raise SpecValidationError(
            f"the record's key says {name}, and its value {SpecName.of(spec)}: publish it under "
            "its own name"
        )
    told = next((value for header, value in record.headers if header == DIGEST_HEADER), None)
    if told is not None and told != spec.digest.encode():
        raise SpecValidationError(
            f"{name}: its publisher says digest {told.decode('utf-8', 'backslashreplace')}, and "
            f"here it is {spec.digest}: the value was changed, or the publisher has another "
            "version of anabranch; publish it again with the version of the workers"
        )
    return name, spec


def _parse(name: SpecName, value: bytes) -> Spec:
    try:
        document: Any = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise SpecLoadError(f"{name}: the record's value is not JSON: {error}") from None
    try:
        spec = parse_document(document)
        compile_spec(spec)
    except RecursionError:
        raise SpecLoadError(f"{name}: the record's value is nested too deeply") from None
    except AnabranchError as error:
        raise SpecValidationError(f"{name}: {error}") from error
    return spec
