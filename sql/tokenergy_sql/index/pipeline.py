"""Segments to indices: derives the hours whose inputs have changed, then the jobs' index.

In: `segment`, `tokens`, `state`, `jobs`, `device` of a lake, and the site's constants. Out: the
tables of each stale hour (see `hour.py`), and `job_index` over all hours. Earlier rows are kept as
a revision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.memory import give_back_memory, old_objects_spared
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import url_of
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import DEVICE
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.version import write_format
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.file import unusable, write_catalog
from tokenergy_sql.catalog.reading import heal
from tokenergy_sql.index import modelrun, sitehistory
from tokenergy_sql.index.calibration import create_calibration
from tokenergy_sql.index.causes import TABLES_KEY, all_hours, causes_of, tables_of
from tokenergy_sql.index.hour import derive_hour
from tokenergy_sql.index.inputs import FileDigests, InputReader, Inputs, whole_digest
from tokenergy_sql.index.jobrows import JobRows
from tokenergy_sql.index.mending import lost_line, lost_nodes, mending, set_aside_damaged
from tokenergy_sql.index.modelrun import build_model, index_version, run_model, store_rows
from tokenergy_sql.index.parts import remove_parts
from tokenergy_sql.index.site import Site
from tokenergy_sql.index.sitehistory import SiteHistory, site_digest
from tokenergy_sql.index.tokens import Usage
from tokenergy_sql.index.workers import Workers, workers
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.recorder import Recorder, recording

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = logging.getLogger(__name__)

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
        set_aside: damaged derived files that were moved to quarantine and derived again; names.
    """

    jobs: int
    hours: int
    causes: dict[int, list[str]]
    revision: int | None
    remarks: list[str]
    newer: tuple[int, ...] = ()
    set_aside: tuple[str, ...] = ()


def index(
    lake: Lake,
    site: Site,
    hours: Iterable[int] | None = None,
    progress: Progress = print,
    *,
    rebuild_all: bool = False,
    look_elsewhere: bool = False,
    catalog: bool = True,
    shards: int = 1,
) -> Indexed:
    """Derive the tables of those hours whose inputs have changed, and the jobs' index.

    Replaced rows are kept as a revision. A second run on the same inputs changes nothing. A derived
    file that proves damaged is set aside and derived again, whichever hour it is of.

    Args:
        lake: the lake.
        site: the site file.
        hours: starts of the hours to examine, microseconds UTC; all if None.
        progress: called with the name of each hour before it is derived.
        rebuild_all: derive the hours whether or not their inputs have changed.
        look_elsewhere: find which of the other hours have inputs that have changed.
        catalog: write `catalog.duckdb` too, for other clients.
        shards: how many processes share the booking of a large hour.

    Raises:
        UserError: one of the hours has expired: see `lake.expired`.
    """
    read_expired(lake.root).refuse(hours)
    so_far = _SoFar({}, [])
    with workers(shards) as found, old_objects_spared():
        options = _Options(rebuild_all, look_elsewhere, catalog, found)
        run = partial(_index, lake, site, progress, options, so_far)
        done = mending(lake, hours, run, so_far.set_aside)
    names = {path.relative_to(lake.root).as_posix() for path in so_far.set_aside}
    return replace(done, set_aside=tuple(sorted(names)))


@dataclass(frozen=True, slots=True)
class _Options:
    """As `index` takes them; with its workers."""

    rebuild_all: bool
    look_elsewhere: bool
    catalog: bool
    workers: Workers


@dataclass(frozen=True, slots=True)
class _SoFar:
    """What the runs before did, up to the damaged file that they met: as in `Indexed`."""

    causes: dict[int, list[str]]
    set_aside: list[Path]


def _index(
    lake: Lake,
    site: Site,
    progress: Progress,
    options: _Options,
    so_far: _SoFar,
    hours: set[int] | None,
) -> Indexed:
    """Index as `index` does, up to the first damaged derived file.

    Raises:
        DamagedError: there is one.
    """
    causes = so_far.causes
    with recording(lake, index_version()) as record:
        if hours is not None:  # of all hours, they are noticed when they are read
            so_far.set_aside.extend(set_aside_damaged(lake, hours, revisions.REVISED_TABLES))
        recorded = record.recorded.hours
        history = SiteHistory(site, recorded, record.recorded.constants)
        with lake.days_held():
            held = allocations(lake)
            usage = heal(lake, lambda: Usage.of(lake, progress, held))
            reader = _reader(lake, history, usage, held, record.recorded.files)
        chosen = all_hours(lake, usage.hours) if hours is None else set(hours)
        examined = sorted(_not_frozen(lake, chosen))
        for hour in examined:
            inputs = reader.of_hour(hour)
            changed = causes_of(lake, hour, recorded.get(hour), inputs)
            lost = lost_nodes(lake, hour) if hour in recorded else []
            if lost:
                record.drop_missing(hour)
            elif changed or options.rebuild_all:
                progress(partition(hour))
                made = _derive(hour, inputs, reader, usage, record, options.workers)
                causes[hour] = changed
                record.derived(hour, changed, made, history.named(made))
                give_back_memory()
        every = all_hours(lake, usage.hours) if options.look_elsewhere else set[int]()
        others = _not_frozen(lake, every).difference(examined)
        newer = [
            o for o in sorted(others) if causes_of(lake, o, recorded.get(o), reader.of_hour(o))
        ]
        rows, jobs = heal(lake, partial(_index_jobs, lake, history, held, usage, record))
        constants = history.name_known(recorded)
        record.recorded.constants.clear()
        record.recorded.constants.update(constants)
        write_format(lake.root)
        revision = record.publish()
        rows.remember()
        remove_parts(lake.root, examined)
        if options.catalog:
            _write_catalog(lake, held)
    remarks = history.remarks({row["node"] for row in reader.devices}) + reader.signals.remarks()
    if options.rebuild_all and (frozen := len(chosen) - len(examined)):
        what = "1 hour has" if frozen == 1 else f"{frozen} hours have"
        remarks.append(f"{what} expired and cannot be derived again; their books stay as they are")
    remarks += [lost_line(hour, lost) for hour in examined if (lost := lost_nodes(lake, hour))]
    return Indexed(jobs, len(examined), causes, revision, remarks, tuple(newer))


