"""Hooks of mkdocs: what the documents link to outside their folder leads to the repository."""

from __future__ import annotations

import re
from typing import Any

_REPOSITORY = "https://github.com/anabranch/anabranch/blob/main/"
_OUTSIDE = re.compile(r"(\]\()\.\./")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with links to other parts of the repository made absolute."""
    return _OUTSIDE.sub(rf"\g<1>{_REPOSITORY}", markdown)
