"""Tumbling windows counted in changelogged state: the smallest stage that a peer's window is."""

from __future__ import annotations

from collections import Counter

from anabranch.processors.protocol import Batch, Cache, Outputs, State

_WATERMARK = b"watermark"


class WindowCount:
    """Source ``observations``, output ``counts``: each new count of a window, once a batch.

    The partition's latest record time is its stream time, as in Kafka Streams. A window is dropped
    when that has passed its end by the grace; what comes for it then is counted as late.

    Args:
        window_ms: Length of a window.
        grace_ms: How long a window stays open after its end.
    """

    def __init__(self, window_ms: int, grace_ms: int) -> None:
        self._window = window_ms
        self._grace = grace_ms

    def process(self, batch: Batch, state: State, cache: Cache, out: Outputs) -> None:
        del cache
        size, kept = self._window, self._window + self._grace
        marked = state.get(_WATERMARK)
        before = now = marked[0] if marked else 0
        late = 0
        found: Counter[tuple[bytes | None, int]] = Counter()
        for record in batch.sources["observations"]:
            at = record.timestamp
            now = max(now, at)
            start = at - at % size
            if start + kept <= now:
                late += 1
            else:
                found[record.key, start] += 1
        counts = []
        for (key, start), count in found.items():
            name = b"%b@%d" % (key or b"", start)
            total = state.get(name)
            if total is None:
                total = [0]
                state.put(name, total)
            total[0] += count
            counts.append((name, b"%d" % total[0], (), None))
        out.send_all("counts", counts)
        if now > before:
            state.put(_WATERMARK, [now])
        if now // size > before // size:
            self._expire(state, now - kept)
        if late:
            out.count("late", late)

    def _expire(self, state: State, horizon: int) -> None:
        """Delete the windows that start at the horizon or before."""
        for key in list(state.keys()):
            if key != _WATERMARK and int(key[key.rindex(b"@") + 1 :]) <= horizon:
                state.delete(key)