def _derive(
    hour: int,
    inputs: Inputs,
    reader: InputReader,
    usage: Usage,
    record: Recorder,
    workers: Workers,
) -> Inputs:
    """Derive an hour; return what is recorded of it."""
    lake, history = reader.lake, reader.history
    derive = partial(derive_hour, hour, whole_digest(inputs), reader, usage, record, workers)
    heal(lake, derive)
    return {
        **inputs,
        TABLES_KEY: tables_of(lake, hour),
        sitehistory.KEY: history.name_of(hour),
    }


def _write_catalog(lake: Lake, held: pa.Table) -> None:
    """Write the catalog for other clients, if they could open it: the index is there either way."""
    if url_of(lake.root):  # its paths would be those of a copy that others do not have
        return
    if why := unusable(lake):
        _LOG.warning("catalog.duckdb is left out: %s", why)
    else:
        write_catalog(lake, held)


def _not_frozen(lake: Lake, hours: Iterable[int]) -> set[int]:
    """Return the hours that can be derived: what they are derived from has not expired."""
    expired = read_expired(lake.root)
    return {hour for hour in hours if not expired.is_frozen(hour)}


def _reader(
    lake: Lake,
    history: SiteHistory,
    usage: Usage,
    held: pa.Table,
    file_digests: MutableMapping[str, list[Any]],
) -> InputReader:
    # What a job is for follows from its tokens alone: neither the allocations of all time nor the
    # devices are needed.
    with open_memory() as con:
        views.define(con, views.UNITS)
        con.register("allocation", held.slice(0, 0))
        con.register("device_now", DEVICE.schema().empty_table())
        store_rows(con, "job_usage", usage.by_job)
        facts = run_model(con, "job_facts")
    jobs, kinds = facts["job_id"].to_pylist(), facts["workload"].to_pylist()
    workloads = dict(zip(jobs, kinds, strict=True))
    digests = FileDigests(lake.root, file_digests)
    return InputReader(lake, history, usage, held, workloads, index_version(), digests)


def _index_jobs(
    lake: Lake, history: SiteHistory, held: pa.Table, usage: Usage, record: Recorder
) -> tuple[JobRows, int]:
    """Write the jobs' index; return its rows, and how many there are."""
    import pyarrow as pa

    booked = {*lake.hours("ledger_hour")} | {*lake.hours("job_hour_index")}
    # Of all hours nothing is read but which they are; of the last one, how far it goes.
    read = {"ledger_hour": lake.hours("ledger_hour")[-1:], "job_hour_index": list[int]()}
    with modelrun.connect(lake, held, {**read, "token_usage": list[int]()}) as con:
        modelrun.create_parameters(con, 0, "")
        # For what is unknown beyond the derived hours; each of those has constants of its own.
        last_hour = max(lake.hours("node_hour"), default=0)
        constants, calibration = history.at(last_hour), history.site.calibration
        create_calibration(con, calibration)
        modelrun.create_site(con, constants)
        store_rows(con, "booked_hour", pa.table({"hour_us": pa.array(sorted(booked), pa.int64())}))
        # As the files of token_usage have it.
        store_rows(con, "job_usage", usage.by_job_in(lake.hours("token_usage")))
        store_rows(con, "token_job", usage.of_jobs)
        build_model(con, "claim_beyond")
        rows = JobRows(lake, con, f"{index_version()} {site_digest(constants, calibration)}")
        return rows, rows.write(record)


def stale(lake: Lake, site: Site, hours: Iterable[int] | None = None) -> dict[int, list[str]]:
    """Return the hours that `index` would derive, and why: as `Indexed.causes`.

    Args:
        lake: the lake.
        site: the site file.
        hours: starts of the hours to look at, microseconds UTC; all if None.
    """
    held = allocations(lake)
    usage = heal(lake, lambda: Usage.of(lake, held=held))
    found = revisions.read_recorded(lake)
    recorded = found.hours
    history = SiteHistory(site, recorded, found.constants)
    reader = _reader(lake, history, usage, held, found.files)
    known = _not_frozen(lake, all_hours(lake, usage.hours))
    wanted = known if hours is None else known.intersection(hours)
    causes = {
        hour: causes_of(lake, hour, recorded.get(hour), reader.of_hour(hour))
        for hour in sorted(wanted)
    }
    return {hour: why for hour, why in causes.items() if why}
