"""Specs as documents: what a JSON or YAML file holds, and what travels on the specs topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anabranch.errors import SpecLoadError
from anabranch.specs.context import ContextSpec
from anabranch.specs.experiment import ExperimentSpec
from anabranch.specs.explain import nearest
from anabranch.specs.policy import PolicySpec
from anabranch.specs.spec import Spec
from anabranch.specs.targets import (
    AppConfigSpec,
    DataViewSpec,
    FeatureModuleSpec,
    PresentationSpec,
    ThemeSpec,
    WorkflowSpec,
)
from anabranch.specs.telemetry import TelemetrySpec

__all__ = ["KINDS", "kind_of", "parse_document"]

KINDS: Final[Mapping[str, type[Spec]]] = {
    model.kind: model
    for model in (
        ExperimentSpec,
        TelemetrySpec,
        PolicySpec,
        ContextSpec,
        FeatureModuleSpec,
        DataViewSpec,
        WorkflowSpec,
        ThemeSpec,
        PresentationSpec,
        AppConfigSpec,
    )
}
"""Kind, as documents write it, to the model of its spec."""


def kind_of(document: Any) -> type[Spec]:
    """The model that the document's ``kind`` asks for.

    Raises:
        SpecLoadError: it is no object, or has no kind, or one that is not known.
    """
    if not isinstance(document, Mapping):
        raise SpecLoadError(
            f"a spec is an object with a 'kind', not {type(document).__name__}: {document!r:.60}"
        )
    if "kind" not in document:
        raise SpecLoadError(f"says no 'kind': add one of {', '.join(KINDS)}")
    kind = document["kind"]
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is not None:
        return model
    raise SpecLoadError(f"there is no kind {kind!r}: {nearest(str(kind), KINDS)}")


def parse_document(document: Any) -> Spec:
    """The spec of a document; ``parse_document(spec.document) == spec``.

    Raises:
        SpecLoadError: as :func:`kind_of`.
        SpecValidationError: the document is no valid spec of its kind.
    """
    model = kind_of(document)
    return model.model_validate({key: v for key, v in document.items() if key != "kind"})
