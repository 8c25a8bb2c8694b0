"""What the fields of specs mean, in Markdown: the texts that stand below them in the models."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel

__all__ = ["field_texts", "model_text"]


@cache
def field_texts(model: type[BaseModel]) -> dict[str, str]:
    """Field to the text below it, of the model and what it inherits from; needs the source.

    A field without a text is left out.
    """
    found: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if part is BaseModel or not issubclass(part, BaseModel):
            continue
        (tree,) = ast.parse(dedent(inspect.getsource(part))).body
        if not isinstance(tree, ast.ClassDef):
            continue
        for before, after in pairwise(tree.body):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                found[before.target.id] = _markdown(after.value.value)
    return {name: text for name, text in found.items() if name in model.model_fields}


def model_text(model: type[BaseModel]) -> str:
    """The model's docstring, without its sections for those who write Python."""
    text = _markdown(model.__doc__ or "")
    return text.split("\n\nRaises:")[0].split("\n\nArgs:")[0]


def _markdown(text: str) -> str:
    """Paragraphs of one line each, and Markdown's quotes of code."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs).replace("``", "`")
