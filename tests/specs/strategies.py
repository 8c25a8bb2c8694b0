"""Hypothesis strategies: documents of every kind that validation accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

words = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=12)
"""Any text of one line, the awkward included: quotes, colons, hashes, emoji."""
texts = words | st.sampled_from(
    [
        "yes",
        "null",
        "1",
        "1.0",
        "~",
        "2026-01-01",
        "a\nb",
        " a ",
        "#",
        "'\"",
        "\\",
        "${x}",
        "\t",
        "",
    ]
)
keys = st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z0-9_]{1,5}){0,2}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,6}", fullmatch=True)
versions = st.one_of(
    st.integers(0, 20),
    st.tuples(*[st.integers(0, 20)] * 3).map(lambda parts: ".".join(map(str, parts))),
    st.sampled_from(["1.2", "2.0.0-rc.1", "1.0.0-alpha"]),
)
shares = st.one_of(st.sampled_from([0, 1, 0.0, 1.0, 0.5]), st.floats(0, 1))
weights = st.one_of(st.integers(0, 1000), st.floats(0, 1e6))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda moment: moment.replace(tzinfo=UTC)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False,
    allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
json_objects = st.dictionaries(texts, json_values, max_size=3)
EXPRESSIONS = (
    "context.attributes?.segment === 'vip'", "true", 'context.flags.includes("beta")',
    "context.userId\n  !== undefined", "context.attributes.nothing.there", "1 / 0 > 2",
    "context.attributes?.age >= 18 && context.attributes?.country in ['de', 'fr']",
    "typeof context.organizationId === 'string' ? context.sessionId : false",
)  # fmt: skip
expressions = st.sampled_from(EXPRESSIONS)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def having(
    needed: dict[str, st.SearchStrategy[Any]], **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with all of the one and any of the other."""
    return st.fixed_dictionaries(needed, optional=fields)


def one_name(older: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """``key``, or what it was called before."""
    return st.tuples(st.sampled_from(["key", older]), value).map(lambda pair: {pair[0]: pair[1]})


def merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda dicts: {k: v for one in dicts for k, v in one.items()})


STABILITY = [
    "idea", "in_creation", "experimental", "beta", "stable", "deprecated",
]  # fmt: skip
metas = merged(
    one_name("name", keys),
    having(
        {"version": versions},
        title=texts,
        description=texts,
        domain=words,
        owners=st.lists(words, max_size=2),
        tags=st.lists(words, max_size=2),
        stability=st.sampled_from(STABILITY),
        docId=st.lists(words, max_size=1),
    ),
)
refs = merged(one_name("name", keys), some(version=versions))
events = merged(one_name("name", keys), st.fixed_dictionaries({"version": versions}))


