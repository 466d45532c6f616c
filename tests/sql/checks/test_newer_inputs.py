"""Books that are older than their inputs are named: by `index`, and by checks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake
from tokenergy_sql import steps
from tokenergy_sql.checks.checking import Finding, run_checks

EDGE = T0 + HOUR_US


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of 100 W for a minute over the edge of an hour; a job holds it for 40 s of it."""
    builder = LakeBuilder(tmp_path_factory.mktemp("sound") / "lake")
    builder.device("A", ts_us=EDGE - 30 * S)
    builder.power("A", level(100_000, EDGE - 30 * S, EDGE + 30 * S, S))
    builder.job("a", "A", EDGE - 20 * S, EDGE + 20 * S)
    return builder.build().root


@pytest.fixture
def builder(sound: Path, tmp_path: Path) -> LakeBuilder:
    """A copy of it, with its books."""
    return LakeBuilder(shutil.copytree(sound, tmp_path / "lake"))


@pytest.fixture
def lake(builder: LakeBuilder) -> Lake:
    return builder.lake


def found(lake: Lake, name: str) -> Finding:
    (finding,) = run_checks(lake, only=[name])
    return finding


def correct(builder: LakeBuilder) -> None:
    """Import a list in which the job ran for 20 s."""
    builder.job("a", "A", EDGE - 10 * S, EDGE + 10 * S, recorded_us=T0 + 1)


def energy_j(lake: Lake) -> list[int]:
    return [nj // 10**9 for nj in lake.read("job_index")["e_gpu_nj"].to_pylist()]


def test_chosen_hours_say_which_others_have_newer_inputs(builder: LakeBuilder, lake: Lake) -> None:
    correct(builder)
    done = steps.index_hours(lake.root, [T0], None)
    assert energy_j(lake) == [3_000]  # 10 s of the list as corrected, 20 s of the one before
    (line,) = done.remarks
    assert line.startswith("1 other hour has newer inputs (2026-01-15T09:00Z): ")
    assert "run `tokenergy index` without --hour" in line
    assert steps.index_hours(lake.root, None, None).remarks == []
    assert energy_j(lake) == [2_000]
    assert steps.index_hours(lake.root, [T0], None).remarks == []


def test_chosen_hours_notice_readings_of_others_that_nothing_aggregated(
    builder: LakeBuilder,
    lake: Lake,
) -> None:
    builder.power("A", level(100_000, EDGE + 31 * S, EDGE + 40 * S, S))
    (line,) = steps.index_hours(lake.root, [T0], None).remarks
    assert line.startswith("1 other hour has newer inputs (2026-01-15T09:00Z): ")


def test_many_hours_are_counted(builder: LakeBuilder, lake: Lake) -> None:
    for hour in range(2, 7):
        builder.power("A", level(100_000, EDGE + hour * HOUR_US, EDGE + hour * HOUR_US + S, S))
    (line,) = steps.index_hours(lake.root, [T0], None).remarks
    assert line.startswith("5 other hours have newer inputs (")
    assert "2026-01-15T13:00Z and 2 more): " in line


def test_more_time_booked_than_claimed(builder: LakeBuilder, lake: Lake) -> None:
    assert found(lake, "booked_is_claimed").rows == []
    correct(builder)
    steps.index_hours(lake.root, [T0], None)
    finding = found(lake, "booked_is_claimed")
    assert finding.breach
    assert finding.rows == [("a", "A", "2026-01-15T09:00Z", 20.0, 10.0)]
    steps.index_hours(lake.root, None, None)
    assert found(lake, "booked_is_claimed").rows == []


def test_time_of_a_job_that_was_withdrawn(builder: LakeBuilder, lake: Lake) -> None:
    start_us = EDGE - 20 * S
    builder.job("a", "A", start_us, start_us, recorded_us=T0 + 1)
    steps.index_hours(lake.root, [EDGE], None)
    assert found(lake, "booked_is_claimed").rows == [("a", "A", "2026-01-15T08:00Z", 20.0, 0.0)]


def test_shares_are_rounded(tmp_path: Path) -> None:
    """A board for each share, with jobs that fill it but for a microsecond."""
    builder = LakeBuilder(tmp_path / "lake")
    for number, share_ppm in enumerate((1, 333_333, 999_999)):
        board, (start_us, end_us) = f"B{number}", (EDGE - 25 * S, EDGE + 25 * S)
        builder.device(board, index=number, ts_us=EDGE - 30 * S)
        builder.power(board, level(100_000, EDGE - 30 * S, EDGE + 30 * S, S))
        builder.job(f"a{number}", board, EDGE - 20 * S, EDGE + 20 * S)
        builder.job(f"b{number}", board, start_us, end_us, share_ppm=share_ppm)
        builder.job(f"c{number}", board, start_us + 1, end_us, share_ppm=1_000_000 - share_ppm)
    assert found(builder.build(), "booked_is_claimed").rows == []


def remove(lake: Lake, hour_us: int) -> None:
    """Remove the raw readings of an hour, as the disk limit does."""
    for path in lake.files("power", [hour_us]):
        path.unlink()


@pytest.mark.parametrize("gone", pairs([[T0, EDGE], [T0], [EDGE]], always=1))
def test_removed_readings_fail_no_check(lake: Lake, gone: list[int]) -> None:
    before = {f.name: f.rows for f in run_checks(lake)}
    for hour_us in gone:
        remove(lake, hour_us)
    after = run_checks(lake)
    assert {f.name: f.rows for f in after} == before
    left_out = {f.name: f.left_out for f in after if f.left_out}
    # Each hour's meter reads on into the other.
    assert left_out == {
        "law": 2,
        "sparse_bounds": 2,
        "readings_are_booked": len(gone),
        "processors_are_counted": 2,
    }
    line = found(lake, "law").lines(5)[0]
    assert line.endswith("(2 node-hours are left out: the readings were removed)")


def test_late_readings_of_an_hour_whose_earlier_ones_are_gone(
    builder: LakeBuilder, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    remove(lake, EDGE)
    builder.power("A", level(100_000, EDGE + 31 * S, EDGE + 40 * S, S))
    (late,) = lake.files("power", [EDGE])
    capsys.readouterr()
    steps.index_hours(lake.root, None, None)
    assert capsys.readouterr().out == (
        "1 node-hour has newer readings, but earlier ones were removed or are in quarantine "
        "(n1 2026-01-15T09:00Z): the new ones are not booked. Bring the earlier power files back "
        "and run `tokenergy index`; or book the new ones alone: "
        "`tokenergy aggregate --hour HOUR --node NODE`\n"
    )
    finding = found(lake, "readings_came_in_time")
    assert not finding.breach
    assert finding.rows == [("n1", "2026-01-15T09:00Z", late.name)]
    assert [f.name for f in run_checks(lake) if f.breach] == []


def test_removed_readings_that_come_back(builder: LakeBuilder, lake: Lake) -> None:
    (path,) = lake.files("power", [EDGE])
    aside = path.rename(path.parent / f".{path.name}")
    builder.power("A", level(100_000, EDGE + 31 * S, EDGE + 40 * S, S))
    steps.index_hours(lake.root, None, None)
    aside.rename(path)
    assert found(lake, "readings_are_booked").breach
    steps.index_hours(lake.root, None, None)
    assert [f.name for f in run_checks(lake) if f.rows or f.left_out] == []
