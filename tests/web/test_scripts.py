"""The page's scripts, by Node.js: words, numbers, and how snapshots are merged."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from anabranch.metrics.kinds import Kind
from anabranch.web import Board
from anabranch.web.app import STATIC
from anabranch.web.rings import WINDOWS_KEPT
from tests.web.records import MINUTE, NOW, RUN, assignment, results, window

NODE = shutil.which("node")
MANUAL = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node.js")


def run(script: str, **given):
    """The value that the script's last line gives to ``tell``."""
    names = [
        "course",
        "explainer",
        "format",
        "incidents",
        "interval",
        "list",
        "manage",
        "outlook",
        "pipeline",
        "results",
        "state",
        "traffic",
        "trends",
        "why",
    ]
    imports = "\n".join(f"import * as {name} from '{STATIC}/js/{name}.js';" for name in names)
    imports += f"\nimport * as leftOut from '{STATIC}/js/left-out.js';"
    constants = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in given.items())
    source = (
        f"{imports}\n{constants}\nconst tell = (v) => console.log(JSON.stringify(v));\n{script}"
    )
    done = subprocess.run(
        [NODE, "--no-warnings", "--input-type=module"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


FORMATS = {
    "format.count(21306)": "21,306",
    "format.count(null)": "\u2013",
    "format.number(0.106167)": "0.1062",
    "format.number(21.3149)": "21.31",
    "format.number(-1234.5)": "\u22121,235",
    "format.number(0)": "0",
    "format.percent(0.2034, 1)": "20.3 %",
    "format.points(-0.0614)": "\u22126.14 pp",
    "format.points(0.061)": "+6.10 pp",
    "format.probability(0.9995)": "> 99.9 %",
    "format.probability(0.0005)": "< 0.1 %",
    "format.probability(0.9731)": "97.3 %",
    "format.pValue(0.00004)": "< 0.001",
    "format.pValue(0.0471)": "0.047",
    "format.pValue(undefined)": "\u2013",
    "format.perWindow('1m')": "per minute",
    "format.perWindow('15m')": "per 15 minutes",
    "format.perWindow('odd')": "per odd",
    "format.aggregation('p95', {property: 'price'}).what": "95th percentile of price",
    "format.aggregation('p95', {per: 'unit'}).by": "the percentile over units' totals",
    "format.aggregation('new', null).what": "new",
    "format.aggregation('ratio', {denominator: {event: 'view 1.0.0', property: null}}).what": (
        "Ratio over view 1.0.0"
    ),
    "format.aggregation('funnel', {steps: ['view 1.0.0', 'order 1.0.0']}).what": (
        "Units that took every step: view 1.0.0 \u2192 order 1.0.0"
    ),
    "format.aggregation('sum', {winsorize: {lower: null, upper: 500}, covariate: {}}).by": (
        "sum per unit, totals of units up to 500, adjusted for what units did before"
    ),
}


def test_formats():
    assert run(f"tell([{', '.join(FORMATS)}])") == list(FORMATS.values())


@pytest.mark.parametrize(
    ("low", "high", "direction", "tone", "text"),
    [
        (0.1, 0.2, "increase", "good", "Higher (better)"),
        (0.1, 0.2, "decrease", "bad", "Higher (worse)"),
        (-0.2, -0.1, "increase", "bad", "Lower (worse)"),
        (-0.2, -0.1, "decrease", "good", "Lower (better)"),
        (-0.1, 0.1, "increase", "open", "No clear difference"),
    ],
)
def test_what_an_interval_says(low, high, direction, tone, text):
    comparison = {
        "difference": (low + high) / 2,
        "sequential": {"low": low, "high": high, "pValue": 0},
    }
    assert run(
        "tell(interval.verdict('count', comparison, direction))",
        comparison=comparison,
        direction=direction,
    ) == {"tone": tone, "text": text}


def test_what_is_said_without_an_interval():
    nothing = {"difference": None, "sequential": None}
    quantile = {"difference": 2.0, "sequential": None}
    says = run(
        "tell([interval.verdict('avg', nothing).text, interval.verdict('p95', quantile).text])",
        nothing=nothing,
        quantile=quantile,
    )
    assert says == ["Too little data", "No interval for percentiles"]


@pytest.mark.parametrize(
    ("p", "expected", "short"),
    [
        (0.4, {"a": 1}, "As planned"),
        (0.0009, {"a": 1}, "Mismatch"),
        (None, {"a": 1}, "Not tested"),
        (None, {}, "Not tested"),
    ],
)
def test_what_the_sample_ratio_says(p, expected, short):
    srm = {"srm": {"pValue": 1e-9, "sequentialPValue": p, "expected": expected}}
    if p is None:
        srm["srm"]["pValue"] = None
    said = run("tell(results.sampleRatio(srm))", srm=srm)
    assert said["short"] == short
    assert ("targeting" in said["text"]) == (not expected)


def test_a_fixed_interval_alone_says_nothing():
    """Watched it would be wrong too often: only the sequential one gives a verdict."""
    fixed = {"low": 0.1, "high": 0.2, "pValue": 0.001}
    wide = {"low": -0.1, "high": 0.4, "pValue": 0.3}
    comparison = {"difference": 0.15, "sequential": wide, "fixed": fixed}
    said = run("tell(interval.verdict('count', comparison, 'increase'))", comparison=comparison)
    assert said["tone"] == "open"


def test_every_explanation_leads_to_a_part_of_the_manual():
    topics = run("tell(why.TOPICS)")
    assert {"difference", "sequential", "fixed", "ratio", "ratios", "covariate", "quantile"} <= set(
        topics
    )
    assert {"lift", "mean", "best"} <= set(topics)
    headings = {
        line.lstrip("# ").strip().lower().replace(" ", "-")
        for line in MANUAL.read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    }
    manual = MANUAL.read_text(encoding="utf-8")
    for name, topic in topics.items():
        assert topic["anchor"] in headings, name
        assert topic["formula"], name
        if topic["source"]:
            assert topic["source"]["url"] in manual, name


def test_every_alert_that_a_test_gives_is_explained():
    topics, alerts = run("tell([why.TOPICS, why.ALERTS])")
    plain = {Kind.ANOMALY, Kind.SPEC_REFUSED}  # a comparison and a refusal: nothing is computed
    assert set(alerts) == set(Kind) - plain
    assert set(alerts.values()) <= set(topics)


def test_every_explanation_that_the_page_asks_for_is_there():
    topics = run("tell(why.TOPICS)")
    asked = {
        name
        for script in (STATIC / "js").glob("*.js")
        for name in re.findall(r'\bwhy\(\s*"(\w+)"', script.read_text(encoding="utf-8"))
    }
    assert {"funnel", "best", "chiSquare"} <= asked <= set(topics)


def test_news_merged_are_the_whole():
    """A page that was there all along shows what one that comes now shows."""
    board = Board()
    board.apply("results", *results(), (), NOW)
    board.apply("metric-windows", *window(NOW, 1.0), (), NOW)
    snapshots = [board.snapshot(RUN, now=NOW)]
    for i in range(WINDOWS_KEPT + 3):
        seen = board.version
        board.apply("metric-windows", *window(NOW + i * MINUTE, i), (), NOW)
        board.apply("assignments", b"k", assignment(), (), NOW)
        if i % 50 == 0:
            board.apply("results", *results(units=i, at=NOW + i), (), NOW)
            board.apply("alerts", b"k", b'{"kind": "anomaly"}', (), NOW)
        snapshots.append(board.snapshot(RUN, now=NOW, since=seen))
    seen = board.version
    board.apply("metric-windows", window(NOW + 9 * MINUTE, 0)[0], None, (), NOW)
    snapshots.append(board.snapshot(RUN, now=NOW, since=seen))
    merged, fresh = run(
        """
        const shown = (all) => {
          for (const one of all) if (!state.merge(one)) throw new Error("did not fit");
          const { run, alerts, deadLetters, experiments } = state.state;
          return JSON.parse(JSON.stringify({ ...run, alerts, deadLetters, experiments }));
        };
        tell([shown(snapshots), shown([whole])]);
        """,
        snapshots=snapshots,
        whole=board.snapshot(RUN, now=NOW),
    )
    assert merged == fresh


def test_columns_of_a_trend():
    points = [
        {"at": 1000, "difference": 0.5, "sequential": None, "fixed": [0.4, 0.6]},
        {"at": 2000, "difference": 0.7, "sequential": [0.1, 0.9], "fixed": None},
    ]
    assert run("tell(trends.columns(points))", points=points) == [
        [1, 2],
        [0.5, 0.7],
        [None, 0.1],
        [None, 0.9],
        [0.4, None],
        [0.6, None],
    ]


def test_breaches_in_words():
    found = {
        "breaches": [
            {"kind": "guardrail", "metric": "Revenue", "variant": "short"},
            {"kind": "sample_ratio"},
            {"kind": "something_new"},
        ]
    }
    arms = [{"id": "short", "name": "Short form"}]
    said = run("tell(results.breaches(found, arms).map((b) => b.text))", found=found, arms=arms)
    assert said == [
        "Short form harms the guardrail \u2018Revenue\u2019.",
        "Units come in other shares than planned.",
        "something new",
    ]
    assert run("tell(results.breaches({}, []))") == []


def test_a_part_of_another_run_does_not_fit():
    board = Board()
    board.apply("assignments", b"k", assignment(), (), NOW)
    seen = board.version
    board.apply("assignments", b"k", assignment(), (), NOW)
    part = board.snapshot(RUN, now=NOW, since=seen)
    assert run("tell(state.merge(part))", part=part) is False


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        ({"kind": "anomaly", "data": {}}, "anomaly"),
        ({"kind": "sample_ratio", "data": {"state": "raised"}}, "sample ratio"),
        ({"kind": "silence", "data": {"state": "resolved"}}, "silence is over"),
        (
            {"kind": "guardrail", "data": {"state": "raised", "action": "pause"}},
            "guardrail, pauses",
        ),
        ({"kind": "guardrail", "data": {"state": "changed"}}, "guardrail got worse"),
    ],
)
def test_an_alert_says_what_became_of_it(alert, words):
    assert run("tell(incidents.heading(alert))", alert=alert) == words
