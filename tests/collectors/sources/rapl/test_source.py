"""The `rapl` source: what zones show becomes rows of `host` that anyone can check."""

import itertools
import queue
import random

import pytest

from tests.collectors.sources.rapl.rig import T0_US, Rig, S
from tests.support.powercap import INTEL_RANGE_UJ, PLATFORM, Powercap, server
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.rapl import source, zones
from tokenergy_collectors.sources.rapl.source import RaplMeters

RANGE_UJ = 4_000 * S
"""At 1,000 W a counter begins again about every fourth second."""

KEYS = {
    "package-0": "intel-rapl:0",
    "core-0": "intel-rapl:0:0",
    "dram-0": "intel-rapl:0:1",
    "package-1": "intel-rapl:1",
    "core-1": "intel-rapl:1:0",
    "dram-1": "intel-rapl:1:1",
    "psys-0": "intel-rapl:2",
}


@pytest.fixture
def tree(tmp_path):
    return server(tmp_path, RANGE_UJ)


@pytest.fixture
def refused(monkeypatch):
    """Files that only root may read; root runs tests, and may read every file."""
    paths = set()
    read = zones._text

    def text(path):
        if path.resolve() in paths:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(zones, "_text", text)
    return paths


def spend(tree, rng):
    for domain, key in KEYS.items():
        tree.use(key, rng.randrange(ranges(domain) // 4 + 1))


def ranges(domain):
    return RANGE_UJ * (PLATFORM if domain == "psys-0" else 1)


def test_rows_have_the_true_energy_through_many_ranges(tree):
    rng = random.Random(1)
    for key in KEYS.values():
        tree.show(key, rng.randrange(RANGE_UJ))
    rig = Rig(tree.folder)
    rig.run(0)
    for _ in range(60):
        spend(tree, rng)
        rig.run()
    for domain, key in KEYS.items():
        rows = rig.rows(domain)
        assert len(rows) == 61
        expected = {(0, 7, ranges(domain))}
        assert {(row["epoch"], row["run"], row["range_uj"]) for row in rows} == expected
        assert rows[-1]["energy_uj"] - rows[0]["energy_uj"] == tree.used_uj[key]
        assert tree.used_uj[key] > 5 * ranges(domain)
        assert [row["ts_us"] for row in rows] == [T0_US + n * S for n in range(61)]
    assert rig.events == []


def test_the_sum_can_be_done_anew_from_what_the_meter_showed(tree):
    rng = random.Random(2)
    rig = Rig(tree.folder)
    rig.run(0)
    for _ in range(40):
        spend(tree, rng)
        rig.run()
    for domain in KEYS:
        rows = rig.rows(domain)
        total_uj = rows[0]["counter_uj"]
        for before, after in itertools.pairwise(rows):
            step_uj = after["counter_uj"] - before["counter_uj"]
            total_uj += step_uj if step_uj >= 0 else step_uj + after["range_uj"]
            assert after["energy_uj"] == total_uj


def test_the_mmio_zone_of_a_package_is_not_read(tree):
    rig = Rig(tree.folder)
    rig.run(0)
    assert sorted(row["domain"] for row in rig.tables["host"]) == sorted(KEYS)


def test_an_edge_is_a_reading(tree):
    rig = Rig(tree.folder, every_s=3.0)
    rig.run(0)
    tree.use("intel-rapl:0", 500)
    rig.plan.schedule.once(rig.clock.monotonic_us() + 123_456, rig.source.edge)
    rig.run()
    assert [(row["ts_us"] - T0_US, row["energy_uj"]) for row in rig.rows("package-0")] == [
        *((0, 0), (123_456, 500))
    ]


def test_a_silence_that_may_hide_a_range_begins_an_epoch(tree):
    rig = Rig(tree.folder, every_s=4.0)
    rig.run(0)
    tree.use("intel-rapl:0", 100)
    rig.run(4)
    rows = rig.rows("package-0")
    assert [(row["epoch"], row["energy_uj"]) for row in rows] == [(0, 0), (1, 100)]
    kinds = {kind for kind, _ in rig.events}
    assert kinds == {"meter_reset"}
    rig.run(4)  # told once for each meter, not at each reading
    assert len(rig.events) == len(KEYS)
    assert rig.rows("package-0")[-1]["epoch"] == 2


def test_a_counter_that_begins_at_0_begins_an_epoch(tree):
    tree.show("intel-rapl:0", 2_000 * S)
    rig = Rig(tree.folder)
    rig.run(0)
    tree.show("intel-rapl:0", 3 * S)
    rig.run()
    tree.use("intel-rapl:0", 50 * S)
    rig.run()
    assert [(row["epoch"], row["energy_uj"]) for row in rig.rows("package-0")] == [
        *((0, 2_000 * S), (1, 3 * S), (1, 53 * S))
    ]
    [(kind, detail)] = rig.events
    assert (kind, detail.split(":")[0]) == ("meter_reset", "package-0")


def test_a_host_that_slept_begins_epochs(tree):
    rig = Rig(tree.folder)
    rig.run(0)
    rig.clock.slept_us += 600_000
    rig.run()
    rig.run()
    assert [row["epoch"] for row in rig.rows("dram-1")] == [0, 1, 1]
    assert len(rig.events) == len(KEYS)
    assert all("slept" in detail for _, detail in rig.events)


def test_a_zone_that_goes_and_comes_is_told_and_counts_anew(tree):
    rig = Rig(tree.folder)
    rig.run(0)
    tree.remove("intel-rapl:1:1")
    assert rig.run(2).succeeded  # the others are read
    assert rig.events == [("meter_lost", "dram-1: its folder has gone")]
    tree.add("intel-rapl:1:1", "dram", RANGE_UJ, counter_uj=77)
    rig.run()
    assert [kind for kind, _ in rig.events] == ["meter_lost", "meter_found", "meter_reset"]
    assert [(row["epoch"], row["energy_uj"]) for row in rig.rows("dram-1")] == [(0, 0), (1, 77)]
    assert len(rig.rows("package-1")) == 4


def test_a_zone_that_has_gone_is_not_looked_for_at_each_reading(tree, monkeypatch):
    looked = []
    find = source.find_zones
    monkeypatch.setattr(source, "find_zones", lambda folder: looked.append(folder) or find(folder))
    rig = Rig(tree.folder)
    rig.run(3)
    tree.remove("intel-rapl:1:1")
    rig.run(5)
    assert len(looked) == 2


def test_a_zone_whose_files_have_gone_counts_anew(tree):
    rig = Rig(tree.folder)
    rig.run(0)
    (tree.path("intel-rapl:0:0") / "energy_uj").unlink()  # the folder's list stays as it was
    (tree.path("intel-rapl:0:0") / "name").unlink()
    rig.run(2)
    (tree.path("intel-rapl:0:0") / "name").write_text("core")
    tree.show("intel-rapl:0:0", 8)
    rig.run()
    assert [(row["epoch"], row["energy_uj"]) for row in rig.rows("core-0")] == [(0, 0), (1, 8)]


def test_meters_that_are_hidden_are_one_line(tree, tmp_path, capsys):
    (tmp_path / "devices").rename(tmp_path / "hidden")
    rig = Rig(tree.folder)
    assert rig.plan.readers == []
    [line] = capsys.readouterr().err.splitlines()
    assert "its name cannot be read: No such file or directory" in line
    assert {finding.level for finding in rig.findings()} == {"warn"}


def test_a_zone_that_comes_later_is_an_event(tree):
    rig = Rig(tree.folder)
    rig.run(0)
    tree.add("intel-rapl:3", "package-3", RANGE_UJ)
    rig.run()
    assert rig.events == [("meter_found", "package-3 can be read")]
    assert [row["epoch"] for row in rig.rows("package-3")] == [0]


def test_a_zone_that_cannot_be_read_for_a_moment_goes_on_in_its_epoch(tree, capsys):
    rig = Rig(tree.folder)
    rig.run(0)
    tree.write("intel-rapl:0", "\n")
    health = rig.run(2)
    assert not health.succeeded
    tree.use("intel-rapl:0", 500)
    assert rig.run().succeeded
    assert [(row["epoch"], row["energy_uj"]) for row in rig.rows("package-0")] == [(0, 0), (0, 500)]
    assert [kind for kind, _ in rig.events] == ["meter_lost", "meter_found"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "source_failed" in line]
    assert len(lines) == 1  # not one for each second
    assert "package-0: energy_uj is ''" in lines[0]


def test_a_host_that_loses_all_its_zones_has_a_failing_source(tree):
    rig = Rig(tree.folder)
    rig.run(0)
    for key in sorted(KEYS.values(), reverse=True):
        tree.remove(key)
    assert not rig.run().succeeded
    assert len(rig.events) == len(KEYS)


def test_without_leave_nothing_is_read_and_one_line_says_how_to_get_it(tree, refused, capsys):
    refused.update((tree.path(key) / "energy_uj").resolve() for key in KEYS.values())
    rig = Rig(tree.folder)
    assert rig.plan.readers == []
    [line] = capsys.readouterr().err.splitlines()
    assert "event=rapl" in line
    [finding] = rig.findings()
    assert finding.level == "warn"
    for words in (*KEYS, "only root", "chgrp", "/etc/udev/rules.d", "docs/host-energy.md"):
        assert words in finding.text
    assert rig.tables["host"] == []


def test_with_leave_for_some_these_are_read_and_one_line_names_the_others(tree, refused, capsys):
    path = (tree.path("intel-rapl:1") / "energy_uj").resolve()
    refused.add(path)
    rig = Rig(tree.folder)
    assert rig.run(3).succeeded
    [line] = capsys.readouterr().err.splitlines()
    assert "package-1: only root" in line
    assert rig.events == rig.rows("package-1") == []
    assert len(rig.rows("package-0")) == 4
    refused.remove(path)
    rig.run()
    assert rig.events == [("meter_found", "package-1 can be read")]
    refused.add(path)  # what was read before is lost, and told
    rig.run(2)
    assert rig.events[1:] == [("meter_lost", "package-1: Permission denied")]


@pytest.mark.parametrize("how", ["no tree", "off", "emulated"])
def test_a_host_without_meters_is_quiet(tree, tmp_path, capsys, how):
    folder = tmp_path / "none" if how == "no tree" else tree.folder
    rig = Rig(folder, emulated=how == "emulated", enabled=how != "off")
    assert rig.plan.readers == []
    assert rig.findings() == []
    assert capsys.readouterr().err == ""


def test_check_names_the_meters_and_when_they_begin_again(tmp_path):
    tree = Powercap(tmp_path)
    tree.add("intel-rapl:0", "package-0", INTEL_RANGE_UJ)
    tree.add("intel-rapl:0:0", "dram", 65_532_610_987)
    [finding] = Rig(tree.folder).findings()
    assert finding == (
        *("ok", "rapl", "package-0, dram-0; a counter begins again after 65.4 s or later"),
    )


@pytest.mark.parametrize(("every_s", "enough"), [(32.7, True), (32.8, False), (600.0, False)])
def test_too_long_a_period_is_a_finding_and_a_line(tmp_path, capsys, every_s, enough):
    tree = Powercap(tmp_path)
    tree.add("intel-rapl:0", "package-0", 65_532_610_987)
    rig = Rig(tree.folder, every_s=every_s)
    found = [finding.text for finding in rig.findings() if finding.level == "warn"]
    lines = capsys.readouterr().err.splitlines()
    assert len(found) == len(lines) == (not enough)
    assert all(f"every_s is {every_s:g}, expected at most 32.7" in text for text in found)


def test_readings_run_in_a_thread_of_their_own(tree):
    """A writer and the reading thread take turns: each waits for the other's event."""
    got: queue.Queue[dict[str, int]] = queue.Queue()

    class Sink:
        def add(self, table, rows):
            found = map(TABLES[table].as_dict, rows)
            got.put({row["domain"]: row["energy_uj"] for row in found})

    host = Host("n1", VirtualClock(T0_US), Log("text"), Output(Sink()), inline=False, run=1)
    rig = Rig(tree.folder)
    source = RaplMeters(rig.keys, host)
    plan = Plan(Schedule(host.clock), host)
    source.plan(plan)
    rng = random.Random(3)
    source.edge()
    assert got.get(timeout=60)["package-0"] == 0
    for _ in range(20):
        for key in KEYS.values():
            tree.use(key, rng.randrange(90 * S))  # no time passes here: the slack allows 100 J
        source.edge()
        found = got.get(timeout=60)
        assert found == {domain: tree.used_uj[key] for domain, key in KEYS.items()}
    [reader] = plan.readers
    assert reader.finish(60)
