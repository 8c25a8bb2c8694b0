"""The engine's README: its example prints what it says, and its modules are those that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "src/anabranch/engine"
README = (ENGINE / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says():
    (source,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    printed = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    (said,) = re.findall(r"#  ?(\{.*\})$", source, flags=re.MULTILINE)
    assert dict(sorted(eval(printed).items())) == dict(sorted(eval(said).items()))


def test_every_module_is_listed():
    listed = set(re.findall(r"`([a-z0-9]+)/?`(?=[^|]*\|)", README))
    there = {p.stem for p in ENGINE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert listed >= there - {"__init__"}
