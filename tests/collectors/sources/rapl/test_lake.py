"""A daemon that reads RAPL zones into a lake: across an hour, a restart, and files of before."""

import itertools
import random
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.clocks import PlannedClock
from tests.support.emulated import small_profile
from tests.support.powercap import Powercap
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOST, HOUR_US
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_transforms.hostenergy import cpu_energy_between, energy_between

S = 1_000_000
T0 = 1_768_464_000_000_000 + HOUR_US - 20 * S
KEYS = ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1")


class Story:
    """40 s of two packages across a full hour, in two runs with 3 s between them."""

    def __init__(self, folder):
        self.tree = Powercap(folder)
        for key, name in zip(KEYS, ("package-0", "dram", "package-1"), strict=True):
            self.tree.add(key, name, 2_500 * S, counter_uj=2_400 * S)
        self.clock = PlannedClock(T0)
        self.lake = Lake(folder / "lake", create=True)
        self.true_uj = {T0: dict(self.tree.used_uj)}
        rng = random.Random(5)
        for second in range(1, 41):
            self.clock.at(second * S, lambda: self._spend(rng))
        self.run(25 * S)
        self.clock.sleep_until(self.clock.monotonic_us() + 3 * S, threading.Event())
        self.run(12 * S)

    def _spend(self, rng):
        for key in KEYS:
            self.tree.use(key, rng.randrange(900 * S))
        self.true_uj[self.clock.realtime_us()] = dict(self.tree.used_uj)

    def run(self, duration_us):
        config = Config(
            lake=str(self.lake.root), node="n1", rate_hz=1, rapl={"folder": str(self.tree.folder)}
        )
        with EmulatedNode(small_profile(), "n1", self.clock):
            boards, _ = open_boards()
            try:
                host = Host("n1", self.clock, Log("text"), boards=boards, lake=self.lake)
                Daemon(config, host).run(threading.Event(), duration_us)
            finally:
                close_boards()

    def rows(self, domain=None):
        found = self.lake.read("host").to_pylist()
        return [row for row in found if domain in (None, row["domain"])]

    def true_nj(self, start_us, end_us, *keys):
        before, after = self.true_uj[start_us], self.true_uj[end_us]
        return sum(1000 * (after[key] - before[key]) for key in keys)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("story"))


def test_the_energy_before_and_after_the_hour_is_the_truth(story):
    for domain, key in zip(("package-0", "dram-0", "package-1"), KEYS, strict=True):
        rows = story.rows(domain)
        for start_us, end_us in ((T0, T0 + 20 * S), (T0 + 20 * S, T0 + 25 * S)):
            found = energy_between(rows, start_us, end_us)
            true_nj = story.true_nj(start_us, end_us, key)
            assert (found.low_nj, found.energy_nj) == (true_nj, true_nj)
            # A step of the counter is in doubt each time that it begins again: here 1 uJ.
            assert 0 < found.high_nj - true_nj < 20_000
            assert (found.covered_us, found.max_gap_us) == (end_us - start_us, S)


def test_what_was_used_between_two_runs_is_unknown_and_bounded(story):
    limits = {"package-0": 1_000_000, "dram-0": 1_000_000, "package-1": 1_000_000}
    found = cpu_energy_between(story.rows(), T0, T0 + 40 * S, limits_mw=limits)
    known = story.true_nj(T0, T0 + 25 * S, *KEYS) + story.true_nj(T0 + 28 * S, T0 + 40 * S, *KEYS)
    assert (found.energy_nj, found.covered_us, found.max_gap_us) == (known, 37 * S, 3 * S)
    assert found.low_nj <= story.true_nj(T0, T0 + 40 * S, *KEYS) <= found.high_nj
    runs = {row["run"] for row in story.rows()}
    assert len(runs) == 2


def test_the_counters_began_again_often_and_no_epoch_did(story):
    rows = story.rows("package-0")
    assert {row["epoch"] for row in rows} == {0}
    shown = [row["counter_uj"] for row in rows]
    assert sum(b < a for a, b in itertools.pairwise(shown)) > 4
    assert [e["kind"] for e in story.lake.read("event").to_pylist() if "meter" in e["kind"]] == []


def test_files_from_before_the_new_columns_are_read(story, tmp_path):
    lake = Lake(tmp_path / "lake", create=True)
    row = {"ts_us": T0, "node": "n1", "domain": "psu", "energy_uj": 7}
    rows = pa.Table.from_pylist([row], HOST.schema())
    lake.append("host", rows, "n1")
    [path] = lake.files("host")
    pq.write_table(rows.select(HOST.column_names[:5]), path)  # as an earlier version wrote it
    assert lake.read("host").to_pylist() == [dict.fromkeys(HOST.column_names) | row]
