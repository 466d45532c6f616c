"""The two sides of `tokenergy gate`, from a lake or from files.

In: what the user named. Out: sides; or one line that says what to do.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.gate.exported import read_side_file, write_side
from tokenergy_sql.gate.reading import TEXT, prepare, read_side
from tokenergy_sql.gate.selection import Selection, parse
from tokenergy_sql.gate.side import Side
from tokenergy_sql.index.calibration import load_calibration
from tokenergy_sql.terminal.jobnames import find_job
from tokenergy_sql.terminal.nextstep import next_step

if TYPE_CHECKING:
    import duckdb


def sides_of(folder: Path | None, named: dict[str, str]) -> dict[str, Side]:
    """Return sides by their names.

    Args:
        folder: of the lake; None: files alone can be read.
        named: what the user gave for BASE, and for HEAD.

    Raises:
        UserError: a side names nothing that is there, or the lake is not indexed.
    """
    wanted = {side: parse(text, side) for side, text in named.items()}
    found = {
        side: read_side_file(one, side) for side, one in wanted.items() if isinstance(one, Path)
    }
    chosen = {side: one for side, one in wanted.items() if isinstance(one, Selection)}
    if chosen:
        found |= _from_lake(folder, chosen)
    return found


def export(side: Side, out: Path) -> int:
    """Write a side to a file; return how many rows it has.

    Raises:
        UserError: it has no time in which both energy and tokens are known.
    """
    if not side.samples("five_minutes") and not side.samples("hour"):
        raise UserError(f"BASE {side.text!r}: no hour of it has both energy and tokens")
    return write_side(side, out)


def _from_lake(folder: Path | None, chosen: dict[str, Selection]) -> dict[str, Side]:
    if folder is None:
        name, one = next(iter(chosen.items()))
        raise UserError(f"{name} {one.text!r}: is in a lake; give --lake DIR or TOKENERGY_LAKE")
    lake = Lake(folder)
    if step := next_step(lake):
        raise UserError(f"lake {lake.root}: {step}")
    named = {
        side: one if one.job is None else replace(one, job=find_job(lake, one.job))
        for side, one in chosen.items()
    }
    calibration = load_calibration(lake.root)

    def read(con: duckdb.DuckDBPyConnection) -> dict[str, Side]:
        prepare(con, calibration)
        return {side: read_side(con, one, side) for side, one in named.items()}

    return ask(lake, "gate", read, TEXT)
