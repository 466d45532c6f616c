"""Views and macros over the tables of the lake; the header of each is its description.

In: a DuckDB connection that has the tables of the contract, `allocation` and `quarantined`. Out:
the same connection with the views and macros added. The commands, the catalog file and the
documentation all read them from here.

Each has an SQL file of its own, except the macros of units and constants, which share `units.sql`.
A header is: what it is; `In: ... Out: ...`; further paragraphs; and `--   name  meaning` for each
column that the contract does not describe under the same name. `In:` lists the tables and views
that are read, then the parameters: `In: segment, place; moment, a TIMESTAMP.`
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.contract import JOBS, TABLES
from tokenergy_sql.catalog.sqlfile import read_sql

if TYPE_CHECKING:
    import duckdb

UNITS = (
    "us_per_second",
    "us_per_hour",
    "us_per_day",
    "hour_of",
    "seconds",
    "hours",
    "per_second",
    "whole_ppm",
    "scale_ppm",
    "whole_ppb",
    "scale_ppb",
    "nanojoules",
    "scaled_mj",
    "joules",
    "kwh",
    "j_per_kwh",
    "watts",
    "mean_watts",
    "job_key",
    "token_leap",
    "token_parallel",
    "token_frontend",
    "request_failed",
    "least_joint_coverage",
)
"""Macros of `units.sql`: constants and conversions of units, for our own statements.

