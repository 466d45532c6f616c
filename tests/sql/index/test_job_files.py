"""Files of `job_index` are written when their rows differ, and are right whatever the cache has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index import jobrows
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.revisions.recorder import Recorder


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 3 * 3600 * S, 10 * S))
    for hour in range(3):
        builder.job(f"j{hour}", "A", T0 + hour * 3600 * S, T0 + (hour * 3600 + 1800) * S)
    return builder.build()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Hours whose file of `job_index` is written from now on."""
    hours: list[int] = []
    write = Recorder.write

    def writing(self: Recorder, table: str, rows: object, hour_us: int) -> None:
        if table == "job_index":
            hours.append(hour_us)
        write(self, table, rows, hour_us)

    monkeypatch.setattr(Recorder, "write", writing)
    return hours


def contents(lake: Lake) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in lake.files("job_index")}


def again(lake: Lake) -> None:
    index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)


def test_rows_that_stay_are_not_written_again(lake: Lake, written: list[int]) -> None:
    before = contents(lake)
    again(lake)
    assert written == []
    site = Site(1_200_000, None, {})
    index(lake, site, progress=lambda _: None, catalog=False)
    assert len(written) == 3
    assert contents(lake) != before


@pytest.mark.parametrize(
    "fault", pairs(["garbage", "no cache", "gone", "another hour's", "bad cache"], always=2)
)
def test_files_are_right_after(lake: Lake, written: list[int], fault: str) -> None:
    before = contents(lake)
    first, second, _ = lake.files("job_index")
    if fault == "gone":
        first.unlink()
    elif fault == "garbage":
        first.write_bytes(b"x" * first.stat().st_size)
    elif fault == "another hour's":
        shutil.copyfile(second, first)
    elif fault == "no cache":
        (lake.root / jobrows.CACHE).unlink()
    else:
        (lake.root / jobrows.CACHE).write_text("[3]")
    again(lake)
    assert contents(lake) == before
    assert len(written) == (3 if "cache" in fault else 1)
