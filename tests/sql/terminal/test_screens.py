"""Tables at four widths, as they are on the terminal: the files in `screens/`.

These are the tables of a small cluster, and `tokenergy-collect top`; `test_screens_grid.py`,
`test_screens_building.py` and `test_screens_history.py` have those of rows written by hand. After a
change that is meant: `python -m tests.sql.terminal.test_screens` writes all files again; read what
differs before you commit it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import RenderableType

from tests.sql.terminal import test_screens_building, test_screens_grid, test_screens_history
from tests.sql.terminal.shown import SCREENS, on_file, screens, write
from tests.support.cluster import small_cluster
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.top.frame import CollectorHealth, Frame, GpuRow, JobRow
from tokenergy_collectors.top.render import draw
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.index.site import load_site
from tokenergy_sql.terminal.dimensions import dimension_table
from tokenergy_sql.terminal.efficiency import all_jobs_table, job_tables
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.history import revisions_table
from tokenergy_sql.terminal.jobtable import job_table
from tokenergy_sql.terminal.query import query_table

_SQL = (
    "SELECT job_id, workload, e_gpu_nj, n_joint, tokenergy, te_low, te_high, start_us, coverage "
    "FROM job_index ORDER BY job_id"
)
BY_HAND = (test_screens_building, test_screens_grid, test_screens_history)

_REVISION = {
    **{"revision": 1_234, "made_at": "2026-01-15T09:00:12+00:00", "hours": 24, "files_added": 288},
    **{"files_replaced": 276, "dropped": True, "causes": "power 20, site 24, tokens 3"},
    **{"index_version": "0.1.0+5983a2eb"},
}


def _query(lake: Lake) -> list[Grid | str]:
    names, rows = ask(
        lake, "query", lambda con: ((found := con.sql(_SQL)).columns, found.fetchall()), _SQL
    )
    return query_table(names, rows)


TABLES: dict[str, Callable[[Lake], Sequence[Grid | str]]] = {
    "by_job": lambda lake: [dimension_table(lake, "job")],
    "by_rack": lambda lake: [dimension_table(lake, "rack")],
    "by_workload": lambda lake: [dimension_table(lake, "workload")],
    "efficiency": lambda lake: [all_jobs_table(lake)],
    "efficiency_of_a_job": lambda lake: job_tables(lake, "chat"),
    "query": _query,
    "revisions": lambda _: [revisions_table([_REVISION])],
    "run": lambda lake: [job_table(lake)],
}


def top(width: int) -> RenderableType:
    why: list[tuple[str, ...] | None] = [(), ("cap",), None, ("heat", "slowdown")]
    boards = tuple(
        GpuRow(
            *(i, f"GPU-{i}", "NVIDIA H100 80GB HBM3", "" if i > 5 else "chat", 350.0, 700.0),
            *(2e4, 0.87, 60.0 + i, 0.04, why[i % 4]),
        )
        for i in range(8)
    )
    jobs = (JobRow("chat", 6, 2100.0, "generated", 1_234.0, 0.2836),)
    health = CollectorHealth(
        *("0.1.0", 7_300.0, 1_234_567, 0, 0, 0, {"start": 1}, 73.0, 1 << 26, 2048, 12.0)
    )
    return draw(Frame("n1", 1.8e9, boards, jobs, health), width)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_at_four_widths(cluster: Lake, name: str) -> None:
    found = TABLES[name](cluster)
    assert screens(lambda _: found) == on_file(name)


def test_top_at_four_widths() -> None:
    assert screens(lambda width: [top(width)]) == on_file("top")


def test_every_file_is_of_a_table() -> None:
    by_hand = {name for one in BY_HAND for name in one.TABLES}
    assert {path.stem for path in SCREENS.iterdir()} == {*TABLES, *by_hand, "top"}


def _write() -> None:
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "lake"
        lake = small_cluster(root).build(load_site(None, root))
        for name, parts in TABLES.items():
            write(name, parts(lake))
    for one in BY_HAND:
        for name, make in one.TABLES.items():
            write(name, make())
    (SCREENS / "top.txt").write_text(screens(lambda width: [top(width)]), "utf-8")


if __name__ == "__main__":
    _write()
