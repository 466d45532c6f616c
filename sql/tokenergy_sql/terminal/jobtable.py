"""The per-job table: energy, tokens and energy per token of each job.

In: `job_index` of a lake. Out: a table; NULL is a dash, with the reason code beside it.
"""

from __future__ import annotations

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.table import (
    Column,
    count,
    interval,
    notes,
    percent,
    scaled,
    significant,
    table_of,
)

_SQL = read_sql("tokenergy_sql.terminal", "job_table")


def job_table(lake: Lake) -> Grid:
    """Return the per-job table of a lake, the largest consumer first.

    Args:
        lake: the lake, indexed.
    """
    return table_of("Energy per token by job", read(lake, lambda: _rows(lake)), _COLUMNS)


def _rows(lake: Lake) -> list[NamedRow]:
    with catalog.connect(lake, named=views.tables_named(_SQL)) as con:
        return named_rows(con, _SQL)


_COLUMNS = (
    Column("job", lambda r: str(r["job_id"]), justify="left"),
    Column("workload", lambda r: str(r["workload"]), rank=2, justify="left"),
    Column("model", lambda r: r["model"] or "-", rank=2, justify="left"),
    Column("GPUs", lambda r: str(r["devices"]), rank=1),
    Column("tokens", lambda r: count(r["tokens"])),
    Column("GPU kJ", lambda r: significant(scaled(r["e_gpu_j"], 1e3)), rank=1),
    Column("active %", lambda r: percent(r["e_gpu_active_j"], r["e_gpu_j"], 1), rank=2),
    Column("J/token GPU", lambda r: significant(r["te_gpu"])),
    Column("[low, high]", lambda r: interval(r["te_gpu_low"], r["te_gpu_high"])),
    Column("J/token facility", lambda r: significant(r["tokenergy"]), rank=1),
    Column("[low, high]", lambda r: interval(r["te_low"], r["te_high"]), rank=1),
    Column("J/request GPU", lambda r: significant(r["j_per_request"]), rank=1),
    Column("J/token in SLO", lambda r: significant(r["te_gpu_goodput"]), rank=1),
    Column("covered %", lambda r: percent(r["coverage"], 1, 2), rank=2),
    Column("tokens read %", lambda r: percent(r["token_coverage"], 1, 2), rank=2),
    Column("notes", notes, justify="left"),
)
