"""Logs of `dcgmi dmon`, with a stamp before each line.

The shape is that of dcgmi/DeviceMonitor.cpp (NVIDIA/DCGM 4): a header of two lines, again after
every 14 rounds; numbers of type double with three decimals; N/A for nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.collectors.importers.test_cli import run
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.dcgm import import_dcgm
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake import Lake

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)
HEAD = ("#Entity   POWER           TOTEC                 GPUTL   TMPTR  ",
        "ID        W               mJ                            C      ")  # fmt: skip


def stamped(second: float, text: str) -> str:
    return f"{(T0 + timedelta(seconds=second)).isoformat(timespec='microseconds')} {text}\n"


def heads(second: float) -> str:
    return "".join(stamped(second, line) for line in HEAD)


def row(second: float, gpu: int, watts: str, energy: str, entity: str = "GPU") -> str:
    return stamped(second, f"{entity} {gpu}     {watts}         {energy}     97      61     ")


def log(seconds: int) -> str:
    """Two boards of 100 and 250 W, a line a second each."""
    found = heads(0)
    for second in range(seconds):
        found += heads(second) if second and second % 14 == 0 else ""
        for gpu, watts in enumerate((100, 250)):
            at = second + 0.25
            found += row(at, gpu, f"{watts}.000", str(5_000_000 + watts * 1000 * second))
    return found


def imported(tmp_path: Path, text: str, tz: str = "UTC") -> tuple[Lake, ImportResult]:
    path = tmp_path / "dmon.txt"
    path.write_text(text)
    lake = Lake(tmp_path / "lake", create=True)
    return lake, import_dcgm(lake, path, "n1", tz)


def test_power_energy_and_gauges(tmp_path: Path) -> None:
    lake, result = imported(tmp_path, log(30))
    power = lake.read("power").to_pylist()
    assert len(power) == 60
    first_us = int(T0.timestamp() * 1e6) + 250_000
    mine = sorted((r["ts_us"], r["energy_mj"]) for r in power if r["device_id"] == "n1/1")
    assert mine == [(first_us + s * 1_000_000, 5_000_000 + 250_000 * s) for s in range(30)]
    assert {r["power_mw"] for r in power if r["device_id"] == "n1/0"} == {100_000}
    assert {(r["sm_util"], r["temp_c"]) for r in lake.read("state").to_pylist()} == {(97, 61)}
    boards = lake.read("device").to_pylist()
    # A value is up to a delay older than its stamp: the bounds allow for it.
    assert {(r["device_id"], r["index"], r["stamp_step_us"], r["counter_us"]) for r in boards} == {
        ("n1/0", 0, 1_000_000, 1_000_000), ("n1/1", 1, 1_000_000, 1_000_000),
    }  # fmt: skip
    assert (result.devices, result.left_out.count, result.notes) == (2, 0, [])
    again = import_dcgm(lake, tmp_path / "dmon.txt", "n1")
    assert again.written == {}


def test_a_log_that_grew_adds_what_is_new(tmp_path: Path) -> None:
    imported(tmp_path, log(20))
    lake, result = imported(tmp_path, log(30))
    assert result.written["power"] == 20
    assert lake.read("power").num_rows == 60


def test_what_is_no_reading_is_left_out_and_counted(tmp_path: Path) -> None:
    text = log(10)
    text += row(10.25, 0, "N/A", "N/A", "GPU-I") + row(10.25, 1, "N/A", "N/A", "GPU-CI")
    text += row(11.25, 0, "N/A", "N/A")
    text += stamped(12, "dmon was stopped do to receiving a signal")
    text += stamped(12.25, "GPU 0     100.000")
    text += row(13.25, 1, "251.000", "8100000").rstrip()[:-20]
    lake, result = imported(tmp_path, text)
    assert lake.read("power").num_rows == 20
    said = " ".join(result.left_out.lines())
    assert result.left_out.count == 5
    assert "2 lines: an instance" in said
    assert "no reading" in said
    assert "cut off" in said


def test_the_instant_power_is_the_best(tmp_path: Path) -> None:
    text = stamped(0, "#Entity   POWER    POWINST") + stamped(0, "ID  W  W")
    for second in range(5):
        text += stamped(second, f"GPU 3   99.000   {140 + second}.500")
    lake, _ = imported(tmp_path, text)
    power = lake.read("power").to_pylist()
    assert sorted(r["power_mw"] for r in power) == [140_500 + 1_000 * n for n in range(5)]
    assert {r["sensor"] for r in power} == {"instant"}


def test_local_stamps_have_the_zone_that_is_given(tmp_path: Path) -> None:
    text = "2026-03-02 11:00:00 #Entity POWER\n"
    text += "".join(f"2026-03-02 11:00:0{n} GPU 0 100.000\n" for n in range(5))
    lake, _ = imported(tmp_path, text, "Europe/Berlin")
    assert min(lake.read("power")["ts_us"].to_pylist()) == int(T0.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#Entity   POWER\nID        W\nGPU 0     100.000\n", r"line 3: has no stamps.*\| ts "),
        ("Nov 29 10:00:00 #Entity POWER\nNov 29 10:00:00 GPU 0  1.0\n", r"record it with .*ts "),
        ("x #Entity GPUTL\n", r"neither power \(field 155\) nor energy \(156\), but GPUTL"),
        ("timestamp, index, power.draw [W]\n", "has no header, but begins with"),
        ("2026-03-02T10:00:00 #Entity POWER\n", "has no readings"),
        ("", "empty"),
    ],
)
def test_what_cannot_be_used_says_what_to_record(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        imported(tmp_path, text)
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "dmon.txt"
    path.write_text(log(30))
    said = run("dcgm", path, "--lake", tmp_path / "lake", "--node", "n1")
    assert "read 60 readings of 2 devices" in said
