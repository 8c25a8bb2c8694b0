"""The demonstration: specs of an experiment, and made-up traffic for it."""

from anabranch.demo.traffic import (
    BEHAVIOUR,
    EXPERIMENT,
    SPECS,
    Behaviour,
    Traffic,
    demo_catalog,
)

__all__ = ["BEHAVIOUR", "EXPERIMENT", "SPECS", "Behaviour", "Traffic", "demo_catalog"]
