"""The inputs of an hour, as digests by kind.

In: a lake and the site's constants of each hour. Out: for an hour, a digest of each kind of input.
Where one differs from the digest of the hour's last derivation, the hour is stale, and the kind is
the cause.

Raw files are never rewritten, so the names of those that the rows came in are enough. Allocations
and devices are taken by value, and only as far as they affect the hour: that a job continues, or
that a daemon restarted, makes no hour stale.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableMapping, Set
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import present, stat_of
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.devicerows import read_devices
from tokenergy_sql.index.sitehistory import SiteHistory, site_digest
from tokenergy_sql.signals.known import Signals
from tokenergy_sql.standing.stays import places_nodes

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_sql.index.tokens import Usage

Inputs = dict[str, str]
"""A digest by kind of input: segments, state, tokens, requests, clock, jobs, devices, site, meters,
host, places, signals, models."""

_DIGITS = 16

_UNTOLD = ("models", "places", "signals")
"""Inputs that are not in `inputs_digest`."""

_BESIDE_US = 1_000_000

_NEVER_US = 2**63 - 1
"""End of an allocation that goes on."""

_NO_TOKENS = "none"
"""The workload of a job without tokens: see `models/job_facts.sql`."""

_OF_ALLOCATIONS = ("job_id", "node", "device_id", "share_ppm", "mig_id", "share_estimated")
"""What an hour's models see of an allocation, besides its edges."""


class FileDigests:
    """Digests of files' bytes, each taken once as long as the file is unchanged.

    Args:
        root: folder of the lake.
        known: of an earlier run: path -> [size, mtime_ns, digest]; updated.
    """

    def __init__(self, root: Path, known: MutableMapping[str, list[Any]]) -> None:
        self._root, self._known = root, known

    def told_of(self, path: Path) -> str:
        """Return a file's name and the digest of its bytes."""
        name, now = path.relative_to(self._root).as_posix(), stat_of(path)
        size, mtime_ns, digest = self._known.get(name, (None, None, ""))
        if (size, mtime_ns) != now:
            present([path])
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
            self._known[name] = [*now, digest]
        return f"{name} {digest}"


