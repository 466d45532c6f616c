"""Views and macros over the tables of the lake: one SQL file each, its header is its description.

In: a DuckDB connection that has the tables of the contract, `allocation` and `quarantined`. Out:
the same connection with the views and macros beside them. The commands, the catalog file and the
documentation all take them from here.

A header is: what it is; `In: ... Out: ...`; further words; and `--   name  meaning` for each column
that the contract does not describe under the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.contract import JOBS, TABLES

if TYPE_CHECKING:
    import duckdb

BASIC = ("utc", "device_now")
"""What every connection to a lake has."""

ADHOC = (
    "stamp_us",
    "span_us",
    "part_of",
    "place",
    "job_device",
    "tokenergy_by",
    "fleet_power",
    "power_at",
    "compare",
)
"""What is there for questions besides; each uses only those before it."""

KEPT = {
    "allocation": "one allocation of one board to one job: jobs, resolved",
    "quarantined": "one raw file that could not be used",
}
"""Tables that are worked out in Python, and what a row of them is."""

_OF_KEPT = {
    "allocation": {
        **{column.name: column.meaning for column in JOBS.columns},
        "device_id": "the board, as in power",
        "mig_id": "the MIG instance that the job held; NULL: the board itself",
    },
    "quarantined": {
        "hour_us": "start of the hour in whose partition it lay",
        "table": "table it was meant for",
        "file": "where it lies now, in the lake",
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
        kind: what it is, in the words of COMMENT ON: VIEW, MACRO or MACRO TABLE.
        call: how it is written in a statement: `place`, or `power_at(moment)`.
        about: what it is.
        reach: what goes in and what comes out.
        notes: further words, by paragraph.
        columns: meanings of the columns that are its own.
        sql: the statement that makes it.
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
        """The tables and views it reads, as its header names them."""
        return re.findall(r"\w+", self.reach.partition("Out:")[0].removeprefix("In:"))


@cache
def definition(name: str) -> Definition:
    """Return the view or macro `NAME.sql`."""
    text = resources.files(__name__).joinpath(f"{name}.sql").read_text("utf-8")
    lines = text.splitlines()
    head = [line for line in lines[: lines.index(_first(lines))] if line.startswith("--")]
    found = _CREATE.match("\n".join(lines[len(head) :]))
    if found is None or found[2] != name:
        raise ValueError(f"{name}.sql: expected CREATE VIEW or MACRO {name}")
    words, columns = _header(head)
    opening, *notes = words
    about, reach = opening.split(" In: ", 1)
    return Definition(
        name=name,
        kind=found[1] + (found[4] or ""),
        call=name + (found[3] or ""),
        about=about,
        reach=f"In: {reach}",
        notes=tuple(notes),
        columns=columns,
        sql="\n".join(lines[len(head) :]),
    )


def meanings(name: str) -> dict[str, str]:
    """Return what the columns of a table, view or macro mean, and those it takes them from."""
    if name in TABLES:
        return {column.name: column.meaning for column in TABLES[name].columns}
    if name in _OF_KEPT:
        return _OF_KEPT[name]
    found = definition(name)
    known = {*TABLES, *_OF_KEPT, *BASIC, *ADHOC} - {name}
    taken: dict[str, str] = {}
    for source in found.sources:
        if source in known:
            taken = {**meanings(source), **taken}
    return {**taken, **found.columns}


def named(text: str) -> frozenset[str]:
    """Return the tables that SQL may read: those that it names, itself or by a view or macro."""
    words = set(re.findall(r"\w+", text.lower()))
    for name in reversed((*BASIC, *ADHOC)):  # each reads only what stands before it
        if name in words:
            words.update(definition(name).sources)
    return frozenset(words & {*TABLES, *KEPT})


def define(con: duckdb.DuckDBPyConnection, names: Iterable[str], *, temp: bool = False) -> None:
    """Make views and macros in a connection, or in its temporary schema, in the order given."""
    for name in names:
        sql = definition(name).sql
        con.execute(sql.replace("CREATE", "CREATE TEMP", 1) if temp else sql)


def _first(lines: list[str]) -> str:
    return next(line for line in lines if not line.startswith("--"))


def _header(head: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the paragraphs of a header, each on one line, and what it says of columns."""
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
