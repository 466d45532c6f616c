"""What a scheduled run checks: its own hour, and the jobs of the hours that it healed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks.checking import hourly_names, touched_names
from tokenergy_sql.checks.texts import checks_by_name
from tokenergy_sql.scheduled.checking import check_run

OWN = T0 + 2 * HOUR_US


def built(root: Path) -> Lake:
    """A job that ended two hours before the run's own, whose index has one nanojoule too many."""
    builder = LakeBuilder(root)
    builder.device("A")
    for hour in (T0, OWN):
        builder.power("A", level(100_000, hour, hour + 60 * S, S))
    builder.job("j", "A", T0, T0 + 60 * S)
    lake = builder.build(window_us=10 * S)
    rows = [{**row, "e_gpu_nj": row["e_gpu_nj"] + 1} for row in lake.read("job_index").to_pylist()]
    schema = TABLES["job_index"].schema()
    lake.replace("job_index", pa.Table.from_pylist(rows, schema=schema), T0, "job_index")
    return lake


def test_jobs_of_healed_hours_are_checked_too(tmp_path: Path) -> None:
    lake = built(tmp_path / "lake")
    assert [f.name for f in check_run(lake, OWN) if f.breach] == []
    assert [f.name for f in check_run(lake, OWN, [T0])] == [*checks_by_name(), *touched_names()]
    assert [f.name for f in check_run(lake, OWN, [T0]) if f.breach] == ["jobs_add_up"]
    assert len(check_run(lake, OWN, [OWN])) == len(checks_by_name())


def test_each_check_is_one_of_the_two() -> None:
    """None needs the whole lake: a run would have to examine all of it each hour."""
    assert sorted([*hourly_names(), *touched_names()]) == [*checks_by_name()]
