import pytest

from anabranch.errors import SpecReferenceError, SpecValidationError
from anabranch.specs import Catalog, ExperimentSpec, SuccessMetric, TelemetrySpec

ORDER = {"name": "shop.order", "version": 1}
VIEW = {"name": "shop.view", "version": 1}
RATIO = {
    "name": "m",
    "telemetryEvent": ORDER,
    "aggregation": "ratio",
    "denominator": {"telemetryEvent": VIEW},
}
COUNT = {"name": "m", "telemetryEvent": ORDER, "aggregation": "count"}


def test_a_ratio_names_two_events():
    metric = SuccessMetric.model_validate(RATIO | {"property": "amount"})
    assert metric.needs_property
    assert metric.denominator.telemetry_event.label == "shop.view 1.0.0"
    assert not SuccessMetric.model_validate(RATIO).needs_property


def test_durations_and_bounds():
    metric = SuccessMetric.model_validate(
        COUNT | {"covariate": {"window": "7d"}, "winsorize": {"upper": 10}}
    )
    assert metric.covariate.window == 604_800
    assert (metric.winsorize.lower, metric.winsorize.upper) == (None, 10)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({**RATIO, "denominator": None}, "denominator: is missing"),
        ({**COUNT, "denominator": {"telemetryEvent": VIEW}}, "denominator: has no use in count"),
        ({**RATIO, "winsorize": {"upper": 5}}, "winsorize: does not fit ratio"),
        ({**RATIO, "covariate": {"window": "1d"}}, "covariate: does not fit ratio"),
        ({**RATIO, "excludePrior": True}, "excludePrior: does not fit ratio"),
        (
            {**COUNT, "excludePrior": True, "covariate": {"window": 60}},
            "excludePrior: has no use beside a covariate",
        ),
        ({**COUNT, "winsorize": {}}, "winsorize: has neither bound"),
        ({**COUNT, "winsorize": {"lower": 1}}, "winsorize.lower: is 1"),
        ({**COUNT, "winsorize": {"upper": -1}}, "winsorize.upper: is -1"),
        ({**COUNT, "aggregation": "p90", "winsorize": {"upper": 5}}, "does not fit p90"),
        ({**COUNT, "aggregation": "unique", "winsorize": {"upper": 5}}, "does not fit unique"),
        ({**COUNT, "after": "7d", "window": "7d"}, "after: is 604800 s"),
        ({**COUNT, "aggregation": "funnel"}, "steps: are missing"),
        ({**COUNT, "steps": [VIEW]}, "steps: have no use in count"),
        (
            {**COUNT, "aggregation": "funnel", "steps": [VIEW, ORDER]},
            "steps: shop.order 1.0.0 twice",
        ),
        ({**COUNT, "covariate": {"window": 0}}, "covariate.window"),
        ({**COUNT, "covariate": {"days": 7}}, "days"),
    ],
)
def test_what_does_not_fit_is_refused(spec, says):
    with pytest.raises(SpecValidationError, match="(?s)" + ".*".join(says.split(": "))):
        SuccessMetric.model_validate(spec)


def test_a_metric_written_before_has_the_same_document():
    assert set(SuccessMetric.model_validate(COUNT).model_fields_set) == {
        "name",
        "telemetry_event",
        "aggregation",
    }


def test_a_funnel_names_its_steps_in_order():
    metric = SuccessMetric.model_validate({**COUNT, "aggregation": "funnel", "steps": [VIEW]})
    assert [ref.label for ref in metric.steps] == ["shop.view 1.0.0"]
    assert not metric.needs_property


def test_a_step_that_is_not_there_is_told():
    with pytest.raises(SpecReferenceError, match=r"did you mean 'shop\.view'"):
        check({**COUNT, "aggregation": "funnel", "steps": [{"name": "shop.vew", "version": 1}]})


@pytest.mark.parametrize(
    ("denominator", "says"),
    [
        ({"telemetryEvent": {"name": "shop.vew", "version": 1}}, "did you mean 'shop.view'"),
        ({"telemetryEvent": VIEW, "property": "seconds"}, "declares no property 'seconds'"),
        ({"telemetryEvent": VIEW, "property": "page"}, "needs a number"),
    ],
)
def test_a_denominator_that_is_not_there_is_told(denominator, says):
    with pytest.raises(SpecReferenceError, match=says):
        check(RATIO | {"denominator": denominator})


def check(metric):
    """Check a catalog of one experiment with that metric."""
    telemetry = TelemetrySpec.model_validate(
        {
            "meta": {"key": "shop.events", "version": 1},
            "events": [
                {"key": "shop.order", "version": 1, "properties": {}},
                {"key": "shop.view", "version": 1, "properties": {"page": {"type": "string"}}},
            ],
        }
    )
    spec = ExperimentSpec.model_validate(
        {
            "meta": {"key": "e", "version": 1},
            "controlVariant": "a",
            "variants": [{"id": "a"}, {"id": "b"}],
            "allocation": {"type": "random"},
            "successMetrics": [metric],
        }
    )
    Catalog.of([telemetry, spec]).check()
