"""Specs that belong to the applications: what overrides change, and who refers to experiments.

Anabranch does not run them. It knows their identity and the experiments that they name; everything
else in them is theirs, kept as JSON, and may be changed by overrides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from anabranch.specs.base import SpecModel
from anabranch.specs.experiment import ExperimentRef
from anabranch.specs.explain import wrong
from anabranch.specs.fields import Json
from anabranch.specs.meta import Meta, duplicates
from anabranch.specs.spec import Spec

__all__ = [
    "AppConfigSpec",
    "AppExperiments",
    "DataViewSpec",
    "FeatureModuleSpec",
    "ForeignMeta",
    "PresentationSpec",
    "TargetSpec",
    "ThemeSpec",
    "WorkflowSpec",
]


class ForeignMeta(Meta):
    """Meta of an application's spec, which may say more about itself."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]


class TargetSpec(Spec):
    """Base of applications' specs: any fields beside those named here, kept as they are."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]

    meta: ForeignMeta
    """Which spec it is, who owns it."""
    experiments: tuple[ExperimentRef, ...] = ()
    """Experiments that change this spec, or that the module owns."""

    @model_validator(mode="before")
    @classmethod
    def _says_no_kind_of_its_own(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "kind" in data:
            raise wrong(("kind",), "is what the document is, not one of its fields: leave it out")
        return data

    @model_validator(mode="after")
    def _experiments_named_once(self) -> Self:
        for twice in duplicates(ref.label for ref in self.experiments):
            raise wrong(("experiments",), f"{twice!r} is named twice: once is enough")
        return self


class DataViewSpec(TargetSpec):
    """A data view: what a list, a table or a detail page shows."""

    kind: ClassVar[str] = "DataView"


class WorkflowSpec(TargetSpec):
    """A workflow: steps and how they lead to each other."""

    kind: ClassVar[str] = "Workflow"


class ThemeSpec(TargetSpec):
    """A theme: colours, type, components."""

    kind: ClassVar[str] = "Theme"


class PresentationSpec(TargetSpec):
    """A presentation: how something is rendered."""

    kind: ClassVar[str] = "Presentation"


class FeatureModuleSpec(TargetSpec):
    """A feature module, with the experiments that it owns."""

    kind: ClassVar[str] = "FeatureModule"


class AppExperiments(SpecModel):
    """Experiments that an application takes part in, and those that it leaves out for now."""

    active: tuple[ExperimentRef, ...] = ()
    """Experiments that it takes part in. Where any configuration lists some, those that none lists
    give control, without exposure."""
    paused: tuple[ExperimentRef, ...] = ()
    """Experiments that give control, without exposure, whatever their status says."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        both = {ref.label for ref in self.active} & {ref.label for ref in self.paused}
        for label in sorted(both):
            raise wrong(("paused",), f"{label!r} is active as well: keep one")
        return self


class AppConfigSpec(Spec):
    """An application's configuration, as far as experiments are concerned; the rest is its own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]

    kind: ClassVar[str] = "AppConfig"

    meta: ForeignMeta
    """Which configuration it is, who owns it."""
    experiments: AppExperiments = Field(default_factory=AppExperiments)
    """Experiments by whether the application takes part."""
