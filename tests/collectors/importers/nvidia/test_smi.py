from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.snapshot import snapshot
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.nvidia.cells import power_mw
from tokenergy_collectors.importers.nvidia.smi import import_nvidia_smi
from tokenergy_collectors.lake import Lake

Write = Callable[[str | bytes], Path]
RECORDED = Path(__file__).parents[3] / "data" / "wattameter_nvidia_smi.csv"
T0_US = 1_706_704_496_000_000
HEADER = "timestamp, uuid, power.draw [W]\n"


def rows(lake: Lake, table: str, *columns: str) -> list[tuple[Any, ...]]:
    found = lake.read(table, columns=list(columns))
    return sorted(tuple(row.values()) for row in found.to_pylist())


def line(second: int, uuid: str = "GPU-a", power: str = "100.00 W") -> str:
    return f"2024/01/31 12:34:{56 + second:02d}.000, {uuid}, {power}\n"


def test_recorded_log(lake: Lake) -> None:
    result = import_nvidia_smi(lake, RECORDED, "n1")
    assert result.rows == result.written == {"device": 4, "power": 560, "state": 560}
    assert result.devices == 4
    power = lake.read("power")
    first = power.filter(power["device_id"].to_numpy(zero_copy_only=False) == "n1/0").slice(0, 1)
    assert first.to_pylist() == [
        {
            "ts_us": 1_759_829_920_623_000,
            "device_id": "n1/0",
            "power_mw": 75_832,
            "sensor": "unknown",
            "energy_mj": None,
            "epoch": 0,
        }
    ]
    assert set(lake.read("device")["update_us"].to_pylist()) == {100_000}


def test_columns_in_any_order_units_and_descriptions(lake: Lake, write: Write) -> None:
    path = write(
        "power.draw.instant [W],utilization.gpu [%],name,gpu_uuid,temperature.gpu,"
        "clocks.sm [MHz],index,timestamp,power.limit [W],enforced.power.limit [W],"
        "pci.bus_id,driver_version,utilization.memory [%],power.draw [W],fan.speed [%],"
        "clocks_throttle_reasons.active\n"
        "99.9995 W,97 %,NVIDIA H100,GPU-a,60,1980 MHz,3,2024/01/31 12:34:56.000,700.00 W,"
        "650.00 W,00000000:1B:00.0,570.10,5 %,1.00 W,[N/A],0x0000000000000004\n"
    )
    import_nvidia_smi(lake, path, "n1")
    assert rows(lake, "power", "ts_us", "device_id", "power_mw", "sensor") == [
        (T0_US, "GPU-a", 100_000, "instant")
    ]
    assert lake.read("state").drop_columns(["ts_us", "device_id"]).to_pylist() == [
        {"sm_util": 97, "mem_util": 5, "sm_mhz": 1980, "temp_c": 60, "throttle": 4, "pids": None}
    ]
    device = lake.read("device").to_pylist()[0]
    assert device == {
        **dict.fromkeys(device),  # what is not named below is not told
        "ts_us": T0_US,
        "device_id": "GPU-a",
        "node": "n1",
        "index": 3,
        "name": "NVIDIA H100",
        "pci": "00000000:1B:00.0",
        "limit_mw": 650_000,
        "driver": "570.10",
        "sensor_kind": "instant",
        "emulated": False,
    }


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("unit", ["", " W"])
@pytest.mark.parametrize("space", ["", " "])
def test_dialects(
    lake: Lake, write: Write, ending: str, mark: bytes, unit: str, space: str
) -> None:
    header = ["timestamp", "uuid", "power.draw [W]" if unit else "power.draw"]
    lines = [header, ["2024/01/31 12:34:56.000", "GPU-a", f"0.001{unit}"], [""]]
    text = "".join(f",{space}".join(cells) + ending for cells in lines)
    import_nvidia_smi(lake, write(mark + text.encode()), "n1")
    assert rows(lake, "power", "ts_us", "device_id", "power_mw") == [(T0_US, "GPU-a", 1)]


def test_interleaved_out_of_order_and_repeated_rows(lake: Lake, write: Write) -> None:
    path = write(
        HEADER
        + line(2, "GPU-b", "3.00 W")
        + line(0)
        + line(0, "GPU-b", "1.00 W")
        + HEADER
        + line(1, "GPU-b", "2.00 W")
        + line(0)
        + line(2)
    )
    result = import_nvidia_smi(lake, path, "n1")
    power = lake.read("power", columns=["device_id", "ts_us", "power_mw"])
    second = 1_000_000
    assert [tuple(row.values()) for row in power.to_pylist()] == [
        ("GPU-a", T0_US, 100_000),
        ("GPU-a", T0_US + 2 * second, 100_000),
        ("GPU-b", T0_US, 1_000),
        ("GPU-b", T0_US + second, 2_000),
        ("GPU-b", T0_US + 2 * second, 3_000),
    ]
    assert result.notes == ["skipped repeated rows of power: 1"]
    assert rows(lake, "device", "device_id", "update_us") == [
        ("GPU-a", 2_000_000),
        ("GPU-b", 1_000_000),
    ]


