"""Hooks of mkdocs: what the documents link to outside their folder leads to the repository."""

from __future__ import annotations

import re
from typing import Any

_REPOSITORY = "https://github.com/anabranch/anabranch/blob/main/"
_UP = re.compile(r"(?<=\]\()(?:\.\./)+")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page with links to other parts of the repository made absolute."""
    steps_to_root = 1 + page.file.src_uri.count("/")

    def absolute(found: re.Match[str]) -> str:
        return _REPOSITORY if found[0].count("/") == steps_to_root else found[0]

    return _UP.sub(absolute, markdown)
