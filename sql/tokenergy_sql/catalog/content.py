"""What `catalog.duckdb` has in it: tables, views and macros, with comments.

In: the books and allocations of a lake. Out: statements on a connection, for all of it or for some
parts. A part is named as in `halves`; `FIXED` is what only another version or place changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import digest_of
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.keptallocations import step_of
from tokenergy_collectors.lake.published import BOOKS
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import files_of, select_listed
from tokenergy_sql.catalog.duck import literal, pattern, quoted
from tokenergy_sql.catalog.halves import ALLOCATION, HALVES, PAST, RECENT, Halves, Part, name_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FIXED = "fixed"
QUARANTINED = "quarantined"

_PAST_PART = name_of(Part(PAST, ALLOCATION))

BY_PATTERN = tuple(table for name, table in TABLES.items() if name not in BOOKS)
"""Tables whose files the views find by a pattern."""


class Content:
    """What a catalog has in it.

    Args:
        lake: the lake.
        books: the files of its books.
        held: its allocations.
        quarantined: files that could not be used.
    """

    def __init__(self, lake: Lake, books: Halves, held: pa.Table, quarantined: pa.Table) -> None:
        self._lake, self._books, self._held = lake, books, held
        self._quarantined = quarantined

    @cached_property
    def _past(self) -> pa.Table:
        return self._books.of_allocations(self._held, PAST)

    @cached_property
    def _recent(self) -> pa.Table:
        return self._books.of_allocations(self._held, RECENT)

    def _allocations(self, half: str) -> pa.Table:
        return self._past if half == PAST else self._recent

    def digests(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return digests of the parts that have rows.

        Args:
            before: of all parts of the catalog that is there; empty if there is none.
        """
        step, since = step_of(self._held), self._books.since
        # A year of past allocations takes longer than all else, and few hours change one of them.
        same = (
            step is not None
            and step.since_us >= self._books.since_us
            and before.get(ALLOCATION) == of_allocations(since, step.key)
        )
        known = {_PAST_PART: before[_PAST_PART]} if same and _PAST_PART in before else {}
        some = [half for half in HALVES if name_of(Part(half, ALLOCATION)) not in known]
        made = {
            name_of(Part(half, ALLOCATION)): digest_of(self._allocations(half)) for half in some
        }
        return {**known, **made}

    def fill(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create all of it."""
        for half in HALVES:
            con.execute(f"CREATE SCHEMA {half}")
        root = str(self._lake.root.resolve())
        for name, table in TABLES.items():
            if name not in BOOKS:
                con.execute(f"CREATE VIEW {quoted(name)} AS {select_pattern(root, table)}")
        # Each view that reads one of the books would look at all its files, 8,760 a year.
        for part in self._books.files:
            con.execute(_view(part, select_listed(TABLES[part.table], [])))
        for half in HALVES:
            _store(con, name_of(Part(half, ALLOCATION)), self._allocations(half))
        for name in (*BOOKS, ALLOCATION):
            both = " UNION ALL ".join(f"FROM {half}.{quoted(name)}" for half in HALVES)
            con.execute(f"CREATE VIEW {quoted(name)} AS {both}")
        _store(con, QUARANTINED, self._quarantined)
        views.define(con, (*views.BASIC, *views.ADHOC))
        # As one script: starting a statement takes longer than what these do.
        con.execute(";\n".join([*_comments(con)]))
        self._set_files(con, self._books.files)

    def renew(self, con: duckdb.DuckDBPyConnection, changed: Collection[str]) -> None:
        """Create some parts again; others stay as they are.

        Args:
            con: has a catalog that `fill` made.
            changed: the names of the parts.
        """
        self._set_files(con, [part for part in self._books.files if name_of(part) in changed])
        for half in HALVES:
            if (name := name_of(Part(half, ALLOCATION))) in changed:
                _store(con, name, self._allocations(half))
        if QUARANTINED in changed:
            _store(con, QUARANTINED, self._quarantined)
        con.execute(";\n".join(_of_stored()))

    def _set_files(self, con: duckdb.DuckDBPyConnection, parts: Collection[Part]) -> None:
        """Let the views of some parts read their files."""
        # As text, of which only the lake's own path may have wildcards: a year has 8,760 files.
        base, begin = pattern(self._lake.root.resolve()), len(str(self._lake.root))
        for part in parts:
            files = [base + path[begin:] for path in self._books.files[part]]
            con.execute(_view(part, select_listed(TABLES[part.table], files)))
            con.execute(f"COMMENT ON VIEW {name_of(part)} IS {literal(_about_half(part))}")


def of_allocations(since: str, held: str) -> str:
    """Return what is remembered of the allocations that a catalog has.

    Args:
        since: as `Halves.since`.
        held: says which they are.
    """
    return f"{since} {held}"


def _view(part: Part, text: str) -> str:
    return f"CREATE OR REPLACE VIEW {name_of(part)} AS {text}"


def _store(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    con.register("incoming", rows)
    con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM incoming")
    con.unregister("incoming")


def select_pattern(root: str, table: Table) -> str:
    """Return a SELECT over all files that a table has when it is run.

    Args:
        root: path of the lake, as the SELECT is to name it.
        table: the table.
    """
    first, rest = table.name[0], table.name[1:]
    return select_listed(table, [files_of(root, f"[{first}.]*{rest}")])


def _about_half(part: Part) -> str:
    return f"{part.half} rows of {part.table}: read {part.table}, which has all"


def _comments(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Yield the statements that describe tables, views, macros and columns."""
    about = {
        **{("VIEW", name): f"{table.layer}: {table.row}" for name, table in TABLES.items()},
        ("VIEW", ALLOCATION): views.PYTHON_TABLES[ALLOCATION],
    }
    for name in (*views.BASIC, *views.ADHOC):
        found = views.definition(name)
        about[found.kind, name] = f"{found.about} {found.reach}"
    for (kind, name), words in about.items():
        yield f"COMMENT ON {kind} {quoted(name)} IS {literal(words)}"
        if "MACRO" not in kind:
            yield from _of_columns(con, name)
    yield from _of_stored()


def _of_stored() -> Iterator[str]:
    """Yield the statements that describe tables: one that is made again has no comments."""
    words = views.PYTHON_TABLES[QUARANTINED]
    yield f"COMMENT ON TABLE {QUARANTINED} IS {literal(words)}"
    for name, meaning in views.meanings(QUARANTINED).items():
        yield f"COMMENT ON COLUMN {QUARANTINED}.{quoted(name)} IS {literal(meaning)}"
    for half in HALVES:
        words = _about_half(Part(half, ALLOCATION))
        yield f"COMMENT ON TABLE {half}.{ALLOCATION} IS {literal(words)}"


def _of_columns(con: duckdb.DuckDBPyConnection, name: str) -> Iterator[str]:
    meanings = views.meanings(name)
    for column, *_ in con.execute(f"DESCRIBE {quoted(name)}").fetchall():
        meaning = literal(meanings[column])
        yield f"COMMENT ON COLUMN {quoted(name)}.{quoted(column)} IS {meaning}"
