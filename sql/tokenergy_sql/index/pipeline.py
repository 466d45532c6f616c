"""Segments to indices: runs the models in order and writes what they give.

In: `segment`, `tokens`, `state`, `jobs`, `device` of a lake, and the site's constants. Out:
`ledger`, `ledger_hour`, `token_usage`, `job_hour_index` hour by hour; `job_index` over all hours.
Only hours whose inputs have changed are derived again; what they said before is kept as a revision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from tokenergy_collectors import __version__
from tokenergy_collectors.lake import Lake, contract
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of, partition
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.file import write_catalog
from tokenergy_sql.index import booking, calibration, tokens
from tokenergy_sql.index.bookedrows import power_schema
from tokenergy_sql.index.inputs import InputReader, Inputs, device_rows, whole_digest
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.site import Site
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.revisions import Recorder

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LIMIT_UNKNOWN_MW = 1_500_000
"""Upper bound of a board's power where no limit was recorded: above any board on the market."""

_UNREAD = (
    *("power", "host", "clock", "event", "jobs", "load_profile", "load_spectrum", "job_index"),
    *("state", "tokens", "segment", "ledger"),
)
"""Tables that no model reads, or an hour at a time alone: their files need not be looked at."""

_MADE: dict[str, list[int]] = {
    name: [] for name in ("ledger_hour", "token_usage", "job_hour_index", "job_efficiency")
}
"""Tables of which a model sees what has just been made, whatever an earlier version left there."""

_KERNELS = "tokenergy_transforms.booking"
"""What the models leave to compiled code."""

_MADE_KEY = "made"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one run of the index did.

    Attributes:
        jobs: in the index.
        hours: that were looked at.
        causes: of each hour that was derived, the kinds of input that had changed, or `new`, or
            `gone` where a derived file was missing.
        revision: its number, if anything changed.
    """

    jobs: int
    hours: int
    causes: dict[int, list[str]]
    revision: int | None


def index(
    lake: Lake,
    site: Site,
    hours: Iterable[int] | None = None,
    progress: Progress = print,
    *,
    anew: bool = False,
) -> Indexed:
    """Build the derived tables of those hours whose inputs have changed, and the jobs' index.

    What was there before is kept as a revision. Run again on the same inputs it changes nothing.

    Args:
        lake: the lake.
        site: the declared constants.
        hours: starts of the hours to look at, microseconds UTC; all if None.
        progress: told of each hour before it is worked on.
        anew: derive the hours whether or not their inputs have changed.
    """
    with revisions.recording(lake, index_version()) as record:
        held = allocations(lake)
        usage = catalog.heal(lake, lambda: tokens.usage(lake, progress, held))
        noted, files = revisions.read_hours(lake)
        workloads = _workloads(lake, usage, held)
        reader = InputReader(lake, site, usage, held, workloads, index_version(), files)
        causes: dict[int, list[str]] = {}
        looked = sorted(_all_hours(lake, usage) if hours is None else set(hours))
        try:
            for hour in looked:
                inputs = reader.of_hour(hour)
                changed = _changed(noted.get(hour), inputs)
                if not changed and not _is_whole(lake, hour, noted[hour]):
                    changed = ["gone"]
                if changed or anew:
                    progress(partition(hour))
                    digest = whole_digest(inputs)
                    catalog.heal(
                        lake,
                        partial(_index_hour, lake, site, hour, usage, digest, reader, record),
                    )
                    causes[hour] = changed
                    record.manifest.hours[str(hour)] = changed
                    noted[hour] = {**inputs, _MADE_KEY: _made(lake, hour)}
        finally:
            revisions.note_hours(lake, noted, files)
        jobs = _index_jobs(lake, site, held, record)
        changed_files = record.manifest.added or record.manifest.replaced
        write_catalog(lake, held)
    return Indexed(jobs, len(looked), causes, record.manifest.number if changed_files else None)


def _all_hours(lake: Lake, usage: pa.Table) -> set[int]:
    """Return the hours that have segments or tokens, and those that were derived before."""
    found = set(usage["hour_us"].to_pylist())
    for table in ("segment", "ledger", "ledger_hour", "token_usage", "job_hour_index"):
        found |= set(lake.hours(table))
    return found


def _changed(before: Inputs | None, now: Inputs) -> list[str]:
    """Return the kinds of input that differ; `new` where nothing is known of before."""
    if before is None:
        return ["new"]
    kinds = {*before, *now} - {_MADE_KEY}
    return sorted(kind for kind in kinds if before.get(kind) != now.get(kind))


def _made(lake: Lake, hour: int) -> str:
    """Return the tables that have a file of an hour, joined by a comma."""
    tables = (table for table in revisions.KEPT if table != "job_index")
    return ",".join(table for table in tables if lake.files(table, [hour]))


def _is_whole(lake: Lake, hour: int, noted: Inputs) -> bool:
    """Tell whether the files are there that were made when an hour was last derived."""
    return _made(lake, hour) == noted.get(_MADE_KEY)


def _workloads(lake: Lake, usage: pa.Table, held: pa.Table) -> dict[str, str]:
    """Return what each job is for."""
    with _see(lake, held, _MADE) as con:
        _store(con, "token_usage", usage)
        facts = run_model(con, "job_facts")
    return dict(zip(facts["job_id"].to_pylist(), facts["workload"].to_pylist(), strict=True))


def _see(
    lake: Lake, held: pa.Table, hours: Mapping[str, list[int]] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection over what the models read; of these tables, these hours alone."""
    unread: dict[str, list[int]] = {name: [] for name in _UNREAD}
    return catalog.connect(lake, {**unread, **(hours or {})}, allocation=held)


