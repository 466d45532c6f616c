"""The tables of an explanation: headings, and the text of each cell.

In: rows of the document. Out: text; an unknown value is a dash.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tokenergy_sql.catalog.namedrows import NamedRow

Column = tuple[str, Callable[[NamedRow], str]]
"""A heading and the text of a row's cell."""


def timestamp(ts_us: int | None) -> str:
    """Return a stamp as ISO 8601 in UTC, with as many digits of a second as it has."""
    if ts_us is None:
        return "-"
    moment = datetime.fromtimestamp(ts_us // 1_000_000, UTC)
    parts = f"{moment:%Y-%m-%dT%H:%M:%S}", f"{ts_us % 1_000_000:06d}".rstrip("0")
    return ".".join(part for part in parts if part) + "Z"


def seconds(length_us: int | None) -> str:
    """Return a length of time in seconds, to the microsecond."""
    if length_us is None:
        return "-"
    return f"{length_us / 1e6:,.6f}".rstrip("0").rstrip(".")


def _text(name: str) -> Callable[[NamedRow], str]:
    return lambda row: "-" if row[name] is None else str(row[name])


def _whole(name: str) -> Callable[[NamedRow], str]:
    return lambda row: "-" if row[name] is None else f"{row[name]:,}"


def _timestamp(name: str, empty: str = "-") -> Callable[[NamedRow], str]:
    return lambda row: empty if row[name] is None else timestamp(row[name])


def _watts(name: str) -> Callable[[NamedRow], str]:
    return lambda row: "-" if row[name] is None else f"{row[name] / 1e3:,g}"


def _seconds(name: str) -> Callable[[NamedRow], str]:
    return lambda row: seconds(row[name])


def _factor_range(row: NamedRow) -> str:
    return "-" if row["k_min"] is None else f"{row['k_min']:.4f} to {row['k_max']:.4f}"


ALLOCATIONS: tuple[Column, ...] = (
    ("node", _text("node")),
    ("device", _text("device_id")),
    ("from", _timestamp("start_us")),
    ("to", _timestamp("end_us", "running")),
    ("share ppm", _whole("share_ppm")),
    ("scheduler", _text("scheduler")),
    ("method", _text("method")),
    ("recorded", _timestamp("recorded_us")),
)
DEVICES: tuple[Column, ...] = (
    ("node", _text("node")),
    ("device", _text("device_id")),
    ("name", _text("name")),
    ("limit W", _watts("limit_mw")),
    ("sensor", _text("sensor_kind")),
    ("power update us", _whole("learned_us")),
    ("counter update us", _whole("counter_us")),
)
LEDGER: tuple[Column, ...] = (
    ("device", _text("device_id")),
    ("account", _text("account")),
    ("method", _text("method")),
    ("attribution", _text("attribution")),
    ("rows", _whole("rows")),
    ("device s", _seconds("device_us")),
    ("energy nJ", _whole("energy_nj")),
    ("low nJ", _whole("low_nj")),
    ("high nJ", _whole("high_nj")),
    ("k", _factor_range),
)
COUNTERS: tuple[Column, ...] = (
    ("kind", _text("kind")),
    ("source", _text("source_id")),
    ("engine", lambda row: row["engine"] or "-"),
    ("readings", _whole("readings")),
    ("first", _timestamp("first_us")),
    ("value", _whole("first_value")),
    ("last", _timestamp("last_us")),
    ("value", _whole("last_value")),
    ("epochs", _whole("epochs")),
    ("zero at", _timestamp("since_us")),
)
TOKEN_USAGE: tuple[Column, ...] = (
    ("kind", _text("kind")),
    ("tokens", _whole("tokens")),
    ("low", _whole("low")),
    ("high", _whole("high")),
)
HOSTS: tuple[Column, ...] = (
    ("node", _text("node")),
    ("host W", _watts("host_mw")),
    ("device s held", _seconds("device_us")),
    ("watched s", _seconds("watched_us")),
    ("device s of the node", _seconds("capacity_us")),
    ("energy nJ", _whole("e_host_nj")),
)
HOURS: tuple[Column, ...] = (
    ("hour", _timestamp("hour_us")),
    ("GPU nJ", _whole("e_gpu_nj")),
    ("facility nJ", _whole("e_facility_nj")),
    ("PUE", lambda row: "-" if row["pue_ppb"] is None else f"{row['pue_ppb'] / 1e9:g}"),
    ("revision", _text("revision")),
    ("derived", _text("derived_at")),
    ("causes", lambda row: " ".join(row["causes"]) or "-"),
    ("inputs", lambda row: row["inputs_digest"][:16]),
    ("notes", lambda row: row["reason_codes"].replace(",", " ") or "-"),
)
