"""Boards whose power field is wrong although NVML says that all is well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.sampler.sampler import Sampler
from tokenergy_collectors.sources.host import Output
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.spool.spool import Spool

S = 1_000_000
T0 = 1_768_464_000_000_000


@pytest.fixture
def walk() -> Iterator[Walk]:
    walk = Walk(small_profile(unsupported=[]))
    with walk.node:
        yield walk
        close_boards()


def read(walk: Walk, folder: Path, until_us: int) -> tuple[list[dict[str, Any]], list[Any]]:
    """Read the boards ten times a second; return the rows of the first one, and its events."""
    boards, _ = open_boards()
    events: list[Any] = []
    lake = Lake(folder, create=True)
    spool = Spool(lake, "n1", print)
    sampler = Sampler(boards, walk.clock, T0, Output(spool), lambda *event: events.append(event))
    while walk.node.now_us() < until_us:
        walk.to(walk.node.now_us() + 100_000)
        sampler.sample(energy=False)
    sampler.flush()
    spool.seal()
    first = boards[0].device_id
    rows = [row for row in lake.read("power").to_pylist() if row["device_id"] == first]
    return sorted(rows, key=lambda row: row["ts_us"]), [e for e in events if e[1] == first]


def showing(monkeypatch: pytest.MonkeyPatch, field: int, value_mw: Any) -> None:
    """Let a field of every board show a value: `value_mw(call)`, None for the true one."""
    real, calls = pynvml.nvmlLib.nvmlDeviceGetFieldValues, [0]

    def fake(handle: Any, count: int, values: Any) -> Any:
        done = real(handle, count, values)
        calls[0] += 1
        for k in range(count):
            if values[k].fieldId == field and (shown := value_mw(calls[0])) is not None:
                values[k].value.uiVal = shown
        return done

    monkeypatch.setattr(pynvml.nvmlLib, "nvmlDeviceGetFieldValues", fake)


def test_a_reading_that_cannot_be_is_recorded_as_none(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = pynvml.NVML_FI_DEV_POWER_INSTANT
    showing(monkeypatch, instant, lambda call: 4_100_000 if 40 <= call < 60 else None)
    rows, events = read(walk, tmp_path / "lake", 5 * S)
    wrong = [row for row in rows if row["sensor"] == "implausible"]
    assert wrong
    assert {row["power_mw"] for row in wrong} == {None}
    assert max(row["power_mw"] or 0 for row in rows) < 1_050_000
    assert [kind for kind, _, _ in events] == ["implausible_power"]


def test_a_field_of_zero_is_no_power(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    showing(monkeypatch, pynvml.NVML_FI_DEV_POWER_INSTANT, lambda _: 0)
    rows, _ = read(walk, tmp_path / "lake", 2 * S)
    assert {row["sensor"] for row in rows} == {"average_1s"}
    assert min(row["power_mw"] for row in rows) > 0


def test_a_field_that_becomes_zero_is_left_for_another(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    showing(monkeypatch, pynvml.NVML_FI_DEV_POWER_INSTANT, lambda call: 0 if call > 40 else None)
    rows, events = read(walk, tmp_path / "lake", 5 * S)
    assert [kind for kind, _, _ in events] == ["sensor"]
    assert rows[-1]["sensor"] == "average_1s"
    assert rows[-1]["power_mw"] > 0