def _index_hour(
    lake: Lake,
    site: Site,
    hour: int,
    usage: pa.Table,
    digest: str,
    reader: InputReader,
    record: Recorder,
) -> None:
    import pyarrow.compute as pc

    near = [hour - HOUR_US, hour, hour + HOUR_US]
    seen = {"state": near, "tokens": near, "segment": [hour]}
    with _see(lake, reader.held, {**seen, **_MADE, "device": []}) as con:
        _parameters(con, hour, digest)
        _know_devices(con, reader, hour)
        _declare(con, site)
        for model in ("job_activity", "sensor_class"):
            _build(con, model)
        by_hour = _book(con, lake, hour, record)
        record.write("ledger_hour", by_hour, hour)
        _store(con, "ledger_hour", by_hour)
        record.write("token_usage", usage.filter(pc.equal(usage["hour_us"], hour)), hour)
        _store(con, "token_usage", usage)
        _store(con, "job_facts", run_model(con, "job_facts"))
        _build(con, "burden")
        _store(con, "sums", run_model(con, "job_hour_sums"))
        record.write("job_hour_index", run_model(con, "indices"), hour)
        _build(con, "job_caps")
        _store(con, "efficiency_sums", run_model(con, "job_efficiency_hour"))
        record.write("job_efficiency", run_model(con, "job_efficiency"), hour)


def _book(con: duckdb.DuckDBPyConnection, lake: Lake, hour: int, record: Recorder) -> pa.Table:
    """Write the ledger of an hour; return it added up, and let the models after it see it."""
    import pyarrow as pa

    sums = [contract.LEDGER.schema().empty_table()]
    con.register("power_of_row", power_schema().empty_table())
    _build(con, "job_cap_part")

    def pieces() -> Iterator[pa.Table]:
        for piece in booking.ledger(con, lake, hour):
            sums.append(piece.sums.cast(sums[0].schema))
            con.register("power_of_row", piece.power)
            con.execute(f"INSERT INTO job_cap_part {model_text('job_cap_part')}")
            yield piece.ledger

    record.stream("ledger", pieces(), hour)
    con.register("ledger", pa.concat_tables(sums))
    by_hour = run_model(con, "ledger_hour")
    con.unregister("ledger")
    written = catalog.select_from(contract.LEDGER, lake.valid_files("ledger", [hour]))
    con.execute(f"CREATE TEMP VIEW ledger AS {written}")
    return by_hour