class InputReader:
    """Reads once what all hours have in common.

    Args:
        lake: the lake.
        history: the declared constants of each hour.
        usage: token usage of all hours.
        held: `allocations(lake)`.
        workloads: the workload of each job that has tokens, by job_id.
        version: of models and contract.
        digests: of files of segments.

    Attributes:
        lake, history, held, digests: as given.
        signals: those that the site file declares.
        devices: rows of `device` that say something new; see `devicerows`.
    """

    def __init__(
        self,
        lake: Lake,
        history: SiteHistory,
        usage: Usage,
        held: pa.Table,
        workloads: dict[str, str],
        version: str,
        digests: FileDigests,
    ) -> None:
        self.lake, self.history, self._version = lake, history, version
        self.digests, self._workloads = digests, workloads
        self.held = held
        self.signals = Signals(lake, history.site.signals)
        self._start_us = held["start_us"].to_numpy()
        self._end_us = held["end_us"].fill_null(_NEVER_US).to_numpy()
        self.devices = read_devices(lake)
        self._seen_us = sorted(row["ts_us"] for row in self.devices)
        self._device_digests: dict[int, str] = {}
        self._trees: dict[int, str] = {}
        self._meters: dict[int, str] = {}
        self._usage = usage
        self._known = usage.known
        self._known_of: dict[str, list[int]] = {}
        for place, job_id in enumerate(usage.known["job_id"].to_pylist()):
            self._known_of.setdefault(job_id, []).append(place)

    def of_hour(self, hour_us: int) -> Inputs:
        """Return the digests of an hour's inputs."""
        near = around(hour_us)
        segments = self.lake.files("segment", [hour_us])
        usage = self._usage.of_hour(hour_us).to_pylist()
        held = list(self._held(hour_us))
        jobs = {row["job_id"] for row in (*held, *usage)}
        requests = [*self._names("requests", near)]
        # Of a lake without them the digest stays what it was.
        told = {"requests": _digest(requests)} if requests else {}
        if metered := self._metered(hour_us, near):
            told["meters"] = metered
        if read := [*self._names("host", near)]:
            told["host"] = _digest(read)
        if placed := self._placed(hour_us):
            told["places"] = placed
        if signals := self.signals.digest(hour_us):
            told["signals"] = signals
        return {
            **told,
            "segments": _digest(map(self.digests.told_of, segments)),
            "state": _digest(self._names("state", near)),
            "clock": _digest(self._names("clock", near)),
            "tokens": _digest(
                [*self._names("tokens", near), *_sorted(usage), *_sorted(self._read(hour_us, jobs))]
            ),
            "jobs": _digest(
                [
                    *_sorted(held),
                    *sorted((job, self._workloads.get(job, _NO_TOKENS)) for job in jobs),
                ]
            ),
            "devices": self._devices(hour_us),
            "site": site_digest(self.history.at(hour_us), self.history.site.calibration),
            "models": self._version,
        }

    def _names(self, table: str, hours: Iterable[int]) -> Iterator[str]:
        for path in self.lake.sources(table, hours):
            yield path.relative_to(self.lake.root).as_posix()

    def _metered(self, hour_us: int, near: list[int]) -> str:
        """Return the digest of an hour's meters and places; empty if the site has no meters then.

        What the site file says of another time, and where it says it, leaves it as it was.
        """
        declared = self._declared(hour_us)
        # Losses and models come on top: the digest of an hour without them stays what it was.
        if declared and (modelled := [*self._modelled((hour_us, hour_us + HOUR_US))]):
            declared = _digest([declared, *modelled])
        return _digest([declared, *self._names("meter", near)]) if declared else ""

    def _declared(self, hour_us: int) -> str:
        """Return the digest of what the site file says of an hour's meters; empty if of none.

        Readings next to the hour count in it, by the entries of their time.
        """
        places = self.history.site.places
        first_us, last_us = hour_us - HOUR_US, hour_us + 2 * HOUR_US
        if places.meter_edges(first_us, last_us):
            return self._entries(hour_us)
        # A year has few edges, and a site many meters.
        era = places.era(first_us)
        if era not in self._meters:
            alone = [
                replace(meter, where="") for meter in places.meters.at(hour_us).meters.values()
            ]
            self._meters[era] = _digest([*alone, self._tree(hour_us)]) if alone else ""
        return self._meters[era]

    def _entries(self, hour_us: int) -> str:
        """Return the same of an hour in or beside which an entry begins or ends."""
        places = self.history.site.places
        interval = hour_us, hour_us + HOUR_US
        entries = [
            (span.from_us, span.until_us, replace(span.value, where=""))
            for of_id in places.meters.by_id.values()
            if any(of_id.within(*interval))
            for span in of_id.within(hour_us - HOUR_US, hour_us + 2 * HOUR_US)
        ]
        edges = [hour_us, *places.meter_edges(*interval)]
        return _digest([*entries, *edges, *map(self._tree, edges)]) if entries else ""

    def _modelled(self, interval: tuple[int, int]) -> Iterator[object]:
        """Yield what the site file says of an hour's losses and models; nothing if of none."""
        site = self.history.site
        for _, losses in sorted(site.places.losses.items()):
            for loss in losses.within(*interval):
                yield loss.from_us, loss.until_us, replace(loss.value, where="")
        for _, of_place in sorted(site.places.pue_models.items()):
            for model in of_place.within(*interval):
                yield model.from_us, model.until_us, replace(model.value, where="")
        models = site.places.pue_models.values()
        if any(one.value.cooling == "modelled" for of in models for one in of.within(*interval)):
            for place, cooling in sorted(site.cooling.entries.items()):
                for entry in cooling.within(*interval):
                    yield place, entry.from_us, entry.until_us, entry.value.keys

    def _placed(self, hour_us: int) -> str:
        """Return the digest of what stands where in an hour; empty if no node does.

        Ratings and types are part of it; what stood where in other hours is not.
        """
        places = self.history.site.places
        if not places_nodes(places, hour_us):
            return ""
        edges = [hour_us, *places.edges(hour_us, hour_us + HOUR_US)]
        found = [(edge, self._tree(edge)) for edge in edges]
        # An edge at which nothing moves, such as that of a meter, says nothing.
        moves = [found[0], *(after for before, after in pairwise(found) if before[1] != after[1])]
        return _digest([places.rated_mw, *moves])

    def _tree(self, ts_us: int) -> str:
        """Return the digest of the places as of an instant: of a year's hours few differ."""
        places = self.history.site.places
        era = places.era(ts_us)
        if era not in self._trees:
            self._trees[era] = _digest([places.at(ts_us).root])
        return self._trees[era]

    def _read(self, hour_us: int, jobs: Set[str]) -> Iterator[dict[str, Any]]:
        """Yield when the counters of some jobs are known, as far as it is in an hour."""
        import pyarrow as pa

        end_us = hour_us + HOUR_US
        places = [place for job in jobs for place in self._known_of.get(job, ())]
        for row in self._known.take(pa.array(places, pa.int64())).to_pylist():
            if row["from_us"] < end_us:
                # A source that was lost before the hour counts as lost in it, whenever that was.
                from_us, to_us = (min(max(row[k], hour_us), end_us) for k in ("from_us", "to_us"))
                yield {**row, "from_us": from_us, "to_us": to_us}

    def _held(self, hour_us: int) -> Iterator[dict[str, Any]]:
        """Yield the allocations that touch an hour, without an end beyond it.

        Edges less than a second beyond the hour count in its bounds: see `models/job_edge.sql`.
        """
        from_us, end_us = hour_us - _BESIDE_US, hour_us + HOUR_US + _BESIDE_US
        near = np.flatnonzero((self._start_us <= end_us) & (self._end_us >= from_us))
        for row in self.held.take(near).to_pylist():
            continues = row["end_us"] is None or row["end_us"] > end_us
            yield {
                **{name: row[name] for name in _OF_ALLOCATIONS},
                "start_us": row["start_us"],
                "end_us": None if continues else row["end_us"],
            }

    def _devices(self, hour_us: int) -> str:
        """Return the digest of the devices that an hour's models see.

        It is one digest until a device is recorded again, however many hours later.
        """
        by_then = bisect_left(self._seen_us, hour_us + HOUR_US)
        if by_then not in self._device_digests:
            self._device_digests[by_then] = _digest(_sorted(self._devices_of(hour_us)))
        return self._device_digests[by_then]

    def _devices_of(self, hour_us: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of `device` that an hour's models see, without their timestamps.

        Each once: a daemon that starts records the same of a board as before.
        """
        rows = device_rows(self.devices, hour_us)
        names = [name for name in (rows[0] if rows else ()) if name != "ts_us"]
        facts_of = itemgetter(*names) if names else tuple
        last: dict[str, tuple[Any, ...]] = {}
        seen: set[tuple[Any, ...]] = set()
        for row in rows:
            facts = facts_of(row)
            last[row["device_id"]] = facts
            if facts not in seen:
                seen.add(facts)
                yield dict(zip(names, facts, strict=True))
        for facts in last.values():
            yield {**dict(zip(names, facts, strict=True)), "last": True}


def around(hour_us: int) -> list[int]:
    """Return the starts of an hour and of the two beside it, microseconds UTC."""
    return [hour_us - HOUR_US, hour_us, hour_us + HOUR_US]


def device_rows(rows: list[dict[str, Any]], hour_us: int) -> list[dict[str, Any]]:
    """Return what was known of the devices by the end of an hour, or first recorded after it.

    What is learned later does not change an earlier hour.
    """
    by_device: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["device_id"], row["ts_us"], row["node"])):
        by_device.setdefault(row["device_id"], []).append(row)
    found = []
    for of_device in by_device.values():
        by_then = [row for row in of_device if row["ts_us"] < hour_us + HOUR_US]
        found += by_then or of_device[:1]
    return found


def whole_digest(inputs: Inputs) -> str:
    """Return one SHA-256 for all inputs but the models: `inputs_digest` of derived rows.

    Where nodes stand and what signals say is left out: only `place_hour`, `job_signal_hour` and
    `site_hour` follow from them, which have no such digest.
    """
    data = {kind: digest for kind, digest in inputs.items() if kind not in _UNTOLD}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _sorted(rows: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({json.dumps(row, sort_keys=True) for row in rows})


def _digest(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:_DIGITS]
