"""Writes the table in docs/metrics.md from the registry: ``python -m tools.metricsdocs``."""

from __future__ import annotations

from pathlib import Path

from anabranch.web.metrics import METRICS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
BEGIN = "<!-- table: written by `python -m tools.metricsdocs` from the registry -->"
END = "<!-- end of the table -->"


def page(text: str) -> str:
    """The page with its table as the registry has it now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


def table() -> str:
    """A row for each metric."""
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.help.replace('|', chr(92) + '|')} |"
        for m in METRICS
    ]
    return "\n".join(["| metric | type | labels | |", "| --- | --- | --- | --- |", *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
