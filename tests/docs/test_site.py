"""The site builds, every link and anchor of it holds, and it asks no other host for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| ([a-z ]+) \|", GLOSSARY, flags=re.MULTILINE)[1:]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: a broken link, a missing anchor or a page outside the menu is an error."""
    if find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: make test installs it")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").rglob("*.md")} - {"README"}
    assert {path.parent.name for path in site.rglob("*/index.html")} >= pages


def test_nothing_is_asked_of_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"(https?://[^\"]+)", text)
        loaded += re.findall(
            r"<link[^>]* rel=\"(?:stylesheet|preconnect)\"[^>]*(https?://[^\"]+)", text
        )
        assert loaded == [], page


def test_links_out_of_the_documents_lead_to_the_repository(site: Path) -> None:
    text = (site / "statistics" / "index.html").read_text(encoding="utf-8")
    assert "blob/main/src/anabranch/metrics/sequential.py" in text


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_is_one_that_the_documents_use(term: str) -> None:
    others = [page for page in (ROOT / "docs").glob("*.md") if page.name != "glossary.md"]
    text = " ".join(page.read_text(encoding="utf-8").lower() for page in others)
    assert term in " ".join(text.replace("-", " ").split())


def test_terms_are_in_order() -> None:
    assert len(TERMS) > 25
    assert sorted(TERMS) == TERMS


def test_the_menu_names_each_page_once() -> None:
    class Loader(yaml.SafeLoader):
        """Passes over the tags that name functions."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: None)
    menu = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]

    def pages(entries: list[object]) -> list[str]:
        found: list[str] = []
        for entry in entries:
            if isinstance(entry, dict):
                for inner in entry.values():
                    found += pages(inner)
            else:
                found.append(str(entry))
        return found

    listed = pages(menu)
    docs = ROOT / "docs"
    assert sorted(listed) == sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
