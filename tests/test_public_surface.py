"""What ``import anabranch`` gives, and what it does not bring along."""

from __future__ import annotations

import inspect
import subprocess
import sys

import anabranch
from anabranch import errors

NAMED_IN_THE_DESIGN = {
    "ExperimentSpec",
    "ExperimentRegistry",
    "ExperimentEvaluator",
    "ExperimentContext",
    "Evaluation",
    "PolicyEngine",
    "TelemetrySpec",
}
PARTS_OF_AN_EXPERIMENT = {
    "Meta",
    "Variant",
    "Override",
    "RandomAllocation",
    "StickyAllocation",
    "TargetedAllocation",
    "TargetingRule",
    "SuccessMetric",
    "TelemetryEventRef",
    "PolicyRef",
    "Schedule",
    "Status",
    "Stability",
}


def test_all_is_what_is_there() -> None:
    found = {
        name
        for name, value in vars(anabranch).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(anabranch.__all__) == found
    assert list(anabranch.__all__) == sorted(anabranch.__all__)


def test_what_the_design_names_is_public() -> None:
    assert set(anabranch.__all__) >= NAMED_IN_THE_DESIGN | PARTS_OF_AN_EXPERIMENT


def test_the_whole_error_tree_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AnabranchError)
    }
    assert tree <= set(anabranch.__all__)
    assert all(name in (errors.__doc__ or "") for name in tree)


def test_importing_it_brings_no_kafka_and_no_web() -> None:
    script = (
        "import sys, anabranch\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(roots & {'faust', 'mode', 'aiokafka', 'starlette', 'uvicorn', 'typer', "
        "'rich', 'scipy', 'numpy'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
