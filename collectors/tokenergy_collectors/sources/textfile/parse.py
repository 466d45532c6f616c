"""Turns one *.prom file into readings of host meters.

In: Prometheus text, as node_exporter's textfile collector reads it. Out: one reading for each
series whose name ends in `_watts` (power) or `_joules_total` (energy counter). Other metrics are
ignored: the folder is often shared with other collectors.
"""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

_COLUMNS = {"_watts": ("power_mw", 1_000), "_joules_total": ("energy_uj", 1_000_000)}
"""By the end of a metric's name: the column of `host`, and the factor to its unit."""

_MOST = 2**63 - 1
"""The largest value of an int64 column."""


class MeterReading(NamedTuple):
    """A reading of one meter: its name, power (mW) and energy counter (uJ), if it has them."""

    domain: str
    power_mw: int | None = None
    energy_uj: int | None = None


def parse_meters(text: str) -> list[MeterReading]:
    """Return the meters in a file, in the order in which they first appear.

    The domain of a meter is its metric's name without the unit, and its labels in order of name,
    for example `rack_pdu{outlet="3"}`. A power and an energy counter of one domain are one meter.

    Raises:
        ValueError: the text is not in Prometheus format, a series occurs twice, or a value is
            negative, infinite, not a number or too large.
    """
    found: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for suffix, (column, scale) in _COLUMNS.items():
                if sample.name.endswith(suffix):
                    if sample.name == suffix:
                        raise ValueError(f"{suffix}: expected the name of a meter before it")
                    domain = _domain(sample.name.removesuffix(suffix), sample.labels)
                    values = found.setdefault(domain, {})
                    if column in values:
                        raise ValueError(f"{sample.name}: {domain} has two values; expected one")
                    values[column] = _scaled(sample.name, float(sample.value), scale)
    return [MeterReading(domain, **values) for domain, values in found.items()]


def _domain(name: str, labels: dict[str, str]) -> str:
    pairs = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    return f"{name}{{{pairs}}}" if pairs else name


def _scaled(name: str, value: float, scale: int) -> int:
    if not 0 <= value * scale <= _MOST:  # NaN is never inside
        raise ValueError(f"{name} is {value:g}; expected a number of at least 0")
    return round(value * scale)
