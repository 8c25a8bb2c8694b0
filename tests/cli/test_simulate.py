"""Experiments simulated through the real pipeline, on both runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anabranch.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
SPECS = str(ROOT / "examples" / "hillstrom" / "specs")
ONBOARDING = str(ROOT / "examples" / "onboarding" / "specs")


def simulate(capsys, *arguments: object) -> dict:
    capsys.readouterr()
    assert run(["simulate", "--json", *map(str, arguments)]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def by_name(told: dict) -> dict[tuple[str, str], dict]:
    return {(f["metric"], f["variant"]): f for f in told["found"]}


def test_a_planted_effect_is_found_and_what_has_none_is_not_called(capsys):
    told = simulate(
        capsys, "hillstrom.email", "--specs", SPECS, "--effect", "mens:visits=+60%",
        "--units", 3000, "--looks", 6, "--seed", 3,
    )  # fmt: skip
    found = by_name(told)
    assert found["visits", "mens"]["planted"]["relativeLift"] == pytest.approx(0.6)
    assert found["visits", "mens"]["calledSequential"]
    assert found["visits", "mens"]["holdsPlanted"]
    others = [f for name, f in found.items() if name != ("visits", "mens")]
    assert len(others) == 5
    assert not any(f["calledSequential"] for f in others)
    assert all(f["holdsPlanted"] for f in others)
    units = sum(arm["units"] for arm in told["results"]["variants"])
    crossed = told["sent"]["crossing"]
    assert units == 3000 - crossed
    assert told["deadLetters"] == {}


def test_an_a_a_test_calls_nothing_and_targeting_sees_attributes(capsys):
    told = simulate(
        capsys, "--specs", ONBOARDING, "--attribute", "segment=vip:3,standard:7",
        "--units", 2000, "--looks", 5, "--seed", 5,
    )  # fmt: skip
    assert not any(f["calledSequential"] for f in told["found"])
    units = {arm["id"]: arm["units"] for arm in told["results"]["variants"]}
    assert 0.6 < units["multi_step"] / sum(units.values()) < 0.7  # all of 30 %, half of the rest


def test_faults_do_not_move_what_is_counted(capsys):
    options = ["--specs", SPECS, "--units", 400, "--looks", 1, "--crossing", 0]
    broken = simulate(
        capsys, *options, "--late", 0.4, "--duplicates", 0.4, "--early", 0.4, "--before", 0.4
    )
    found = broken["results"]["metrics"][0]["variants"]
    assert sum(arm["units"] for arm in found) == 400
    assert broken["sent"]["before exposure"] > 300
    # A fifth of the units: repeats and what was before the exposure are not among them.
    assert all(arm["events"] == arm["converted"] for arm in found)
    assert 0.1 < sum(arm["events"] for arm in found) / 400 < 0.3


def test_people_get_a_table(capsys):
    assert run(["simulate", "--specs", SPECS, "--units", "300", "--looks", "2"]) == 0
    out, err = capsys.readouterr()
    for word in ("an A/A test", "planted lift", "interval holds it", "called by fixed"):
        assert word in out
    assert "contexts" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nobody"], 1, "nobody"),
        (["--effect", "visits"], 2, "is not NAME=VALUE"),
        (["--effect", "visits=lots"], 2, "'lots' is not a number"),
        (["--effect", "visit=+10%"], 4, "there is no metric 'visit'"),
        (["--effect", "visits=+900%"], 4, "give a smaller effect"),
        (["--late", "2"], 2, "--late"),
    ],
)
def test_what_cannot_be_simulated(capsys, arguments, code, words):
    assert run(["simulate", *arguments, "--specs", SPECS]) == code
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.timeout(300)
def test_kafka_gives_the_same_figures(capsys, kafka, topic_prefix):
    options = ["--specs", SPECS, "--units", 200, "--looks", 1, "--seed", 9]
    embedded = simulate(capsys, *options)
    on_kafka = simulate(capsys, *options, "--bootstrap", kafka, "--prefix", topic_prefix)
    assert on_kafka["results"] == embedded["results"]
    assert on_kafka["sent"] == embedded["sent"]
