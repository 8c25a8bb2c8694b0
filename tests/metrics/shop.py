"""A shop with two experiments over the same events, for the tests of metrics and their stages."""

from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec

ORDER = {"key": "shop.order", "version": 1}
VIEW = {"key": "shop.view", "version": 1}

TELEMETRY = TelemetrySpec.model_validate(
    {
        "meta": {"key": "shop.events", "version": 1},
        "events": [
            {
                **ORDER,
                "properties": {"amount": {"type": "number"}, "items": {"type": "number"}},
            },
            {**VIEW, "properties": {"page": {"type": "string"}}},
            {"key": "shop.search", "version": 1, "properties": {}},
        ],
    }
)

METRICS = [
    {"name": "orders", "telemetryEvent": ORDER, "aggregation": "count"},
    {"name": "revenue", "telemetryEvent": ORDER, "aggregation": "sum", "property": "amount"},
    {"name": "order value", "telemetryEvent": ORDER, "aggregation": "avg", "property": "amount"},
    {"name": "large orders", "telemetryEvent": ORDER, "aggregation": "p90", "property": "amount"},
    {"name": "buyers", "telemetryEvent": ORDER, "aggregation": "unique"},
    {
        "name": "early revenue",
        "telemetryEvent": ORDER,
        "aggregation": "sum",
        "property": "amount",
        "window": 90,
    },
    {"name": "views", "telemetryEvent": VIEW, "aggregation": "count"},
]

CHECKOUT = ExperimentSpec.model_validate(
    {
        "meta": {"key": "checkout", "version": 1},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "short"}, {"id": "long", "weight": 2}],
        "allocation": {"type": "random"},
        "successMetrics": METRICS,
    }
)

BANNER = ExperimentSpec.model_validate(
    {
        "meta": {"key": "banner", "version": "2.1"},
        "controlVariant": "off",
        "variants": [{"id": "on"}, {"id": "off"}],
        "allocation": {"type": "sticky", "attribute": "userId"},
        "successMetrics": [
            {
                "name": "items",
                "telemetryEvent": ORDER,
                "aggregation": "p50",
                "property": "items",
                "window": 200,
            },
            {"name": "orders", "telemetryEvent": ORDER, "aggregation": "count"},
        ],
    }
)

CATALOG = Catalog.of([TELEMETRY, CHECKOUT, BANNER])