def document(kind: str, *parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    return merged(st.just({"kind": kind}), st.fixed_dictionaries({"meta": metas}), *parts)


# -- experiments ------------------------------------------------------------------------------

overrides = having(
    {
        "type": st.sampled_from(["dataView", "workflow", "theme", "policy", "presentation"]),
        "target": keys,
    },
    version=versions,
    config=json_objects,
)
reactions = st.sampled_from(["alert", "pause"])
guardrails = some(tolerance=weights, onBreach=reactions)
metrics = st.one_of(
    having(
        {
            "telemetryEvent": events,
            "aggregation": st.sampled_from(["sum", "avg", "p50", "p75", "p90", "p95", "p99"]),
        },
        property=ids,
        target=st.integers() | st.floats(-1e9, 1e9),
        direction=st.sampled_from(["increase", "decrease"]),
        guardrail=guardrails,
        window=st.sampled_from([1, 3600, "7d", "90s", "12h"]),
    ),
    having(
        {"telemetryEvent": events, "aggregation": st.sampled_from(["count", "unique"])},
        direction=st.sampled_from(["increase", "decrease"]),
        guardrail=guardrails,
    ),
)


@st.composite
def experiments(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of experiments; few of their references hold."""
    names = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    variants = [
        {
            "id": name,
            **draw(
                some(
                    name=texts,
                    description=texts,
                    weight=weights,
                    overrides=st.lists(overrides, max_size=2),
                    metadata=json_objects,
                )
            ),
        }
        for name in names
    ]
    variants[0]["weight"] = draw(st.integers(1, 5))
    arms = st.sampled_from(names)
    found = {
        **draw(document("Experiment")),
        "controlVariant": draw(arms),
        "variants": variants,
        "allocation": draw(allocations(arms)),
        **draw(
            some(
                successMetrics=st.lists(metrics, max_size=3),
                coverage=shares | ramps(),
                layer=layers(),
                holdout=holdouts,
                prerequisites=st.lists(
                    having({"experiment": keys}, version=versions, variant=ids),
                    max_size=2,
                    unique_by=lambda needed: needed["experiment"],
                ),
                schedule=schedules(),
                forced=st.dictionaries(
                    st.builds("{}:{}".format, st.sampled_from(["user", "session"]), ids), arms,
                    max_size=2,
                ),
                onBreach=reactions,
                health=some(silence=st.sampled_from([1, "2h", "7d"])),
                status=st.sampled_from(["draft", "running", "paused", "completed", "retired"]),
            )
        ),
    }  # fmt: skip
    for i, metric in enumerate(found.get("successMetrics", ())):
        metric["name"] = f"Metric {i}"
    mine = found["meta"].get("key", found["meta"].get("name"))
    if any(needed["experiment"] == mine for needed in found.get("prerequisites", ())):
        del found["prerequisites"]
    if found["allocation"]["type"] != "sticky":
        found |= draw(
            some(
                unit=st.lists(
                    st.sampled_from(["userId", "sessionId", "organizationId"]),
                    min_size=1,
                    unique=True,
                )
            )
        )
    return found


def allocations(arms: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    hashed = {"salt": texts, "hash": st.sampled_from(["mmh3", "contractspec"])}
    rule = having({"variantId": arms}, percentage=shares, policy=refs, expression=expressions)
    return st.one_of(
        having({"type": st.just("random")}, **hashed),
        having(
            {
                "type": st.just("sticky"),
                "attribute": st.sampled_from(["userId", "sessionId", "organizationId"]),
            },
            **hashed,
        ),
        having(
            {"type": st.just("targeted"), "rules": st.lists(rule, min_size=1, max_size=3)},
            fallback=st.sampled_from(["control", "random"]),
            **hashed,
        ),
    )


@st.composite
def ramps(draw: st.DrawFn) -> list[dict[str, Any]]:
    starts = sorted(draw(st.lists(moments, min_size=1, max_size=3, unique=True)))
    steps = sorted(draw(st.lists(shares, min_size=len(starts), max_size=len(starts))))
    return [{"from": at.isoformat(), "share": s} for at, s in zip(starts, steps, strict=True)]


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    low, high = sorted(draw(st.lists(st.integers(0, 100), min_size=2, max_size=2, unique=True)))
    return {"key": draw(keys), "start": low / 100, "end": high / 100}


one_holdout = st.fixed_dictionaries({"key": keys, "share": shares})
holdouts = one_holdout | st.lists(one_holdout, max_size=2, unique_by=lambda held: held["key"])


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    start, end = sorted(draw(st.lists(moments, min_size=2, max_size=2, unique=True)))
    given = {"start": start.isoformat(), "end": end.isoformat().replace("+00:00", "Z")}
    return {name: given[name] for name in draw(st.sets(st.sampled_from(["start", "end"])))}


# -- the other kinds --------------------------------------------------------------------------

properties = having(
    {"type": st.sampled_from(["string", "number", "boolean", "timestamp", "json"])},
    required=st.booleans(),
    pii=st.booleans(),
    redact=st.booleans(),
    description=texts,
)
retentions = having({"days": st.integers(0, 400)}, policy=st.sampled_from(["archive", "delete"]))
telemetry_events = merged(
    events,
    some(
        semantics=some(who=texts, what=texts, why=texts),
        properties=st.dictionaries(texts, properties, max_size=3),
        privacy=st.sampled_from(["public", "internal", "pii", "sensitive"]),
        retention=retentions,
        sampling=st.fixed_dictionaries({"rate": shares}),
        tags=st.lists(words, max_size=2),
    ),
)
telemetry = document(
    "Telemetry",
    having(
        {
            "events": st.lists(
                telemetry_events,
                min_size=1,
                max_size=3,
                unique_by=lambda event: event.get("key", event.get("name")),
            )
        },
        config=some(
            defaultRetentionDays=st.integers(0, 400),
            defaultSamplingRate=shares,
            providers=st.lists(having({"type": words}, config=json_objects), max_size=1),
        ),
    ),
)

matchers = some(equals=json_values, oneOf=st.lists(json_values, max_size=2), exists=st.booleans())
matched = st.dictionaries(words, matchers.filter(bool), max_size=2)
conditions = st.lists(
    st.fixed_dictionaries({"expression": st.sampled_from(["subject.roles.includes('a')", "true"])}),
    max_size=1,
)
subjects = some(roles=st.lists(words, max_size=2), attributes=matched)
resources = having({"type": words}, fields=st.lists(words, max_size=2), attributes=matched)
effects = st.sampled_from(["allow", "deny"])
limit_ids = ids
rate_limits = having(
    {"id": limit_ids, "rpm": st.integers(1, 100) | st.floats(0.1, 1e3)},
    key=words,
    windowSeconds=st.integers(1, 100),
    burst=st.integers(0, 9),
)
policies = document(
    "Policy",
    having(
        {
            "rules": st.lists(
                having(
                    {"effect": effects, "actions": st.lists(words, min_size=1, max_size=2)},
                    subject=subjects,
                    resource=resources,
                    relationships=st.lists(
                        having({"relation": words}, objectType=words, objectId=words), max_size=1
                    ),
                    requiresConsent=st.lists(words, max_size=1),
                    flags=st.lists(words, max_size=1),
                    rateLimit=rate_limits,
                    escalate=st.just("human_review"),
                    conditions=conditions,
                    reason=texts,
                ),
                max_size=2,
            )
        },
        fieldPolicies=st.lists(
            having(
                {
                    "field": words,
                    "actions": st.lists(st.sampled_from(["read", "write"]), min_size=1, max_size=2),
                    "effect": effects,
                },
                subject=subjects,
                resource=resources,
                conditions=conditions,
                reason=texts,
            ),
            max_size=1,
        ),
        pii=having(
            {"fields": st.lists(words, max_size=2)},
            consentRequired=st.booleans(),
            retentionDays=st.integers(0, 400),
        ),
        consents=st.lists(
            having({"id": ids}, scope=texts, purpose=texts, required=st.booleans()),
            max_size=2,
            unique_by=lambda consent: consent["id"],
        ),
        rateLimits=st.lists(rate_limits, max_size=2, unique_by=lambda limit: limit["id"]),
        opa=having({"package": words}, decision=words),
    ),
)
contexts = document(
    "Context",
    some(
        attributes=st.dictionaries(
            ids,
            some(
                type=st.sampled_from(["string", "number", "boolean", "list", "object"]),
                required=st.booleans(),
                pii=st.booleans(),
                description=texts,
            ),
            max_size=3,
        ),
        flags=st.lists(words, max_size=2),
    ),
)
own_fields = st.dictionaries(
    texts.filter(lambda name: name not in {"kind", "meta", "experiments"}), json_values, max_size=3
)


def named_once(found: list[dict[str, Any]]) -> bool:
    return len({one.get("key", one.get("name")) for one in found}) == len(found)


named = st.lists(refs, max_size=2).filter(named_once)
targets = st.sampled_from(
    ["DataView", "Workflow", "Theme", "Presentation", "FeatureModule"]
).flatmap(lambda kind: document(kind, own_fields, some(experiments=named)))
app_configs = document(
    "AppConfig",
    own_fields,
    some(experiments=some(active=named) | some(paused=named)),
)
documents = st.one_of(experiments(), telemetry, policies, contexts, targets, app_configs)
"""Documents of every kind, valid by themselves."""
