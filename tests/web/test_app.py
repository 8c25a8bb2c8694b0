"""The web application: page, JSON, headers, health."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from anabranch.web import Board, Info, create_app
from anabranch.web.app import STATIC
from tests.web.records import KEY, NOW, RUN, assignment, results


@pytest.fixture
def board() -> Board:
    board = Board()
    board.apply("assignments", b"k", assignment(), (), NOW)
    board.apply("results", *results(), (), NOW)
    return board


def client(board: Board, **settings) -> httpx.AsyncClient:
    app = create_app(board, clock=lambda: NOW / 1000, info=Info("Test"), **settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_lists_experiments(board):
    async with client(board) as http:
        answer = await http.get("/api/experiments")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["now"] == NOW
    assert [e["id"] for e in answer.json()["experiments"]] == [RUN]


@pytest.mark.parametrize("key", [KEY, RUN])
async def test_shows_an_experiment(board, key):
    async with client(board) as http:
        answer = await http.get(f"/api/experiments/{key}")
    assert answer.json()["results"]["variants"][0]["units"] == 100


async def test_an_unknown_experiment_names_those_there_are(board):
    async with client(board) as http:
        answer = await http.get("/api/experiments/nothing")
    assert answer.status_code == 404
    assert answer.json() == {"error": f"no experiment 'nothing' was heard of; there are: {RUN}"}


async def test_health(board):
    async with client(board, ready=lambda: False) as http:
        assert (await http.get("/livez")).status_code == 200
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    async with client(board) as http:
        assert (await http.get("/readyz")).json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/", "/static/app.css", "/api/experiments", "/nowhere"])
async def test_every_answer_is_guarded(board, path):
    async with client(board) as http:
        answer = await http.get(path)
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_everything_the_page_names_is_there(board):
    async with client(board) as http:
        page = await http.get("/")
        assert page.headers["content-type"].startswith("text/html")
        named = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert len(named) == 7
        for path in named:
            answer = await http.get(path)
            assert answer.status_code == 200, path
            lasting = "immutable" in answer.headers["cache-control"]
            assert lasting == ("/vendor/" in path), path


async def test_every_module_a_script_imports_is_there(board):
    async with client(board) as http:
        for script in (STATIC / "js").glob("*.js"):
            for name in re.findall(r'from "\./([^"]+)"', script.read_text()):
                answer = await http.get(f"/static/js/{name}")
                assert answer.status_code == 200, f"{script.name} imports {name}"
                assert "javascript" in answer.headers["content-type"]


def own_files() -> list[Path]:
    return [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]


@pytest.mark.parametrize("path", own_files(), ids=lambda path: path.name)
def test_nothing_is_asked_of_other_hosts_and_no_script_or_style_is_inline(path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    if path.name == "why.js":  # links to sources, asked for only when somebody follows them
        text = re.sub(r'(url:|const MANUAL =) "https://[^"]+"', "", text)
    assert not re.search(r"https?://|@import|url\(", text)
    if path.suffix == ".html":
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", text)


def test_uplot_comes_with_its_licence():
    (folder,) = (STATIC / "vendor").iterdir()
    assert "MIT" in (folder / "LICENSE").read_text()


async def test_files_outside_are_out_of_reach(board):
    async with client(board) as http:
        answer = await http.get("/static/%2e%2e/app.py")
    assert answer.status_code == 404


async def test_the_manual_is_served_with_the_anchors_that_explanations_name(board):
    async with client(board) as http:
        answer = await http.get("/docs/statistics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.text
    anchors = set(re.findall(r'<h\d id="([^"]+)"', page))
    explained = (STATIC / "js" / "why.js").read_text(encoding="utf-8")
    named = set(re.findall(r'anchor: "([^"]+)"', explained))
    assert named
    assert named <= anchors
    assert 'const MANUAL = "/docs/statistics";' in explained
    links = re.findall(r'href="([^"]+)"', page)
    assert all(link.startswith(("#", "https://", "/static/")) for link in links)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert 'class="number"' in page
    assert not re.search(r"style=|<img|<script>", page)


async def test_without_a_manual_it_says_so(board, monkeypatch):
    monkeypatch.setattr("anabranch.web.app.manual_page", lambda: None)
    async with client(board) as http:
        assert (await http.get("/docs/statistics")).status_code == 404
