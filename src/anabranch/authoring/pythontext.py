"""One spec's expression written anew in a Python module, with what it has to import."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from anabranch.specs import Spec
from anabranch.specs.writing import python_expression, python_import

__all__ = ["rewritten"]

_Assignment = ast.Assign | ast.AnnAssign


def rewritten(text: str, spec: Spec) -> Iterator[str]:
    """The module with the spec in the place of each top-level expression that may be it.

    More than one may be: the first that reads as wanted is the one. Comments inside the
    expression are lost.
    """
    tree = ast.parse(text)
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        if not any(isinstance(n, ast.Constant) and n.value == spec.key for n in ast.walk(node)):
            continue
        lines = _Lines(text)
        start, end = lines.of(node.value)
        column = start - (text.rfind("\n", 0, start) + 1)
        expression, imports = python_expression(spec, column)
        replaced = text[:start] + expression + text[end:]
        yield _importing(replaced, imports)


def _importing(text: str, wanted: Mapping[str, set[str]]) -> str:
    """The module with imports added for names that it does not bind."""
    for module, names in wanted.items():
        tree = ast.parse(text)
        bound = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        new = names - bound
        if not new:
            continue
        lines = _Lines(text)
        same = next((node for node in tree.body if _may_take(node, module)), None)
        if isinstance(same, ast.ImportFrom):
            start, end = lines.of(same)
            known = {alias.name for alias in same.names}
            text = text[:start] + python_import(module, known | new).rstrip("\n") + text[end:]
        else:
            at = lines.start(_first_line(tree))
            text = text[:at] + python_import(module, new) + text[at:]
    return text


def _may_take(node: ast.stmt, module: str) -> bool:
    """Whether it is an import of the module that more names can be added to."""
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == module
        and node.level == 0
        and all(alias.asname is None and alias.name != "*" for alias in node.names)
    )


def _first_line(tree: ast.Module) -> int:
    """Line, from 1, before which an import may stand: behind docstring and __future__."""
    line = 1
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            line = (node.end_lineno or node.lineno) + 1
        else:
            return node.lineno if isinstance(node, ast.Import | ast.ImportFrom) else line
    return line


class _Lines:
    """Places in a text, of nodes that count columns in bytes."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)

    def start(self, line: int) -> int:
        return sum(map(len, self._lines[: line - 1]))

    def of(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line, end_column = node.end_lineno, node.end_col_offset
        if end_line is None or end_column is None:  # for the type checker: parsed nodes have them
            raise ValueError("the node has no end")
        return self._at(node.lineno, node.col_offset), self._at(end_line, end_column)

    def _at(self, line: int, column: int) -> int:
        text = self._lines[line - 1]
        return self.start(line) + len(text.encode()[:column].decode())
