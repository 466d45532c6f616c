"""What may be wrong with a log as a whole is said: lines in no order, local hours that came twice,
boards that the lake has already. Lines of MIG instances are no boards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.nvidia.smi import import_nvidia_smi
from tokenergy_collectors.lake import Lake

Write = Callable[[str | bytes], Path]
HEADER = "timestamp, uuid, index, power.draw [W]\n"
WHOLE = "8932f930-d72c-4106-c12f-20bd9faed9f6"


def lines(first: int, end: int, watts: int = 100, device: str = "GPU-a", index: int = 0) -> str:
    return "".join(
        f"2026/01/15 08:00:{second:02d}.500, {device}, {index}, {watts}.00 W\n"
        for second in range(first, end)
    )


def test_a_clock_that_was_set_back_covers_a_time_twice(lake: Lake, write: Write) -> None:
    text = HEADER + lines(0, 40) + lines(20, 50, 300)
    [said] = import_nvidia_smi(lake, write(text), "n1").warnings
    assert "lines of GPU-a are in no order" in said
    assert "from 2026-01-15T08:00:20Z to 2026-01-15T08:00:39Z twice" in said


@pytest.mark.parametrize(
    "text",
    [
        lines(0, 40) + lines(0, 40),  # one log twice
        lines(30, 40) + lines(0, 30),  # two logs in the other order
        "".join(reversed(lines(0, 40).splitlines(keepends=True))),
        lines(0, 20, 100) + lines(0, 20, 200, "GPU-b", 1),
        lines(0, 9) + lines(8, 20, 200),  # a restarted loop: less than a second
    ],
)
def test_other_orders_harm_nothing(lake: Lake, write: Write, text: str) -> None:
    assert import_nvidia_smi(lake, write(HEADER + text), "n1").warnings == []


def test_a_board_that_the_lake_has_already_counts_twice(lake: Lake, write: Write) -> None:
    log = HEADER + lines(0, 10)
    for _ in range(2):
        assert import_nvidia_smi(lake, write(log), "n1").warnings == []
    [said] = import_nvidia_smi(lake, write(log), "n2").warnings
    assert "of GPU-a at these times already, as GPU-a of node n1" in said
    unnamed = write(log.replace(" uuid,", "").replace(" GPU-a,", ""))
    [said] = import_nvidia_smi(lake, unnamed, "n1").warnings
    assert "of n1/0 at these times already, as GPU-a of node n1" in said
    moved = write(HEADER + lines(10, 20))
    assert import_nvidia_smi(lake, moved, "n2").warnings == []  # at another time: it was moved


@pytest.mark.parametrize("power", ["100.00 W", "[N/A]"])
def test_lines_of_mig_instances_are_no_boards(lake: Lake, write: Write, power: str) -> None:
    mig = lines(0, 5, device="MIG-a1").replace("100.00 W", power)
    result = import_nvidia_smi(lake, write(HEADER + mig + lines(0, 5)), "n1")
    assert result.notes == ["skipped lines of MIG instances, whose board has the power: 5"]
    [row] = lake.read("device").to_pylist()
    assert (row["device_id"], row["index"]) == ("GPU-a", 0)
    assert lake.read("power").num_rows == 5
    with pytest.raises(UserError, match="has lines of MIG instances only"):
        import_nvidia_smi(lake, write(HEADER + mig), "n1")


def test_a_uuid_is_one_device_in_any_case(lake: Lake, write: Write) -> None:
    names = [f"GPU-{WHOLE}", f"gpu-{WHOLE.upper()}", WHOLE]
    text = "".join(lines(5 * place, 5 * place + 5, device=n) for place, n in enumerate(names))
    assert import_nvidia_smi(lake, write(HEADER + text), "n1").devices == 1
    assert set(lake.read("power")["device_id"].to_pylist()) == {f"GPU-{WHOLE}"}


@pytest.mark.parametrize(
    ("stamps", "warned"),
    [
        (["02:20:00", "02:40:00"], True),
        (["01:59:00", "02:00:00"], False),  # what comes right before tells
        (["01:30:00", "02:40:00"], True),
        (["02:20:00", "02:40:00", "02:10:00"], False),  # both passes are there
        (["03:20:00", "03:40:00"], False),
    ],
)
def test_a_local_hour_that_came_twice(
    lake: Lake, write: Write, stamps: list[str], warned: bool
) -> None:
    text = "".join(f"2025/10/26 {stamp}.000, GPU-a, 0, 100.00 W\n" for stamp in stamps)
    said = import_nvidia_smi(lake, write(HEADER + text), "n1", "Europe/Berlin").warnings
    assert ["an hour that Europe/Berlin had twice" in line for line in said] == [True] * warned


def test_a_clock_that_was_set_back_between_two_logs(lake: Lake, write: Write) -> None:
    import_nvidia_smi(lake, write(HEADER + lines(0, 30)), "n1")
    (path,) = lake.files("power")
    grown = HEADER + lines(0, 32)  # the same log, with what was added to it: no fault
    assert import_nvidia_smi(lake, write(grown), "n1").warnings == []
    (said,) = import_nvidia_smi(lake, write(HEADER + lines(20, 50, 300)), "n1").warnings
    assert said == (
        f"input.csv and {path.name} of the lake have different readings of GPU-a from "
        "2026-01-15T08:00:20Z to 2026-01-15T08:00:29Z: if the clock was set back between two "
        "logs, the power of that time is wrong"
    )


def test_logs_that_take_turns_or_fill_a_hole_are_no_fault(lake: Lake, write: Write) -> None:
    for text in (lines(0, 10) + lines(20, 30), lines(30, 40), lines(11, 20)):
        assert import_nvidia_smi(lake, write(HEADER + text), "n1").warnings == []
