"""The tables of an explanation: headings, and the text of each cell.

In: rows of the document. Out: text; an unknown value is a dash.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.grid import Justify


class Column(NamedTuple):
    """A column: its heading, the text of a row's cell, and how the cells are aligned.

    On a narrow terminal a table continues in further ones: columns before the first that is
    aligned right or has a rank are in each of them.
    """

    heading: str
    cell: Callable[[NamedRow], str]
    justify: Justify = "left"
    rank: int = 0


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


def _mean_watts(row: NamedRow) -> str:
    if row["host_method"] == "none" or not row["watched_us"]:
        return "-"
    return f"{row['node_host_nj'] / row['watched_us'] / 1e3:,g}"


def _seconds(name: str) -> Callable[[NamedRow], str]:
    return lambda row: seconds(row[name])


def _factor_range(row: NamedRow) -> str:
    return "-" if row["k_min"] is None else f"{row['k_min']:.4f} to {row['k_max']:.4f}"


def _pue(row: NamedRow) -> str:
    return "-" if row["pue_ppb"] is None else f"{row['pue_ppb'] / 1e9:g}"


ALLOCATIONS: tuple[Column, ...] = (
    Column("node", _text("node")),
    Column("device", _text("device_id")),
    Column("from", _timestamp("start_us"), rank=1),
    Column("to", _timestamp("end_us", "running")),
    Column("share ppm", _whole("share_ppm"), "right"),
    Column("scheduler", _text("scheduler")),
    Column("method", _text("method")),
    Column("recorded", _timestamp("recorded_us")),
)
DEVICES: tuple[Column, ...] = (
    Column("node", _text("node")),
    Column("device", _text("device_id")),
    Column("name", _text("name"), rank=1),
    Column("limit W", _watts("limit_mw"), "right"),
    Column("sensor", _text("sensor_kind")),
    Column("power update us", _whole("learned_us"), "right"),
    Column("counter update us", _whole("counter_us"), "right"),
)
LEDGER: tuple[Column, ...] = (
    Column("device", _text("device_id")),
    Column("account", _text("account")),
    Column("method", _text("method")),
    Column("attribution", _text("attribution"), rank=1),
    Column("rows", _whole("rows"), "right"),
    Column("device s", _seconds("device_us"), "right"),
    Column("energy nJ", _whole("energy_nj"), "right"),
    Column("low nJ", _whole("low_nj"), "right"),
    Column("high nJ", _whole("high_nj"), "right"),
    Column("k", _factor_range),
)
COUNTERS: tuple[Column, ...] = (
    Column("kind", _text("kind")),
    Column("source", _text("source_id")),
    Column("engine", lambda row: row["engine"] or "-", rank=1),
    Column("readings", _whole("readings"), "right"),
    Column("first", _timestamp("first_us")),
    Column("first value", _whole("first_value"), "right"),
    Column("last", _timestamp("last_us")),
    Column("last value", _whole("last_value"), "right"),
    Column("epochs", _whole("epochs"), "right"),
    Column("zero at", _timestamp("since_us")),
)
TOKEN_USAGE: tuple[Column, ...] = (
    Column("kind", _text("kind")),
    Column("tokens", _whole("tokens"), "right"),
    Column("low", _whole("low"), "right"),
    Column("high", _whole("high"), "right"),
)
HOSTS: tuple[Column, ...] = (
    Column("node", _text("node")),
    Column("host W", _mean_watts, "right"),
    Column("host", _text("host_method")),
    Column("device s held", _seconds("device_us"), "right"),
    Column("watched s", _seconds("watched_us"), "right"),
    Column("device s of the node", _seconds("capacity_us"), "right"),
    Column("energy nJ", _whole("e_host_nj"), "right"),
)
HOURS: tuple[Column, ...] = (
    Column("hour", _timestamp("hour_us")),
    Column("GPU nJ", _whole("e_gpu_nj"), "right"),
    Column("facility nJ", _whole("e_facility_nj"), "right"),
    Column("PUE", _pue, "right"),
    Column("revision", _text("revision"), "right"),
    Column("derived", _text("derived_at")),
    Column("causes", lambda row: " ".join(row["causes"]) or "-"),
    Column("inputs", lambda row: row["inputs_digest"][:16]),
    Column("notes", lambda row: row["reason_codes"].replace(",", " ") or "-"),
)
