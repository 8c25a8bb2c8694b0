"""The tables of docs/security.md, as what a test may hold against the code or grant."""

from __future__ import annotations

from pathlib import Path

from tests.security.broker import Right

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def documented(*who: str, prefix: str = "anabranch") -> list[Right]:
    """Exactly the rights that the page gives to some of those it lists."""
    rights = [
        Right(resource, prefix + name.strip("`").removeprefix("anabranch"), pattern, operation)
        for principal, resource, name, pattern, operations in table("Rights")
        if principal in who
        for operation in operations.split(", ")
    ]
    assert rights, f"{PAGE.name} gives {who} nothing"
    return rights


def principals() -> list[str]:
    return list(dict.fromkeys(row[0] for row in table("Rights")))
