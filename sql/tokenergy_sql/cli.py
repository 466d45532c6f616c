"""`tokenergy`: the commands of the pipeline and of the analyst."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors import __version__
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.cli import guarded
from tokenergy_sql.terminal.query import Form

app = typer.Typer(
    name="tokenergy",
    help="From power readings to energy per token, job by job.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

_OF_ANALYSIS = ("altair", "duckdb", "jinja2", "numba", "scipy", "vl_convert")

LakeOption = Annotated[
    Path, typer.Option("--lake", envvar="TOKENERGY_LAKE", metavar="DIR", help="The lake.")
]
AnyLakeOption = Annotated[
    str,
    typer.Option(
        "--lake", envvar="TOKENERGY_LAKE", metavar="DIR|URL", help="The lake; s3://... too."
    ),
]
HourOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hour", metavar="HOUR", help="Only this UTC hour, e.g. 2026-01-15T08; may repeat."
    ),
]
SiteOption = Annotated[
    Path | None,
    typer.Option("--site", metavar="FILE", help="Site file (TOML); else site.toml in the lake."),
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tokenergy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From power readings to energy per token, job by job."""


@app.command()
def aggregate(
    lake: LakeOption,
    hour: HourOption = None,
    node: Annotated[
        list[str] | None, typer.Option("--node", help="Only this node; may repeat.")
    ] = None,
    window: Annotated[
        str, typer.Option("--window", help="Window: 1ms to 1h, divides an hour.")
    ] = "1s",
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda; auto never takes a metered GPU.")
    ] = "auto",
    memory: Annotated[
        str, typer.Option("--memory", metavar="AMOUNT", help="Memory to use, from 512MiB.")
    ] = "2GiB",
) -> None:
    """Integrate power readings into segments; run again, it writes the same.

    \b
    Examples:
      tokenergy aggregate --lake ./lake
      tokenergy aggregate --lake ./lake --hour 2026-01-15T08 --window 500ms --device cpu
      tokenergy aggregate --lake ./lake --memory 512MiB
    """
    from tokenergy_transforms.arrowmemory import take_from_system

    take_from_system()
    from tokenergy_sql import steps

    done = steps.aggregate_hours(lake, steps.parse_hours(hour), node, window, device, memory)
    readings, segments = sum(d.readings for d in done), sum(d.segments for d in done)
    backends = "+".join(sorted({d.backend for d in done})) or "nothing to do"
    typer.echo(f"aggregate: {readings:,} readings -> {segments:,} segments ({backends})")


@app.command(name="load-profile")
def load_profile(
    lake: LakeOption,
    hour: HourOption = None,
    by: Annotated[
        str, typer.Option("--by", metavar="KINDS", help="What to add up, joined by commas.")
    ] = "job,node,rack,site",
    step: Annotated[
        str, typer.Option("--step", help="Grid: auto, or 1ms to 10s, divides an hour.")
    ] = "auto",
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda; auto never takes a metered GPU.")
    ] = "auto",
) -> None:
    """Write what jobs, nodes, racks and sites draw as the grid sees it: swings, ramps, spectra.

    The tables load_profile and load_spectrum of an hour are replaced whole. Nothing is told that
    the sensors cannot show: it is NULL, with the reason beside it.

    \b
    Examples:
      tokenergy load-profile --lake ./lake
      tokenergy load-profile --lake ./lake --hour 2026-01-15T08 --by job,rack --step 100ms
    """
    from tokenergy_sql import steps

    done = steps.profile_hours(lake, steps.parse_hours(hour), by, step, device)
    steps.print_profiles(lake, [d.hour_us for d in done])
    groups, cells = sum(d.groups for d in done), sum(d.cells for d in done)
    backends = "+".join(sorted({d.backend for d in done})) or "nothing to do"
    typer.echo(f"load-profile: {len(done)} hours, {groups:,} groups, {cells:,} cells ({backends})")


