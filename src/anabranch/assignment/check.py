"""What only the assignment layer can tell of a spec: whether its expressions compile."""

from __future__ import annotations

from anabranch.assignment.plan import Plan
from anabranch.assignment.policy import compile_conditions
from anabranch.specs import ExperimentSpec, PolicySpec, Spec

__all__ = ["compile_spec"]


def compile_spec(spec: Spec) -> None:
    """Compile every expression of a spec; meant for the ``check`` of ``load_specs``.

    Raises:
        SpecValidationError: one is wrong; the message has its path, line and column.
    """
    if isinstance(spec, ExperimentSpec):
        Plan(spec)
    elif isinstance(spec, PolicySpec):
        compile_conditions(spec)
