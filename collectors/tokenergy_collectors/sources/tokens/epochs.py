"""How often each counter fell or restarted, as its reader sees it.

In: values of counters, in the order in which they are read. Out: the columns `epoch` and `value`.
The index finds restarts itself, since a reader sees neither what other readers saw nor what comes
next; the epoch is kept for whoever looks at the raw rows.
"""

from __future__ import annotations

from tokenergy_collectors.sources.tokens.kinds import Value

_SAME_START_US = 1_000_000


class Epochs:
    """Follows the counters of one source."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], tuple[int, int, Value]] = {}

    def follow(self, now: Value) -> tuple[int, int]:
        """Return a counter's epoch and its value."""
        key = (now.kind, now.metric, now.series)
        epoch, value = 0, now.value
        if key in self._last:
            epoch, highest, last = self._last[key]
            if _restarted(last, now):
                epoch += 1
            elif now.since_us == last.since_us:
                # A server does not update two counters together, so their difference alone may
                # fall a little where neither of them does. A counter may not.
                value = max(value, highest)
        self._last[key] = epoch, value, now
        return epoch, value

    def forget(self, kind: str, metric: str, series: str) -> None:
        """Forget a counter that is gone."""
        self._last.pop((kind, metric, series), None)


def _restarted(last: Value, now: Value) -> bool:
    if any(value < before for value, before in zip(now.parts, last.parts, strict=False)):
        return True
    if last.since_us is None or now.since_us is None:
        return False
    return abs(now.since_us - last.since_us) > _SAME_START_US
