"""Runs the checks: SQL that returns the offending rows.

In: a lake. Out: one finding for each check. The first line of a check's file is its title; the
second says `fail` or `warn`, and `hourly` if it examines one hour at a time or `whole` if it needs
all of them. A check may leave out nodes and hours whose readings were removed, as the disk limit
does once they are uploaded: its query `left_out` says which, and its finding counts them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import literal, pattern
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_transforms.provenance import PowerFolders, removed

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_MOST_POWER = read_sql("tokenergy_sql.checks.shared", "most_power")
_STRAY_SPELL = read_sql("tokenergy_sql.checks.shared", "stray_spell")

_COMMENT = re.compile(r"--.*")

_LEFT_OUT = re.compile(r"^left_out AS \(\n(.*?)\n\)", re.MULTILINE | re.DOTALL)
"""The query of a check that says which nodes and hours it leaves out."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; no rows is a pass.

    Attributes:
        left_out: nodes and hours that it could not look at, since their readings were removed.
    """

    name: str
    title: str
    fatal: bool
    columns: list[str]
    rows: list[tuple[Any, ...]]
    left_out: int = 0

    @property
    def breach(self) -> bool:
        """Whether the check failed, rather than passed or warned."""
        return self.fatal and bool(self.rows)

    def lines(self, limit: int) -> list[str]:
        """Return the finding as text: one line, and up to `limit` offending rows below it."""
        verdict = "FAIL" if self.breach else "warn" if self.rows else "ok"
        count = f" ({len(self.rows)} rows)" if self.rows else ""
        lines = [f"{verdict:<5}{self.name}: {self.title}{count}{self._left_out()}"]
        for row in self.rows[:limit]:
            named = zip(self.columns, row, strict=True)
            lines.append("     " + " ".join(f"{name}={value}" for name, value in named))
        if len(self.rows) > limit:
            lines.append(f"     ... and {len(self.rows) - limit} more")
        return lines

    def _left_out(self) -> str:
        if not self.left_out:
            return ""
        what = "node-hour is" if self.left_out == 1 else "node-hours are"
        return f" ({self.left_out} {what} left out: the readings were removed)"


@cache
def texts_by_name() -> dict[str, str]:
    """Return the SQL of each check, in the order of their names."""
    folder = resources.files("tokenergy_sql.checks")
    files = sorted((e for e in folder.iterdir() if e.name.endswith(".sql")), key=lambda e: e.name)
    return {file.name.removesuffix(".sql"): file.read_text("utf-8") for file in files}


def run_checks(
    lake: Lake, hours: Sequence[int] | None = None, only: Collection[str] | None = None
) -> list[Finding]:
    """Run the checks on a lake, in the order of their names.

    Args:
        lake: the lake.
        hours: starts of hours, microseconds UTC: hourly checks examine only these, the others
            still everything. All hours if None.
        only: names of the checks to run; all if None.

    Raises:
        ValueError: `only` has a name that no check has.
    """
    if unknown := {*(only or ())}.difference(texts_by_name()):
        raise ValueError(f"there is no check {', '.join(sorted(unknown))}")
    texts = [one for one in texts_by_name().items() if only is None or one[0] in only]

    def run() -> list[Finding]:
        held = allocations(lake)
        whole = [text for text in texts if not _is_hourly(text[1])]
        hourly = [text for text in texts if _is_hourly(text[1])]
        found = _run_all(lake, held, whole, None, []) if whole else []
        folders = PowerFolders(lake)
        # Events of the whole lake, once: a process may have come hours before.
        spells = _stray_spells(lake, held) if hourly else None
        for scope in _scopes(lake, hours) if hourly else ():
            gone = [
                (hour_us, one.node, one.own, one.waiting)
                for hour_us in scope["segment"]
                for one in removed(lake, folders, hour_us)
            ]
            found += _run_all(lake, held, hourly, scope, gone, spells)
        return [_merged([one for one in found if one.name == name]) for name, _ in texts]

    return read(lake, run)


def hourly_names() -> list[str]:
    """Return the names of the checks that examine one hour at a time."""
    return [name for name, text in texts_by_name().items() if _is_hourly(text)]


def _is_hourly(text: str) -> bool:
    return text.splitlines()[1].endswith("hourly")


def _run_all(
    lake: Lake,
    held: pa.Table,
    texts: Sequence[tuple[str, str]],
    scope: dict[str, list[int]] | None,
    gone: Sequence[tuple[int, str, bool, str]],
    spells: pa.Table | None = None,
) -> list[Finding]:
    # Files are validated once, by the checks that examine everything.
    words = _COMMENT.sub("", "\n".join((*(text for _, text in texts), _MOST_POWER)))
    named = None if scope is None else views.tables_named(words)
    with catalog.connect(lake, scope, named=named, allocation=held) as con:
        con.execute(
            "CREATE TEMP TABLE checked_hour AS SELECT unnest($1::BIGINT[]) AS hour_us",
            [[] if scope is None else scope["segment"]],
        )
        con.execute(
            "CREATE TEMP TABLE removed_hour "
            "(hour_us BIGINT, node VARCHAR, own BOOLEAN, waiting VARCHAR)"
        )
        if gone:
            con.executemany("INSERT INTO removed_hour VALUES ($1, $2, $3, $4)", gone)
        if spells is not None:
            con.register("stray_spell", spells)
        con.execute(f"CREATE TEMP VIEW most_power AS {_MOST_POWER}")
        _create_power_file(con, lake, [] if scope is None else scope["segment"])
        return [_run(con, name, text) for name, text in texts]


def _stray_spells(lake: Lake, held: pa.Table) -> pa.Table:
    with catalog.connect(lake, None, named=frozenset(("event", "device")), allocation=held) as con:
        return con.sql(_STRAY_SPELL).to_arrow_table()


def _create_power_file(con: duckdb.DuckDBPyConnection, lake: Lake, hours: Sequence[int]) -> None:
    """Create `power_file`: the readings of some hours, each with the file that it is in."""
    columns = "parse_filename(filename) AS file, device_id, ts_us, power_mw"
    files = lake.valid_files("power", hours)
    paths = ", ".join(literal(pattern(path)) for path, names in files if "power_mw" in names)
    if not paths:
        columns = "NULL::VARCHAR AS file, device_id, ts_us, power_mw"
    source = f"read_parquet([{paths}], hive_partitioning = false, filename = true)"
    con.execute(
        f"CREATE TEMP VIEW power_file AS SELECT {columns} "  # noqa: S608 - paths are escaped
        f"FROM {source if paths else 'power WHERE false'} "
        f"{'WHERE power_mw IS NOT NULL' if paths else ''}"
    )


def _run(con: duckdb.DuckDBPyConnection, name: str, text: str) -> Finding:
    title, kind = (line.removeprefix("--").strip() for line in text.splitlines()[:2])
    result = con.execute(text)
    columns = [column for column, *_ in result.description or ()]
    rows = result.fetchall()
    skips = _LEFT_OUT.search(text)
    return Finding(
        name=name,
        title=title,
        fatal={"fail": True, "warn": False}[kind.split(", ")[0]],
        columns=columns,
        rows=rows,
        left_out=len(con.execute(skips[1]).fetchall()) if skips else 0,
    )


def _merged(found: list[Finding]) -> Finding:
    """Return the findings of one check in several hours as one."""
    rows = [row for one in found for row in one.rows]
    return replace(found[0], rows=rows, left_out=sum(one.left_out for one in found))


def _scopes(lake: Lake, hours: Sequence[int] | None) -> Iterator[dict[str, list[int]]]:
    """Yield the scopes of hourly checks: each of the given hours, or of a lake, by itself.

    A day of a large fleet does not fit into memory, an hour does. Quarantined files of the whole
    lake are reported once, in the first scope.
    """
    if hours is not None:
        yield from (_scope([hour]) for hour in hours) if hours else (_scope([]),)
        return
    # Hours of power too: readings without a segment are what one check looks for.
    tables = ("power", "segment", "ledger", "ledger_hour", "job_hour_index", "load_profile")
    derived = sorted({hour for table in tables for hour in lake.hours(table)})
    first = _scope(derived[:1])
    del first["quarantined"]
    yield first
    for hour in derived[1:]:
        yield {**_scope([hour]), "quarantined": []}


def _scope(hours: Sequence[int]) -> dict[str, list[int]]:
    """Return the hours of each table that an hourly check reads; of raw rows, neighbours too."""
    near = sorted({hour + step for hour in hours for step in (-HOUR_US, 0, HOUR_US)})
    derived = ("segment", "ledger", "ledger_hour", "node_hour", "job_hour_index", "load_profile")
    own = {name: list(hours) for name in (*derived, "quarantined")}
    return {**own, "power": near, "state": near}
