"""What an import from a store is told: where, when, and how names are read.

In: the options of the command. Out: an `Order`, checked.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.address import refuse_credentials
from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.prometheus.client import Door
from tokenergy_collectors.importers.prometheus.mapping import Mapping as MappingFile
from tokenergy_collectors.importers.prometheus.mapping import read_mapping
from tokenergy_collectors.importers.prometheus.names import DCGM, LATE_S
from tokenergy_collectors.importers.prometheus.owners import Owners
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.jobkey import checked_cluster

_AGO = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STEP_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """What to import.

    Attributes:
        door: how to get to the store.
        start_us: first instant, us UTC, a whole second.
        end_us: the instant after the last, a whole second.
        chunk_us: the longest span that is read and written at once.
        matchers: further matchers of each selector, as in PromQL.
        owners: which job a series belongs to.
        mapping: names of the site's own.
        cluster: the cluster that the jobs' ids belong to.
        node: the node of series that name none.
        late_s: how old a value may be when it is scraped, seconds, by exporter.
        again: whether to read what was imported once more.
    """

    door: Door
    start_us: int
    end_us: int
    chunk_us: int = HOUR_US
    matchers: str = ""
    owners: Owners = field(default_factory=Owners)
    mapping: MappingFile = field(default_factory=MappingFile)
    cluster: str | None = None
    node: str | None = None
    late_s: Mapping[str, float] = field(default_factory=lambda: dict(LATE_S))
    again: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What decides which rows are made of the store's samples."""
        mapping = self.mapping.model_dump_json()
        return {
            "url": self.door.url.rstrip("/"),
            "match": self.matchers,
            "job_label": list(self.owners.labels),
            "mapping": hashlib.sha256(mapping.encode()).hexdigest()[:16],
            "cluster": self.cluster,
            "node": self.node,
            "late_s": dict(sorted(self.late_s.items())),
        }


def order(
    door: Door,
    start: str,
    end: str,
    *,
    chunk_us: int,
    settle_us: int,
    matchers: str = "",
    job_labels: str | None = None,
    mapping: Path | None = None,
    cluster: str | None = None,
    node: str | None = None,
    exporter_interval_us: int | None = None,
    again: bool = False,
    now_us: int | None = None,
) -> Order:
    """Return a checked order.

    Args:
        door: how to get to the store.
        start: first instant: ISO 8601, Unix seconds, or how long ago (`6h`, `7d`).
        end: the instant after the last: likewise, or `now`.
        chunk_us: the longest span that is read and written at once; divides an hour.
        settle_us: samples younger than this may still arrive, and are left for the next import.
        matchers: further matchers, as in PromQL.
        job_labels: labels that name a job, separated by commas.
        mapping: the mapping file.
        cluster: the cluster that the jobs' ids belong to.
        node: the node of series that name none.
        exporter_interval_us: how often dcgm-exporter reads its boards.
        again: whether to read what was imported once more.
        now_us: now, us UTC.

    Raises:
        UserError: an option cannot be used; names it.
    """
    cluster = _checked(door, cluster, chunk_us)
    now_us = time.time_ns() // 1_000 if now_us is None else now_us
    start_us, end_us = _span_us(start, end, now_us, settle_us)
    told = read_mapping(mapping)
    late_s = {**LATE_S, **told.late_s()}
    if exporter_interval_us is not None:
        late_s[DCGM] = exporter_interval_us / 1_000_000
    labels = [name.strip() for name in (job_labels or "").split(",") if name.strip()]
    owners = Owners(tuple(labels or told.labels.job or ()), told.jobs)
    return Order(
        door, start_us, end_us, chunk_us, matchers, owners, told, cluster, node, late_s, again
    )


def _checked(door: Door, cluster: str | None, chunk_us: int) -> str | None:
    """Return the name of the cluster, if all can be used."""
    if not re.match(r"https?://[^/\s]", door.url):
        raise UserError(f"--url {door.url[:80]!r}: expected http://HOST:PORT or https://...")
    try:
        refuse_credentials(door.url, "them in --bearer-file or --header-file")
    except ValueError as error:
        raise UserError(f"--url: {error}") from None
    if chunk_us > HOUR_US or HOUR_US % chunk_us:
        raise UserError("--chunk: expected a part of an hour such as 1h, 30m, 10m or 5m")
    try:
        return checked_cluster(cluster)
    except ValueError as error:
        raise UserError(f"--cluster: {error}") from None


def _span_us(start: str, end: str, now_us: int, settle_us: int) -> tuple[int, int]:
    """Return the first instant of an import, and the instant after its last."""
    start_us = instant_us("--from", start, now_us)
    end_us = min(instant_us("--to", end, now_us), now_us - settle_us)
    end_us -= end_us % _STEP_US
    if start_us >= end_us:
        raise UserError(
            f"--from {start} is not before --to {end}: expected a span of time in the past; the "
            f"last {settle_us // 1_000_000} s are left for the next import"
        )
    return start_us, end_us


def instant_us(option: str, text: str, now_us: int) -> int:
    """Return an instant, us UTC, down to a whole second.

    Raises:
        UserError: it cannot be read.
    """
    text = text.strip()
    if text == "now":
        ts_us = now_us
    elif ago := _AGO.fullmatch(text.removeprefix("-")):
        ts_us = now_us - round(float(ago[1]) * _SECONDS[ago[2]] * 1_000_000)
    else:
        try:
            ts_us = StampReader().read(f"{text} 00:00" if re.fullmatch(r"[\d-]{10}", text) and
                                       "-" in text else text)  # fmt: skip
        except BadValueError as error:
            raise UserError(f"{option}: {error}, how long ago (6h, 7d) or now") from None
    return ts_us - ts_us % _STEP_US
