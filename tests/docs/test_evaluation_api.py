"""The evaluation API's page: its Python prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/evaluation-api.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("source", SNIPPETS)
def test_snippets_print_what_they_say(source):
    pytest.importorskip(
        "openfeature.contrib.provider.ofrep",
        reason="the extra is not installed: pip install '.[openfeature]'",
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == re.findall(r"print\(.*\)  # (.*)$", source, re.MULTILINE)


def test_there_are_snippets():
    assert len(SNIPPETS) == 2
