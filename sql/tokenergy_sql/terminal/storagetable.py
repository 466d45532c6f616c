"""Storage studies on the terminal: tables for people, CSV, JSON or Parquet for programs.

In: a lake and what is asked. Out: text or bytes on standard output; what has no value is a dash,
empty or null, and the notes say why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.progress import progress_bar
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.storageoptions import Given, asked
from tokenergy_sql.terminal.table import Column, group, notes, scaled, significant, table_of
from tokenergy_transforms.storage.asking import Answered, answer

_NJ_PER_KWH = 3.6e15
_NJ_PER_KJ = 1e12
_MW_PER_KW = 1e6
_OF_BOARDS = "The load is that of the boards: the sum of boards is not the grid connection."


def print_studies(root: Path, given: Given, output: Output) -> bool:
    """Study what is asked, write it to the lake and print it; return whether all has sizes.

    Raises:
        UserError: an option has an unusable value, or the lake has nothing of what is asked.
    """
    _require_columns(output)
    lake = Lake(root)
    wanted = asked(lake, given)
    with progress_bar() as progress:
        task = progress.add_task("storage", total=None)

        def show(what: str) -> None:
            progress.update(task, description=f"storage {what}")

        answers = answer(lake, wanted, show)
    _show(answers, output)
    for one in answers:
        if one.remark:
            print(
                f"storage: {one.study['kind']} {one.study['group_id']}: {one.remark}",
                file=sys.stderr,
            )
    return all(one.study["optimal_energy_nj"] is not None for one in answers)


def _show(answers: Sequence[Answered], output: Output) -> None:
    contract = TABLES["storage_study"]
    names = contract.column_names
    rows = [{name: row.get(name) for name in names} for one in answers for row in _rows_of(one)]
    output.show(rows, lambda: study_parts(answers, rows), names=names, schema=contract.schema())


def _require_columns(output: Output) -> None:
    """Return if a study can have all columns that were asked for.

    Raises:
        UserError: it has none of a name.
    """
    # Rows of both units, of a reserve and of parts: with these there is every column.
    some = [{"parts": 1, "reserve_nj": 1, "causal_energy_nj": nj} for nj in (0, _NJ_PER_KWH)]
    headings = dict.fromkeys(column.heading for row in some for column in _columns([row]))
    output.require(TABLES["storage_study"].column_names, [*headings])


def study_parts(answers: Sequence[Answered], rows: Sequence[NamedRow]) -> list[Part]:
    """Return studies as tables, that of their sizes first; `rows` are those of `studies_table`."""
    sweeps = [_sweep_grid(one) for one in answers if one.sweep]
    return [studies_table(rows), *sweeps, _OF_BOARDS]


def studies_table(rows: Sequence[NamedRow]) -> Grid:
    """Return studies as a table; the rows have the columns of `storage_study`."""
    return table_of(_title(rows[0]), rows, _columns(rows))


def _rows_of(one: Answered) -> list[NamedRow]:
    return [one.study, *one.parts]


def _title(row: NamedRow) -> str:
    said = []
    if row["ramp_mw_s"] is not None:
        said.append(f"ramps of at most {row['ramp_mw_s'] / _MW_PER_KW:,g} kW/s")
    if row["peak_mw"] is not None:
        said.append(f"at most {row['peak_mw'] / _MW_PER_KW:,g} kW")
    if row["charge_ppm"] < 1_000_000:
        said.append(f"{row['charge_ppm'] / 1e4:.4g} % efficient each way")
    return "Storage for " + ", ".join(said)


def _columns(rows: Sequence[NamedRow]) -> list[Column]:
    """Return the columns: energies in kWh, or in kJ where all are small."""
    most = max((float(row["causal_energy_nj"] or 0) for row in rows), default=0.0)
    unit, size = ("kWh", _NJ_PER_KWH) if most >= 0.1 * _NJ_PER_KWH else ("kJ", _NJ_PER_KJ)
    found = [
        Column("group", group, justify="left"),
        Column("max kW", _figure("load_max_mw", _MW_PER_KW), rank=3),
        Column("ramp kW/s", _figure("load_ramp_mw_s", _MW_PER_KW), rank=3),
        Column(f"optimum {unit}", _figure("optimal_energy_nj", size)),
        Column("optimum kW", _figure("optimal_power_mw", _MW_PER_KW)),
        Column(f"rule {unit}", _figure("causal_energy_nj", size)),
        Column("rule kW", _figure("causal_power_mw", _MW_PER_KW), rank=1),
        Column("full cycles/day", _figure("full_cycles_per_day", 1), rank=2),
        Column(f"lost {unit}", _figure("loss_nj", size), rank=3),
        Column("known %", _figure("coverage", 0.01), rank=2),
        Column("notes", notes, justify="left"),
    ]
    if any(row["parts"] for row in rows):
        found.insert(7, Column("parts / pooled", _figure("pooling_energy", 1), rank=1))
    if any(row["reserve_nj"] for row in rows):
        found.insert(4, Column(f"with reserve {unit}", lambda row: _whole(row, size), rank=1))
    return found


def _figure(name: str, divisor: float) -> Callable[[NamedRow], str]:
    return lambda row: significant(scaled(row[name], divisor), 3)


def _whole(row: NamedRow, size: float) -> str:
    energy: Any = row["optimal_energy_nj"]
    return significant(None if energy is None else float(energy + row["reserve_nj"]) / size, 3)


def _sweep_grid(one: Answered) -> Grid:
    """Return the sweep: energies down, powers across; what grid power did, or `kept`."""
    ramp = one.study["ramp_mw_s"] is not None
    column, unit = ("reached_ramp_mw_s", "kW/s") if ramp else ("reached_peak_mw", "kW")
    powers = sorted({row["power_mw"] for row in one.sweep})
    energies = sorted({row["energy_nj"] for row in one.sweep})
    cells = {(row["energy_nj"], row["power_mw"]): row for row in one.sweep}
    most = float(energies[-1])
    name, size = ("kWh", _NJ_PER_KWH) if most >= 0.1 * _NJ_PER_KWH else ("kJ", _NJ_PER_KJ)

    def text(row: NamedRow) -> str:
        return "kept" if row["kept"] else significant(row[column] / _MW_PER_KW, 3)

    return Grid(
        [
            Heading(name, "right"),
            *(Heading(f"{significant(p / _MW_PER_KW, 3)} kW", "right") for p in powers),
        ],
        [
            [significant(float(one) / size, 3), *(text(cells[one, power]) for power in powers)]
            for one in energies
        ],
        f"{group(one.study)}: the {'steepest ramp' if ramp else 'peak'} "
        f"under the rule, {unit}, by energy and power of the store",
        # A column that is left out would be a size that nobody sees.
        wide=True,
    )
