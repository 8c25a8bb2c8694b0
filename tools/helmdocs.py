"""Writes the table of values in the chart's README: ``python -m tools.helmdocs``.

A row is a value of values.yaml with the comment above it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "deploy" / "helm" / "anabranch"
PAGE = CHART / "README.md"
BEGIN = "<!-- table: written by `python -m tools.helmdocs` from values.yaml -->"
END = "<!-- end of the table -->"


def rows(text: str) -> Iterator[tuple[str, Any, str]]:
    """Path, default and comment of each value that has a comment right above it."""
    values = yaml.safe_load(text)
    path: list[str] = []
    comment = ""
    for line in text.splitlines():
        found = re.match(r"^((?:  )*)([A-Za-z]\w*):", line)
        if found is not None:
            del path[len(found[1]) // 2 :]
            path.append(found[2])
            if comment:
                default = values
                for key in path:
                    default = default[key]
                yield ".".join(path), default, comment
        remark = re.match(r"^ *# (.+)$", line)
        comment = remark[1] if remark is not None else ""


def page(text: str) -> str:
    """The page with its table as values.yaml has it now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    lines = ["| value | default | |", "| --- | --- | --- |"]
    for path, default, comment in rows((CHART / "values.yaml").read_text(encoding="utf-8")):
        lines.append(f"| `{path}` | `{json.dumps(default)}` | {comment} |")
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
