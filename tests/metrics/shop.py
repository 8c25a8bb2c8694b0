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
            {"key": "shop.pay", "version": 1, "properties": {}},
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
        "segments": [{"attribute": "country", "values": ["DE", "FR"]}],
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
            {
                "name": "revenue per view",
                "telemetryEvent": ORDER,
                "aggregation": "ratio",
                "property": "amount",
                "denominator": {"telemetryEvent": VIEW},
                "window": 150,
            },
            {
                "name": "orders per item",
                "telemetryEvent": ORDER,
                "aggregation": "ratio",
                "denominator": {"telemetryEvent": ORDER, "property": "items"},
            },
            {
                "name": "revenue of the middle unit",
                "telemetryEvent": ORDER,
                "aggregation": "p50",
                "per": "unit",
                "property": "amount",
                "window": 200,
            },
            {
                "name": "orders of busy units",
                "telemetryEvent": ORDER,
                "aggregation": "p90",
                "per": "unit",
            },
            {
                "name": "capped revenue",
                "telemetryEvent": ORDER,
                "aggregation": "sum",
                "property": "amount",
                "winsorize": {"lower": -5.5, "upper": 100},
            },
            {
                "name": "capped orders",
                "telemetryEvent": ORDER,
                "aggregation": "count",
                "winsorize": {"upper": 2},
            },
            {
                "name": "more orders",
                "telemetryEvent": ORDER,
                "aggregation": "count",
                "covariate": {"window": 120},
            },
            {
                "name": "more revenue",
                "telemetryEvent": ORDER,
                "aggregation": "avg",
                "property": "amount",
                "window": 90,
                "winsorize": {"upper": 1000},
                "covariate": {"window": 100},
            },
            {
                "name": "new buyers",
                "telemetryEvent": ORDER,
                "aggregation": "unique",
                "covariate": {"window": 60},
            },
            {
                "name": "first orders",
                "telemetryEvent": ORDER,
                "aggregation": "count",
                "window": 250,
                "excludePrior": True,
            },
            {
                "name": "first revenue",
                "telemetryEvent": ORDER,
                "aggregation": "sum",
                "property": "amount",
                "winsorize": {"upper": 1000},
                "after": 20,
                "excludePrior": True,
            },
            {
                "name": "first buyers",
                "telemetryEvent": ORDER,
                "aggregation": "unique",
                "excludePrior": True,
            },
            {
                "name": "came back",
                "telemetryEvent": VIEW,
                "aggregation": "unique",
                "after": 30,
                "window": 200,
            },
            {
                "name": "view to order",
                "telemetryEvent": VIEW,
                "aggregation": "funnel",
                "steps": [ORDER],
                "window": 250,
            },
            {
                "name": "order to view",
                "telemetryEvent": ORDER,
                "aggregation": "funnel",
                "steps": [VIEW, {"key": "shop.pay", "version": 1}],
                "after": 20,
            },
            {
                "name": "later revenue per order",
                "telemetryEvent": ORDER,
                "aggregation": "ratio",
                "property": "amount",
                "denominator": {"telemetryEvent": ORDER},
                "after": 60,
            },
        ],
    }
)

NEXT_BANNER = ExperimentSpec.model_validate(
    {
        "meta": {"key": "banner", "version": "2.2"},
        "controlVariant": "off",
        "variants": [{"id": "on"}, {"id": "off"}],
        "allocation": {"type": "sticky", "attribute": "userId"},
        "successMetrics": [
            metric.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for metric in BANNER.success_metrics
        ],
    }
)
"""The next version of the banner; whoever is shown it has seen the last of the one before."""

CATALOG = Catalog.of([TELEMETRY, CHECKOUT, BANNER, NEXT_BANNER])