They are not in the catalog, nor where a user asks: names as plain as `hours` belong to the user.
The public views spell their constants out: a client's own TEMP macro would come before ours.
"""

OWN = ("clock_doubt",)
"""Views that several of our own statements share; like `UNITS`, not where a user asks."""

BASIC = ("utc", "device_now", "device_at")
"""Views and macros of every connection to a lake."""

ADHOC = (
    "stamp_us",
    "span_us",
    "good_argument",
    "part_of",
    "place_at",
    "place",
    "job_device",
    "tokenergy_by",
    "ledger_by_segment",
    "fleet_power",
    "power_at",
    "compare",
    "figure_of",
    "site_figure",
    "good_period",
    "site_figure_by",
    "site_tokens_by",
    "place_tokens_by",
    "modules_by",
    "signal_value",
    "signal_by",
    "carbon_by",
    "cost_by",
    "job_carbon",
    "job_cost",
    "grid_event_now",
)
"""Further views and macros for ad-hoc queries; each uses only those before it."""

PYTHON_TABLES = {
    "allocation": "one allocation of one board to one job: jobs, resolved",
    "quarantined": "one file that could not be used and is missing",
}
"""Tables that are computed in Python, and what a row of each is."""

_PYTHON_COLUMNS = {
    "allocation": {
        **{column.name: column.meaning for column in JOBS.columns},
        "job_id": "the job: CLUSTER/ID where a cluster is named, else its id",
        "node": "host name, as in device",
        "device_id": "the board, as in power; as it was listed if it was never seen",
        "mig_id": "the MIG instance that the job held; NULL: the board itself",
        "share_estimated": "the instance's share of its board was not recorded: an equal part",
    },
    "quarantined": {
        "hour_us": "start of the hour of the partition it was in",
        "table": "table it was meant for",
        "file": "where it is now, relative to the lake",
        "reason": "why it could not be used",
    },
}

_CREATE = re.compile(r"CREATE (VIEW|MACRO) (\w+)(\([^)]*\))? AS( TABLE)?\b")
_COLUMN = re.compile(r"--   (\w+)  +(\S.*)")
_MORE = re.compile(r"--    +(\S.*)")


@dataclass(frozen=True, slots=True)
class Definition:
    """A view or macro.

    Attributes:
        name: its name.
        kind: VIEW, MACRO or MACRO TABLE, as COMMENT ON names it.
        call: how a statement refers to it: `place`, or `power_at(moment)`.
        about: what it is.
        reach: its input and output: `In: ... Out: ...`.
        notes: further paragraphs.
        columns: meanings of the columns that no table has.
        sql: the statement that creates it.
    """

    name: str
    kind: str
    call: str
    about: str
    reach: str
    notes: tuple[str, ...]
    columns: dict[str, str]
    sql: str

    @property
    def sources(self) -> list[str]:
        """The tables and views it reads, as its header lists them."""
        parameters = re.findall(r"\w+", self.call)[1:]
        return inputs(self.reach, parameters)


def inputs(header: str, parameters: Iterable[str] = ()) -> list[str]:
    """Return the tables and views that the `In:` part of a header lists.

    Args:
        header: text with `In: a, b (a remark); parameter, what it is. Out: ...` in it.
        parameters: names of parameters: a clause that begins with one lists no table. A name with
            a `$` is a parameter too.

    Raises:
        ValueError: the header has no such part, or something else than a name is in the list.
    """
    found = re.search(r"\bIn: (.*?)\. +Out: ", " ".join(header.split()))
    if found is None:
        raise ValueError(f"no `In: ... Out: ...` in: {header}")
    clauses = re.sub(r"\([^)]*\)", "", found[1]).split(";")
    tables = [clause for clause in clauses if not {*clause.split(",")[0].split()} & {*parameters}]
    items = [item.strip() for clause in tables for item in clause.split(",")]
    listed = [item for item in items if not item.startswith("$") and item != "nothing"]
    for item in listed:
        if not re.fullmatch(r"\w+", item):
            raise ValueError(f"In: {item!r}: expected the name of a table or view")
    return listed


@cache
def definition(name: str) -> Definition:
    """Return the view or macro of a name.

    Raises:
        ValueError: its file does not define it.
    """
    file = "units" if name in UNITS else name
    text = read_sql(__name__, file)
    parts = text.strip().split("\n\n") if name in UNITS else [text]
    for part in parts:
        lines = part.splitlines()
        head = list(takewhile(lambda line: line.startswith("--"), lines))
        sql = "\n".join(lines[len(head) :])
        created = _CREATE.match(sql)
        if created and created[2] == name:
            return _defined(created, head, sql)
    raise ValueError(f"{file}.sql: expected CREATE VIEW or MACRO {name}")


def _defined(created: re.Match[str], head: list[str], sql: str) -> Definition:
    kind, name, parameters, table = created.groups(default="")
    paragraphs, columns = _header(head)
    opening, *notes = paragraphs
    about, reach = opening.split(" In: ", 1)
    return Definition(
        name=name,
        kind=kind + table,
        call=name + parameters,
        about=about,
        reach=f"In: {reach}",
        notes=tuple(notes),
        columns=columns,
        sql=sql,
    )


def meanings(name: str) -> dict[str, str]:
    """Return the meanings of the columns of a table, view or macro, and of those it reads."""
    if name in TABLES:
        return {column.name: column.meaning for column in TABLES[name].columns}
    if name in _PYTHON_COLUMNS:
        return _PYTHON_COLUMNS[name]
    found = definition(name)
    inherited: dict[str, str] = {}
    for source in found.sources:
        inherited = {**meanings(source), **inherited}
    return {**inherited, **found.columns}


def tables_named(text: str) -> frozenset[str]:
    """Return the tables that SQL may read: those it names itself, or through a view or macro."""
    words = set(re.findall(r"\w+", text.lower()))
    for name in reversed((*OWN, *BASIC, *ADHOC)):  # each reads only those before it
        if name in words:
            words.update(definition(name).sources)
    return frozenset(words & {*TABLES, *PYTHON_TABLES})


def define(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Create views and macros in a connection, in the order given."""
    # As one script: starting a statement takes longer than what these do.
    con.execute(";\n".join(definition(name).sql for name in names))


def _header(head: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the paragraphs of a header, each on one line, and the meanings of its columns."""
    paragraphs: list[list[str]] = [[]]
    columns: dict[str, str] = {}
    last = None
    for line in head:
        if column := _COLUMN.match(line):
            last = column[1]
            columns[last] = column[2]
        elif last and (more := _MORE.match(line)):
            columns[last] += f" {more[1]}"
        elif line == "--":
            paragraphs.append([])
        else:
            paragraphs[-1].append(line.removeprefix("-- "))
    return [" ".join(lines) for lines in paragraphs if lines], columns
