"""Alert rules read metrics that there are, say what to do, and hold in promtool where it is."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.deploy.support import DEPLOY, ROOT, labels_in, labels_of, load, metrics_in, rules, series

FOLDER = DEPLOY / "prometheus"
PAGE = "docs/deployment.md"
RULES = {rule["alert"]: rule for rule in rules()}


def test_metrics_are_found_in_expressions():
    assert metrics_in('sum by (le) (rate(a_bucket{x=~"b c"}[5m])) / on (stage) c offset 5m') == {
        "a_bucket",
        "c",
    }
    assert labels_in('sum by (stage, le) (a{x=~"b", y!="c"})') == {"stage", "le", "x", "y"}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_every_alert_reads_what_there_is_and_says_what_to_do(rule):
    read = metrics_in(rule["expr"])
    assert read
    assert read <= series()
    assert labels_in(rule["expr"]) <= set.union(*map(labels_of, read))
    assert rule["labels"]["severity"] in {"warning", "critical"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert all(len(note) > 20 for note in notes.values())
    shown = set(re.findall(r"\$labels\.(\w+)", notes["summary"] + notes["description"]))
    assert shown <= set.union(*map(labels_of, read))


def test_each_runbook_link_leads_to_a_section_and_each_section_to_an_alert():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    sections = set(re.findall(r"^### (Anabranch\w+)$", text, flags=re.MULTILINE))
    assert sections == set(RULES)
    for name, rule in RULES.items():
        address, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert address.endswith(f"/blob/main/{PAGE}")
        assert anchor == name.lower()


def test_no_alert_is_named_twice():
    assert len(list(rules())) == len(RULES)


def test_the_scraped_services_and_ports_are_those_of_the_compose_file():
    services = load(ROOT / "docker-compose.yml")["services"]
    jobs = load(FOLDER / "prometheus.yml")["scrape_configs"]
    for job in jobs:
        (target,) = job["dns_sd_configs"]
        (name,) = target["names"]
        assert job["job_name"] == f"anabranch-{name}"
        assert str(target["port"]) in " ".join(services[name]["command"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool(arguments):
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: it comes with Prometheus")
    done = subprocess.run(
        [tool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
