"""The code of docs/analysis.md runs and prints what its comments say; its commands exist."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from anabranch.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")


def blocks(info: str) -> list[str]:
    return re.findall(rf"^```{info}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def said(source: str) -> list[str]:
    """Comments after a print, on its line or those below."""
    found = re.findall(r"^ *print\(.*\)  # (.+)$|^# (.+)$", source, flags=re.MULTILINE)
    return [one or other for one, other in found]


def test_the_examples_print_what_they_say(capsys):
    plain = "".join(blocks("python"))
    exec(compile(plain, "analysis.md", "exec"), {"__name__": "page"})
    assert said(plain)
    assert capsys.readouterr().out.splitlines() == said(plain)


def test_the_examples_with_data_frames(capsys):
    for package in ("pandas", "matplotlib"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: it comes with the extra 'analysis'")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    extra = "".join(blocks("python extra"))
    whole = "".join(blocks("python")) + extra
    exec(compile(whole, "analysis.md", "exec"), {"__name__": "page"})
    plt.close("all")
    assert said(extra)
    assert capsys.readouterr().out.splitlines()[-len(said(extra)) :] == said(extra)


def test_the_commands_take_the_options_shown():
    group = typer.main.get_command(app)
    context = group.make_context("anabranch", ["validate"])
    shown = re.findall(r"^\$ anabranch (\w+)(.*)$", PAGE, flags=re.MULTILINE)
    assert {name for name, _ in shown} == {"results", "simulate", "replay"}
    for name, rest in shown:
        taken = {option for p in group.get_command(context, name).params for option in p.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= taken, name
