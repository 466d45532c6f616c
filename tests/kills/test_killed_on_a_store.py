"""On an object store too, readers see one revision whole, however often its writer is killed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kills.week import PUE, declare, fill, kill_often, run, start
from tests.support.lakes import HOUR_US, T0
from tests.support.late import RAW, derived
from tests.support.s3 import Server, Wire
from tests.support.stored import StoredLake, use
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import bucket_of
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_collectors.lake.published import parse_list, path_of
from tokenergy_sql.catalog.asking import ask, lake_at
from tokenergy_sql.workcopy.sweeping import sweep
from tokenergy_sql.workcopy.working import on_lake

pytestmark = pytest.mark.e2e

HOURS = 6
KILLS = 20
BEFORE, AFTER = (1, 1.2, 0, 2 * HOURS), (1, 1.5, 0, 2 * HOURS)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake in a folder, with books at a PUE of 1.2; its site file says 1.5."""
    lake = fill(tmp_path_factory.mktemp("indexed") / "lake", HOURS)
    declare(lake, 1.2)
    run(lake, "index")
    return lake


@pytest.fixture(scope="module")
def restated(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The derived files at a PUE of 1.5, from raw tables."""
    other = fill(tmp_path_factory.mktemp("restated") / "lake", HOURS)
    declare(other, 1.5)
    run(other, "index")
    return derived(other)


@pytest.fixture
def stored(
    server: Server, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StoredLake:
    """The lake in a store, whose PUE was just corrected to 1.5."""
    use(server, tmp_path / "work", monkeypatch)
    stored = StoredLake(server, tmp_path.name)
    declare(lake, 1.2)
    stored.put(lake.root)
    declare(lake, 1.5)
    stored.server.fs().pipe_file(
        f"tokenergy/{stored.name}/site.toml", (lake.root / "site.toml").read_bytes()
    )
    return stored


def strays(stored: StoredLake) -> set[str]:
    """Return the files of the books that neither the list nor a revision names."""
    published = parse_list(stored.read("books/published.json"))
    known = {
        path_of(Path(), table, hour_us, tag).as_posix()
        for table, tags in published.tags.items()
        for hour_us, tag in tags.items()
    }
    for name in stored.names("revisions"):
        if name.endswith("manifest.json"):
            known |= {*json.loads(stored.read(name))["replaced"]}
    return {name for name in stored.names("books") if name.endswith(".parquet")} - known


def test_a_restatement_killed_at_many_points(
    stored: StoredLake, restated: dict[str, bytes]
) -> None:
    seen: Counter[object] = Counter()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen[ask(lake_at(stored.url), "test", lambda con: con.execute(PUE).fetchone())] += 1

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(look)
        try:
            kills = kill_often(stored.url, KILLS, 12.0, 1, "index")
            run(stored.url, "index")
        finally:
            over.set()
        reader.result()
    print(f"killed {kills} times; readers saw {seen}")
    assert kills >= KILLS / 2
    assert set(seen) <= {BEFORE, AFTER}
    assert stored.derived().items() >= restated.items()
    revision = json.loads(stored.read("books/published.json"))["revision"]
    assert revision == 2
    run(stored.url, "check")
    assert "nothing has changed" in run(stored.url, "index")


def test_four_backfills_at_once(stored: StoredLake, restated: dict[str, bytes]) -> None:
    hours = [f"--hour={show_hour(T0 + number * HOUR_US)}" for number in range(HOURS)]
    backfills = [start(stored.url, "index", *hours[part::4]) for part in range(4)]
    for process in backfills:
        said = process.communicate()[0].decode()
        assert process.returncode == 0, said
    assert stored.derived().items() >= restated.items()
    print(f"revision {json.loads(stored.read('books/published.json'))['revision']}")
    left = strays(stored)
    print(f"{len(left)} files of runs that others were faster than")
    (root,) = {on_lake(stored.url, lambda root: root)}
    assert {*sweep(bucket_of(root), root, left_s=0)} == left
    assert strays(stored) == set()
    run(stored.url, "check")
    assert "nothing has changed" in run(stored.url, "index")


def test_the_store_is_away_for_half_a_minute(
    server: Server, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(server.port)
    use(server, tmp_path / "work", monkeypatch)
    stored = StoredLake(server, tmp_path.name)
    stored.put(lake.root, *RAW, "site.toml")
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
    with start(stored.url, "index") as process:
        while not stored.names("segment"):  # it has just begun to put
            assert process.poll() is None
        wire.cut()
        back = threading.Timer(30.0, wire.mend)
        back.start()
        said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    assert said.splitlines()[-1].endswith(f"{HOURS} hours derived (new {HOURS}); revision 1")
    run(stored.url, "check")
