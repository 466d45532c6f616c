"""Which device a line of a log is about, when the names of the devices are few, odd or wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.snapshot import snapshot
from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.nvidia.naming import read_name
from tokenergy_collectors.importers.nvidia.smi import import_nvidia_smi
from tokenergy_collectors.lake import Lake

Write = Callable[[str | bytes], Path]


def log(names: str, *ticks: list[str], fraction: str = "") -> str:
    """A log with naming columns `names`: for each tick the names of its lines."""
    text = f"timestamp,{names},power.draw\n"
    for second, tick in enumerate(ticks):
        for place, cells in enumerate(tick):
            stamp = f"2026-03-02T10:00:{second:02d}{fraction}Z"
            text += f"{stamp},{cells},{100 * (place + 1)}\n"
    return text


def watts(lake: Lake) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for row in lake.read("power").to_pylist():
        found.setdefault(row["device_id"], set()).add(row["power_mw"] // 1000)
    return found


def described(lake: Lake) -> dict[str, tuple[Any, ...]]:
    rows = lake.read("device").to_pylist()
    return {row["device_id"]: (row["index"], row["pci"], row["minor"]) for row in rows}


@pytest.mark.parametrize(
    ("column", "cell", "device_id", "row"),
    [
        ("index", "3", "n1/3", (3, None, None)),
        ("gpu", "3", "n1/3", (3, None, None)),
        ("gpu", "GPU-a", "GPU-a", (None, None, None)),
        ("uuid", "GPU-a", "GPU-a", (None, None, None)),
        ("uuid", "abc", "abc", (None, None, None)),
        ("uuid", "3", "n1/3", (3, None, None)),  # the header is swapped
        ("index", "GPU-a", "GPU-a", (None, None, None)),
        ("pci.bus_id", "00000000:3B:00.0", "n1/00000000:3B:00.0", (None, "00000000:3B:00.0", None)),
        ("pci.bus_id", "0000:3b:00.0", "n1/00000000:3B:00.0", (None, "00000000:3B:00.0", None)),
        ("gpu_bus_id", "0000:3b:00.0", "n1/00000000:3B:00.0", (None, "00000000:3B:00.0", None)),
        ("minor_number", "3", "n1/nvidia3", (None, None, 3)),
        ("device", "nvidia3", "n1/nvidia3", (None, None, 3)),
    ],
)
def test_each_column_names_the_device(
    lake: Lake, write: Write, column: str, cell: str, device_id: str, row: tuple[Any, ...]
) -> None:
    import_nvidia_smi(lake, write(log(column, [cell], [cell])), "n1")
    assert watts(lake) == {device_id: {100}}
    assert described(lake) == {device_id: row}


@pytest.mark.parametrize("names", ["gpu,index", "index,gpu", "uuid,gpu", "pci.bus_id,gpu"])
def test_a_column_that_gives_all_devices_one_name_is_not_believed(
    lake: Lake, write: Write, names: str
) -> None:
    one = "00000000:3B:00.0" if "pci" in names else "GPU-a" if "uuid" in names else "0"
    place = names.split(",").index("gpu")
    tick = [",".join([one, str(n)][:: 1 if place else -1]) for n in range(4)]
    result = import_nvidia_smi(lake, write(log(names, tick, tick)), "n1")
    if "pci" in names:  # the index is the better name, and the address is no one's
        assert {row[1] for row in described(lake).values()} == {None}
    assert watts(lake) == {f"n1/{n}": {100 * (n + 1)} for n in range(4)}
    assert {row[0] for row in described(lake).values()} == {0, 1, 2, 3}
    [note] = result.notes
    assert "gives one name to several devices" in note


def test_an_index_that_all_uuids_share_is_not_recorded(lake: Lake, write: Write) -> None:
    tick = ["GPU-a,0", "GPU-b,0"]
    import_nvidia_smi(lake, write(log("uuid,index", tick, tick)), "n1")
    assert set(watts(lake)) == {"GPU-a", "GPU-b"}
    assert {row[0] for row in described(lake).values()} == {None}


def test_boards_that_are_renumbered_keep_their_uuids(lake: Lake, write: Write) -> None:
    path = write(log("uuid,index", ["GPU-a,0", "GPU-b,1"], ["GPU-b,0", "GPU-a,1"]))
    assert import_nvidia_smi(lake, path, "n1").notes == []
    assert set(watts(lake)) == {"GPU-a", "GPU-b"}


def test_columns_that_contradict_each_other_are_refused(lake: Lake, write: Write) -> None:
    tick = ["0,0", "0,1", "1,0", "1,1"]
    with pytest.raises(UserError, match="columns index, gpu contradict each other"):
        import_nvidia_smi(lake, write(log("index,gpu", tick, tick)), "n1")
    assert snapshot(lake) == {}


def test_a_lost_uuid_is_known_by_its_index(lake: Lake, write: Write) -> None:
    path = write(log("uuid,index", ["GPU-a,0", "GPU-b,1"], ["[N/A],0", "GPU-b,1"]))
    import_nvidia_smi(lake, path, "n1")
    assert set(watts(lake)) == {"GPU-a", "GPU-b"}
    assert len(lake.read("power")) == 4


def test_several_powers_at_one_instant_of_a_finer_stamp_are_refused(
    lake: Lake, write: Write
) -> None:
    tick = ["0", "0", "0"]
    path = write(log("index", tick, tick, fraction=".125"))
    with pytest.raises(UserError, match="device 'n1/0' has 3 different powers at one instant"):
        import_nvidia_smi(lake, path, "n1")
    assert snapshot(lake) == {}


@pytest.mark.parametrize("fraction", ["", ".000"])
def test_stamps_to_the_second_hold_several_readings(
    lake: Lake, write: Write, fraction: str
) -> None:
    text = log("index", *(12 * [["0", "0", "0"]]), fraction=fraction).replace(",300\n", ",100\n")
    result = import_nvidia_smi(lake, write(text), "n1")
    assert result.rows["power"] == len(lake.read("power")) == 36
    before = snapshot(lake)
    assert import_nvidia_smi(lake, write(text), "n1").written == {}
    assert snapshot(lake) == before
    grown = import_nvidia_smi(lake, write(text + text.splitlines()[-1] + "\n"), "n1")
    assert grown.written == {"power": 1}
    assert len(lake.read("power")) == 37


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *(("gpu", "GPU 0"), ("gpu", "0-3"), ("index", "x"), ("index", "99999999")),
        *(("uuid", "[N/A]"), ("uuid", "GPU-\x1b[0m"), ("minor_number", "99999999")),
    ],
)
def test_what_is_no_name(column: str, text: str) -> None:
    with pytest.raises(BadValueError) as caught:
        read_name(column, text, "n1")
    assert str(caught.value).isprintable()
