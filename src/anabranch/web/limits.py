"""How often somebody may ask: a token bucket."""

from __future__ import annotations

__all__ = ["RateLimit"]


class RateLimit:
    """So many requests a second, and so many at once after a pause.

    Each name has a bucket of its own that fills at the rate. Buckets that are full again are
    dropped when there are many, for a full one is what a new name gets.

    Args:
        rate: Requests a second.
        burst: Requests at once; at least one.
    """

    _MANY = 10_000

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"rate {rate} and burst {burst}: more than 0, and 1 at least")
        self.rate = rate
        self.burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, now: float) -> float:
        """Take a request of the bucket: 0 where there was one, else seconds until there is.

        Args:
            name: Whose bucket.
            now: Seconds on a clock that does not go back.
        """
        held, at = self._buckets.get(name, (self.burst, now))
        held = min(self.burst, held + max(0.0, now - at) * self.rate)
        if held < 1:
            self._buckets[name] = held, now
            return (1 - held) / self.rate
        if name not in self._buckets and len(self._buckets) >= self._MANY:
            self._sweep(now)
        self._buckets[name] = held - 1, now
        return 0.0

    def _sweep(self, now: float) -> None:
        self._buckets = {
            name: (held, at)
            for name, (held, at) in self._buckets.items()
            if held + (now - at) * self.rate < self.burst
        }
