"""What a driver cannot mean is no value: field by field, and never a lost row."""

from types import SimpleNamespace

import pynvml
import pytest

from tests.support.daemon import Run, S
from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.lake.table import BOUNDS
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.nameplate import read_nameplate
from tokenergy_collectors.sources.nvml.ranges import RANGES, pci_address, pids_of, readable, within

ONES = 0xFFFF_FFFF
WIDE = 0xFFFF_FFFF_FFFF_FFFF
BAD = {
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=ONES, memory=ONES),
    "nvmlDeviceGetClockInfo": ONES,
    "nvmlDeviceGetTemperature": ONES,
    "nvmlDeviceGetCurrentClocksEventReasons": WIDE,
    "nvmlDeviceGetEnforcedPowerLimit": ONES,
    "nvmlDeviceGetPowerManagementLimitConstraints": [ONES, ONES],
    "nvmlDeviceGetPowerManagementDefaultLimit": ONES,
    "nvmlDeviceGetMinorNumber": ONES,
    "nvmlDeviceGetIndex": ONES,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=ONES, usedGpuMemory=0)],
}


@pytest.fixture
def walk():
    walk = Walk(small_profile())
    with walk.node:
        yield walk
        close_boards()


def say(monkeypatch, **values):
    """Let NVML calls return these values for every board."""
    for name, value in values.items():
        monkeypatch.setattr(pynvml, name, lambda *_, value=value: value)


def test_every_value_of_a_row_is_checked_alone(walk, monkeypatch):
    [board, *_], _ = open_boards()
    for name, bad in BAD.items():
        with monkeypatch.context() as patched:
            before, plate = board.state(), read_nameplate(board)
            say(patched, **{name: bad})
            after, other = board.state(), read_nameplate(board)
        changed = {gauge for gauge in before if before[gauge] != after[gauge]}
        changed |= {text.split(" ")[0] for text in plate.changes(other)}
        nulls = {gauge for gauge, value in after.items() if value is None}
        nulls |= {text.split(" ")[0] for text in plate.changes(other) if text.endswith("None")}
        assert changed == nulls, name
        assert len(changed) == {
            "nvmlDeviceGetUtilizationRates": 2,
            "nvmlDeviceGetPowerManagementLimitConstraints": 2,
            "nvmlDeviceGetIndex": 0,  # the index at which it was opened holds
            "nvmlDeviceGetComputeRunningProcesses": 0,  # not in a row of these
        }.get(name, 1), name


def test_a_driver_of_all_ones_loses_no_row(tmp_path, monkeypatch):
    good = Run(tmp_path / "good")
    good.run(20 * S, sources=False)
    bad = Run(tmp_path / "bad")
    # The temperature stays: a row of gauges in which nothing is known is not recorded at all.
    lies = {name: value for name, value in BAD.items() if name != "nvmlDeviceGetTemperature"}
    bad.run(20 * S, before=lambda node: say(monkeypatch, **lies), sources=False)
    for table in ("power", "state", "device"):
        assert len(bad.rows(table)) == len(good.rows(table)) > 0
    gauges = ("sm_util", "mem_util", "sm_mhz", "throttle", "pids")
    assert {row[name] for row in bad.rows("state") for name in gauges} == {None}
    limits = ("limit_mw", "limit_min_mw", "limit_max_mw", "limit_default_mw", "minor")
    assert {row[name] for row in bad.rows("device") for name in limits} == {None}
    assert {row["index"] for row in bad.rows("device")} == {0, 1, 2, 3}


@pytest.mark.parametrize("quantity", RANGES)
def test_the_ends_of_a_range_are_in_it(quantity):
    low, high = RANGES[quantity]
    assert [within(quantity, value) for value in (low, high)] == [low, high]
    assert [within(quantity, value) for value in (low - 1, high + 1, ONES, WIDE)] == [None] * 4
    assert within(quantity, None) is None


def test_no_range_exceeds_its_column():
    assert RANGES["limit_mw"][1] <= BOUNDS["power_mw"][1]
    assert RANGES["throttle"][1] < 2**63


@pytest.mark.parametrize(
    ("listed", "pids"),
    [
        (None, None),
        ([], []),
        ([7, 3], [3, 7]),
        ([ONES], None),
        ([ONES, 3_221_225_472, 0], None),
        ([ONES, 42], [42]),
    ],
)
def test_an_impossible_process_is_not_listed_and_does_not_empty_the_list(listed, pids):
    processes = None if listed is None else [SimpleNamespace(pid=pid) for pid in listed]
    assert pids_of(processes) == pids


def test_drivers_before_535_have_clock_reasons_by_their_older_name(walk, monkeypatch):
    [board, *_], _ = open_boards()

    def absent(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", absent)
    say(monkeypatch, nvmlDeviceGetCurrentClocksThrottleReasons=4)
    assert board.state()["throttle"] == 4
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons", absent)
    assert board.state()["throttle"] is None


def test_drivers_before_515_do_not_list_processes(walk, monkeypatch):
    [board, *_], _ = open_boards()
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetComputeRunningProcesses_v3",
        lambda handle: (_ for _ in ()).throw(
            pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        ),
    )
    assert board.processes() is None


def undecodable(*_):
    return b"\xf8\x95\xa0\x81\xe5N".decode()


def test_a_name_that_is_no_text_does_not_cost_the_board(walk, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", undecodable)
    boards, problems = open_boards()
    assert (len(boards), problems) == (4, [])
    assert boards[0].name == "\ufffd" * (len(boards[0].name) - 1) + "N"


def test_a_uuid_that_is_no_text_costs_only_its_board(walk, monkeypatch):
    uuid = pynvml.nvmlDeviceGetUUID
    calls = iter(range(99))
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetUUID",
        lambda handle: uuid(handle) if next(calls) else undecodable(),
    )
    boards, problems = open_boards()
    assert [board.index for board in boards] == [1, 2, 3]
    assert len(problems) == 1
    assert problems[0].startswith("GPU 0 cannot be opened")


def test_texts():
    assert readable("\0\0") is None
    assert readable("A\x1b[31m100") == "A\ufffd[31m100"
    assert readable(" NVIDIA A100 ") == "NVIDIA A100"
    assert pci_address("00000000:1B:00.0") == "00000000:1B:00.0"
    assert pci_address("\x03:") is None


def test_the_minor_number_is_recorded(tmp_path):
    run = Run(tmp_path)
    run.run(2 * S, sources=False)
    assert {(row["index"], row["minor"]) for row in run.rows("device")} == {
        (index, index) for index in range(4)
    }
