"""Migrates a lake: says what is old, makes derived tables again, and counts the rows afterwards.

In: a lake of any version up to this one. Out: the same raw files, byte for byte; derived tables of
the current contract; `lake.json`. Run again, it changes nothing.

Raw files are never rewritten: what a column of a later version would have said was not recorded, so
NULL says it. Derived files are made by the index, which keeps those that it replaces as a revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import misplaced
from tokenergy_collectors.lake.published import LEGACY
from tokenergy_collectors.lake.version import FORMAT, format_of, write_format
from tokenergy_sql import steps
from tokenergy_sql.index.modelrun import index_version
from tokenergy_sql.migration.survey import TableState, survey
from tokenergy_sql.revisions.recorder import recording
from tokenergy_sql.revisions.revisions import read_recorded
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.table import console, say
from tokenergy_transforms.aggregate import worklist
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.provenance import outdated

State = Mapping[str, TableState]

_PROFILES = ("load_profile", "load_spectrum", "load_swing")

_MOST_NAMED = 5
"""Columns that the table of a lake names in a row."""


def migrate(root: Path, site_file: Path | None, *, dry_run: bool) -> None:
    """Migrate a lake and print what was there, what was done and what is there now.

    Args:
        root: the lake.
        site_file: as for the index.
        dry_run: only print what there is to do.

    Raises:
        UserError: the lake is of a newer version, a file cannot be reached, or rows are missing
            afterwards.
    """
    lake = Lake(root)
    before = survey(lake)
    print(f"lake {root}: format {format_of(root)}; this version writes format {FORMAT}")
    _print_state(before)
    todo = _to_do(lake, before)
    for line in todo or ["nothing to migrate"]:
        print(line if not dry_run or not todo else f"would: {line}")
    if dry_run:
        return
    lake.quarantine_misplaced()
    for name, state in before.items():
        if state.layer == "derived":
            for path in misplaced(lake.root, name):
                path.unlink(missing_ok=True)
    with recording(lake, index_version()) as record:
        record.adopt()
        write_format(lake.root)
        record.publish()
    print(f"index: {steps.summary(steps.index_hours(root, None, site_file))}")
    after = survey(lake)
    _print_counts(before, after)
    _require_all_rows(before, after)
    write_format(root)


def _to_do(lake: Lake, state: State) -> list[str]:
    """Return what a migration does, one line a step."""
    lost = sum(one.misplaced for one in state.values() if one.layer == "raw")
    gone = sum(one.misplaced for one in state.values() if one.layer == "derived")
    inventory = read_inventory(lake)
    # Without a file: the index makes it, or the readings are too few for one. Neither is old.
    segments = [
        node
        for hour_us, node, _ in outdated(lake, inventory, worklist(lake, None, inventory))
        if there(lake.derived("segment", hour_us, node))
    ]
    version = index_version()
    recorded = read_recorded(lake).hours
    hours = [hour for hour, inputs in recorded.items() if inputs.get("models") != version]
    hours += sorted({*lake.hours("ledger")} - {*recorded})
    legacy = sum(
        tag == LEGACY for tags in lake.books.current().tags.values() for tag in tags.values()
    )
    steps_of = [
        (
            lost,
            f"move {_counted(lost, 'raw file')} of no hour of the years 2000 to 2099 to quarantine",
        ),
        (gone, f"remove {_counted(gone, 'derived file')} of no such hour"),
        (legacy, f"publish {_counted(legacy, 'file')} of the books, as a revision"),
        (len(segments), f"aggregate {_counted(len(segments), 'node-hour')} again"),
        (
            len(hours),
            f"index {_counted(len(hours), 'hour')} again, and keep what is replaced as a revision",
        ),
    ]
    if format_of(lake.root) < FORMAT:
        steps_of.append((1, f"record format {FORMAT} in lake.json"))
    return [line for count, line in steps_of if count]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _some(names: list[str]) -> str:
    """Return some names, and how many more there are: `job_index` gained twenty columns."""
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _MOST_NAMED - 1])} and {len(names) - _MOST_NAMED + 1} more"


def _print_state(state: State) -> None:
    grid = state_grid(state)
    if grid.rows:
        console().print(grid, crop=False)
    for one in state.values():
        for name, reason in one.unusable.items():
            say(f"unusable: {name}: {reason}")


def state_grid(state: State) -> Grid:
    """Return what a lake holds as a table: no row of a table that has nothing."""
    rows = [
        (
            name,
            one.layer,
            f"{one.files:,}",
            f"{one.rows:,}",
            f"{one.older:,}",
            _some([column for column in TABLES[name].column_names if column in one.missing]),
        )
        for name, one in state.items()
        if one.files or one.unusable or one.misplaced
    ]
    headings = (
        Heading("table"),
        Heading("layer", rank=1),
        *(Heading(text, "right") for text in ("files", "rows", "of an earlier version")),
        Heading("columns those lack"),
    )
    return Grid(headings, rows)


def counts_grid(before: State, after: State) -> Grid:
    """Return how many rows each table had and has."""
    rows = [
        (name, f"{before[name].rows:,}", f"{after[name].rows:,}")
        for name in before
        if before[name].rows or after[name].rows
    ]
    headings = (Heading("table"), Heading("rows before", "right"), Heading("rows after", "right"))
    return Grid(headings, rows)


def _print_counts(before: State, after: State) -> None:
    grid = counts_grid(before, after)
    if grid.rows:
        console().print(grid, crop=False)
    profiled = {hour for name in _PROFILES for hour in after[name].old_hours}
    if profiled:
        print(f"load profiles of {len(profiled)} hours are of an earlier version: they are read as")
        print("they are; `tokenergy load-profile` writes them again")


def _require_all_rows(before: State, after: State) -> None:
    """Refuse a lake that has fewer raw rows than before."""
    fewer = [
        f"{name} {before[name].rows:,} -> {after[name].rows:,}"
        for name, state in before.items()
        if state.layer == "raw" and after[name].rows < state.rows
    ]
    if fewer:
        raise UserError(
            f"raw rows are missing: {', '.join(fewer)}; the quarantine of the lake has damaged "
            "files, and a collector's disk limit removes uploaded ones"
        )
