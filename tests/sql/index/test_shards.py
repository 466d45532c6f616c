"""An hour booked in parts: the bytes are those of one process, however it is divided."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US
from tests.support.lawfaults import EDGE_US
from tests.support.long import pairs
from tests.support.shardfleets import shard_fleet
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_collectors.lake.published import SHARDS
from tokenergy_sql.index import booking, groups, parts
from tokenergy_sql.index.groups import groups_of
from tokenergy_sql.index.hour import prepared
from tokenergy_sql.index.inputs import FileDigests
from tokenergy_sql.index.parts import make_part
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.index.tasks import Task, tasks_of
from tokenergy_sql.scheduled.booking import book_shard, shards_of

SITE = Site(1_250_000, 900_000, {})
HOURS = (EDGE_US - HOUR_US, EDGE_US)


def indexed(lake: Lake, shards: int = 1) -> dict[str, dict[int, str]]:
    """Index a lake; return the digest of every file of the books."""
    index(lake, SITE, progress=lambda _: None, catalog=False, shards=shards)
    assert not (lake.root / SHARDS).exists()
    return lake.books.latest().copied()


def copy(lake: Lake, root: Path) -> Lake:
    shutil.rmtree(root, ignore_errors=True)
    return Lake(shutil.copytree(lake.root, root))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return shard_fleet(tmp_path_factory.mktemp("made") / "lake", 0)


@pytest.fixture(scope="module")
def whole(made: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """The books of the lake, booked at once."""
    return indexed(copy(made, tmp_path_factory.mktemp("whole") / "lake"))


@pytest.fixture
def lake(made: Lake, tmp_path: Path) -> Lake:
    return copy(made, tmp_path / "lake")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are groups of their own, unless they share a device."""
    monkeypatch.setattr(groups, "GROUP_ROWS", 1)


def folder(lake: Lake) -> Path:
    return lake.root / SHARDS


def tasks(lake: Lake, hour_us: int = EDGE_US - HOUR_US) -> list[Task]:
    held, devices = allocations(lake), lake.read("device").to_pylist()
    with prepared(lake, hour_us, held, devices, SITE.calibration) as con:
        found = groups_of(lake, hour_us)
        return [*tasks_of(con, lake, hour_us, found, FileDigests(lake.root, {}))]


