"""Books one group of an hour's nodes on its own, from its task alone.

In: a `Task`. Out: a connection as `booking.ledger` takes it, and a lake of the group's files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import STATE
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.index.modelrun import build_model, create_parameters, store_rows
from tokenergy_sql.index.tasks import Task

if TYPE_CHECKING:
    import duckdb


class GroupLake(Lake):
    """A lake of which only the files of a group are seen: its segments and states.

    Args:
        root: folder of the lake.
        task: names the files.
    """

    def __init__(self, root: Path, task: Task) -> None:
        super().__init__(root)
        self._of_table = {"segment": task.segments, "state": task.states}

    def files(
        self, table: str, hours: Iterable[int] | None = None, node: str | None = None
    ) -> list[Path]:
        """Return the group's files of a table, sorted by path; of other tables there are none."""
        return [*self._of_table.get(table, ())]


@contextmanager
def opened(lake: GroupLake, task: Task) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection that has what the booking of a group reads."""
    with open_memory() as con:
        views.define(con, views.UNITS)
        create_parameters(con, task.hour_us, "")
        for name, rows in task.tables.items():
            store_rows(con, name, rows)
        con.execute(views.definition("device_now").sql.replace("VIEW", "TEMP TABLE", 1))
        build_model(con, "sensor_class")
        con.execute(f"CREATE TEMP VIEW state AS {select_from(STATE, lake.valid_files('state'))}")
        yield con
