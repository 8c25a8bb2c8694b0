"""With pandas, polars and matplotlib; skipped without the extra ``analysis``."""

from __future__ import annotations

import pytest

from anabranch import analysis
from tests.analysis import shop

EXTRA = "is not installed: it comes with the extra 'analysis'"


def frames(name: str):
    return pytest.importorskip(name, reason=f"{name} {EXTRA}")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> analysis.Analysis:
    file = shop.file(tmp_path_factory.mktemp("shop") / "events.jsonl")
    return analysis.read_events(file, specs=shop.catalog(), looks=6)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_frames_hold_the_rows(found, backend):
    package = frames(backend)
    for table, rows in (
        (found.comparisons(backend=backend), found.rows()),
        (found.comparisons(backend=backend, over_time=True), found.rows(over_time=True)),
        (found.figures(backend=backend), found.rows("figures")),
        (found.split(backend=backend), found.rows("split")),
    ):
        assert isinstance(table, package.DataFrame)
        assert list(table.columns) == list(rows[0])
        assert len(table) == len(rows)
        for name in ("variant", "as_of"):
            assert table[name].to_list() == [row[name] for row in rows]
    lows = found.comparisons(backend=backend)["sequential_low"].to_list()
    assert lows == [row["sequential_low"] for row in found.rows()]


def test_frames_are_of_pandas_unless_told_otherwise(found):
    assert isinstance(found.comparisons(), frames("pandas").DataFrame)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_events_and_units_come_from_frames(found, backend):
    package = frames(backend)
    rows = shop.rows()
    table = package.DataFrame(shop.columns(rows))
    events = analysis.read_frame(table, specs=shop.catalog())
    assert events.rows() == found.rows()
    units = analysis.read_units(
        package.DataFrame(shop.by_unit()),
        variant="arm",
        control="blue",
        metrics={"orders": analysis.UnitMetric("spent", "unique"), "revenue": "spent"},
    )
    told = [(r["difference"], r["sequential_low"]) for r in found.rows()]
    assert [(r["difference"], r["sequential_low"]) for r in units.rows()] == told


def test_times_of_pandas_and_whole_numbers_beside_missing_ones():
    pandas = frames("pandas")
    table = pandas.DataFrame(shop.columns(shop.rows()))
    table["time"] = pandas.to_datetime(table["time"], unit="ms", utc=True)
    table["userId"] = [float(unit.removeprefix("user:")) for unit in table["unit"]]
    table = table.drop(columns="unit")
    table.loc[table["variant"].notna(), "amount"] = pandas.NA
    found = analysis.read_frame(table, specs=shop.catalog())
    assert sum(arm.units for arm in found.results[0].variants) == shop.UNITS


@pytest.fixture
def pyplot():
    matplotlib = frames("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    yield plt
    plt.close("all")


def test_a_plot_shows_the_effect_with_both_intervals(found, pyplot):
    axes = found.plot("revenue")
    (line,) = [one for one in axes.get_lines() if one.get_label() == "green"]
    told = [r["difference"] for r in found.rows(over_time=True) if r["metric"] == "revenue"]
    assert list(line.get_ydata()) == [value for value in told if value is not None]
    labels = {text.get_text() for text in axes.get_legend().get_texts()}
    assert labels == {
        "green",
        "green: 95 % at any time",
        "green: fixed, valid at its planned end only",
    }
    assert "revenue" in axes.get_title()
    axes.figure.canvas.draw()


def test_a_plot_of_one_look_on_axes_that_are_given(tmp_path, pyplot):
    found = analysis.read_events(shop.file(tmp_path / "e.jsonl"), specs=shop.catalog())
    _, axes = pyplot.subplots()
    assert found.plot("orders", kind="sequential", ax=axes) is axes
    assert len(axes.collections) == 1
    axes.figure.canvas.draw()
