"""What an OpenADR event asks for, as rows of `grid_event`.

In: an event as `openleadr` parses it. Out: one row an interval. A request whose unit or kind is not
known has no power: its signal is named, and what it asks for stays NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tokenergy_collectors.lake.contract import GRID_EVENT_STATES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_WHOLE_PPM = 1_000_000
_WATT_MW = {"W": 1_000, "kW": 1_000_000, "MW": 1_000_000_000}
_SCALES = {"none": "", None: "", "": "", "k": "k", "M": "M"}
_MOST_LEVEL = 3

Event = Mapping[str, Any]


def rows_of(event: Event, unit: str | None) -> Iterator[dict[str, Any]]:
    """Yield the intervals of an event: the columns of `grid_event` that the event itself gives.

    Args:
        event: as `openleadr` parses it.
        unit: of requested power where the event names none: W, kW or MW.

    Raises:
        KeyError, TypeError, ValueError: the event lacks what every event has.
    """
    head = event["event_descriptor"]
    status = head.get("event_status")
    common = {
        "event_id": str(head["event_id"]),
        "modification": int(head.get("modification_number") or 0),
        "program": head.get("market_context"),
        "name": head.get("vtn_comment") or None,
        "status": status if status in GRID_EVENT_STATES else None,
        "test": _is_test(head.get("test_event")),
    }
    signal = _chosen(event["event_signals"])
    period = event["active_period"]
    intervals = signal["intervals"] if signal is not None else []
    if not intervals:
        start_us, end_us = _span(period["dtstart"], period.get("duration"))
        yield {**common, "interval": 0, "start_us": start_us, "end_us": end_us}
        return
    begin = period["dtstart"]
    for number, one in enumerate(intervals):
        begin = one.get("dtstart") or begin
        start_us, end_us = _span(begin, one.get("duration"))
        yield {
            **common,
            "interval": number,
            "start_us": start_us,
            "end_us": end_us,
            **_asked(signal, one["signal_payload"], unit),
        }
        begin = begin + (one.get("duration") or timedelta())


def _chosen(signals: Any) -> Event | None:
    """Return the signal that says most about power: a dispatch before a level."""
    listed = signals if isinstance(signals, list) else signals["event_signals"]
    ranked = sorted(listed, key=lambda one: one["signal_name"] != "LOAD_DISPATCH")
    return ranked[0] if ranked else None


def _span(start: datetime, duration: timedelta | None) -> tuple[int, int | None]:
    """Return start and end, us UTC; no duration, or one of 0, has no end."""
    start_us = (start.astimezone(UTC) - _EPOCH) // _US
    return start_us, start_us + duration // _US if duration else None


def _asked(signal: Event | None, payload: Any, unit: str | None) -> dict[str, Any]:
    """Return what one interval asks for."""
    if signal is None:
        return {}
    name, kind = signal["signal_name"], signal["signal_type"]
    found: dict[str, Any] = {"signal": f"{name} {kind}"}
    value = Fraction(Decimal(str(payload)))
    if name.upper() == "SIMPLE" and value.denominator == 1 and 0 <= value <= _MOST_LEVEL:
        found["level"] = int(value)
    if name != "LOAD_DISPATCH":
        return found
    if kind == "multiplier":
        found["reduce_ppm"] = round((1 - value) * _WHOLE_PPM)
        return found
    factor = _unit_mw(signal.get("measurement"), unit)
    if factor is not None and kind == "delta":
        found["reduce_mw"] = round(-value * factor)
    if factor is not None and kind == "setpoint":
        found["target_mw"] = round(value * factor)
    return found


def _unit_mw(measurement: Event | None, unit: str | None) -> int | None:
    """Return how many milliwatts one of a signal's unit is; None if it names none that we know."""
    if measurement is None:
        return _WATT_MW.get(unit or "")
    scale = _SCALES.get(measurement.get("scale"))
    if measurement.get("unit") != "W" or scale is None:
        return None
    return _WATT_MW[f"{scale}W"]


def _is_test(text: Any) -> bool | None:
    if text is None:
        return None
    return str(text).lower() not in ("false", "0", "")
