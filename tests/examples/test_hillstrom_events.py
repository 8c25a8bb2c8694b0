import csv
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from anabranch.assignment import ExperimentContext, ExperimentEvaluator, compile_spec
from anabranch.events.files import parse_line
from anabranch.specs import load_specs

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hillstrom"
SHARED = Path(os.environ.get("ANABRANCH_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data" / "hillstrom.csv.gz"

needs_data = pytest.mark.skipif(
    not DATA.exists(), reason=f"Hillstrom's data is not at {DATA}: see examples/hillstrom"
)

# Customers, visits, conversions and spend, as the data set itself has them.
TABLE = {
    "control": (21_306, 2_262, 122, Decimal("13908.33")),
    "mens": (21_307, 3_894, 267, Decimal("30311.69")),
    "womens": (21_387, 3_238, 189, Decimal("23038.11")),
}

ONE_OF_EACH = [
    ("3", "142.44", "Surburban", "Phone", "Womens E-Mail", "0", "0", "0.0"),
    ("6", "329.08", "Rural", "Web", "No E-Mail", "0", "1", "0.0"),
    ("7", "180.65", "Urban", "Web", "Mens E-Mail", "1", "1", "29.99"),
]


def make(out, *options, data=DATA, check=True):
    command = [sys.executable, EXAMPLE / "make_events.py", "--data", data, "--out", out, *options]
    return subprocess.run(command, check=check, capture_output=True, text=True)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def few(tmp_path):
    """A data file of three customers."""
    path = tmp_path / "few.csv.gz"
    names = [
        "recency",
        "history",
        "zip_code",
        "channel",
        "treatment",
        "conversion",
        "visit",
        "spend",
    ]
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows([names, *ONE_OF_EACH])
    return path


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    out = tmp_path_factory.mktemp("hillstrom") / "events.jsonl"
    make(out)
    return read(out)


@needs_data
def test_the_events_add_up_to_the_known_table(events):
    arm = {
        e["data"]["unit"]: e["data"]["variant"] for e in events if e["type"].endswith("exposure.v1")
    }
    counted, spend = Counter(arm.values()), Counter()
    for event in events:
        if event["type"] == "anabranch.telemetry.v1":
            data = event["data"]
            variant = arm[f"user:{data['userId']}"]
            counted[variant, data["name"]] += 1
            # A Decimal of the text is exact, as the pipeline's sums are.
            spend[variant] += Decimal(str(data["properties"].get("spend", 0)))
    found = {
        variant: (
            counted[variant],
            counted[variant, "hillstrom.visit"],
            counted[variant, "hillstrom.conversion"],
            spend[variant],
        )
        for variant in TABLE
    }
    assert found == TABLE
    assert len(arm) == 64_000


@needs_data
def test_outcomes_follow_their_exposure_but_not_always_in_the_file(events):
    exposed = {
        event["data"]["unit"]: (position, event["time"])
        for position, event in enumerate(events)
        if event["type"] == "anabranch.exposure.v1"
    }
    early = 0
    for position, event in enumerate(events):
        assert "2008-03-01" <= event["time"] < "2008-03-15"
        if event["type"] == "anabranch.telemetry.v1":
            where, when = exposed[f"user:{event['data']['userId']}"]
            assert event["time"] >= when
            early += position < where
    assert 4_000 < early < 6_500  # about half of 10,550


def test_the_first_customer_is_the_first_line_after_the_header(few, tmp_path):
    make(tmp_path / "out", data=few)
    arms = {
        e["data"]["unit"]: e["data"]["variant"]
        for e in read(tmp_path / "out")
        if "unit" in e["data"]
    }
    assert arms == {"user:1": "womens", "user:2": "control", "user:3": "mens"}


def test_each_outcome_is_an_event(few, tmp_path):
    make(tmp_path / "out", data=few)
    outcomes = {
        (e["data"]["userId"], e["data"]["name"], e["data"]["properties"].get("spend"))
        for e in read(tmp_path / "out")
        if e["type"] == "anabranch.telemetry.v1"
    }
    assert outcomes == {
        ("2", "hillstrom.visit", None),
        ("3", "hillstrom.visit", None),
        ("3", "hillstrom.conversion", None),
        ("3", "hillstrom.spend", 29.99),
    }


def test_a_seed_gives_the_same_file(few, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        make(tmp_path / name, "--seed", seed, data=few)
    texts = [(tmp_path / name).read_text() for name in "abc"]
    assert texts[0] == texts[1] != texts[2]


def test_twice_is_every_event_under_its_own_id_again(few, tmp_path):
    make(tmp_path / "once", data=few)
    make(tmp_path / "twice", "--twice", data=few)
    once, twice = (Counter((tmp_path / n).read_text().splitlines()) for n in ("once", "twice"))
    assert twice == {line: 2 * n for line, n in once.items()}


def test_every_line_is_an_event_that_replays_take(few, tmp_path):
    make(tmp_path / "events", data=few)
    make(tmp_path / "contexts", "--contexts", data=few)
    lines = [(tmp_path / name).read_bytes().splitlines() for name in ("events", "contexts")]
    found = Counter(parse_line(line, "file").topic for part in lines for line in part)
    assert found == {"exposures": 3, "telemetry": 4, "contexts": 3}


def test_contexts_carry_what_rules_look_at(few, tmp_path):
    make(tmp_path / "out", "--contexts", data=few)
    data = {e["data"]["userId"]: e["data"]["attributes"] for e in read(tmp_path / "out")}
    assert data["2"] == {"recency": 6, "history": 329.08, "channel": "Web", "zipCode": "Rural"}


def test_what_is_missing_is_said(tmp_path):
    done = make(tmp_path / "out", data=tmp_path / "nowhere.csv.gz", check=False)
    assert done.returncode == 1
    assert "nowhere.csv.gz is not there" in done.stderr
    assert "--data" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "folder", ["hillstrom/specs", "hillstrom/specs-targeted", "onboarding/specs"]
)
def test_specs_of_the_examples_hold(folder):
    load_specs(ROOT / "examples" / folder, check=compile_spec).check()


@pytest.mark.parametrize(
    ("channel", "recency", "variant"),
    [("Web", 6, "email"), ("Web", 7, "control"), ("Phone", 1, "control")],
)
async def test_the_rule_mails_recent_customers_of_the_web(channel, recency, variant):
    specs = load_specs(EXAMPLE / "specs-targeted")
    evaluation = await ExperimentEvaluator(specs.experiments).choose_variant(
        ExperimentContext(
            experiment="hillstrom.targeted",
            user_id="1",
            attributes={"channel": channel, "recency": recency},
        )
    )
    assert evaluation is not None
    assert evaluation.variant.id == variant
