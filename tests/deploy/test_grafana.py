"""Grafana's dashboards are those of tools.grafana, ask for what there is and fit on their page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.deploy.support import DEPLOY, ROOT, labels_in, labels_of, load, metrics_in, series
from tools import grafana

FOLDER = DEPLOY / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))
PAGES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES
}
QUERIES = [
    (f"{name}: {panel['title']}", target["expr"], target["legendFormat"])
    for name, page in PAGES.items()
    for panel in page["panels"]
    for target in panel.get("targets", ())
]


def test_the_files_are_what_the_tool_writes():
    assert set(PAGES) == set(grafana.DASHBOARDS)
    for name, page in grafana.DASHBOARDS.items():
        written = (FOLDER / f"dashboards/{name}.json").read_text(encoding="utf-8")
        assert written == grafana.text(page), "run python -m tools.grafana"


@pytest.mark.parametrize(("panel", "query", "legend"), QUERIES)
def test_every_query_reads_what_there_is(panel, query, legend):
    read = metrics_in(query)
    assert len(read) == 1
    assert read <= series()
    there = labels_of(*read)
    assert labels_in(query) <= there
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    grouped = re.search(r"by \(([^)]*)\)", query)
    left = {one.strip() for one in grouped[1].split(",")} if grouped else there
    assert shown <= left - {"le"}


def test_what_is_to_be_watched_has_a_panel():
    read = set().union(*(metrics_in(query) for _, query, _ in QUERIES))
    assert {
        "anabranch_lag_records",
        "anabranch_records_total",
        "anabranch_batch_seconds_bucket",
        "anabranch_watermark_delay_seconds",
        "anabranch_state_entries",
        "anabranch_state_bytes",
        "anabranch_restores_total",
        "anabranch_fences_total",
        "anabranch_dead_letters_total",
        "anabranch_evaluations_total",
        "anabranch_exposures_total",
        "anabranch_window_revisions_total",
        "anabranch_late_window_updates_total",
    } <= read


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_holds_together(page):
    panels = page["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {one["name"] for one in page["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(page))) - {"__rate_interval", "__all"}
    assert used == variables
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)
        assert panel["type"] == "row" or references
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def lost(given: Any, kept: Any, at: str = "page") -> list[str]:
    """What is in one and not, or otherwise, in the other."""
    if isinstance(given, dict) and isinstance(kept, dict):
        gone = [f"{at}.{key}" for key in given if key not in kept]
        both = [key for key in given if key in kept]
        return gone + [one for key in both for one in lost(given[key], kept[key], f"{at}.{key}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [one for n, (a, b) in pairs for one in lost(a, b, f"{at}[{n}]")]
    return [] if given == kept else [at]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_grafanas_own_models_keep_all_that_a_page_says(page):
    why = "grafana-foundation-sdk is not installed"
    plugins = pytest.importorskip("grafana_foundation_sdk.cog.plugins", reason=why)
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder", reason=why)
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason=why)
    plugins.register_default_plugins()
    read = models.Dashboard.from_json(page)
    assert lost(page, json.loads(json.dumps(read, cls=encoder.JSONEncoder))) == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_what_grafanas_schema_demands_is_there(page):
    """Where `@grafana/schema` has a field that may not be left out."""
    for link in page["links"]:
        assert {"icon", "tooltip", "targetBlank", "asDropdown"} <= set(link)
    for panel in page["panels"]:
        if panel["type"] == "timeseries":
            legend = panel["options"]["legend"]
            assert {"displayMode", "placement", "showLegend", "calcs"} <= set(legend)


def test_pages_are_told_apart():
    assert len({page["uid"] for page in PAGES.values()}) == len(PAGES)
    assert len({page["title"] for page in PAGES.values()}) == len(PAGES)
    assert {page["schemaVersion"] for page in PAGES.values()} == {39}


def test_provisioning_names_what_the_compose_file_mounts():
    services = load(ROOT / "docker-compose.yml")["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    (provider,) = load(FOLDER / "provisioning/dashboards/anabranch.yml")["providers"]
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, file = home.rpartition("/")
    assert folder == provider["options"]["path"]
    assert (FOLDER / "dashboards" / file).is_file()
    (source,) = load(FOLDER / "provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    for page in PAGES.values():
        (chosen,) = [one for one in page["templating"]["list"] if one["name"] == "source"]
        assert chosen["current"]["value"] == source["uid"]


def test_promtool_takes_every_query(tmp_path):
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: it comes with Prometheus")
    rules = [
        {"record": f"panel:{n}", "expr": query.replace("$__rate_interval", "1m")}
        for n, (_, query, _) in enumerate(QUERIES)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [tool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
