"""A pause must not wait for what only workers need: Faust and SciPy take more than a second."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("faust.types", "scipy", "starlette", "statsmodels")


@pytest.mark.parametrize("command", ["pause", "publish", "history", "topics", "dlq", "validate"])
def test_commands_that_run_no_stages_import_none_of_it(command):
    script = (
        "import sys\nfrom anabranch.cli.app import run\n"
        f"run([{command!r}, '--help'])\n"
        f"print('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
