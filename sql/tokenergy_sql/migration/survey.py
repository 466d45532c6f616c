"""What a lake holds, table by table, and what of it an earlier version wrote.

In: the footers of a lake's files. Out: for each table the numbers of files and rows, the columns
that some files lack, and files that cannot be used. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES, Layer, Table
from tokenergy_collectors.lake.paths import hour_of_folder, misplaced
from tokenergy_collectors.lake.reading import BrokenFileError, columns_of, rows_of


@dataclass(slots=True)
class TableState:
    """What a lake holds of one table.

    Attributes:
        layer: raw or derived.
        files, rows: of all files in hours that a lake may have.
        older: how many files lack a column.
        missing: columns that some of them lack.
        old_hours: the hours of those files, microseconds UTC.
        unusable: names of files that break the contract, with the reason.
        misplaced: files in no hour that a lake may have.
    """

    layer: Layer
    files: int = 0
    rows: int = 0
    older: int = 0
    missing: set[str] = field(default_factory=set)
    old_hours: set[int] = field(default_factory=set)
    unusable: dict[str, str] = field(default_factory=dict)
    misplaced: int = 0


def survey(lake: Lake) -> Mapping[str, TableState]:
    """Return what a lake holds, by table in the order of the contract.

    Raises:
        UserError: a file cannot be reached.
    """
    return {name: _of_table(lake, table) for name, table in TABLES.items()}


def _of_table(lake: Lake, table: Table) -> TableState:
    state = TableState(table.layer, misplaced=len(misplaced(lake.root, table.name)))
    for path in lake.files(table.name):
        try:
            rows, columns = rows_of(path), columns_of(path, table)
        except BrokenFileError as error:
            state.unusable[path.relative_to(lake.root).as_posix()] = str(error)
            continue
        except FileNotFoundError:  # replaced or removed meanwhile
            continue
        state.files += 1
        state.rows += rows
        lacking = set(table.column_names) - columns
        if lacking:
            state.older += 1
            state.missing |= lacking
            hour_us = hour_of_folder(path.parent)
            state.old_hours |= set() if hour_us is None else {hour_us}
    return state
