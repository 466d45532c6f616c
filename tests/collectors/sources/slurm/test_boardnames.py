"""Which board Slurm means by a number."""

import pytest

from tokenergy_collectors.lake.devicehistory import Sighting
from tokenergy_collectors.sources.slurm.boardnames import (
    board_names,
    device_files,
    minors_at,
    numbers,
)


def test_numbers_and_files_as_slurm_lists_them():
    assert numbers("0,2-4") == [0, 2, 3, 4]
    assert device_files("/dev/nvidia[1-3,6]") == [1, 2, 3, 6]
    assert device_files("/dev/nvidia5, /dev/nvidia[0,1]") == [5, 0, 1]


@pytest.mark.parametrize("text", ["", "3-1", "a", "0,", "0-99999", "-1", "\u0661"])
def test_other_numbers_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        numbers(text)


@pytest.mark.parametrize("text", ["", "/dev/dri/card0", "nvidia[0-1],nvidia1", "/dev/nvidia*"])
def test_other_files_are_refused(text):
    with pytest.raises(ValueError, match=r"expected the device files|a file twice"):
        device_files(text)


def test_a_number_is_the_place_of_a_device_file():
    assert board_names("0,3", "0,3", [1, 2, 3, 6]) == [(0, "nvidia1"), (3, "nvidia6")]
    with pytest.raises(ValueError, match=r"board 4 of 4 .* set device_files"):
        board_names("4", "4", [1, 2, 3, 6])


def test_ids_that_slurm_lists_are_taken_instead():
    mig = "MIG-c2a1e5b0-1111-2222-3333-444455556666"
    assert board_names("5", mig, []) == [(5, mig)]
    assert board_names("0-1", "0,1", [4, 7]) == [(0, "nvidia4"), (1, "nvidia7")]


def test_minor_numbers_are_those_of_the_time():
    seen = [
        Sighting(10, "A", "n1", 0, minor=1),
        Sighting(10, "B", "n1", 1, minor=0),
        Sighting(10, "MIG-1", "n1", mig_parent="A"),
        Sighting(50, "A", "n2", 0, minor=0),
        Sighting(50, "B", "n1", 0, minor=5),
    ]
    assert minors_at(seen, "n1", 10) == [0, 1]
    assert minors_at(seen, "n1", 49) == [0, 1]
    assert minors_at(seen, "n1", 50) == [5]
    assert minors_at(seen[:3], "n1", 1) == [0, 1]  # nothing is known of before
