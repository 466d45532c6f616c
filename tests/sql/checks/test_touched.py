"""Checks of a chosen hour find whatever may be wrong because of it, also in the books of others.

Each case breaks a sound lake of four hours. The check of the last hour finds it, as a check of
everything does; one of an hour that has no part in it does not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks import connections
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.checks.texts import checks_by_name
from tokenergy_sql.checks.touched import touched

HOURS = [T0 + number * HOUR_US for number in range(4)]
FIRST, SECOND, _, LAST = HOURS
END_US = LAST + HOUR_US
LONG_US = FIRST + 600 * S

Row = dict[str, Any]


def count(builder: LakeBuilder, job: str, start_us: int, end_us: int, **more: Any) -> None:
    """Count 10 tokens a second, read once a minute."""
    stamps = range(start_us, end_us + 1, 60 * S)
    readings = [(us, (us - start_us) // S * 10) for us in stamps]
    builder.tokens(job, readings, source_id=f"server of {job}", since_us=start_us, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boards A and B at 100 W; `long` holds A in all four hours, `old` and `new` hold B in one.

    `alone` counts tokens, and no list has it. Nobody who takes it changes it.
    """
    builder = LakeBuilder(tmp_path_factory.mktemp("touched") / "lake")
    for number, board in enumerate("AB"):
        builder.device(board, index=number, update_us=60 * S)
        builder.power(board, level(100_000, FIRST, END_US, 60 * S))
    for job, board, start_us, end_us in (
        ("long", "A", LONG_US, END_US - 600 * S),
        ("old", "B", FIRST + 600 * S, FIRST + 1_800 * S),
        ("new", "B", LAST + 600 * S, LAST + 1_800 * S),
    ):
        builder.job(job, board, start_us, end_us)
        count(builder, job, start_us, end_us)
    count(builder, "alone", SECOND + 600 * S, END_US - 60 * S)
    return builder.build(window_us=60 * S).root


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    """A copy of it."""
    return Lake(shutil.copytree(made, tmp_path / "lake"))


def rows_of(lake: Lake, name: str, hours: list[int] | None = None) -> list[tuple[Any, ...]]:
    (finding,) = run_checks(lake, hours, [name])
    return finding.rows


def change(
    lake: Lake, table: str, hour_us: int, job: str, how: Callable[[Row], Row | None]
) -> None:
    """Change, or leave out, the rows of a job in an hour's file."""
    rows = lake.read(table, [hour_us]).to_pylist()
    changed = [how(row) if row["job_id"] == job else row for row in rows]
    assert changed != rows
    schema = TABLES[table].schema()
    kept = [row for row in changed if row is not None]
    lake.replace(table, pa.Table.from_pylist(kept, schema=schema), hour_us, table)


def more(*columns: str, by: int = 10) -> Callable[[Row], Row]:
    """Say more in some columns."""
    return lambda row: {**row, **{name: row[name] + by for name in columns}}


def book_tokens(lake: Lake, job: str, by: int) -> None:
    """Book more tokens of a job in the last hour, in all tables alike."""
    change(lake, "token_usage", LAST, job, more("tokens", "low", "high", by=by))
    (start_us,) = [r["start_us"] for r in lake.read("job_index").to_pylist() if r["job_id"] == job]
    hour_us = start_us - start_us % HOUR_US
    change(lake, "job_index", hour_us, job, more("n_generated", by=by))


def add(lake: Lake, table: str, *rows: Row, node: str = "n1") -> None:
    builder = LakeBuilder(lake.root)
    builder.add(table, rows, node)


def list_job(lake: Lake, job: str, board: str, start_us: int, end_us: int, **more: Any) -> None:
    LakeBuilder(lake.root).job(job, board, start_us, end_us, **more)


def set_clock(lake: Lake) -> None:
    """Set the clock by 5 s between two runs of a collector, in the first and in the last hour.

    Only the two notes together tell.
    """
    for ts_us, less_us in ((FIRST + 900 * S, 0), (LAST + 60 * S, 5 * S)):
        clocks = dict.fromkeys(("monotonic_us", "boottime_us"), ts_us - FIRST - less_us)
        add(lake, "clock", {"ts_us": ts_us, "node": "n1", **clocks, "realtime_us": ts_us})


