"""A few points an hour give the very rows that all readings of all time give.

The oracle is one statement over all readings (`oracles/token_usage.sql`); it was the model before.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog, tokens

ORACLE = (Path(__file__).parent / "oracles" / "token_usage.sql").read_text("utf-8")

Row = dict[str, Any]


def by_all_readings(lake: Lake) -> list[str]:
    with catalog.connect(lake) as con:
        return lines(con.sql(ORACLE).to_arrow_table().to_pylist())


def by_points(lake: Lake) -> list[str]:
    return lines(tokens.usage(lake).to_pylist())


def lines(rows: list[Row]) -> list[str]:
    return sorted(repr(row) for row in rows)


# Stamps that meet: on the edge of an hour, beside it, twice the same, and anywhere.
_OFFSETS = st.one_of(
    st.sampled_from([0, 1, 50_000, 1_000_000, HOUR_US // 2, HOUR_US // 2 + 1, HOUR_US - 1]),
    st.integers(0, HOUR_US - 1),
)
_STAMPS = st.builds(lambda hour, offset: T0 + hour * HOUR_US + offset, st.integers(0, 7), _OFFSETS)
_JOBS = ("a", "b")


@st.composite
def _readings(draw: st.DrawFn) -> list[Row]:
    """Readings of one counter: growing, falling, restarting, read by several at once."""
    counter = {
        "job_id": draw(st.sampled_from((*_JOBS, "unknown"))),
        "source_id": draw(st.sampled_from(("s", "t"))),
        "kind": draw(st.sampled_from(("generated", "prompt_computed"))),
        "engine": "",
        "node": "n1",
    }
    stamps = sorted(draw(st.lists(_STAMPS, min_size=1, max_size=14)))
    value, epoch, since = draw(st.integers(0, 5)), 0, draw(st.none() | _STAMPS)
    found = {}
    for ts_us in stamps:
        what = draw(st.sampled_from(("grow", "grow", "grow", "fall", "epoch", "born", "old_epoch")))
        value = value + draw(st.integers(0, 10**6)) if what == "grow" else draw(st.integers(0, 99))
        epoch = max(0, epoch + {"epoch": 1, "old_epoch": -1}.get(what, 0))
        since = draw(st.none() | _STAMPS) if what == "born" else since
        # The order of readings that differ in `since_us` alone was never told.
        found[ts_us, epoch, value] = {
            **counter, "ts_us": ts_us, "value": value, "epoch": epoch, "since_us": since,
            "model": draw(st.sampled_from(("m", "m", "n", None))),
        }  # fmt: skip
    return list(found.values())


@st.composite
def _allocations(draw: st.DrawFn) -> list[Row]:
    """Allocations of the jobs: gaps between them, no end, ends before starts, none at all."""
    rows = [
        (draw(st.sampled_from(_JOBS)), draw(_STAMPS), draw(st.none() | _STAMPS))
        for _ in range(draw(st.integers(0, 4)))
    ]
    return [{"job_id": job, "start_us": start, "end_us": end} for job, start, end in rows]


def add_jobs(builder: LakeBuilder, rows: list[Row]) -> None:
    for number, row in enumerate(rows):
        builder.job(row["job_id"], f"GPU-{number}", row["start_us"], row["end_us"])


@settings(max_examples=25, deadline=None)
@given(
    counters=st.lists(_readings(), min_size=1, max_size=4),
    later=_readings(),
    jobs=_allocations(),
    later_jobs=_allocations(),
)
def test_points_give_what_all_readings_give(
    counters: list[list[Row]], later: list[Row], jobs: list[Row], later_jobs: list[Row]
) -> None:
    readings = [row for counter in counters for row in counter]
    # Ties across counters that are one and the same are dropped, as within one.
    key = ("job_id", "source_id", "kind", "ts_us", "epoch", "value")
    unique = {tuple(row[name] for name in key): row for row in (*readings, *later)}
    whole = list(unique.values())
    first, second = whole[: len(whole) * 2 // 3], whole[len(whole) * 2 // 3 :]
    with tempfile.TemporaryDirectory() as folder:
        builder = LakeBuilder(Path(folder) / "lake")
        builder.add("tokens", first[::2], "n1")
        builder.add("tokens", first[1::2], "n2")
        add_jobs(builder, jobs)
        expected = by_all_readings(builder.lake)
        assert by_points(builder.lake) == expected
        assert by_points(builder.lake) == expected, "from the cache"
        builder.add("tokens", second, "n1")
        add_jobs(builder, later_jobs)
        assert by_points(builder.lake) == by_all_readings(builder.lake), "after more has come"


def regular(root: Path, hours: int = 5) -> LakeBuilder:
    """A lake with one job over some hours, read every 10 s."""
    builder = LakeBuilder(root)
    builder.job("a", "GPU-0", T0 + 95 * S, T0 + (hours - 1) * HOUR_US + 1234 * S + 7)
    builder.tokens("a", [(T0 + n * 10 * S, n * 37) for n in range(360 * hours)])
    return builder


def cached(lake: Lake) -> dict[str, int]:
    return {
        str(path.relative_to(lake.root)): path.stat().st_ino
        for path in (lake.root / tokens.CACHE).rglob("*.parquet")
    }


def test_only_hours_that_changed_are_read_again(tmp_path: Path) -> None:
    builder = regular(tmp_path / "lake")
    told: list[str] = []
    tokens.usage(builder.lake, told.append)
    assert len(told) == 5
    before = cached(builder.lake)
    tokens.usage(builder.lake, told.append)
    assert len(told) == 5
    assert cached(builder.lake) == before
    builder.tokens("a", [(T0 + 2 * HOUR_US + 5 * S, 720 * 37)], source_id="late")
    tokens.usage(builder.lake, told.append)
    assert told[5:] == ["tokens date=2026-01-15/hour=10"]
    after = cached(builder.lake)
    assert len(after) == 5, "what stood for fewer files is gone"
    assert len(before.items() & after.items()) == 4


def test_of_an_hour_few_points_are_kept(tmp_path: Path) -> None:
    lake = regular(tmp_path / "lake").lake
    tokens.usage(lake)
    files = sorted((lake.root / tokens.CACHE).rglob("*.parquet"))
    assert [pq.read_metadata(path).num_rows for path in files] == [5, 3, 3, 3, 5]


@pytest.mark.parametrize("damage", ["removed", "cut", "rubbish"])
def test_a_lost_or_damaged_cache_is_made_again(tmp_path: Path, damage: str) -> None:
    lake = regular(tmp_path / "lake").lake
    expected = by_points(lake)
    one = next((lake.root / tokens.CACHE).rglob("*.parquet"))
    if damage == "removed":
        shutil.rmtree(lake.root / "cache")
    elif damage == "cut":
        one.write_bytes(one.read_bytes()[:-9])
    else:
        one.write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
    assert by_points(lake) == expected
    assert len(cached(lake)) == 5


def test_readings_in_the_partition_of_another_hour_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder = regular(tmp_path / "lake", 2)
    lake = builder.lake
    expected = by_points(lake)
    stray = lake.files("tokens", [T0])[0]
    shutil.copy(stray, lake.files("tokens", [T0 + HOUR_US])[0].with_name("n1-0-stray.parquet"))
    assert by_points(lake) == expected
    (record,) = caplog.records
    assert "hour=09: 360 readings have stamps of another hour; left out" in record.getMessage()


def test_no_tokens_at_all(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.job("a", "A", T0, None)
    assert tokens.usage(builder.lake).num_rows == 0
    assert not (builder.lake.root / "cache").exists()
