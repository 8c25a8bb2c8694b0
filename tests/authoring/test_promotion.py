"""Whether results support a promotion, and what it does to files."""

from __future__ import annotations

from pathlib import Path

import pytest

from anabranch.authoring.evidence import judge
from anabranch.authoring.promotion import promote
from anabranch.errors import LifecycleError, OverrideError
from anabranch.specs import load_files
from tests.authoring.results import results
from tests.lifecycle.records import experiment, metric

ONE = experiment("x", successMetrics=[metric("order")])
TWO = experiment(
    "x", successMetrics=[metric("order"), metric("complaint") | {"direction": "decrease"}]
)
GUARDED = experiment(
    "x", successMetrics=[metric("order"), metric("visit") | {"guardrail": {"tolerance": 0.15}}]
)
GAIN, HARM, OPEN = (0.1, 0.3), (-0.3, -0.1), (-0.1, 0.3)


@pytest.mark.parametrize(
    ("spec", "ratio", "intervals", "objection"),
    [
        (ONE, 1.0, {"orders": GAIN}, None),
        (ONE, None, {"orders": GAIN}, None),
        (ONE, 1.0, {"orders": OPEN}, "neither better nor worse for certain"),
        (ONE, 1.0, {"orders": HARM}, "worse for certain, and it is the metric that decides"),
        (ONE, 1.0, {"orders": (0.0, 0.3)}, "neither better nor worse for certain"),
        (ONE, 1.0, {"orders": None}, "orders: not measured yet"),
        (ONE, 1.0, {}, "orders: not measured yet"),
        (ONE, 0.0009, {"orders": GAIN}, "sample ratio mismatch, p = 0.0009"),
        (experiment("x"), 1.0, {}, "there is no success metric"),
        (TWO, 1.0, {"orders": GAIN, "complaints": HARM}, None),  # fewer complaints are better
        (TWO, 1.0, {"orders": GAIN, "complaints": OPEN}, None),
        (TWO, 1.0, {"orders": GAIN}, None),
        (GUARDED, 1.0, {"orders": GAIN, "visits": HARM}, None),  # within what is tolerated
        (GUARDED, 1.0, {"orders": GAIN, "visits": (-0.3, -0.2)}, "visits: difference -0.25"),
        (TWO, 1.0, {"orders": GAIN, "complaints": GAIN}, "complaints: difference +0.2"),
    ],
)  # fmt: skip
def test_what_supports_a_promotion(spec, ratio, intervals, objection):
    found = judge(spec, "b", results(spec, ratio, **intervals))
    if objection is None:
        assert found.objections == ()
        assert any("better for certain" in one for one in found.findings)
    else:
        (told,) = found.objections
        assert objection in told


def test_another_metric_may_decide():
    found = results(TWO, orders=OPEN, complaints=HARM)
    assert judge(TWO, "b", found).objections != ()
    assert judge(TWO, "b", found, "complaints").objections == ()
    with pytest.raises(ValueError, match="no success metric is named 'order': did you mean"):
        judge(TWO, "b", found, "order")


def test_without_results_nothing_supports_it():
    assert judge(ONE, "b", None).objections == ("there are no results of x 1.0.0",)


# -- files ------------------------------------------------------------------------------------

THEME = """\
# looks
kind: Theme
meta: {key: shop.theme, version: 1.0.0}
colour: grey # of the button
size: 1
"""


def winning(*overrides: dict):
    return experiment("x", variants=[{"id": "a"}, {"id": "b", "overrides": overrides}])


def theme(**config) -> dict:
    return {"type": "theme", "target": "shop.theme", "config": config}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "theme.yaml").write_text(THEME)
    (tmp_path / "old.yaml").write_text(THEME.replace("1.0.0", "0.9.0"))
    return tmp_path


def promoted(spec, folder: Path, variant: str = "b"):
    loaded = load_files(folder)
    return promote(spec, variant, loaded, {one.path: one.path.read_text() for one in loaded})


def test_overrides_are_put_one_upon_the_other_into_the_latest_version(files):
    made = promoted(winning(theme(colour="green"), theme(size=2, colour="red")), files)
    text = THEME.replace("grey", "red").replace("size: 1", "size: 2")
    assert made.texts == {files / "theme.yaml": text}
    assert [(spec.version, spec.document["colour"]) for spec in made.targets] == [("1.0.0", "red")]
    assert made.notes == ()


def test_a_version_that_is_named_is_the_one_that_changes(files):
    made = promoted(winning(theme(size=2) | {"version": "0.9.0"}), files)
    assert list(made.texts) == [files / "old.yaml"]


def test_what_no_file_can_say_is_noted(files):
    made = promoted(winning({"type": "workflow", "target": "other"}), files)
    assert (made.texts, made.targets) == ({}, ())
    assert "Workflow other takes the original's place" in made.notes[0]
    assert "'b' overrides nothing" in promoted(winning(), files).notes[0]


def test_what_is_so_already_is_left(files):
    made = promoted(winning(theme(colour="grey")), files)
    assert made.texts == {}
    assert "Theme shop.theme 1.0.0 is so already" in made.notes[0]


@pytest.mark.parametrize(
    ("spec", "variant", "error", "told"),
    [
        (winning(), "c", LifecycleError, "has no variant 'c'"),
        (winning(), "a", LifecycleError, "is the control .* `anabranch stop x`"),
        (
            winning(theme() | {"target": "nowhere"}),
            "b",
            OverrideError,
            "Theme nowhere is in none of the files",
        ),
        (
            winning(theme(meta={"key": "other"})),
            "b",
            OverrideError,
            "override 1 makes Theme other 1.0.0 of Theme shop.theme",
        ),
    ],
)
def test_what_cannot_be_promoted(files, spec, variant, error, told):
    with pytest.raises(error, match=told):
        promoted(spec, files, variant)
