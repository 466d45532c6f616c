"""Segments to indices: derives the hours whose inputs have changed, then the jobs' index.

In: `segment`, `tokens`, `state`, `jobs`, `device` of a lake, and the site's constants. Out: the
tables of each stale hour (see `hour.py`), and `job_index` over all hours. Earlier rows are kept as
a revision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.version import write_format
from tokenergy_sql.catalog.file import unusable, write_catalog
from tokenergy_sql.catalog.reading import heal
from tokenergy_sql.index import modelrun, phases, sitehistory
from tokenergy_sql.index.hour import DERIVED_HERE, derive_hour
from tokenergy_sql.index.inputs import InputReader, Inputs, whole_digest
from tokenergy_sql.index.jobfiles import write_job_files
from tokenergy_sql.index.modelrun import build_model, index_version, run_model, store_rows
from tokenergy_sql.index.site import Site
from tokenergy_sql.index.sitehistory import SiteHistory
from tokenergy_sql.index.tokens import Usage
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.recorder import Recorder, recording

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = logging.getLogger(__name__)

_TABLES_KEY = "made"
"""Key, among the inputs recorded of an hour, of the tables that have a file of it."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one run of the index did.

    Attributes:
        jobs: in the index.
        hours: that were examined.
        causes: for each derived hour, the kinds of input that had changed, or `new`, or `gone`
            where a derived file was missing.
        revision: its number, if anything changed.
        remarks: lines on constants of the site that do not hold for all hours.
        newer: hours that were not examined and whose inputs have changed.
    """

    jobs: int
    hours: int
    causes: dict[int, list[str]]
    revision: int | None
    remarks: list[str]
    newer: tuple[int, ...] = ()


def index(
    lake: Lake,
    site: Site,
    hours: Iterable[int] | None = None,
    progress: Progress = print,
    *,
    rebuild_all: bool = False,
    look_elsewhere: bool = False,
    catalog: bool = True,
) -> Indexed:
    """Derive the tables of those hours whose inputs have changed, and the jobs' index.

    Replaced rows are kept as a revision. A second run on the same inputs changes nothing.

    Args:
        lake: the lake.
        site: the site file.
        hours: starts of the hours to examine, microseconds UTC; all if None.
        progress: called with the name of each hour before it is derived.
        rebuild_all: derive the hours whether or not their inputs have changed.
        look_elsewhere: find which of the other hours have inputs that have changed.
        catalog: write `catalog.duckdb` too, for other clients.
    """
    with recording(lake, index_version()) as record:
        held = allocations(lake)
        usage = heal(lake, lambda: Usage.of(lake, progress, held))
        found = revisions.read_recorded(lake)
        recorded, file_digests = found.hours, found.files
        history = SiteHistory(site, recorded, found.constants)
        reader = _reader(lake, history, usage, held, file_digests)
        causes: dict[int, list[str]] = {}
        examined = sorted(_all_hours(lake, usage.rows) if hours is None else set(hours))
        try:
            for hour in examined:
                inputs = reader.of_hour(hour)
                changed = _causes(lake, hour, recorded.get(hour), inputs)
                if changed or rebuild_all:
                    progress(partition(hour))
                    recorded[hour] = _derive(hour, inputs, reader, usage, record)
                    causes[hour] = record.manifest.hours[str(hour)] = changed
        finally:
            constants = history.name_known(recorded)
            revisions.write_hours(lake, recorded, file_digests, constants)
        others = _all_hours(lake, usage.rows).difference(examined) if look_elsewhere else ()
        newer = [o for o in sorted(others) if _causes(lake, o, recorded.get(o), reader.of_hour(o))]
        jobs = _index_jobs(lake, history, held, usage, record)
        if catalog:
            _write_catalog(lake, held)
        write_format(lake.root)
    files = record.manifest.added or record.manifest.replaced
    revision = record.manifest.number if files else None
    remarks = history.remarks({row["node"] for row in reader.devices})
    return Indexed(jobs, len(examined), causes, revision, remarks, tuple(newer))


def _derive(
    hour: int, inputs: Inputs, reader: InputReader, usage: Usage, record: Recorder
) -> Inputs:
    """Derive an hour; return what is recorded of it."""
    lake, history = reader.lake, reader.history
    derive = partial(derive_hour, hour, whole_digest(inputs), reader, usage, record)
    heal(lake, derive)
    return {
        **inputs,
        _TABLES_KEY: _tables_of(lake, hour),
        sitehistory.KEY: history.name_of(hour),
    }


def _write_catalog(lake: Lake, held: pa.Table) -> None:
    """Write the catalog for other clients, if they could open it: the index is there either way."""
    if why := unusable(lake):
        _LOG.warning("catalog.duckdb is left out: %s", why)
    else:
        write_catalog(lake, held)


def _all_hours(lake: Lake, usage: pa.Table) -> set[int]:
    """Return the hours that have segments or tokens, and those that were derived before.

    Tokens between the start of a server and its first reading are known only as a sum over all the
    time: hours before the first record of the lake are not derived for them.
    """
    read = [hour for table in ("power", "tokens", "segment") for hour in lake.hours(table)]
    first_us, last_us = min(read, default=0), max(read, default=-1)
    found = {hour for hour in usage["hour_us"].to_pylist() if first_us <= hour <= last_us}
    for table in ("segment", "ledger", "ledger_hour", "token_usage", "job_hour_index"):
        found |= set(lake.hours(table))
    return found


def _causes(lake: Lake, hour: int, before: Inputs | None, now: Inputs) -> list[str]:
    """Return why an hour is stale, or nothing: see `Indexed.causes`."""
    if before is None:
        return ["new"]
    kinds = {*before, *now} - {_TABLES_KEY, sitehistory.KEY}
    changed = sorted(kind for kind in kinds if before.get(kind) != now.get(kind))
    if not changed and _tables_of(lake, hour) != before.get(_TABLES_KEY):
        return ["gone"]
    return changed


def _tables_of(lake: Lake, hour: int) -> str:
    """Return the derived tables that have a file of an hour, joined by a comma."""
    tables = (table for table in revisions.REVISED_TABLES if table != "job_index")
    return ",".join(table for table in tables if lake.files(table, [hour]))


def _reader(
    lake: Lake,
    history: SiteHistory,
    usage: Usage,
    held: pa.Table,
    file_digests: dict[str, list[Any]],
) -> InputReader:
    with modelrun.connect(lake, held, DERIVED_HERE) as con:
        store_rows(con, "job_usage", usage.by_job)
        facts = run_model(con, "job_facts")
    jobs, kinds = facts["job_id"].to_pylist(), facts["workload"].to_pylist()
    workloads = dict(zip(jobs, kinds, strict=True))
    return InputReader(lake, history, usage, held, workloads, index_version(), file_digests)


def _index_jobs(
    lake: Lake, history: SiteHistory, held: pa.Table, usage: Usage, record: Recorder
) -> int:
    """Write the jobs' index; return how many jobs it has."""
    with modelrun.connect(lake, held) as con:
        modelrun.create_parameters(con, 0, "")
        # For what is unknown beyond the derived hours; each of those has constants of its own.
        last_hour = max(lake.hours("node_hour"), default=0)
        modelrun.create_site(con, history.at(last_hour), history.site.calibration)
        build_model(con, "job_usage")
        build_model(con, "job_facts")
        store_rows(con, "token_job", usage.of_jobs)
        build_model(con, "claim_beyond")
        store_rows(con, "sums", run_model(con, "job_sums"))
        store_rows(con, "found", run_model(con, "indices"))
        store_rows(con, "told", phases.of_jobs(con, lake))
        rows = con.sql(
            "SELECT found.*, facts.* EXCLUDE (job_id, running, emulated), told.* EXCLUDE (job_id) "
            "FROM found JOIN job_facts AS facts USING (job_id) JOIN told USING (job_id)"
        ).to_arrow_table()
    write_job_files(lake, rows, record)
    return len(rows)
