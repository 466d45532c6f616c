"""What is known of devices, as of an instant: limit, periods, place, and what their meters can err.

Rules: docs/uncertainty.md, docs/ledger.md.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

UNKNOWN_LIMIT_MW = 1_500_000
_QUARTER = r"\b(A100|A30|A800|[HB][1-8]00|H20|GH200|GB[23]00)\b"
_DATA_CENTRE = _QUARTER + r"|\b(P100|V100S?|T4|A2|A10G?|A16|A40|L4|L40S?)\b"
_FAST = r"\b(P100|V100S?)\b"
_AT_ONCE = _FAST + r"|\b(T4|A100|A30|A800)\b"
_PLAUSIBLE_US = 600_000_000


@dataclass(frozen=True)
class Errors:
    """Largest errors of a meter: gain as a fraction, offset in milliwatts."""

    gain: Fraction
    offset_mw: int

    def least(self, read: Fraction, time: Fraction) -> Fraction:
        """Return the least true value of a reading: nJ over us, or mW over 1."""
        return max(Fraction(0), read - self.offset_mw * time) / (1 + self.gain)

    def most(self, read: Fraction, time: Fraction) -> Fraction:
        """Return the largest true value of a reading."""
        return max(Fraction(0), read + self.offset_mw * time) / (1 - self.gain)


@dataclass(frozen=True)
class Facts:
    """What is known of one device at an instant.

    Attributes:
        limit_mw: the highest power limit known until then, or the stated one of unknown boards.
        renewed_us, window_us, counter_us: of its meters; None if not known.
        spacing_us: of its readings.
        seen: the part of the time that its sensor looks at.
    """

    errors: Errors
    limit_mw: int
    renewed_us: int | None
    window_us: int | None
    counter_us: int | None
    spacing_us: int
    seen: Fraction

    @property
    def lag_us(self) -> int:
        """How far a power reading is behind on average."""
        if self.renewed_us is None or self.window_us is None:
            return 0
        return self.renewed_us // 2 + self.window_us // 2


class Devices:
    """The `device` rows, asked as of an instant."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["ts_us"]):
            self.rows[row["device_id"]].append(row)

    def row(self, device_id: str, t: int) -> dict[str, Any] | None:
        """Return the row in force at an instant: the latest until then, else the first after."""
        rows = self.rows.get(device_id, [])
        until = [row for row in rows if row["ts_us"] <= t]
        return until[-1] if until else rows[0] if rows else None

    def limit_mw(self, device_id: str, t: int) -> int | None:
        """Return the highest power limit recorded until an instant, or else first; None if none."""
        rows = self.rows.get(device_id, [])
        rows = [r for r in rows if r["ts_us"] <= t] or rows[:1]
        limits = [r.get("limit_mw") for r in rows]
        return max((limit for limit in limits if limit is not None), default=None)

    def most_mw(self, device_id: str) -> int:
        """Return the power above which a reading of a device cannot be true."""
        limits = [
            r.get("limit_max_mw") or r["limit_mw"]
            for r in self.rows.get(device_id, [])
            if (r.get("limit_max_mw") or r["limit_mw"]) is not None
        ]
        return max(limits) * 3 // 2 if limits else 4_000_000

    def gap_limit_us(self, device_id: str, t: int) -> int:
        """Return how far apart two readings may be with known power between them."""
        row = self.row(device_id, t)
        update_us = (row or {}).get("update_us") or 0
        least_us = 10_000_000 if update_us >= 500_000 else 1_500_000
        return min(max(3 * update_us, least_us), 600_000_000)

    def facts(self, device_id: str, t: int) -> Facts:
        """Return what is known of a device at an instant."""
        row = self.row(device_id, t) or {}
        name = row.get("name") or ""
        limit_mw = self.limit_mw(device_id, t)
        renewed, update = _period(row, "learned_us"), _period(row, "update_us")
        kind = row.get("sensor_kind") or "unknown"
        period = renewed
        if renewed is None and _is_at_once(name, kind):
            # Nobody learned it: what was published.
            period = 20_000 if re.search(_FAST, name) else 100_000
        window = _window_us(name, kind, period)
        seen = Fraction(1)
        if window is not None and (period or update):
            seen = min(seen, Fraction(window, max(period or 0, update or 0)))
        good = re.search(_DATA_CENTRE, name)
        return Facts(
            Errors(Fraction(5, 100), 1_200) if good else Errors(Fraction(55, 1000), 12_500),
            UNKNOWN_LIMIT_MW if limit_mw is None else limit_mw,
            renewed,
            window,
            _period(row, "counter_us"),
            next((p for p in (update, renewed) if p is not None), 100_000),
            seen,
        )


def _period(row: dict[str, Any], name: str) -> int | None:
    period = row.get(name)
    return period if period is not None and 0 <= period <= _PLAUSIBLE_US else None


def _is_at_once(name: str, kind: str) -> bool:
    """Return whether a reading is of a moment, by what it is called or by its board."""
    return kind == "instant" or (kind == "unknown" and bool(re.search(_AT_ONCE, name)))


def _window_us(name: str, kind: str, period: int | None) -> int | None:
    if kind == "average_1s":
        return 1_000_000
    if period is None or not _is_at_once(name, kind):
        return None
    return period // 4 if re.search(_QUARTER, name) else period
