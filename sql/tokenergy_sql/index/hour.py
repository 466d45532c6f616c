"""Derives one hour: runs the models in order and writes the rows that they return.

In: `segment`, `tokens`, `requests`, `state`, `jobs`, `device`, `clock` of a lake, token usage, the
site's constants. Out: the hour's files of `ledger`, `ledger_hour`, `node_hour`, `token_usage`,
`host_hour`, `job_hour_index`, `job_efficiency`, `phase_block`, `phase_role`, `meter_hour`,
`site_hour`, `site_part`, `place_hour` and `job_signal_hour`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake, contract
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.cooling.puemodel import with_models
from tokenergy_sql.index import booking, modelrun, phases
from tokenergy_sql.index.bookedrows import Booked
from tokenergy_sql.index.calibration import Calibration, create_calibration
from tokenergy_sql.index.facility import create_node_pue
from tokenergy_sql.index.groups import groups_of
from tokenergy_sql.index.hosts import hosts_of
from tokenergy_sql.index.inputs import InputReader, around, device_rows
from tokenergy_sql.index.merging import joined
from tokenergy_sql.index.modelrun import build_model, run_model, store_rows
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.nearjobs import keep_near, near_jobs, of_jobs
from tokenergy_sql.index.nodeuntil import create_node_until
from tokenergy_sql.index.placepower import place_hour
from tokenergy_sql.index.tasks import tasks_of
from tokenergy_sql.index.tokens import Usage
from tokenergy_sql.index.workers import Workers
from tokenergy_sql.metering.hour import hour_rows
from tokenergy_sql.revisions.recorder import Recorder
from tokenergy_sql.signals.hour import signal_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_OF_CLAIMS = ("clock_step", "unseen_host")

DERIVED_HERE: dict[str, list[int]] = {
    name: []
    for name in (
        *("ledger_hour", "node_hour", "token_usage", "job_hour_index", "job_efficiency"),
        *("phase_block", "phase_role", "meter_hour", "site_hour", "site_part", "host_hour"),
        *("place_hour", "job_signal_hour"),
    )
}
"""No hours of these tables: models see the rows of this run, not those of an earlier version."""


def derive_hour(
    hour_us: int,
    digest: str,
    reader: InputReader,
    usage: Usage,
    record: Recorder,
    workers: Workers,
) -> None:
    """Derive the tables of an hour and write them.

    Args:
        hour_us: start of the hour.
        digest: of the hour's inputs.
        reader: has the lake, the site's constants, the allocations and the devices.
        usage: token usage of all hours.
        record: writes the files.
        workers: book the groups of a large hour.

    Raises:
        duckdb.Error: a file is damaged inside; see `catalog.reading.heal`.
    """
    calibration = reader.history.site.calibration
    groups = groups_of(reader.lake, hour_us)
    tokens = usage.of_hour(hour_us)
    places = reader.history.site.places
    constants = reader.history.at(hour_us)
    signals = reader.signals.of_hour(hour_us)
    version = modelrun.index_version()
    metered = with_models(
        *(reader.lake, places, reader.history.site.cooling),
        *(hour_rows(reader.lake, places, hour_us, version, signals), hour_us, version),
    )
    jobs = {*tokens["job_id"].to_pylist()}
    with prepared(
        reader.lake, hour_us, reader.held, reader.devices, calibration, digest, jobs
    ) as con:
        modelrun.create_site(con, constants)
        if groups:
            tasks = tasks_of(con, reader.lake, hour_us, groups, reader.digests)
            booked = joined(con, workers.parts(reader.lake.root, [*tasks]))
        else:
            booked = Booked.of(booking.ledger(con, reader.lake, hour_us))
        by_hour = _write_ledger(con, reader.lake, hour_us, booked, record)
        record.write("ledger_hour", by_hour, hour_us)
        store_rows(con, "ledger_hour", by_hour)
        create_node_pue(con, places, metered.site, hour_us, constants.pue_ppm)
        record.write("token_usage", tokens, hour_us)
        store_rows(con, "token_usage", tokens)
        store_rows(con, "job_usage", of_jobs(usage.by_job, near_jobs(con)))
        hosts = hosts_of(con, reader.lake, hour_us, reader.history, digest)
        record.write("host_hour", hosts, hour_us)
        store_rows(con, "host_hour", hosts)
        for model in ("job_facts", "host_share", "pool_share", "burden", "claim_span", *_OF_CLAIMS):
            build_model(con, model)
        node_rows = run_model(con, "node_hour")
        record.write("node_hour", node_rows, hour_us)
        by_place = place_hour(con, reader.lake, places, metered, node_rows)
        record.write("place_hour", by_place, hour_us)
        store_rows(con, "token_known", usage.known)
        for model in ("time_state", "job_time", "job_joint"):
            build_model(con, model)
        build_model(con, "job_hour_sums", "hour_sums")
        modelrun.build_sums(con, told=bool(reader.lake.files("requests", around(hour_us))))
        indices = run_model(con, "indices")
        record.write("job_hour_index", indices, hour_us)
        by_signal = signal_rows(con, indices, signals, hour_us, version)
        record.write("job_signal_hour", by_signal, hour_us)
        build_model(con, "job_caps")
        store_rows(con, "efficiency_sums", run_model(con, "job_efficiency_hour"))
        record.write("job_efficiency", run_model(con, "job_efficiency"), hour_us)
        record.write("phase_block", phases.blocks(con), hour_us)
        record.write("phase_role", phases.roles(con), hour_us)
    record.write("meter_hour", metered.meters, hour_us)
    record.write("site_hour", metered.site, hour_us)
    record.write("site_part", metered.parts, hour_us)


@contextmanager
def prepared(
    lake: Lake,
    hour_us: int,
    held: pa.Table,
    devices: list[dict[str, Any]],
    calibration: Calibration,
    digest: str = "",
    jobs: Collection[str] = (),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection on which the segments of an hour can be booked.

    Args:
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
        held: `allocations(lake)`.
        devices: all rows of `device`.
        calibration: of the site's cards.
        digest: of the hour's inputs, for derived rows.
        jobs: whose allocations are needed, besides those near the hour: see `nearjobs`.

    Raises:
        duckdb.Error: a file is damaged inside; see `catalog.reading.heal`.
    """
    near_tables = dict.fromkeys(("state", "tokens", "requests", "clock"), around(hour_us))
    hours = {**near_tables, "segment": [hour_us], "device": []}
    with modelrun.connect(lake, held, {**hours, **DERIVED_HERE}) as con:
        modelrun.create_parameters(con, hour_us, digest)
        _create_devices(con, devices, hour_us)
        create_calibration(con, calibration)
        modelrun.build_pages(con)
        keep_near(con, held, hour_us, jobs)
        modelrun.build_activity(con)
        modelrun.build_growth(con, model_text("token_near"))
        build_model(con, "phase_cell")
        build_model(con, "cut_claim")
        create_node_until(con, lake, hour_us)
        build_model(con, "job_cut")
        build_model(con, "sensor_class")
        build_model(con, "job_edge")
        yield con


