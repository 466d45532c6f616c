"""The meters of a node as they are now: of the host itself, and of the building.

In: rows of `host` and `meter`, as sources record them. Out: latest values, and energy that goes on
where a counter begins again. A building's meter is shown as its register says it: its unit and
scale are in the site file, which a collector does not read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

_FIRST_US = 60_000_000
"""How long a value is shown before a second one says how often the meter is read."""
_LEAST_US = 2_000_000
_PERIODS = 3


@dataclass(slots=True)
class _Read:
    """When a meter was read: its latest reading, and the time between it and the one before."""

    ts_us: int
    apart_us: int | None = None

    def take(self, ts_us: int) -> None:
        self.apart_us, self.ts_us = ts_us - self.ts_us, ts_us

    def is_fresh(self, now_us: int) -> bool:
        limit_us = _FIRST_US if self.apart_us is None else _PERIODS * self.apart_us
        return now_us - self.ts_us <= max(limit_us, _LEAST_US)


@dataclass(slots=True)
class HostMeter:
    """One domain of the host.

    Attributes:
        energy_uj: what it counted since its first reading, over all epochs; None: it counts none.
        power_mw: what it said it draws, else the mean between its last two readings; None: unknown.
    """

    read: _Read
    energy_uj: int | None = None
    power_mw: float | None = None
    _shown_uj: int | None = None
    _epoch: object = None

    def take(self, row: Mapping[str, Any]) -> None:
        """Take a row of `host`, whose time `read` has."""
        shown_uj, epoch = row["energy_uj"], (row["run"], row["epoch"])
        grown_uj = None
        if None not in (shown_uj, self._shown_uj) and epoch == self._epoch:
            # A counter whose reader keeps no epochs may begin again without a word.
            grown_uj = shown_uj - self._shown_uj if shown_uj >= self._shown_uj else None
        if shown_uj is not None:
            self.energy_uj = (self.energy_uj or 0) + (grown_uj or 0)
        self._shown_uj, self._epoch = shown_uj, epoch
        self.power_mw = row["power_mw"]
        if self.power_mw is None and grown_uj is not None and self.read.apart_us:
            self.power_mw = grown_uj * 1000 / self.read.apart_us


@dataclass(slots=True)
class SiteMeter:
    """One meter of the building, as its register says it.

    Attributes:
        source: the name of the source that read it.
        value_n: billionths of the register's own unit.
    """

    read: _Read
    source: str
    value_n: int


AnyMeter = TypeVar("AnyMeter", HostMeter, SiteMeter)


class LiveMeters:
    """The meters that a node reads; rows may come from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: dict[str, HostMeter] = {}
        self._site: dict[str, SiteMeter] = {}

    def keep(self, now_us: int, *, stepped: bool) -> None:
        """Forget what is stale, as of a meter that is read no more; after a clock step, all."""
        with self._lock:
            self._host = {} if stepped else _fresh(self._host, now_us)
            self._site = {} if stepped else _fresh(self._site, now_us)

    def add_host(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of `host`; a row that is older than the latest of its domain is left out."""
        with self._lock:
            for row in rows:
                found = self._host.get(row["domain"])
                if found is None:
                    found = self._host[row["domain"]] = HostMeter(_Read(row["ts_us"]))
                elif row["ts_us"] > found.read.ts_us:
                    found.read.take(row["ts_us"])
                else:
                    continue
                found.take(row)

    def add_site(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of `meter`; a row that is older than the latest of its meter is left out."""
        with self._lock:
            for row in rows:
                found = self._site.get(row["meter_id"])
                if found is None:
                    self._site[row["meter_id"]] = SiteMeter(
                        _Read(row["ts_us"]), row["source"], row["value_n"]
                    )
                elif row["ts_us"] > found.read.ts_us:
                    found.read.take(row["ts_us"])
                    found.source, found.value_n = row["source"], row["value_n"]

    def host(self, now_us: int) -> list[tuple[str, HostMeter]]:
        """Return the domains of the host whose values are fresh, by name."""
        with self._lock:
            return sorted(_fresh(self._host, now_us).items())

    def site(self) -> list[tuple[str, SiteMeter]]:
        """Return the meters of the building by id, also those whose values are stale."""
        with self._lock:
            return sorted(self._site.items())


def _fresh(meters: Mapping[str, AnyMeter], now_us: int) -> dict[str, AnyMeter]:
    return {name: one for name, one in meters.items() if one.read.is_fresh(now_us)}
