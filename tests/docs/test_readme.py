"""What the documents show is true: code runs, specs load, commands and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from anabranch import ExperimentSpec, load_specs
from anabranch.assignment import compile_spec
from anabranch.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/README.md",
    "docs/analysis.md",
    "docs/deployment.md",
    "docs/development.md",
    "docs/lifecycle.md",
    "docs/metrics.md",
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def commands() -> set[str]:
    group = typer.main.get_command(app)
    return set(group.list_commands(group.make_context("anabranch", ["validate"])))


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    """The names that the README's Python blocks define, run in order in one namespace."""
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    return namespace


def test_python_prints_what_its_comments_say(capsys):
    namespace: dict[str, object] = {"__name__": "readme"}
    source = "".join(blocks("python"))
    exec(compile(source, "README.md", "exec"), namespace)
    said = re.findall(r"\)  # (.+)$", source, flags=re.MULTILINE)
    assert said
    assert capsys.readouterr().out.splitlines() == said


def test_yaml_and_python_are_the_same_experiment(shown, tmp_path):
    specs = [block for block in blocks("yaml") if "kind" in yaml.safe_load(block)]
    assert specs
    for number, block in enumerate(specs):
        (tmp_path / f"{number}.yaml").write_text(block, encoding="utf-8")
    loaded = [
        spec for spec in load_specs(tmp_path, check=compile_spec) if spec.kind == "Experiment"
    ]
    python = shown["onboarding_split_form"]
    assert isinstance(python, ExperimentSpec)
    assert [spec.digest for spec in loaded] == [python.digest]


def test_the_table_lists_every_command():
    listed = set(re.findall(r"^\| `anabranch (\w+)", README, flags=re.MULTILINE))
    assert listed == commands()


def test_specs_for_deployment_are_right():
    catalog = load_specs(ROOT / "deploy/specs", check=compile_spec).check()
    assert [spec.key for spec in catalog.running()] == ["sigil.onboarding.split_form"]


def test_the_workflow_runs_what_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert steps[-1]["run"] == "bash .ci/run"


@pytest.mark.parametrize("page", [*PAGES, "deploy/README.md"])
def test_links_between_documents_hold(page):
    source = ROOT / page
    text = source.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    targets += re.findall(r'src(?:set)?="(?!https?:)([^"]+)"', text)
    assert not [target for target in targets if not (source.parent / target).exists()]


def test_the_lock_names_no_host():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "--index-url" not in lock