@app.command()
def index(
    lake: LakeOption,
    hour: HourOption = None,
    site: SiteOption = None,
    anew: Annotated[
        bool, typer.Option("--all", help="Derive hours whose inputs have not changed too.")
    ] = False,
) -> None:
    """Build ledger, token usage and the jobs' indices from the segments.

    Only hours whose inputs have changed are derived again. What they said before is kept as a
    numbered revision: see `tokenergy revisions` and `tokenergy diff`.

    \b
    Examples:
      tokenergy index --lake ./lake
      tokenergy index --lake ./lake --hour 2026-01-15T08 --site site.toml
    """
    from tokenergy_sql import steps

    done = steps.index_hours(lake, steps.parse_hours(hour), site, anew)
    typer.echo(f"index: {steps.described(done)}")


@app.command()
def revisions(
    lake: LakeOption,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Remove what all but the latest N replaced."),
    ] = None,
) -> None:
    """List the numbered revisions of the books: when, which hours, why.

    With --keep the files that older revisions replaced are removed; they can no longer be compared.

    \b
    Examples:
      tokenergy revisions --lake ./lake
      tokenergy revisions --lake ./lake --keep 500
    """
    from tokenergy_sql.terminal import history

    history.print_revisions(lake, keep)


@app.command()
def diff(
    lake: LakeOption,
    older: Annotated[
        int | None, typer.Option("--from", metavar="REV", help="Earlier revision; else the last.")
    ] = None,
    newer: Annotated[
        int | None, typer.Option("--to", metavar="REV", help="Later revision; else the present.")
    ] = None,
) -> None:
    """Tell which jobs two revisions put differently, by how much, and which input caused it.

    Revision 0 is before the first one. Without options the last revision is held against the one
    before it.

    \b
    Examples:
      tokenergy diff --lake ./lake
      tokenergy diff --lake ./lake --from 12 --to 15
    """
    from tokenergy_sql.terminal import history

    history.print_difference(lake, older, newer)


@app.command()
def check(
    lake: LakeOption,
    hour: HourOption = None,
    limit: Annotated[int, typer.Option("--limit", help="Offending rows to show of each.")] = 5,
) -> None:
    """Check the books: the ledger against the meter, jobs against the ledger, bounds and sums.

    Prints one line a check and, below a failed one, its offending rows. Exit code 1 on a breach.
    With --hour, checks that look at one hour at a time look at that hour alone.

    \b
    Examples:
      tokenergy check --lake ./lake
      tokenergy check --lake ./lake --hour 2026-01-15T08
    """
    from tokenergy_sql import steps

    if not steps.print_checks(lake, limit, steps.parse_hours(hour)):
        raise typer.Exit(1)


@app.command()
def query(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="A statement; `-` reads standard input.")
    ],
    lake: AnyLakeOption,
    form: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """Ask the lake anything in DuckDB SQL: all tables of the contract are views.

    Beside them there are views and macros for questions: tokenergy_by('rack'), fleet_power(60),
    power_at('2026-01-15 09:00'), compare('a', 'b'), job_device, place and others.

    \b
    Examples:
      tokenergy query --lake ./lake "SELECT job_id, tokenergy FROM job_index"
      tokenergy query --lake s3://bucket/lake --format csv "FROM ledger LIMIT 10"
    """
    import sys

    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.query import run_query

    forms: dict[str, Form] = {"table": "table", "csv": "csv", "json": "json"}
    if form not in forms:
        raise UserError(f"--format {form!r}: expected table, csv or json")
    run_query(lake_at(lake), sys.stdin.read() if sql == "-" else sql, forms[form])


@app.command(name="by")
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
    """Show energy per token by a dimension: sums of energy over sums of tokens, with bounds.

    One row a value and workload: inference and training are never mixed. A job on several boards,
    nodes or racks is split: its energy as metered, its tokens by device time (an estimate).

    \b
    Examples:
      tokenergy by model --lake ./lake
      tokenergy by rack --lake ./lake
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.dimensions import print_by

    print_by(lake_at(lake), dimension)


@app.command()
def export(
    lake: AnyLakeOption,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="A table or view of the lake.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.")],
    form: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="Only rows that meet a condition.")
    ] = None,
) -> None:
    """Write a table or view to one file for other tools.

    \b
    Examples:
      tokenergy export --lake ./lake --table job_index --out jobs.csv
      tokenergy export --lake ./lake --table ledger --format parquet --out gaps.parquet \\
        --where "account = 'gap'"
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.export import export as write

    typer.echo(f"export: {write(lake_at(lake), table, form, out, where):,} rows -> {out}")


