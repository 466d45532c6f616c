"""The commands that answer questions about a lake, with SQL or without, or hand it to other tools.

Those that take `AnyLakeOption` also read a lake in an object store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_sql.cli.options import AnyLakeOption, FolderOption
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def query(
    sql: Annotated[
        str,
        typer.Argument(metavar="SQL", help="SQL statement; `-` reads it from standard input."),
    ],
    lake: AnyLakeOption,
    digits: Annotated[
        str,
        typer.Option(
            "--digits",
            metavar="N",
            help="Significant digits of numbers in a table that are not whole; or full.",
        ),
    ] = "4",
    *,
    output: Output,
) -> None:
    """Run DuckDB SQL on a lake. Every table of the contract is a view.

    There are also views and macros for common questions: tokenergy_by('rack'), fleet_power(60),
    power_at('2026-01-15 09:00'), compare('a', 'b'), job_device, place and others.

    A table shows four significant digits of numbers that are not whole; --digits full shows all.
    csv, json and parquet are always exact.

    \b
    Examples:
      tokenergy query --lake ./lake "SELECT job_id, tokenergy FROM job_index"
      tokenergy query --lake s3://bucket/lake --format csv "FROM ledger LIMIT 10"
      tokenergy query --lake ./lake --digits full "SELECT job_id, te_low, te_high FROM job_index"
      tokenergy query --lake ./lake --format parquet --output jobs.parquet "FROM job_index"
    """
    import sys

    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.query import parse_digits, run_query

    shown = parse_digits(digits)
    text = sys.stdin.read() if sql == "-" else sql
    run_query(lake_at(lake), text, output, digits=shown)


@tabled
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
    *,
    output: Output,
) -> None:
    """Show energy per token for each value of a dimension, with bounds.

    Each ratio is the sum of the energy divided by the sum of the tokens. Inference and training
    get separate rows. If a job ran on several boards, nodes or racks, each gets its metered
    energy, and tokens in proportion to device time (an estimate). A narrow terminal leaves less
    important columns out and names them; csv, json and parquet have all that tokenergy_by returns.

    \b
    Examples:
      tokenergy by model --lake ./lake
      tokenergy by rack --lake ./lake --wide
      tokenergy by job --lake ./lake --columns job,tokens,j_per_token_gpu
      tokenergy by user --lake ./lake --format csv --output users.csv
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.dimensions import print_by

    print_by(lake_at(lake), dimension, output)


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
