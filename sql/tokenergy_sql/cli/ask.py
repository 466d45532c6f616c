"""The commands that answer questions about a lake, with SQL or without, or hand it to other tools.

Those that take `AnyLakeOption` also read a lake in an object store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import AnyLakeOption, FolderOption


def query(
    sql: Annotated[
        str,
        typer.Argument(metavar="SQL", help="SQL statement; `-` reads it from standard input."),
    ],
    lake: AnyLakeOption,
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: table, csv or json.")
    ] = "table",
) -> None:
    """Run DuckDB SQL on a lake. Every table of the contract is a view.

    There are also views and macros for common questions: tokenergy_by('rack'), fleet_power(60),
    power_at('2026-01-15 09:00'), compare('a', 'b'), job_device, place and others.

    \b
    Examples:
      tokenergy query --lake ./lake "SELECT job_id, tokenergy FROM job_index"
      tokenergy query --lake s3://bucket/lake --format csv "FROM ledger LIMIT 10"
    """
    import sys

    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.query import FORMATS, run_query

    if output_format not in FORMATS:
        raise UserError(f"--format {output_format!r}: expected table, csv or json")
    run_query(lake_at(lake), sys.stdin.read() if sql == "-" else sql, FORMATS[output_format])


def by_dimension(
    dimension: Annotated[
        str,
        typer.Argument(
            metavar="DIMENSION",
            help="job, model, user, account, workload, day, hour, gpu, node, rack, pod, hall "
            "or site.",
        ),
    ],
    lake: AnyLakeOption,
) -> None:
    """Show energy per token for each value of a dimension, with bounds.

    Each ratio is the sum of the energy divided by the sum of the tokens. Inference and training
    get separate rows. If a job ran on several boards, nodes or racks, each gets its metered
    energy, and tokens in proportion to device time (an estimate).

    \b
    Examples:
      tokenergy by model --lake ./lake
      tokenergy by rack --lake ./lake
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.dimensions import print_by

    print_by(lake_at(lake), dimension)


def export(
    lake: AnyLakeOption,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Table or view of the lake.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write.")],
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: csv or parquet.")
    ] = "csv",
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", help="Write only rows that meet this condition."),
    ] = None,
) -> None:
    """Write a table or view to one file for other tools.

    \b
    Examples:
      tokenergy export --lake ./lake --table job_index --out jobs.csv
      tokenergy export --lake ./lake --table ledger --format parquet --out gaps.parquet \\
        --where "account = 'gap'"
    """
    from tokenergy_collectors.base.output import is_stdout
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.export import export as write

    rows = write(lake_at(lake), table, output_format, out, where)
    typer.echo(f"export: {rows:,} rows -> {out}", err=is_stdout(out))


def catalog(lake: FolderOption) -> None:
    """Write catalog.duckdb, so that any DuckDB client can read the lake.

    It holds views and macros over the lake's files. `tokenergy index` writes it as well. Run this
    command after you move a lake, because the paths in the catalog are absolute.

    \b
    Examples:
      tokenergy catalog --lake ./lake
      duckdb -readonly ./lake/catalog.duckdb "FROM tokenergy_by('model')"
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.catalog.file import write_catalog

    typer.echo(f"catalog: {write_catalog(Lake(lake))}")