def rename(lake: Lake, job: str) -> None:
    """Count the tokens of a job under another cluster than the one that lists it."""
    builder = LakeBuilder(lake.root)
    builder.job("x", "A", LAST, END_US, cluster="listed")
    count(builder, "x", LAST + 60 * S, LAST + 600 * S, cluster="counted")


def swap_boards(lake: Lake) -> None:
    """Name board A by its index, as a list of the first hour does, and take B for it."""
    list_job(lake, "named", "0", LAST + 60 * S, LAST + 120 * S)


def told(name: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return what rows say; of tokens without the recount, which is made where it is needed."""
    return sorted((row[:5] if name == "tokens_add_up" else row for row in rows), key=repr)


BREAKS: dict[str, tuple[str, Callable[[Lake], None], list[int]]] = {
    "an old row of the index": (
        "boundaries_nest",
        lambda lake: change(lake, "job_index", FIRST, "long", more("e_gpu_j", by=10**9)),
        HOURS,
    ),
    "an index that lacks the hour": (
        "jobs_add_up",
        lambda lake: change(lake, "job_index", FIRST, "long", more("e_gpu_nj", by=-1)),
        HOURS,
    ),
    "an index without the job": (
        "jobs_add_up",
        lambda lake: change(lake, "job_index", FIRST, "long", lambda _: None),
        HOURS,
    ),
    "a job that began in the hour": (
        "jobs_add_up",
        lambda lake: change(lake, "job_index", LAST, "new", more("e_gpu_nj", by=1)),
        [LAST],
    ),
    "parts of a job's energy": (
        "efficiency_adds_up",
        lambda lake: change(lake, "job_efficiency", LAST, "long", more("e_gpu_nj", by=1)),
        [LAST],
    ),
    "a board that nobody metered": (
        "claims_are_booked",
        lambda lake: list_job(lake, "lost", "Z", LAST + 60 * S, END_US),
        [LAST],
    ),
    "a clock that was set while nobody looked": ("clocks_agree", set_clock, [FIRST, LAST]),
    "another name of a cluster": ("clusters_agree", lambda lake: rename(lake, "x"), [LAST]),
    "a second job on a board": (
        "jobs_do_not_contend",
        lambda lake: list_job(lake, "second", "A", LAST + 60 * S, END_US),
        [LAST],
    ),
    "a second job on a board since an old hour": (
        "jobs_do_not_contend",
        lambda lake: list_job(lake, "second", "A", SECOND + 60 * S, END_US),
        HOURS[1:],
    ),
    "an id that was used before": (
        "one_scheduler_a_job",
        lambda lake: (
            list_job(lake, "17", "B", FIRST, FIRST + 60 * S, scheduler="slurm"),
            list_job(lake, "17", "B", LAST, LAST + 60 * S, scheduler="kubernetes"),
        )[0],
        [FIRST, LAST],
    ),
    "more tokens in the index": (
        "tokens_add_up",
        lambda lake: change(lake, "job_index", FIRST, "long", more("n_generated", by=1)),
        HOURS,
    ),
    "more tokens of an old hour": (
        "tokens_add_up",
        lambda lake: change(lake, "token_usage", SECOND, "long", more("tokens", by=1)),
        HOURS,
    ),
    "tokens outside of their bounds": (
        "tokens_add_up",
        lambda lake: change(lake, "token_usage", LAST, "long", more("low", "high", by=10**6)),
        HOURS,
    ),
    "tokens that nobody counted": (
        "tokens_add_up",
        lambda lake: book_tokens(lake, "long", 10**6),
        [LAST],
    ),
    "tokens that were counted and not booked": (
        "tokens_add_up",
        lambda lake: book_tokens(lake, "long", -20_000),
        [LAST],
    ),
    "tokens of a job without a list": (
        "tokens_add_up",
        lambda lake: book_tokens(lake, "alone", 10**6),
        [LAST],
    ),
    "an index without a job that no list has": (
        "tokens_add_up",
        lambda lake: change(lake, "job_index", SECOND, "alone", lambda _: None),
        HOURS[1:],
    ),
    "more tokens than a board can make": (
        "tokens_are_plausible",
        lambda lake: change(lake, "token_usage", LAST, "long", more("tokens", by=10**11)),
        [LAST],
    ),
}
"""What is broken, the check that finds it, how, and the hours of which the check finds it."""


def test_a_sound_lake_passes(lake: Lake) -> None:
    for hours in (None, HOURS, [LAST]):
        assert [(f.name, f.rows) for f in run_checks(lake, hours) if f.breach] == []


@pytest.mark.parametrize("case", BREAKS)
def test_what_the_hour_broke_is_found(lake: Lake, case: str) -> None:
    name, spoil, hours = BREAKS[case]
    assert rows_of(lake, name) == []
    spoil(lake)
    everything = rows_of(lake, name)
    assert everything
    for hour in HOURS:
        assert bool(rows_of(lake, name, [hour])) == (hour in hours), hour
    assert told(name, rows_of(lake, name, HOURS)) == told(name, everything)


@pytest.mark.parametrize("case", ["an index that lacks the hour", "more tokens of an old hour"])
def test_books_of_a_long_time_are_read_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(connections, "_LONG", 0)
    name, spoil, _ = BREAKS[case]
    assert rows_of(lake, name, [LAST]) == []
    spoil(lake)
    assert rows_of(lake, name, [LAST])


def test_every_check_of_what_is_touched_has_a_case() -> None:
    named = {name for name, _, _ in BREAKS.values()}
    of_scope = {name for name, check in checks_by_name().items() if check.scope == "touched"}
    # Books that name another board cannot be made from a list: see `test_raw_checks.py`.
    assert of_scope == named - {"efficiency_adds_up", "tokens_are_plausible"} | {"indices_as_then"}


def jobs_of(lake: Lake, hours: list[int]) -> set[str]:
    from tokenergy_collectors.lake.allocations import allocations

    return {*touched(lake, hours, allocations(lake), lake.read("device")).jobs}


def test_which_jobs_an_hour_touches(lake: Lake) -> None:
    assert jobs_of(lake, [FIRST]) == {"long", "old"}
    assert jobs_of(lake, [SECOND]) == {"long", "alone"}
    assert jobs_of(lake, [LAST]) == {"long", "new", "alone"}
    assert jobs_of(lake, []) == set()


def test_no_readings_are_counted_again_where_the_books_are_right(lake: Lake) -> None:
    """A job that no list has may have begun at any time; its readings are few."""
    from tokenergy_collectors.lake.allocations import allocations

    for hour in HOURS:
        found = touched(lake, [hour], allocations(lake), lake.read("device"))
        assert found.doubtful == []
        assert found.recounted == []


def test_a_job_that_was_not_read_for_hours_is_recounted(tmp_path: Path) -> None:
    """Its tokens of the last hour came from a reading of the first."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", update_us=60 * S)
    builder.power("A", level(100_000, FIRST, END_US, 60 * S))
    builder.job("j", "A", FIRST, END_US)
    builder.tokens("j", [(FIRST + 60 * S, 0), (LAST + 1_800 * S, 10_000)])
    lake = builder.build(window_us=60 * S)
    assert rows_of(lake, "tokens_add_up") == rows_of(lake, "tokens_add_up", [LAST]) == []
    change(lake, "token_usage", LAST, "j", more("tokens", "high", by=5_000))
    change(lake, "job_index", FIRST, "j", more("n_generated", by=5_000))
    assert rows_of(lake, "tokens_add_up") == rows_of(lake, "tokens_add_up", [LAST]) != []


def test_a_process_that_came_hours_before(lake: Lake, tmp_path: Path) -> None:
    def event(hour_us: int, kind: str, detail: str | None = "p") -> Row:
        device = {"device_id": "B", "detail": detail}
        return {"ts_us": hour_us + 60 * S, "node": "n1", "kind": kind, **device}

    root = tmp_path / "events"
    builder = LakeBuilder(root)
    builder.device("B", update_us=60 * S)
    builder.power("B", level(100_000, FIRST, END_US, 60 * S))
    builder.add(
        "state",
        [
            {"ts_us": us, "device_id": "B", "pids": [7]}
            for us in range(LAST + 600 * S, LAST + 900 * S, S)
        ],
    )
    builder.add("event", [event(FIRST, "start"), event(SECOND, "stray")])
    lake = builder.build(window_us=60 * S)
    [row] = rows_of(lake, "processes_have_jobs", [LAST])
    assert row == rows_of(lake, "processes_have_jobs")[0]
    assert row[3] == "now"
    builder.add("event", [event(HOURS[2], "start")])
    assert rows_of(lake, "processes_have_jobs") == []
    assert rows_of(lake, "processes_have_jobs", [LAST]) == []
