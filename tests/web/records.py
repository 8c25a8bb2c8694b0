"""Records as the output topics hold them."""

from __future__ import annotations

import msgspec

from anabranch.events.cloudevents import format_time
from anabranch.events.models import (
    AssignmentData,
    Comparison,
    ExposureData,
    Interval,
    MetricResult,
    MetricVariantResult,
    MetricWindow,
    Results,
    SampleRatio,
    VariantResult,
    Window,
)
from anabranch.web import Board

KEY, VERSION = "shop.checkout", "1.0.0"
RUN = f"{KEY}@{VERSION}"
NOW = 1_800_000_000_000
MINUTE = 60_000

encode = msgspec.json.encode


def assignment(variant="control", experiment=KEY, version=VERSION) -> bytes:
    return encode(
        AssignmentData(
            experiment=experiment,
            version=version,
            digest="d",
            variant=variant,
            unit="user:1",
            reason="random",
        )
    )


def exposure(variant="control", version=VERSION) -> bytes:
    return encode(ExposureData(experiment=KEY, version=version, variant=variant, unit="user:1"))


def window(
    start: int, value: float | None, variant="control", metric="Orders", size="1m", final=True
) -> tuple[bytes, bytes]:
    """Key and value."""
    begins = format_time(start)
    key = f"{KEY}|{VERSION}|{variant}|{metric}|{size}|{begins}"
    return key.encode(), encode(
        MetricWindow(
            experiment=KEY,
            version=VERSION,
            variant=variant,
            metric=metric,
            aggregation="count",
            window=Window(start=begins, end=format_time(start + MINUTE), size=size),
            units=3,
            events=4,
            sum=4.0,
            value=value,
            revision=0,
            final=final,
        )
    )


def results(
    units: int = 100, p_value: float | None = 0.4, at: int = NOW, difference: float | None = 0.0
) -> tuple[bytes, bytes]:
    """Key and value."""
    arms = ["control", "treatment"]
    value = Results(
        experiment=KEY,
        version=VERSION,
        digest="d",
        as_of=format_time(at),
        control="control",
        variants=[VariantResult(id=arm, units=units, crossovers=1) for arm in arms],
        srm=SampleRatio(p_value=p_value, expected=dict.fromkeys(arms, 0.5)),
        metrics=[
            MetricResult(
                name="Orders",
                aggregation="count",
                variants=[
                    MetricVariantResult(
                        id=arm,
                        units=units,
                        events=10,
                        converted=10,
                        rate=0.1,
                        sum=10.0,
                        mean=0.1,
                        event_mean=1.0,
                        value=10.0,
                    )
                    for arm in arms
                ],
                comparisons=[
                    Comparison(
                        variant="treatment",
                        control="control",
                        difference=difference,
                        relative_lift=0.0,
                        fixed=Interval(low=-0.1, high=0.1, p_value=1.0),
                    )
                ],
            )
        ],
    )
    return f"{KEY}|{VERSION}".encode(), encode(value)


def reasons(exception: str, message: str = "", offset: int = 7) -> list[tuple[str, bytes]]:
    """Headers of a dead letter."""
    return [
        ("__streams.errors.exception", exception.encode()),
        ("__streams.errors.message", message.encode()),
        ("__streams.errors.partition", b"2"),
        ("__streams.errors.offset", str(offset).encode()),
    ]


def many_runs(board: Board, count: int) -> None:
    """Put results of so many experiments on a board: shop.e0000 with 100 units, 101 and so on.

    Those of every hundredth are of a sample ratio mismatch.
    """
    for n in range(count):
        _, value = results(100 + n)
        name = f"shop.e{n:04}"
        changed = msgspec.json.decode(value)
        changed["experiment"] = name
        changed["srm"]["sequentialPValue"] = 0.0 if n % 100 == 0 else 1.0
        key = f"{name}|{VERSION}".encode()
        board.apply("results", key, encode(changed), (), NOW)


def busy_runs(board: Board, count: int) -> None:
    """As :func:`many_runs`, each with 240 windows of two metrics in two arms, and traffic."""
    many_runs(board, count)
    for n in range(count):
        name = f"shop.e{n:04}"
        for arm in ("control", "treatment"):
            board.apply("assignments", b"k", assignment(arm, name), (), NOW)
            for metric in ("$exposures", "Orders"):
                for minute in range(240):
                    _, value = window(NOW + minute * MINUTE, 1.5, arm, metric)
                    board.apply(
                        "metric-windows", b"k", value.replace(KEY.encode(), name.encode()), (), NOW
                    )
