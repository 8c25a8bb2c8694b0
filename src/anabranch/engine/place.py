"""How far a consumer group has come in one partition."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets of one partition, seen at once.

    Attributes:
        stage: Whose group it is.
        topic: Logical name of what it reads.
        partition: Of the topic.
        begin: The first offset that is still there.
        end: The offset that the next record will get, transactions that are still open included.
        position: Where the group reads next as committed; None where it never committed.
    """

    stage: str
    topic: str
    partition: int
    begin: int
    end: int
    position: int | None

    @property
    def lag(self) -> int:
        """Records, and on Kafka markers of transactions, that are not consumed yet."""
        at = self.begin if self.position is None else max(self.position, self.begin)
        return max(0, self.end - at)
