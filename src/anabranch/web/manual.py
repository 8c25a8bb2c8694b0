"""The manual's page about statistics, served beside the numbers that it explains."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

__all__ = ["manual_page"]

_REPOSITORY: Final = "https://github.com/anabranch/anabranch/blob/main"
_PLACES: Final = (
    Path(__file__).parent / "statistics.md",  # in the wheel
    Path(__file__).parents[3] / "docs" / "statistics.md",  # in a checkout
)
_PAGE: Final = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Statistics of anabranch</title>
    <link rel="icon" href="/static/icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/static/app.css" />
    <script src="/static/js/theme.js"></script>
  </head>
  <body>
    <main class="manual">
{body}
    </main>
  </body>
</html>
"""


@cache
def manual_page() -> str | None:
    """``docs/statistics.md`` as HTML, headings with the anchors that links name; None if not there.

    Its links to other files of the project lead to the repository, its plots are links there.
    """
    for path in _PLACES:
        if path.is_file():
            return _PAGE.format(body=_render(path.read_text(encoding="utf-8")))
    return None


def _render(text: str) -> str:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(re.sub(r"!\[([^\]]*)\]", r"[\1]", text))
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", _anchor(tokens[at + 1].content))
        for part in token.children or ():
            href = part.attrGet("href") if part.type == "link_open" else None
            if isinstance(href, str) and not href.startswith(("#", "https://")):
                part.attrSet("href", _elsewhere(href))
    # The page's security policy allows no styles in the text.
    return str(markdown.renderer.render(tokens, markdown.options, {})).replace(
        ' style="text-align:right"', ' class="number"'
    )


def _anchor(heading: str) -> str:
    """As GitHub makes it, for headings of letters and blanks."""
    return heading.strip().lower().replace(" ", "-")


def _elsewhere(href: str) -> str:
    if href.startswith("../"):
        return f"{_REPOSITORY}/{href.removeprefix('../')}"
    return f"{_REPOSITORY}/docs/{href}"