def _write_ledger(
    con: duckdb.DuckDBPyConnection, lake: Lake, hour_us: int, booked: Booked, record: Recorder
) -> pa.Table:
    """Write the ledger of an hour; return its rows of `ledger_hour`, and let models read it."""
    import pyarrow as pa

    record.stream("ledger", booked.ledger, hour_us)
    store_rows(con, "job_cap_part", pa.concat_tables(booked.caps))
    con.register("ledger", pa.concat_tables(booked.sums))
    # A board that moved may have the same account and job on two nodes: the table's order leaves
    # open which comes first, and DuckDB's would depend on how the hour was divided.
    by_hour = run_model(con, "ledger_hour").sort_by("node")
    con.unregister("ledger")
    written = catalog.select_from(contract.LEDGER, lake.valid_files("ledger", [hour_us]))
    con.execute(f"CREATE TEMP VIEW ledger AS {written}")
    return by_hour


def _create_devices(
    con: duckdb.DuckDBPyConnection, devices: list[dict[str, Any]], hour_us: int
) -> None:
    """Create `device`, `device_now` and `device_at` as known by the end of an hour."""
    import pyarrow as pa

    rows = device_rows(devices, hour_us)
    store_rows(con, "device", pa.Table.from_pylist(rows, schema=contract.DEVICE.schema()))
    for name in ("device_now", "device_at"):
        con.execute(views.definition(name).sql.replace("VIEW", "TEMP TABLE", 1))