@pytest.mark.parametrize(
    "word",
    [
        *("[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU requires reset]", ""),
        *("[GPU is lost]", "[Insufficient Permissions]", "[Not Found]"),
        *("nan", "NaN", "None", "null", "ERR!", "-"),
        # What the contract cannot hold is no reading either: -1 W, or all ones in mW.
        *("-1.00 W", "2147483.648", "4294967.29 W"),
    ],
)
def test_words_for_no_value_are_never_zero(lake: Lake, write: Write, word: str) -> None:
    result = import_nvidia_smi(lake, write(HEADER + line(0, power=word) + line(1)), "n1")
    assert rows(lake, "power", "ts_us", "power_mw") == [(T0_US + 1_000_000, 100_000)]
    assert result.notes == ["skipped rows without a power value: 1"]


def test_lost_gpu_that_does_not_tell_its_name(lake: Lake, write: Write) -> None:
    result = import_nvidia_smi(lake, write(HEADER + line(0) + line(1, "[N/A]", "[N/A]")), "n1")
    assert (result.rows["power"], len(result.notes)) == (1, 1)


@pytest.mark.parametrize(
    ("spacing_ms", "best"), [(100, "instant"), (499, "instant"), (500, "average_1s")]
)
def test_readings_far_apart_are_averages_where_there_are_some(
    lake: Lake, write: Write, spacing_ms: int, best: str
) -> None:
    stamps = [datetime.fromtimestamp(1_706_704_496 + k * spacing_ms / 1000, UTC) for k in range(9)]
    lines = [f"{one:%Y-%m-%dT%H:%M:%S.%f}Z,0,2,3\n" for one in stamps]
    path = write("timestamp,index,power.draw.average,power.draw.instant\n" + "".join(lines))
    import_nvidia_smi(lake, path, "a")
    assert {*rows(lake, "power", "sensor")} == {(best,)}
    assert rows(lake, "device", "sensor_kind") == [(best,)]


def test_each_device_has_one_sensor_the_best_it_answers(lake: Lake, write: Write) -> None:
    path = write(
        "timestamp,index,power.draw,power.draw.average,power.draw.instant\n"
        "2024-01-31T12:34:56Z,0,1,2,[N/A]\n"
        "2024-01-31T12:34:56Z,1,1,2,3\n"
        "2024-01-31T12:34:57Z,1,1,2,[N/A]\n"
        "2024-01-31T12:34:56Z,2,1,[N/A],N/A\n"
    )
    import_nvidia_smi(lake, path, "a/b")
    assert rows(lake, "power", "device_id", "power_mw", "sensor") == [
        ("a/b/0", 2_000, "average_1s"),
        ("a/b/1", 2_000, "average_1s"),
        ("a/b/1", 2_000, "average_1s"),
        ("a/b/2", 1_000, "unknown"),
    ]
    assert [path.name.split("-")[0] for path in lake.files("power")] == ["a%2Fb"]


