"""Targeting expressions: a subset of JavaScript with JavaScript's meaning and nothing to escape to.

``grammar`` parses (``nodes`` is what comes out), ``compiler`` makes a function of it, ``semantics``
and ``methods`` say what JavaScript does with the values, ``text`` what strings are. ``reads`` tells
which paths an expression looks at.
"""

from anabranch.assignment.expressions.compiler import (
    RAISED,
    Expression,
    Run,
    compile_expression,
)
from anabranch.assignment.expressions.reads import Read, constant, paths, reads
from anabranch.assignment.expressions.semantics import UNDEFINED, truthy

__all__ = [
    "RAISED",
    "UNDEFINED",
    "Expression",
    "Read",
    "Run",
    "compile_expression",
    "constant",
    "paths",
    "reads",
    "truthy",
]
