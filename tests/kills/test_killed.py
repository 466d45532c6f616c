"""A restatement that is killed again and again: readers see the old revision, then the new one."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kills.week import Readers, declare, fill, kill_often, run, start, strays
from tests.support.lakes import HOUR_US, T0
from tests.support.late import derived
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.revisions import revisions

pytestmark = pytest.mark.e2e

HOURS = 28
KILLS = 25


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with books at a PUE of 1.2."""
    lake = fill(tmp_path_factory.mktemp("indexed") / "lake", HOURS)
    declare(lake, 1.2)
    run(lake, "index")
    return lake


@pytest.fixture(scope="module")
def restated(indexed: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The derived files after the PUE was corrected to 1.5 in one run that nothing disturbed."""
    lake = Lake(shutil.copytree(indexed.root, tmp_path_factory.mktemp("restated") / "lake"))
    declare(lake, 1.5)
    run(lake, "index")
    return derived(lake)


def copied(lake: Lake, folder: Path) -> Lake:
    copy = Lake(shutil.copytree(lake.root, folder / "lake"))
    run(copy, "catalog")  # its paths are absolute
    return copy


def test_a_restatement_killed_at_many_points(
    indexed: Lake, restated: dict[str, bytes], tmp_path: Path
) -> None:
    lake = copied(indexed, tmp_path)
    declare(lake, 1.5)
    with Readers(lake) as readers:
        kills = kill_often(lake, KILLS, 4.0, 1, "index")
        run(lake, "index")
    for client, seen in readers.seen.items():
        print(f"{client}: {seen}")
        assert set(seen) <= {(1, 1.2, 0, 2 * HOURS), (1, 1.5, 0, 2 * HOURS)}
        assert seen[1, 1.2, 0, 2 * HOURS] > KILLS / 2
    print(f"killed {kills} times; {len(revisions.manifests(lake))} revisions")
    assert kills >= 20
    assert derived(lake) == restated
    assert strays(lake) == set()
    assert [one.number for one in revisions.manifests(lake)] == [1, 2]
    assert len(revisions.manifests(lake)[-1].hours) == HOURS
    run(lake, "check")
    assert "nothing has changed" in run(lake, "index")


def test_four_backfills_at_once_and_a_check_beside_them(
    indexed: Lake, restated: dict[str, bytes], tmp_path: Path
) -> None:
    lake = copied(indexed, tmp_path)
    declare(lake, 1.5)
    hours = [f"--hour={show_hour(T0 + number * HOUR_US)}" for number in range(HOURS)]
    over = threading.Event()

    def checks() -> int:
        count = 0
        while not over.is_set():
            run(lake, "check", "--hour", show_hour(T0 + 5 * HOUR_US))
            count += 1
        return count

    with ThreadPoolExecutor() as pool:
        checked = pool.submit(checks)
        backfills = [start(lake, "index", *hours[quarter::4]) for quarter in range(4)]
        for process in backfills:
            said = process.communicate()[0].decode()
            assert process.returncode == 0, said
        over.set()
        print(f"{checked.result()} checks beside four backfills, none with a finding")
    assert derived(lake) == restated
    assert strays(lake) == set()
    run(lake, "check")


@pytest.mark.parametrize("command", [["aggregate"], ["heal"], ["load-profile"]])
def test_every_step_twice_and_after_kills(
    command: list[str], indexed: Lake, tmp_path: Path
) -> None:
    """From raw tables alone: the same bytes as the undisturbed run, and again the second time."""
    lakes = [Lake(shutil.copytree(indexed.root, tmp_path / name)) for name in ("once", "killed")]
    for lake in lakes:
        for table in ("segment", "books", "revisions", "cache", "load_profile", "load_spectrum"):
            shutil.rmtree(lake.root / table, ignore_errors=True)
    once, killed = lakes
    run(once, *command)
    first = derived(once)
    run(once, *command)
    assert derived(once) == first
    kills = kill_often(killed, KILLS // 2, 3.0, len(first), *command)
    run(killed, *command)
    print(f"{' '.join(command)}: killed {kills} times, {len(first)} files")
    assert kills >= 5
    assert derived(killed) == first
