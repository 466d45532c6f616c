"""What a log holds besides readings: lines of the driver, zeros, cut lines, other headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.snapshot import snapshot
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.nvidia import log as nvidia_log
from tokenergy_collectors.importers.nvidia.smi import import_nvidia_smi
from tokenergy_collectors.lake import Lake

Write = Callable[[str | bytes], Path]
HEADER = "timestamp, index, power.draw [W]\n"
LOST = "Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error\n"


def line(second: int, index: int = 0, power: str = "100.00 W") -> str:
    return f"2024/01/31 12:{34 + second // 60:02d}:{second % 60:02d}.000, {index}, {power}\n"


LINES = "".join(line(second) for second in range(5))


def watts(lake: Lake) -> list[tuple[Any, ...]]:
    found = lake.read("power", columns=["device_id", "power_mw"]).to_pylist()
    return sorted((row["device_id"], row["power_mw"] // 1000) for row in found)


@pytest.mark.parametrize(
    "foreign",
    [
        LOST,
        "Failed to initialize NVML: Driver/library version mismatch\n",
        "No devices were found\n",
        "slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED, DUE TO TIME LIMIT ***\n",  # 2 cells
        "a, b, c\n",  # as wide as a reading
        "\0" * 300 + "\n",
        "2024/01/31 12:34:05.000, 0\n",
        "2024/01/31 12:34:\n",
        "2024/01/31 12:34:05.00" + "\0" * 300 + "\n",
    ],
)
@pytest.mark.parametrize("place", [0, 2, 5])
def test_one_line_that_is_no_reading_costs_no_other(
    lake: Lake, write: Write, foreign: str, place: int
) -> None:
    lines = [HEADER, *LINES.splitlines(keepends=True)]
    lines.insert(place + 1, foreign)
    result = import_nvidia_smi(lake, write("".join(lines)), "n1")
    assert watts(lake) == [("n1/0", 100)] * 5
    [said] = result.left_out.lines()
    assert said.startswith("left out 1 line: ")
    assert f"(line {place + 2}, " in said
    assert said.isprintable()


def test_what_was_left_out_is_counted_by_reason_with_the_first_line(
    lake: Lake, write: Write
) -> None:
    path = write(
        "Failed to initialize NVML: Unknown Error\n"
        + HEADER
        + LINES
        + 2 * LOST
        + "2024/01/31 12\n"
        + "0001-01-01T00:00:00Z, 0, 100 W\n"
        + "\x1b[31mNo devices were found\n"
    )
    result = import_nvidia_smi(lake, path, "n1")
    assert len(watts(lake)) == 5
    assert result.left_out.lines() == [
        "left out 4 lines: no reading (first: line 1, 'Failed to initialize NVML: Unknown Error')",
        "left out 1 line: cut off (line 10, '2024/01/31 12')",
        "left out 1 line: time outside the years 2000 to 2099 "
        "(line 11, '0001-01-01T00:00:00Z, 0, 100 W')",
    ]


def test_what_follows_zeros_is_read(lake: Lake, write: Write) -> None:
    zeros = "\0" * 500
    text = HEADER + line(0) + line(1)[:-9] + zeros + line(2) + zeros + HEADER + line(3)
    result = import_nvidia_smi(lake, write(text), "n1")
    assert len(watts(lake)) == 3
    assert result.left_out.count == 2


def test_zeros_at_the_start_and_at_the_end(lake: Lake, write: Write) -> None:
    path = write("\0" * 70_000 + "\n" + HEADER + LINES + "\0" * 300)
    result = import_nvidia_smi(lake, path, "n1")
    assert len(watts(lake)) == 5
    assert result.notes == ["skipped the last line: it is cut off"]


def test_a_header_in_mid_file_gives_the_columns_from_there_on(lake: Lake, write: Write) -> None:
    path = write(
        HEADER
        + line(0)
        + "timestamp, index, utilization.gpu [%], power.draw [W]\n"
        + "2024/01/31 12:34:30.000, 0, 90 %, 250.10 W\n"
        + line(31).strip()[:-8]  # cut off, and the next run appends its header
        + "timestamp, uuid, power.draw [W]\n"
        + "2024/01/31 12:34:40.000, GPU-a, 7 W\n"
    )
    result = import_nvidia_smi(lake, path, "n1")
    assert watts(lake) == [("GPU-a", 7), ("n1/0", 100), ("n1/0", 250)]
    assert result.left_out.of("cut off") == 1
    assert lake.read("state")["sm_util"].to_pylist() == [90]


def test_a_later_header_adds_to_what_is_known_of_a_device(lake: Lake, write: Write) -> None:
    path = write(
        HEADER
        + line(0)
        + "timestamp, index, name, power.draw [W]\n"
        + "2024/01/31 12:34:30.000, 0, NVIDIA A30, 250.10 W\n"
        + HEADER
        + line(40)
    )
    import_nvidia_smi(lake, path, "n1")
    devices = sorted(lake.read("device").to_pylist(), key=lambda row: row["ts_us"])
    assert [(row["index"], row["name"]) for row in devices] == [(0, None), (0, "NVIDIA A30")]


def test_lines_that_are_cut_off_are_not_the_rule(lake: Lake, write: Write) -> None:
    path = write(HEADER + line(0) + 3 * "2024/01/31 12:34:56.000, 0\n")
    with pytest.raises(UserError, match="line 3: 2 values"):
        import_nvidia_smi(lake, path, "n1")
    assert snapshot(lake) == {}


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0"])
def test_a_log_without_any_date_adds_nothing_and_is_no_error(
    lake: Lake, write: Write, stamp: str
) -> None:
    result = import_nvidia_smi(lake, write(HEADER + f"{stamp}, 0, 100 W\n"), "n1")
    assert result.left_out.count == 1
    assert snapshot(lake) == {}


def test_an_odd_line_costs_the_fast_reader_only_its_piece(
    lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia_log, "_PIECE_BYTES", 2_000)
    monkeypatch.setattr("tokenergy_collectors.base.csvfile._FIRST_BYTES", 500)
    taken = []
    add_chunk = nvidia_log.add_chunk
    monkeypatch.setattr(
        nvidia_log, "add_chunk", lambda *args: (taken.append(add_chunk(*args)), taken[-1])[1]
    )
    lines = [line(second) for second in range(900)]
    lines.insert(500, LOST)
    result = import_nvidia_smi(lake, write(HEADER + "".join(lines)), "n1")
    assert len(watts(lake)) == 900
    assert "(line 502, " in result.left_out.lines()[0]
    assert taken.count(False) <= 3
    assert taken.count(True) > 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# gpu    pwr  gtemp\n# Idx      W      C\n    0    119     59\n", "nvidia-smi dmon"),
        ("#Date       Time        gpu    pwr\n", "has no readings"),
        ("# gpu         pid   type     sm\n", "nvidia-smi pmon"),
        ("Mon Mar  2 10:00:00 2026\n+------------+\n", "the table that nvidia-smi prints"),
        ("| NVIDIA-SMI 550.90.07   Driver Version: 550.90.07 |\n", "the table"),
        ('<?xml version="1.0" ?>\n', "the XML of nvidia-smi -q -x"),
        ("==============NVSMI LOG==============\n", "nvidia-smi -q"),
        ('{"gpus": [\n', "JSON"),
        ("1772445600000,150,151,149,150\n", "has no header.*--columns"),
        ("2026/03/02 10:00:00.000, 0, 150.25 W\n", "has no header.*--columns"),
        ("No devices were found\n", "has no header, but begins with 'No devices"),
        ("\x1b[2Ja,b\n", r"its columns are '\\x1b\[2Ja, b'"),
    ],
)
def test_what_is_no_log_is_named(lake: Lake, write: Write, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        import_nvidia_smi(lake, write(text), "n1")
    assert str(caught.value).isprintable()
    assert snapshot(lake) == {}


POWERS = "timestamp{0} index{0} name{0} power.draw [W]\n" + "".join(
    f"2026/03/02 10:00:0{second}.000{{0}} 0{{0}} NVIDIA{{0}} {second}00.25 W\n" for second in (1, 2)
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_delimiters_and_encodings(
    lake: Lake, write: Write, delimiter: str, encoding: str, ending: str
) -> None:
    text = POWERS.format(delimiter).replace("\n", ending)
    import_nvidia_smi(lake, write(text.encode(encoding)), "n1")
    assert watts(lake) == [("n1/0", 100), ("n1/0", 200)]


def test_a_name_in_another_encoding_costs_no_reading(lake: Lake, write: Write) -> None:
    text = POWERS.format(",").replace("NVIDIA", "NVIDIA 显卡").encode("gbk")
    import_nvidia_smi(lake, write(text), "n1")
    assert len(watts(lake)) == 2
    [name] = lake.read("device")["name"].to_pylist()
    assert name.startswith("NVIDIA \ufffd")


def test_a_comma_before_the_fraction_of_a_second(lake: Lake, write: Write) -> None:
    path = write(
        "timestamp,index,utilization.gpu,power.draw\n"
        "2026-03-02T10:00:00,5+00:00,0, 97, 300.1\n"
        "2026-03-02T10:00:01,123456789+00:00,0, 97, 300.1\n"
        "2026-03-02T10:00:02+00:00,0, 97, 300.1\n"
    )
    import_nvidia_smi(lake, path, "n1")
    stamps = sorted(lake.read("power")["ts_us"].to_pylist())
    assert [ts_us % 10**7 for ts_us in stamps] == [500_000, 1_123_456, 2_000_000]


def test_milliseconds_after_a_comma_and_whole_watts(lake: Lake, write: Write) -> None:
    text = "timestamp,index,power.draw\n2026-03-02 10:00:01,123,0,95\n"
    import_nvidia_smi(lake, write(text), "n1")
    [row] = lake.read("power").to_pylist()
    assert (row["device_id"], row["power_mw"], row["ts_us"] % 10**6) == ("n1/0", 95_000, 123_000)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("timestamp,index,power.draw [W],utilization.gpu [%]", "0,150,25 W,7 %"),
        ("timestamp,index,power.draw", "0,150,25"),
        ("timestamp,power.draw,index", "150,25,0"),  # 150 is not a fraction of a second
        ("timestamp,index,power.draw", "0,9,5 W"),
    ],
)
def test_a_decimal_comma_never_moves_cells_to_other_columns(
    lake: Lake, write: Write, header: str, cells: str
) -> None:
    for stamp in ("2026/01/15 08:00:01", "2026/01/15 08:00:01.000"):
        with pytest.raises(UserError, match="line 2: "):
            import_nvidia_smi(lake, write(f"{header}\n{stamp},{cells}\n"), "n1")
    assert lake.read("power").num_rows == 0


def test_columns_as_scripts_name_them(lake: Lake, write: Write) -> None:
    path = write(
        "timestamp,gpu_index,gpu_name,temperature_c,power_w,power_limit_w,gpu_util_percent\n"
        "2026-03-02 10:00:00,0,NVIDIA A100,40,150.2,400,33.5\n"
        "2026-03-02 10:00:01,0,NVIDIA A100,4294967295,150.2,400,150\n"
    )
    import_nvidia_smi(lake, path, "n1")
    assert watts(lake) == [("n1/0", 150)] * 2
    [state] = lake.read("state").to_pylist()
    assert (state["sm_util"], state["temp_c"]) == (34, 40)
    assert lake.read("device")["limit_mw"].to_pylist() == [400_000]


def test_columns_of_a_log_without_a_header(lake: Lake, write: Write) -> None:
    path = write(LINES)
    import_nvidia_smi(lake, path, "n1", columns="timestamp,index,power.draw")
    assert watts(lake) == [("n1/0", 100)] * 5
    # They hold in place of a wrong header, too.
    path = write("timestamp, power.draw, index\n" + LINES.replace(",", ";"))
    import_nvidia_smi(lake, path, "n2", columns="timestamp,index,power.draw")
    assert watts(lake)[5:] == [("n2/0", 100)] * 5
    with pytest.raises(UserError, match=r"no column power\.draw"):
        import_nvidia_smi(lake, path, "n3", columns="timestamp,index,watts")


def test_device_of_a_log_without_a_column_for_it(lake: Lake, write: Write) -> None:
    path = write("timestamp, power.draw [W]\n2024/01/31 12:34:56.000, 100.00 W\n")
    for device, expected in (
        ("0", {"device_id": "n1/0", "index": 0}),
        ("GPU-a", {"device_id": "GPU-a", "index": None}),
        ("0000:3b:00.0", {"device_id": "n1/00000000:3B:00.0", "pci": "00000000:3B:00.0"}),
        ("/dev/nvidia2", {"device_id": "n1/nvidia2", "minor": 2}),
    ):
        one = Lake(lake.root / device.replace("/", "_"), create=True)
        import_nvidia_smi(one, path, "n1", device=device)
        [row] = one.read("device").to_pylist()
        assert {name: row[name] for name in expected} == expected
    with pytest.raises(UserError, match="--device: cannot read"):
        import_nvidia_smi(lake, path, "n1", device="GPU 0")
    with pytest.raises(UserError, match=r"has a column index .* expected no --device"):
        import_nvidia_smi(lake, write(HEADER + LINES), "n1", device="0")
