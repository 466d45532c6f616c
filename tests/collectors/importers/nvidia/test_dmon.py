"""Logs of `nvidia-smi dmon -o DT`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.nvidia.smi import import_nvidia_smi
from tokenergy_collectors.lake import Lake

HEAD = """\
#Date       Time        gpu    pwr  gtemp  mtemp     sm    mem   mclk   pclk
#YYYYMMDD   HH:MM:SS    Idx      W      C      C      %      %    MHz    MHz
"""


def line(second: int, gpu: int, watts: str = "119", sm: str = "100") -> str:
    stamp = f"20260302   10:00:{second:02d}"
    return f" {stamp}      {gpu}    {watts}     59      -    {sm}      7   1593   1410\n"


def imported(tmp_path: Path, text: str) -> Lake:
    path = tmp_path / "dmon.txt"
    path.write_text(text)
    lake = Lake(tmp_path / "lake", create=True)
    import_nvidia_smi(lake, path, "n1", "UTC")
    return lake


def test_power_and_gauges(tmp_path: Path) -> None:
    """The header comes again now and then, and a board that is away has a dash."""
    text = "".join(
        (HEAD if second % 3 == 0 else "")
        + line(second, 0, str(119 + second % 2))
        + line(second, 1, "-" if second == 2 else str(80 + second % 3), "5")
        for second in range(16)
    )
    lake = imported(tmp_path, text)
    power = lake.read("power").to_pylist()
    assert len(power) == 16 + 15
    assert {row["power_mw"] for row in power} == {n * 1_000 for n in (80, 81, 82, 119, 120)}
    assert {row["sensor"] for row in power} == {"unknown"}
    state = [row for row in lake.read("state").to_pylist() if row["sm_util"] == 100]
    assert {(row["mem_util"], row["sm_mhz"], row["temp_c"]) for row in state} == {(7, 1410, 59)}
    device = lake.read("device").to_pylist()
    assert {(row["index"], row["power_step_mw"], row["stamp_step_us"]) for row in device} == {
        (0, 1_000, 1_000_000), (1, 1_000, 1_000_000),
    }  # fmt: skip
    again = import_nvidia_smi(lake, tmp_path / "dmon.txt", "n1", "UTC")
    assert again.written == {}


def test_it_is_read_as_the_same_readings_in_csv_are(tmp_path: Path) -> None:
    """Also with a line that was cut off, a line of the driver, and a header of other columns."""
    text = HEAD + line(0, 0) + "Unable to determine the device handle\n" + line(1, 0)
    text += "#Date Time gpu pwr\n#YYYYMMDD HH:MM:SS Idx W\n" + " 20260302 10:00:02 0 121\n"
    text += " 20260302 10:00:03 0"
    (tmp_path / "a").mkdir()
    rows = imported(tmp_path / "a", text)
    csv = tmp_path / "b.csv"
    csv.write_text(
        "timestamp, index, power.draw [W]\n2026/03/02 10:00:00, 0, 119 W\n"
        "2026/03/02 10:00:01, 0, 119 W\n2026/03/02 10:00:02, 0, 121 W\n"
    )
    other = Lake(tmp_path / "b", create=True)
    import_nvidia_smi(other, csv, "n1", "UTC")
    assert rows.read("power").to_pylist() == other.read("power").to_pylist()


@pytest.mark.parametrize("options", ["", "#Time        "])
def test_without_date_and_time_it_says_what_to_record(tmp_path: Path, options: str) -> None:
    text = f"{options or '# '}gpu    pwr  gtemp\n# Idx      W      C\n    0    119     59\n"
    with pytest.raises(UserError, match=r"without date and time: record it with -o DT"):
        imported(tmp_path, text)


def test_without_power_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"power\.draw"):
        imported(tmp_path, "#Date Time gpu sm\n#YYYYMMDD HH:MM:SS Idx %\n 20260302 10:00:00 0 5\n")