@pytest.mark.parametrize(
    ("text", "value_mw"),
    [
        ("0.0005", 0),
        ("0.0015", 2),
        ("123.45 W", 123_450),
        ("2147483.647", 2**31 - 1),
        ("5.W", 5000),
    ],
)
def test_milliwatts_are_exact(text: str, value_mw: int) -> None:
    assert power_mw(text) == value_mw


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inf", "cannot read power"),
        ("1e3", "cannot read power"),
        ("100 mW", "cannot read power"),
        ("100.00 W, 5", "4 values"),
        ("٣", "cannot read power"),
    ],
)
def test_bad_power_names_its_line(lake: Lake, write: Write, text: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"input.csv: line 4: .*{said}"):
        import_nvidia_smi(
            lake, write(HEADER + line(0) + "\n" + line(1, power=text) + line(2)), "n1"
        )
    assert snapshot(lake) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (HEADER.encode(), "has no readings"),
        (HEADER.strip().encode(), "has no readings"),
        (b"\x1f\x8b\x08\x00rest", "is compressed"),
        (b"PAR1\x00\x01\x02", "is not text"),
        ("timestamp,uuid,power.draw\n".encode("utf-16"), "has no readings"),
        (HEADER.encode() + b"\xff\xfe, GPU-a, 1\n", "line 2: cannot read time"),
        (b"timestamp, power.draw\n1,2\n", r"no column uuid \(or index\)"),
        (b"uuid, power.draw\n1,2\n", "no column timestamp"),
        (b"timestamp, uuid\n1,2\n", "no column power.draw"),
        (b"timestamp, uuid, power.draw [mW]\n1,2,3\n", "expected power in W"),
        (HEADER.encode() + b"noon, GPU-a, 1.0\n", "line 2: cannot read time 'noon'"),
        (HEADER.encode() + b"1706704496, [N/A], 1.0\n", "line 2: cannot tell which GPU"),
        (b"timestamp,index,power.draw\n1706704496,x,1\n", "line 2: cannot read index"),
        (HEADER.encode() + b"No devices were found\n", "line 2: 1 values"),
        (b"timestamp,index,power.draw,utilization.gpu\n1706704496,0,1,x\n", "line 2: cannot read"),
    ],
)
def test_bad_files_say_one_line_and_write_nothing(
    lake: Lake, write: Write, content: bytes, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        import_nvidia_smi(lake, write(content), "n1")
    assert "\n" not in str(caught.value)
    assert "input.csv" in str(caught.value)
    assert snapshot(lake) == {}


def test_missing_file_folder_and_bad_node(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        import_nvidia_smi(lake, tmp_path / "none.csv", "n1")
    with pytest.raises(UserError, match="is a folder"):
        import_nvidia_smi(lake, tmp_path, "n1")
    with pytest.raises(UserError, match="node name"):
        import_nvidia_smi(lake, RECORDED, "")


@pytest.mark.parametrize(
    "tail", ["2024/01/31 12", line(1)[:-4], line(1, power="1.0"), line(1)[:-12], "\0\0"]
)
def test_line_that_was_cut_off_is_left_out(lake: Lake, write: Write, tail: str) -> None:
    result = import_nvidia_smi(lake, write(HEADER + line(0) + tail.rstrip("\n")), "n1")
    assert result.rows["power"] == 1
    assert result.notes == ["skipped the last line: it is cut off"]


def test_whole_last_line_needs_no_newline(lake: Lake, write: Write) -> None:
    result = import_nvidia_smi(
        lake, write(HEADER + line(0) + line(1, power="7.00 W").rstrip()), "n1"
    )
    assert (result.rows["power"], result.notes) == (2, [])


def test_importing_twice_changes_nothing_and_a_grown_log_adds_its_end(
    lake: Lake, write: Write
) -> None:
    import_nvidia_smi(lake, RECORDED, "n1")
    before = snapshot(lake)
    again = import_nvidia_smi(lake, RECORDED, "n1")
    assert (again.written, again.files) == ({}, [])
    assert snapshot(lake) == before
    path = write(HEADER + line(0) + line(1))
    import_nvidia_smi(lake, path, "n2")
    import_nvidia_smi(lake, write(path.read_text() + line(3)), "n2")
    assert len(lake.read("power", node="n2")) == 3
    assert len(lake.read("device", node="n2")) == 1


def test_local_time_across_the_fold(lake: Lake, write: Write) -> None:
    lines = [f"2024/10/27 02:{m:02d}:00.000, 0, 5.00 W" for m in (0, 30, 59, 0, 30, 59)]
    path = write("timestamp, index, power.draw [W]\n" + "\n".join(lines) + "\n")
    import_nvidia_smi(lake, path, "n1", "Europe/Berlin")
    start = 1_729_987_200_000_000
    assert [row[0] - start for row in rows(lake, "power", "ts_us")] == [
        m * 60_000_000 for m in (0, 30, 59, 60, 90, 119)
    ]


def test_the_steps_of_a_log_are_noted(lake: Lake, write: Write) -> None:
    """One board in whole seconds and watts, one in neither, one with too few lines to say."""
    lines = [HEADER]
    for k in range(20):
        lines.append(f"2024/01/31 12:35:{k:02d}.000, GPU-a, {100 + k} W\n")
        lines.append(f"2024/01/31 12:35:{k:02d}.0{k:02d}, GPU-b, 100.{k:02d} W\n")
    lines += [line(k, "GPU-c", f"{100 + k} W") for k in range(3)]
    import_nvidia_smi(lake, write("".join(lines)), "n1")
    assert rows(lake, "device", "device_id", "stamp_step_us", "power_step_mw") == [
        ("GPU-a", 1_000_000, 1_000),
        ("GPU-b", None, None),
        ("GPU-c", None, None),
    ]
