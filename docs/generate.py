"""Writes what is derived from the code: contract.md, views.md, cli.md, the list in metrics.md.

`python -m docs.generate` writes them; with `--check` it only compares, names what is out of date
and exits 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import typer

from tokenergy_collectors import cli as collect_cli
from tokenergy_collectors.lake.contract import ACCOUNTS, TABLES, TOKEN_KINDS, Table
from tokenergy_collectors.live.catalogue import FAMILIES
from tokenergy_sql import cli as analysis_cli
from tokenergy_sql.catalog import views

DOCS = Path(__file__).parent
_WIDTH = 96
_LIST, _END = "<!-- from live/catalogue.py by `make docs` -->", "<!-- end of the list -->"


def contract_page() -> str:
    """Return docs/contract.md."""
    parts = [
        "# The contract: tables of the lake",
        "",
        "Generated from `collectors/tokenergy_collectors/lake/contract.py` by `make docs`.",
        "",
        "A lake is a folder with one sub-folder a table and hive partitions "
        "`date=YYYY-MM-DD/hour=HH/` in UTC. Raw files are named `NODE-FIRST_TS-TAG.parquet` and "
        "are never rewritten; derived files are replaced whole. Units are part of the names: "
        "`_us` microseconds (stamps: UTC since 1970), `_mw` milliwatts, `_mj` millijoules, `_nj` "
        "nanojoules, `_j` joules. Unknown is NULL, never 0.",
        "",
        f"Accounts: {', '.join(f'`{name}`' for name in ACCOUNTS)}. "
        f"Kinds of token: {', '.join(f'`{name}`' for name in TOKEN_KINDS)}.",
        "",
        "| table | layer | a row is |",
        "| --- | --- | --- |",
    ]
    parts += [f"| [`{t.name}`](#{t.name}) | {t.layer} | {t.row} |" for t in TABLES.values()]
    for table in TABLES.values():
        parts += ["", *_table(table)]
    return "\n".join(parts) + "\n"


def _table(table: Table) -> list[str]:
    return [
        f"## {table.name}",
        "",
        f"{table.row[0].upper()}{table.row[1:]}. Sorted by {', '.join(table.sort)}; partitioned by "
        f"the hour of `{table.time}`.",
        "",
        "| column | type | NULL | meaning |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{c.name}` | {c.type} | {'yes' if c.nullable else ''} | {c.meaning} |"
            for c in table.columns
        ),
    ]


def views_page() -> str:
    """Return docs/views.md: what the SQL files of the views and macros say of themselves."""
    parts = [
        "# Views and macros",
        "",
        "Generated from `sql/tokenergy_sql/catalog/views/*.sql` by `make docs`. They are there in "
        "`tokenergy query` and in `catalog.duckdb`, beside the [tables](contract.md): see "
        "[twelve questions](questions.md). Two more tables are worked out when they are asked "
        "for, and in `catalog.duckdb` when it is written:",
    ]
    for name, about in views.PYTHON_TABLES.items():
        parts += ["", f"## {name}", "", f"{about[0].upper()}{about[1:]}.", ""]
        parts += _meanings(views.meanings(name))
    for name in (*views.BASIC, *views.ADHOC):
        found = views.definition(name)
        kind = "view" if found.kind == "VIEW" else "macro"
        parts += ["", f"## {name}", "", f"`{found.call}`, a {kind}. {found.about} {found.reach}"]
        for note in found.notes:
            parts += ["", note]
        if found.columns:
            parts += ["", *_meanings(found.columns)]
            parts += ["", "Columns of other names mean what they mean where they come from."]
    return "\n".join(parts) + "\n"


def _meanings(columns: dict[str, str]) -> list[str]:
    rows = (f"| `{name}` | {meaning} |" for name, meaning in columns.items())
    return ["| column | meaning |", "| --- | --- |", *rows]


def cli_page() -> str:
    """Return docs/cli.md: the help text of every command."""
    parts = [
        "# Commands",
        "",
        "Generated from the commands' own help by `make docs`. Exit codes: 0 done; 1 a check or a "
        "score failed, an upload is not complete, or NVML was lost; 2 something given cannot be "
        "used (one line on standard error says what).",
    ]
    for app, name in (
        (collect_cli.app, "tokenergy-collect"),
        (analysis_cli.app, "tokenergy"),
    ):
        parts += _commands(typer.main.get_command(app), name, None)
    return "\n".join(parts) + "\n"


def _commands(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    path = context.command_path
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    parts = ["", f"## `{path}`", "", "```text", text, "```"]
    for sub_name, sub in getattr(command, "commands", {}).items():
        parts += _commands(sub, sub_name, context)
    return parts


def metrics_page() -> str:
    """Return docs/metrics.md as it is, its list of metrics written anew."""
    page = (DOCS / "metrics.md").read_text("utf-8")
    rows = [
        f"| `{f.name}` | {f.type} | {f.unit} | {', '.join(f.labels)} | {f.meaning} |"
        for f in FAMILIES
    ]
    table = ["| name | type | unit | labels | meaning |", "| --- | --- | --- | --- | --- |", *rows]
    before, _, rest = page.partition(_LIST)
    _, _, after = rest.partition(_END)
    return "\n".join([before + _LIST, *table, _END + after])


def main() -> int:
    """Write the pages, or compare them; return the exit code."""
    pages = {
        "contract.md": contract_page(),
        "views.md": views_page(),
        "cli.md": cli_page(),
        "metrics.md": metrics_page(),
    }
    stale = []
    for name, text in pages.items():
        path = DOCS / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(path)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(map(str, stale))}; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
