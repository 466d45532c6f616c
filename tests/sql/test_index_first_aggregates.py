"""`tokenergy index` aggregates readings and job edges that arrived since the last aggregation."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_sql import steps
from tokenergy_sql.cli import app

J = 1_000_000_000


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 30 * S, S))
    return builder


def joules(builder: LakeBuilder, table: str, column: str) -> float:
    return sum(builder.lake.read(table)[column].to_pylist()) / J


def test_readings_that_came_after_aggregate(
    builder: LakeBuilder, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.aggregate_hours(builder.lake.root, None, None, "5s", "cpu")
    steps.index_hours(builder.lake.root, None, None)
    assert joules(builder, "ledger", "energy_nj") == 3_000
    builder.power("A", level(100_000, T0 + 31 * S, T0 + 60 * S, S))
    capsys.readouterr()
    steps.index_hours(builder.lake.root, None, None)
    said = "aggregate: 1 node-hour first, whose readings or job edges are newer\n"
    assert capsys.readouterr().out == said
    assert joules(builder, "ledger", "energy_nj") == 6_000
    assert len(builder.lake.read("segment")) == 12  # the window of 5 s was kept
    steps.index_hours(builder.lake.root, None, None)
    assert capsys.readouterr().out == ""


def test_a_job_that_came_after_aggregate(builder: LakeBuilder) -> None:
    steps.aggregate_hours(builder.lake.root, None, None, "5s", "cpu")
    builder.job("j", "A", T0 + 3_500_000, T0 + 6_500_000)
    steps.index_hours(builder.lake.root, None, None)
    assert joules(builder, "job_index", "e_gpu_nj") == 300


def test_a_lake_without_power_files_says_when_they_come(
    builder: LakeBuilder, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    runs = [
        CliRunner().invoke(app, ["aggregate", "--lake", str(root), "--device", "cpu"])
        for root in (tmp_path / "new", builder.lake.root, builder.lake.root)
    ]
    assert [run.exit_code for run in runs] == [0, 0, 0]
    assert ["every five minutes" in run.output for run in runs] == [True, False, False]
