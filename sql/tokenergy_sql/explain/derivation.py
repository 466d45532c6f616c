"""What a job's figures were derived from: the rows behind each step, as the lake has them now.

In: a lake and a job_id. Out: lists of rows of JSON types: allocations, devices, files of readings
with the number of rows that count, segments, ledger, tokens, hosts, and hours with the revision
that derived them. Energies are whole nanojoules, stamps microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.paths import hour_of_path, node_of
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.duck import pattern
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.revisions import revisions

if TYPE_CHECKING:
    import duckdb

# Tables that an explanation does not show: no file of them is read.
_NOT_NEEDED: dict[str, tuple[int, ...]] = dict.fromkeys(("host", "meter", "clock", "event"), ())

_ALLOCATIONS = """
SELECT node, device_id, start_us, end_us, share_ppm, mig_id, scheduler, method, recorded_us
FROM held ORDER BY device_id, start_us
"""

_DEVICES = read_sql("tokenergy_sql.explain", "devices")

_JOBS_FILE = """
SELECT count(*) AS rows, min(recorded_us) AS first_us, max(recorded_us) AS last_us
FROM rows_of_file WHERE job_key(cluster, job_id) = getvariable('job_id')
"""

_POWER_FILE = read_sql("tokenergy_sql.explain", "power_file")

_TOKENS_FILE = """
SELECT count(*) AS rows, min(ts_us) AS first_us, max(ts_us) AS last_us
FROM rows_of_file WHERE job_key(cluster, job_id) = getvariable('job_id')
"""

_SEGMENTS_FILE = read_sql("tokenergy_sql.explain", "segments_file")

_LEDGER_FILE = read_sql("tokenergy_sql.explain", "ledger_file")

_LEDGER = read_sql("tokenergy_sql.explain", "job_ledger")

_COUNTERS = read_sql("tokenergy_sql.explain", "counters")

_USAGE = """
SELECT kind, sum(tokens) AS tokens, sum(low) AS low, sum(high) AS high
FROM token_usage WHERE job_id = getvariable('job_id') GROUP BY kind ORDER BY kind
"""

_HOSTS = read_sql("tokenergy_sql.explain", "hosts")

_PUE_PARTS = read_sql("tokenergy_sql.explain", "pue_parts")

_HOURS = read_sql("tokenergy_sql.explain", "hours")


def derivation(lake: Lake, job_id: str) -> dict[str, Any]:
    """Return the rows behind a job's figures; `index` is its row of `job_index`.

    Args:
        lake: the lake.
        job_id: a job of the lake.

    Raises:
        UserError: the job is not indexed.
    """
    return read(lake, lambda: _derivation(lake, job_id))


def _derivation(lake: Lake, job_id: str) -> dict[str, Any]:
    hours = _hours_of(lake, job_id)
    # The last window of an hour ends at the first reading of the next: neighbours count too.
    near = sorted({hour + step for hour in hours for step in (-HOUR_US, 0, HOUR_US)})
    own = {"segment": hours, "ledger": hours, "power": near, "tokens": near}
    with catalog.connect(lake, {**own, **_NOT_NEEDED}) as con:
        con.execute("SET VARIABLE job_id = $1", [job_id])
        con.execute(
            "CREATE TEMP TABLE held AS FROM allocation WHERE job_id = getvariable('job_id')"
        )
        index = _json_rows(con, "FROM job_index WHERE job_id = getvariable('job_id')")
        if not index:
            raise UserError(f"job {job_id!r}: is not indexed; run `tokenergy index`")
        allocations = _json_rows(con, _ALLOCATIONS)
        nodes = {row["node"] for row in allocations}
        by_hour = _json_rows(con, _HOURS)
        return {
            "index": index[0],
            "allocations": allocations,
            "devices": _json_rows(con, _DEVICES),
            "job_files": _by_file(con, lake, "jobs", _JOBS_FILE),
            "power_files": _by_file(con, lake, "power", _POWER_FILE, near, nodes),
            "token_files": _by_file(con, lake, "tokens", _TOKENS_FILE, near),
            "segment_files": _by_file(con, lake, "segment", _SEGMENTS_FILE, hours, nodes),
            "ledger_files": _by_file(con, lake, "ledger", _LEDGER_FILE, hours),
            "ledger": _json_rows(con, _LEDGER),
            "counters": _json_rows(con, _COUNTERS),
            "token_usage": _json_rows(con, _USAGE),
            "hosts": [_with_energy(row) for row in _json_rows(con, _HOSTS)],
            "pue_parts": _json_rows(con, _PUE_PARTS),
            "site": {"pue_ppm": _one({row["pue_ppm"] for row in by_hour})},
            "hours": _with_revisions(lake, by_hour),
        }


def _hours_of(lake: Lake, job_id: str) -> list[int]:
    """Return the hours in which a job is booked or counted."""
    # The index alone says which; no hour of the large tables is read for it.
    no_hours = dict.fromkeys(("power", "segment", "ledger", "tokens", "state"), ())
    with catalog.connect(lake, {**no_hours, **_NOT_NEEDED}) as con:
        con.execute("SET VARIABLE job_id = $1", [job_id])
        rows = _json_rows(con, _HOURS)
    return [row["hour_us"] for row in rows]


def _json_rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[NamedRow]:
    """Return the rows of a query in types that JSON has: 128-bit sums become whole numbers."""
    return [
        {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in named_rows(con, sql)
    ]


def _by_file(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: str,
    sql: str,
    hours: Iterable[int] | None = None,
    nodes: Set[str] | None = None,
) -> list[NamedRow]:
    """Run a query on each file by itself; return the answers of files with rows of the job."""
    found = []
    for path, _ in lake.valid_files(table, hours):
        if nodes is not None and node_of(path) not in nodes:
            continue
        rows_of_file = catalog.select_listed(TABLES[table], [pattern(path)])
        con.execute(f"CREATE OR REPLACE TEMP VIEW rows_of_file AS {rows_of_file}")
        (row,) = _json_rows(con, sql)
        if row["rows"]:
            # A compacted file may be in another folder for some hours.
            name = path.relative_to(lake.root).as_posix().removeprefix(f"{compacted.FOLDER}/")
            found.append({"file": name, **row, **_made_from(path)})
    return found


def _made_from(path: Path) -> dict[str, list[str]]:
    """Return the names of the files that were compacted into one; nothing of another file."""
    if not compacted.is_compacted(path.name):
        return {}
    sources = compacted.sources_of(path)
    return {"made_from": sorted(sources.digests) if sources else []}


def _one(values: Set[int | None]) -> int | None:
    """Return the value that all hours have; None if they differ: see the hours."""
    return next(iter(values)) if len(values) == 1 else None


def _with_energy(row: NamedRow) -> NamedRow:
    """Add the job's part of the energy of a node's host."""
    energy_nj = None
    if not row["device_us"]:
        energy_nj = 0
    elif row["node_host_nj"] is not None:
        energy_nj = row["node_host_nj"] * row["device_us"] // row["capacity_us"]
    return {**row, "e_host_nj": energy_nj}


def _with_revisions(lake: Lake, rows: list[NamedRow]) -> list[NamedRow]:
    """Add to each hour its file, the revision that last derived it, the cause and the inputs."""
    inputs_of_hour = revisions.read_recorded(lake).hours
    last = {int(hour): m for m in revisions.manifests(lake) for hour in m.hours}
    names = {hour_of_path(path): path for path in lake.files("job_hour_index")}
    found = []
    for row in rows:
        hour = row["hour_us"]
        manifest = last.get(hour)
        found.append(
            {
                **row,
                "file": names[hour].relative_to(lake.root).as_posix(),
                "revision": manifest.number if manifest else None,
                "derived_at": manifest.made_at if manifest else None,
                "causes": manifest.causes(hour) if manifest else [],
                "inputs": inputs_of_hour.get(hour, {}),
            }
        )
    return found
