"""The `textfile` source: *.prom files become rows of `host`."""

import os
import threading

import pyarrow as pa
import pytest

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import HOST
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.textfile.parse import MeterReading, parse_meters
from tokenergy_collectors.sources.textfile.settings import Textfile, TextfileKeys
from tokenergy_collectors.sources.textfile.source import Textfiles

T0_US = 1_768_464_000_000_000
S = 1_000_000
METERS = """\
# HELP rack_pdu_watts What the outlet draws.
# TYPE rack_pdu_watts gauge
rack_pdu_watts{outlet="3",pdu="a"} 412.5
rack_pdu_watts{outlet="4",pdu="a"} 0
# TYPE psu_joules_total counter
psu_joules_total 1234.5
node_load1 3
"""


class Rig:
    """A folder, a source that reads it on a virtual clock, and the rows that it records."""

    def __init__(self, folder, lake=None, **settings):
        self.folder, self.rows = folder, []
        self.clock = VirtualClock(T0_US)
        self.host = Host("n1", self.clock, Log("text"), Output(self), lake=lake)
        keys = TextfileKeys(textfile=Textfile(folder=str(folder), every_s=10.0, **settings))
        self.source = Textfiles(keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.begin()
        self.source.plan(self.plan)
        self.keys = keys

    def add(self, table, rows):
        assert table == "host"
        self.rows += map(HOST.as_dict, rows)

    def write(self, name, text, at_us=None):
        path = self.folder / name
        path.write_text(text)
        at_us = self.clock.realtime_us() if at_us is None else at_us
        os.utime(path, ns=(at_us * 1_000, at_us * 1_000))

    def run(self, seconds):
        end_us = self.clock.monotonic_us() + seconds * S
        self.plan.schedule.run(end_us, threading.Event())
        [reader] = self.plan.readers
        return reader.health


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_watts_and_joules_become_rows_stamped_when_they_were_written(rig):
    rig.write("meters.prom", METERS, T0_US - 3 * S)
    health = rig.run(0)
    assert health.succeeded
    common = dict.fromkeys(HOST.column_names) | {"ts_us": T0_US - 3 * S, "node": "n1"}
    assert rig.rows == [
        common | {"domain": 'rack_pdu{outlet="3",pdu="a"}', "power_mw": 412_500},
        common | {"domain": 'rack_pdu{outlet="4",pdu="a"}', "power_mw": 0},
        common | {"domain": "psu", "energy_uj": 1_234_500_000},
    ]


def test_a_file_is_recorded_once_each_time_it_is_written(rig):
    rig.write("meters.prom", "x_watts 1\n")
    rig.run(25)
    rig.write("meters.prom", "x_watts 1\n")
    rig.run(10)
    assert [row["ts_us"] - T0_US for row in rig.rows] == [0, 25 * S]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x_watts NaN\n", "x_watts is nan"),
        ("x_watts -1\n", "x_watts is -1"),
        ("x_watts +Inf\n", "x_watts is inf"),
        ("x_joules_total 1e13\n", "x_joules_total is 1e+13"),
        ('x_watts{a="1"} 1\nx_watts{a="1"} 2\n', "two values"),
        ("x_watts\n", "x_watts"),
        ("_watts 5\n", "expected the name of a meter"),
        ("x_watts 1\n" + "#" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_a_bad_file_is_a_problem_and_keeps_no_other_from_being_read(rig, text, why):
    rig.write("bad.prom", text)
    rig.write("good.prom", "y_watts 2\n")
    health = rig.run(0)
    assert not health.succeeded
    assert health.failures == 1
    assert [row["domain"] for row in rig.rows] == ["y"]
    [finding] = [found for found in Textfiles.check(rig.keys, rig.host) if found.level == "warn"]
    assert finding.text.startswith("bad.prom: ")
    assert why in finding.text


def test_a_file_that_nobody_rewrites_is_a_failure_and_adds_no_rows(rig, capsys):
    rig.write("old.prom", "x_watts 1\n", T0_US - 299 * S)
    assert rig.run(0).succeeded
    assert not rig.run(50).succeeded
    assert len(rig.rows) == 1
    [line] = capsys.readouterr().err.splitlines()  # once, not at each of five looks
    assert 'why="old.prom: was not rewritten for more than 300 s"' in line
    rig.write("old.prom", "x_watts 1\n", T0_US + 90 * S)
    rig.run(10)
    assert "was written in the future" in capsys.readouterr().err
    assert len(rig.rows) == 1


@pytest.mark.parametrize("what", ["gone", "file", "empty", "x" * 300])
def test_a_folder_without_files_is_a_failure_and_a_finding(tmp_path, capsys, what):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    rig = Rig(tmp_path / what)
    assert not rig.run(20).succeeded
    [line] = capsys.readouterr().err.splitlines()  # once
    [finding] = Textfiles.check(rig.keys, rig.host)
    assert finding.level == "warn"
    assert finding.text in line
    words = {"gone": "No such file", "file": "Not a directory", "empty": "no *.prom files"}
    assert words.get(what, "File name too long") in finding.text


def test_a_pipe_is_not_waited_for(rig):
    os.mkfifo(rig.folder / "pipe.prom")
    rig.write("good.prom", "y_watts 2\n")
    assert rig.run(0).succeeded
    assert [finding.level for finding in Textfiles.check(rig.keys, rig.host)] == ["ok"]


def test_what_an_earlier_run_recorded_is_not_recorded_again(tmp_path):
    lake = Lake(tmp_path / "lake", create=True)
    folder = tmp_path / "prom"
    folder.mkdir()
    first = Rig(folder, lake)
    first.write("a.prom", "x_watts 1\ny_watts 2\n")
    first.run(0)
    rows = [HOST.make_row(**row) for row in first.rows]
    lake.append("host", pa.Table.from_batches([to_batch(rows, HOST.schema())]), "n1")
    second = Rig(folder, lake)
    second.run(0)
    assert (len(first.rows), second.rows) == (2, [])
    second.write("a.prom", "x_watts 1\n", T0_US + 5 * S)
    second.run(10)
    assert [row["ts_us"] for row in second.rows] == [T0_US + 5 * S]


def test_an_emulated_node_has_no_files(rig):
    rig.write("a.prom", "x_watts 1\n")
    rig.host.emulated = True
    plan = Plan(Schedule(rig.clock), rig.host)
    Textfiles(rig.keys, rig.host).plan(plan)
    assert plan.readers == []


def test_check_names_what_each_file_holds(rig):
    rig.write("meters.prom", METERS)
    rig.write("other.prom", "node_load1 3\n")
    meters, other = Textfiles.check(rig.keys, rig.host)
    assert (meters.level, meters.text.split(": ")[0]) == ("ok", "meters.prom")
    assert "psu" in meters.text
    assert (other.level, other.text) == (
        "warn",
        "other.prom: no metric ends in _watts or _joules_total",
    )


def test_without_a_folder_nothing_is_planned():
    host = Host("n1", VirtualClock(T0_US), Log("text"))
    plan = Plan(Schedule(host.clock), host)
    Textfiles(TextfileKeys(), host).plan(plan)
    assert plan.readers == []
    assert list(Textfiles.check(TextfileKeys(), host)) == []


def test_series_are_told_apart_by_every_label():
    assert parse_meters('a_watts{x="1"} 1\na_watts{x="2"} 2\na_joules_total{x="1"} 3\n') == [
        MeterReading('a{x="1"}', power_mw=1_000, energy_uj=3_000_000),
        MeterReading('a{x="2"}', power_mw=2_000),
    ]