@settings(
    max_examples=1,  # and the one below: each books six lakes
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a smaller seed is no smaller fleet
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(seed=3, rows=1, batch=300)  # a board with one job on two nodes: equal in all but the node
@given(seed=st.integers(1, 10_000), rows=st.integers(1, 2_000), batch=st.integers(1, 300))
def test_any_division_gives_the_same_bytes(
    seed: int, rows: int, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    lake = shard_fleet(tmp_path / "lake", seed)
    whole = indexed(copy(lake, tmp_path / "whole"))
    assert {*whole["ledger"]} >= {*HOURS}
    with monkeypatch.context() as patched:
        patched.setattr(parts, "BATCH_ROWS", batch)
        for most in (1, rows):
            patched.setattr(groups, "GROUP_ROWS", most)
            assert indexed(copy(lake, tmp_path / "parts")) == whole


@pytest.mark.usefixtures("small")
def test_two_processes_give_the_same_bytes(lake: Lake, whole: dict[str, dict[int, str]]) -> None:
    assert indexed(lake, shards=2) == whole


@pytest.mark.usefixtures("small")
def test_nodes_that_share_a_device_are_one_group(lake: Lake) -> None:
    found = groups_of(lake, EDGE_US - HOUR_US)
    assert len(found) > 1
    devices = [device for group in found for device in group.devices]
    assert len(devices) == len({*devices})
    (of_both,) = (group for group in found if "GPU-moves" in group.devices)
    assert len(of_both.files) > 1
    assert sorted(path for group in found for path in group.files) == lake.files(
        "segment", [EDGE_US - HOUR_US]
    )


def test_a_small_hour_is_one_group(lake: Lake) -> None:
    assert groups_of(lake, EDGE_US) == []
    assert groups_of(lake, EDGE_US + 5 * HOUR_US) == []


def test_groups_are_cut_by_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = len(lake.read("segment", [EDGE_US]))
    monkeypatch.setattr(groups, "GROUP_ROWS", rows)
    assert groups_of(lake, EDGE_US) == []
    monkeypatch.setattr(groups, "GROUP_ROWS", rows - 1)
    assert len(groups_of(lake, EDGE_US)) == 2


@pytest.mark.usefixtures("small")
def test_finished_parts_are_used(
    lake: Lake, whole: dict[str, dict[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(tasks(lake))
    for shard in shards_of("abc"):
        book_shard(lake, SITE, HOURS[0], shard, say=lambda _: None)
        book_shard(lake, SITE, HOURS[1], shard, say=lambda _: None)
    kept = sorted(path.name for path in folder(lake).iterdir())
    assert len(kept) >= 2 * 2
    assert sum(name.startswith("2026-01-15T08") for name in kept) == count

    def never(*_: object) -> None:
        raise AssertionError("a finished part was booked again")

    monkeypatch.setattr(booking, "ledger", never)
    assert indexed(lake) == whole


@pytest.mark.usefixtures("small")
def test_another_part_is_booked_if_some_are_missing(
    lake: Lake, whole: dict[str, dict[int, str]]
) -> None:
    book_shard(lake, SITE, HOURS[0], {"number": 1, "of": 3}, say=lambda _: None)
    assert 0 < len([*folder(lake).iterdir()]) < len(tasks(lake))
    assert indexed(lake) == whole


def later_job(lake: Lake) -> None:
    """A job that nobody knew of, on a board of the last node."""
    row = lake.read("jobs").to_pylist()[0]
    device = sorted(tasks(lake)[-1].tables["device"]["device_id"].to_pylist())[0]
    of = {"job_id": "later", "device_id": device, "start_us": EDGE_US - 100 * 1_000_000}
    node = next(r["node"] for r in lake.read("device").to_pylist() if r["device_id"] == device)
    new = {**row, **of, "node": node, "end_us": None, "share_ppm": 1_000_000, "cluster": None}
    import pyarrow as pa

    lake.append("jobs", pa.Table.from_pylist([new], lake.read("jobs").schema), node)


def fewer_segments(lake: Lake) -> None:
    path = lake.files("segment", [HOURS[0]])[0]
    rows = lake.read("segment", [HOURS[0]], node=lake.nodes("segment", HOURS[0])[0])
    path.unlink()
    with lake.writer("segment", HOURS[0], lake.nodes("power", HOURS[0])[0]) as file:
        file.write(rows.slice(0, len(rows) - 1).cast(SEGMENT.schema()))


def busier_state(lake: Lake) -> None:
    import pyarrow as pa

    rows = [row for row in lake.read("state", [HOURS[0]]).to_pylist() if row["sm_util"] == 0]
    changed = {**rows[0], "ts_us": rows[0]["ts_us"] + 1, "sm_util": 99}
    lake.append("state", pa.Table.from_pylist([changed], lake.read("state").schema), "elsewhere")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("change", pairs([later_job, fewer_segments, busier_state], always=1))
def test_a_stale_part_is_never_used(change: object, lake: Lake, tmp_path: Path) -> None:
    for hour_us in HOURS:
        book_shard(lake, SITE, hour_us, {"number": 0, "of": 1}, say=lambda _: None)
    before = {task.name for task in tasks(lake)}
    change(lake)
    assert {task.name for task in tasks(lake)} != before
    other = copy(lake, tmp_path / "other")
    shutil.rmtree(folder(other))
    expected = indexed(other)
    assert indexed(lake) == expected


@pytest.mark.usefixtures("small")
def test_segments_that_change_while_they_are_booked_make_no_part(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks(lake)[0]
    by_itself = booking.ledger

    def meanwhile(*given: object) -> object:
        yield from by_itself(*given)
        fewer_segments(lake)

    monkeypatch.setattr(booking, "ledger", meanwhile)
    with pytest.raises(UserError, match="its segments were replaced meanwhile") as caught:
        make_part(lake.root, task)
    assert isinstance(caught.value.__cause__, BlockingIOError)
    assert [*folder(lake).iterdir()] == []


@pytest.mark.usefixtures("small")
def test_a_part_does_not_depend_on_what_comes_after_the_hour(lake: Lake) -> None:
    """A new reading of the next hour, and a running job that ends in it."""
    before = {task.name for task in tasks(lake)}
    states = lake.read("state", [EDGE_US])
    import pyarrow as pa

    rows = [{**row, "ts_us": row["ts_us"] + 900_000_000} for row in states.to_pylist()]
    lake.append("state", pa.Table.from_pylist(rows, states.schema), lake.nodes("state", EDGE_US)[0])
    jobs = lake.read("jobs").to_pylist()
    running = [row for row in jobs if row["end_us"] is None and row["job_id"] != "later"]
    ended = [{**row, "end_us": EDGE_US + 900_000_000} for row in running[:1]]
    lake.append("jobs", pa.Table.from_pylist(ended, lake.read("jobs").schema), ended[0]["node"])
    assert {task.name for task in tasks(lake)} == before


@pytest.mark.usefixtures("small")
def test_a_killed_process_costs_its_part_alone(
    lake: Lake, whole: dict[str, dict[int, str]], caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []
    over = threading.Event()

    def kill_one() -> None:
        """Kill the first process that has begun a part."""
        while not killed and not over.wait(0.001):
            for aside in folder(lake).glob(".*.tmp"):
                killed.append(int(aside.name.split(".")[-3]))
                os.kill(killed[0], signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        assert indexed(lake, shards=2) == whole
    finally:
        over.set()
        killer.join()
    assert killed
    assert killed != [os.getpid()]
    assert "was killed" in caplog.text


@pytest.mark.usefixtures("small")
def test_the_same_part_made_twice_at_once_is_one_file(lake: Lake) -> None:
    some = tasks(lake)[:2]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        twice = [pool.submit(make_part, lake.root, task) for task in some for _ in range(2)]
        made = [one.result().folder.name for one in twice]
    assert sorted({*made}) == sorted(path.name for path in folder(lake).iterdir())
    assert len({*made}) == len(some)


@pytest.mark.usefixtures("small")
def test_a_part_that_cannot_be_read_is_removed_and_the_next_run_is_whole(
    lake: Lake, whole: dict[str, dict[int, str]]
) -> None:
    book_shard(lake, SITE, HOURS[0], {"number": 0, "of": 1}, say=lambda _: None)
    damaged = sorted(folder(lake).iterdir())[0] / "ledger.arrow"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(UserError, match="index the hour again"):
        index(lake, SITE, progress=lambda _: None, catalog=False)
    assert not damaged.exists()
    assert indexed(lake) == whole


@pytest.mark.usefixtures("small")
def test_parts_are_removed_when_they_are_old(lake: Lake) -> None:
    made = [make_part(lake.root, task).folder for task in tasks(lake)[:2]]
    left = folder(lake) / f".{made[0].name}.1.abcd.tmp"
    left.mkdir()
    now = time.time()
    parts.remove_parts(lake.root, [])
    assert all(path.exists() for path in (*made, left))
    for path, idle_s in ((left, parts.LEFT_S + 60), (made[0], parts.KEPT_S + 60)):
        for inside in (*path.iterdir(), path):
            os.utime(inside, (now - idle_s, now - idle_s))
    parts.remove_parts(lake.root, [])
    assert [path.name for path in folder(lake).iterdir()] == [made[1].name]
    parts.remove_parts(lake.root, [EDGE_US])
    assert made[1].exists()
    parts.remove_parts(lake.root, [EDGE_US - HOUR_US])
    assert not folder(lake).exists()


def test_shards_are_as_many_as_batches_of_nodes() -> None:
    assert shards_of([]) == []
    assert shards_of([["n1", "n2"]]) == []
    assert shards_of([["n1"], ["n2"]]) == [{"number": 0, "of": 2}, {"number": 1, "of": 2}]
