"""The broker itself: what it speaks, whether transactions work, whether its clock agrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from anabranch.engine.kafka.inspection import Trial
from anabranch.runtime.doctor.findings import Finding, Level

__all__ = ["check_clock", "check_transactions", "check_versions"]

_NEEDED: Final = {
    22: "InitProducerId",
    24: "AddPartitionsToTxn",
    25: "AddOffsetsToTxn",
    26: "EndTxn",
    28: "TxnOffsetCommit",
    65: "DescribeTransactions",
}
"""Kinds of requests by Kafka's number: transactions (KIP-98), and what open ones are (KIP-664)."""

_PRODUCE: Final = 0
_STREAMS_GROUPS: Final = 88
_SHARE_GROUPS: Final = 76

CLOCKS_DIFFER: Final = 2.0
"""Seconds beyond which it is worth telling."""


def check_versions(versions: Mapping[int, tuple[int, int]]) -> Iterator[Finding]:
    """Whether it speaks what the engine needs."""
    lacking = [name for key, name in _NEEDED.items() if key not in versions]
    if lacking:
        yield Finding(
            "versions",
            Level.ERROR,
            f"the broker does not know {', '.join(lacking)}: it is older than Kafka 3.0",
            "upgrade the brokers to Kafka 3.0 or later; the tests run on 4.1",
        )
        return
    yield Finding("versions", Level.OK, f"the broker is Kafka {_at_least(versions)}")


def _at_least(versions: Mapping[int, tuple[int, int]]) -> str:
    """Brokers do not tell their version: what they speak narrows it down."""
    if _STREAMS_GROUPS in versions:
        return "4.1 or later"
    if versions.get(_PRODUCE, (0, 0))[0] >= 3 or _SHARE_GROUPS in versions:
        return "4.0 or later"
    return "3.0 or later, before 4.0"


def check_transactions(trial: Trial, topic: str) -> Iterator[Finding]:
    """Whether a transaction that was begun and aborted went well."""
    if trial.failure is None:
        yield Finding("transactions", Level.OK, f"one was begun and aborted in {trial.took:.2f} s")
    elif not trial.refused:
        yield Finding(
            "transactions",
            Level.ERROR,
            f"one that would write to {topic} fails: {trial.failure}",
            "look at the brokers' logs: is __transaction_state there, with enough replicas in "
            "sync (transaction.state.log.min.isr)?",
        )


def check_clock(trial: Trial, *, tolerance: float) -> Iterator[Finding]:
    """The transaction coordinator's clock against ours; ``tolerance`` is what events may be ahead.

    An event that is further ahead of a worker's clock is refused as one of the future.
    """
    skew = trial.skew
    if skew is None:
        yield Finding(
            "clock",
            Level.UNKNOWN,
            "the broker's is told by a transaction, and there was none",
            "mend what keeps transactions from working",
        )
        return
    if abs(skew) <= CLOCKS_DIFFER:
        yield Finding(
            "clock", Level.OK, f"the broker's agrees with ours within {CLOCKS_DIFFER:g} s"
        )
        return
    ahead = "ahead of" if skew > 0 else "behind"
    yield Finding(
        "clock",
        Level.ERROR if abs(skew) > tolerance else Level.WARNING,
        f"the broker's is {abs(skew):.1f} s {ahead} ours; events more than {tolerance:g} s "
        "ahead of a worker's clock are refused",
        "set both clocks by NTP: chronyc tracking, or timedatectl set-ntp true",
    )
