"""The rules of the product a second time: the ledger in SQL alone, token usage in plain Python."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from tokenergy_collectors.lake.contract import LEDGER
from tokenergy_sql.index.models import model_text

FOLDER = Path(__file__).parent


def ledger_by_sql(con: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
    """Return the ledger of an hour by SQL alone, in order, and its rows before they are added up to
    runs: a row a segment. Leave nothing behind.

    Args:
        con: as `tokenergy_sql.index.booking.ledger` takes it.
    """
    texts = {
        "block": (FOLDER / "block.sql").read_text(),
        "edge": model_text("edge"),
        "part": (FOLDER / "part.sql").read_text(),
    }
    for name, text in texts.items():
        con.execute(f"CREATE TEMP TABLE {name} AS {text}")
    con.execute(f"CREATE TEMP TABLE row AS {(FOLDER / 'ledger.sql').read_text()}")
    rows = con.sql((FOLDER / "run.sql").read_text()).to_arrow_table()
    by_segment = con.table("row").to_arrow_table()
    for name in (*texts, "row"):
        con.execute(f"DROP TABLE {name}")
    rows = rows.select(LEDGER.column_names).cast(LEDGER.schema())
    order = [(name, "ascending") for name in LEDGER.sort]
    return rows.sort_by(order).combine_chunks(), by_segment


def caps_by_sql(con: duckdb.DuckDBPyConnection, ledger: pa.Table) -> list[tuple[object, ...]]:
    """Return what each job drew above caps by SQL alone, in order; leave nothing behind.

    Args:
        con: as `tokenergy_sql.index.booking.ledger` takes it.
        ledger: its rows, a row a segment.
    """
    con.register("ledger", ledger)
    rows = con.sql((FOLDER / "caps.sql").read_text()).order("job_id").fetchall()
    con.unregister("ledger")
    return rows