@app.command()
def catalog(lake: LakeOption) -> None:
    """Write catalog.duckdb: views and macros by which any DuckDB client reads the lake.

    `tokenergy index` writes it too; this is for a lake that was moved: paths in it are absolute.

    \b
    Examples:
      tokenergy catalog --lake ./lake
      duckdb -readonly ./lake/catalog.duckdb "FROM tokenergy_by('model')"
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.catalog.file import write_catalog

    typer.echo(f"catalog: {write_catalog(Lake(lake))}")


@app.command()
def efficiency(
    lake: LakeOption,
    job: Annotated[
        str | None, typer.Option("--job", metavar="JOB", help="One job, by hour and power cap.")
    ] = None,
) -> None:
    """Show where each job's energy went, and what a token cost while the job ran at full rate.

    Parts are full rate, low batch, prefill, no tokens, idle and unknown; see docs/efficiency.md.

    \b
    Examples:
      tokenergy efficiency --lake ./lake
      tokenergy efficiency --lake ./lake --job chat-70b
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.terminal.efficiency import print_efficiency

    print_efficiency(Lake(lake), job)


@app.command()
def explain(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    lake: LakeOption,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    site: SiteOption = None,
) -> None:
    """Show how a job's figures came about: readings, segments, ledger, tokens, formulas, revisions.

    Every formula is worked out again from the rows shown and held against the index.

    \b
    Examples:
      tokenergy explain chat-70b --lake ./lake
      tokenergy explain chat-70b --lake ./lake --format json
    """
    from tokenergy_sql.explain.explain import print_explanation

    print_explanation(lake, job, form, site)


@app.command()
def report(
    lake: LakeOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the page.")],
) -> None:
    """Write the report: one self-contained HTML page that opens anywhere.

    \b
    Example:
      tokenergy report --lake ./lake --out report.html
    """
    from tokenergy_sql import steps

    typer.echo(f"report: {steps.write_report(lake, out)}")


@app.command()
def score(
    lake: LakeOption,
    truth: Annotated[
        Path, typer.Option("--truth", metavar="DIR", help="Folder of the emulator's truth files.")
    ],
) -> None:
    """Compare a lake with the truth that the emulator wrote aside. Exit code 1 on a miss.

    \b
    Example:
      tokenergy score --lake demo-lake/lake --truth demo-lake/truth
    """
    from tokenergy_sql import steps

    if not steps.print_score(lake, truth):
        raise typer.Exit(1)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for lake, truth and report.")
    ] = Path("demo-lake"),
    profile: Annotated[
        str, typer.Option("--profile", help="Emulated cluster: a name or a TOML file.")
    ] = "demo",
    with_score: Annotated[
        bool, typer.Option("--score", help="Compare with the truth at the end; exit 1 on a miss.")
    ] = False,
) -> None:
    """Run the whole job on an emulated cluster: collect, aggregate, index, check, report.

    \b
    Examples:
      tokenergy demo
      tokenergy demo --score --out /tmp/demo
    """
    from tokenergy_sql import steps

    for package in _OF_ANALYSIS:  # told before anything is collected
        if find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    if not steps.run_demo(out, profile, with_score):
        raise typer.Exit(1)


def _run() -> None:
    """Run the app; a package of an extra that is not installed is told by the extra's name."""
    try:
        app()
    except ModuleNotFoundError as error:
        if error.name not in _OF_ANALYSIS:
            raise
        raise UserError(
            f"{error.name} is not installed: pip install 'tokenergy[analysis]'"
        ) from None


def main() -> None:
    """Entry point of `tokenergy`."""
    guarded(_run)