def _know_devices(con: duckdb.DuckDBPyConnection, reader: InputReader, hour: int) -> None:
    """Let the models of an hour see what was known of the devices by its end."""
    import pyarrow as pa

    rows = device_rows(reader.devices, hour)
    _store(con, "device", pa.Table.from_pylist(rows, schema=contract.DEVICE.schema()))
    con.execute(catalog.DEVICE_NOW.replace("VIEW", "TEMP TABLE", 1))


def _index_jobs(lake: Lake, site: Site, held: pa.Table, record: Recorder) -> int:
    import pyarrow as pa

    with _see(lake, held) as con:
        _parameters(con, 0, "")
        _declare(con, site)
        _store(con, "job_facts", run_model(con, "job_facts"))
        _store(con, "sums", run_model(con, "job_sums"))
        _store(con, "found", run_model(con, "indices"))
        rows = con.sql(
            "SELECT found.*, facts.* EXCLUDE (job_id, running, emulated) "
            "FROM found JOIN job_facts AS facts USING (job_id)"
        ).to_arrow_table()
    by_hour: dict[int, list[int]] = {}
    for place, start_us in enumerate(rows["start_us"].to_pylist()):
        by_hour.setdefault(hour_of(start_us), []).append(place)
    for hour in sorted({*by_hour, *lake.hours("job_index")}):
        record.write("job_index", rows.take(pa.array(by_hour.get(hour, []), pa.int64())), hour)
    return len(rows)


def run_model(con: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """Run the model `models/NAME.sql` and return its rows."""
    return con.sql(model_text(name)).to_arrow_table()


@cache
def index_version() -> str:
    """Return the version of the models and the contract: the release and a digest of their text."""
    digest = hashlib.sha256()
    for package, ending in (("tokenergy_sql.index.models", ".sql"), (_KERNELS, ".py")):
        for entry in sorted(resources.files(package).iterdir(), key=lambda e: e.name):
            if entry.name.endswith(ending):
                digest.update(entry.read_bytes())
    digest.update(repr(contract.TABLES).encode())
    return f"{__version__}+{digest.hexdigest()[:8]}"


def _parameters(con: duckdb.DuckDBPyConnection, hour: int, digest: str) -> None:
    con.execute(
        "CREATE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us, "
        "$2::VARCHAR AS inputs_digest, $3::VARCHAR AS index_version, "
        "$4::BIGINT AS limit_unknown_mw",
        [hour, digest, index_version(), LIMIT_UNKNOWN_MW],
    )


def _declare(con: duckdb.DuckDBPyConnection, site: Site) -> None:
    calibration.declare(con, site.calibration)
    con.execute("CREATE TEMP TABLE site AS SELECT $1::BIGINT AS pue_ppm", [site.pue_ppm])
    con.execute("CREATE TEMP TABLE site_node (node VARCHAR, host_mw BIGINT)")
    nodes = [row[0] for row in con.sql("SELECT DISTINCT node FROM device_now").fetchall()]
    declared: list[list[Any]] = [[node, site.host_of(node)] for node in nodes]
    if declared:
        con.executemany("INSERT INTO site_node VALUES ($1, $2)", declared)


def _build(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Keep a model's result for those after it inside DuckDB: Arrow has no 128-bit integers."""
    con.execute(f"CREATE TEMP TABLE {catalog.quoted(name)} AS {model_text(name)}")


def _store(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Give a model's result to those after it; a view of the lake by that name steps aside."""
    con.register("incoming", rows)
    con.execute(f"CREATE TEMP TABLE {catalog.quoted(name)} AS FROM incoming")
    con.unregister("incoming")
