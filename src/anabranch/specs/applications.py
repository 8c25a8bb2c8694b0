"""What applications' configurations say of experiments, all of them together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from anabranch.specs.experiment import ExperimentRef, ExperimentSpec
from anabranch.specs.targets import AppConfigSpec

__all__ = ["NO_APPLICATIONS", "Applications"]


class Applications:
    """The active and paused lists of the latest configuration of each application.

    A paused experiment gives control without exposure. So does, where any configuration lists
    active experiments, an experiment that none of them lists. A reference without a version is to
    every version.

    Args:
        configs: One of each application.
    """

    def __init__(self, configs: Iterable[AppConfigSpec] = ()) -> None:
        self._paused: dict[tuple[str, str | None], str] = {}
        self._active: set[tuple[str, str | None]] = set()
        self._listing: list[str] = []
        for config in configs:
            for ref in config.experiments.paused:
                self._paused.setdefault(_name(ref), config.meta.label)
            self._active.update(map(_name, config.experiments.active))
            if config.experiments.active:
                self._listing.append(config.meta.label)

    def pauses(self, spec: ExperimentSpec) -> str | None:
        """Why the experiment gives control without exposure; None where it is left as it is."""
        names = (spec.key, spec.version), (spec.key, None)
        for name in names:
            if name in self._paused:
                return f"AppConfig {self._paused[name]} has it paused"
        if self._listing and self._active.isdisjoint(names):
            return f"no application has it active: AppConfig {', '.join(self._listing)} list others"
        return None


def _name(ref: ExperimentRef) -> tuple[str, str | None]:
    return ref.key, ref.version


NO_APPLICATIONS: Final = Applications()
"""Nothing is said, so specs hold as they are."""
