"""Cells of job lists: lists and ranges of indices, and what names no device at all."""

from __future__ import annotations

import pytest

from tokenergy_collectors.lake.devicenames import listed_devices


@pytest.mark.parametrize(
    ("cell", "devices"),
    [
        ("0", ["0"]),
        ("007", ["7"]),
        ("0-3", ["0", "1", "2", "3"]),
        ("0,1", ["0", "1"]),
        ("0, 2-3", ["0", "2", "3"]),
        ("1;2", ["1", "2"]),
        ("GPU-a,GPU-b", ["GPU-a", "GPU-b"]),
        ("12345678", ["12345678"]),
        ("8932f930-d72c-4106-c12f-20bd9faed9f6", ["8932f930-d72c-4106-c12f-20bd9faed9f6"]),
        ("MIG-GPU-a/1/0", ["MIG-GPU-a/1/0"]),
        ("00000000:3B:00.0", ["00000000:3B:00.0"]),
        ("/dev/nvidia0", ["/dev/nvidia0"]),
        ("²", ["²"]),
    ],
)
def test_what_a_cell_lists(cell: str, devices: list[str]) -> None:
    assert listed_devices(cell) == devices


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("GPU 0", "for index 0, write that"),
        ("gpu0", "for index 0, write that"),
        ("cuda:1", "for index 1, write that"),
        ("gpu#3", "for index 3, write that"),
        ("*", "names no device"),
        ("all", "names no device"),
        ("gpu[0-3]", "names no device"),
        ("0 1", "names no device"),
        ("0,", "names no device"),
        ("3-0", "expected a range such as 0-3"),
        ("0-9999", "expected a range such as 0-3"),
        ("0,0-2", "twice"),
    ],
)
def test_what_names_no_device_is_refused(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        listed_devices(cell)
