from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia import log as nvidia_log
from tokenergy_collectors.importers.nvidia.cells import MISSING
from tokenergy_collectors.importers.nvidia.fast import add_chunk

Write = Callable[[str | bytes], Path]
HEADER = "timestamp, uuid, power.draw [W]\n"


def line(second: int, uuid: str = "GPU-a", power: str = "100.00 W") -> str:
    return f"2024/01/31 12:34:{56 + second:02d}.000, {uuid}, {power}\n"


CELLS = st.sampled_from(["100.00 W", "100.00", " 7.5 W", "[N/A]", "", "x", "-1", "0.0005"])
NAMES = st.sampled_from(["GPU-a", "GPU-b", "GPU-a ", "GPU-c", "[N/A]"])
STAMPS = st.integers(0, 59).map("2024/10/27 02:{:02d}:00.000".format)
LINES = st.lists(st.tuples(STAMPS, NAMES, CELLS).map(", ".join), min_size=1, max_size=12)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=LINES, zone=st.sampled_from(["UTC", "Europe/Berlin"]), noise=st.booleans())
def test_quick_and_exact_readers_agree(
    write: Write, monkeypatch: pytest.MonkeyPatch, lines: list[str], zone: str, noise: bool
) -> None:
    lines = [line(0).strip(), *lines, *([HEADER.strip(), "", line(1).strip()] if noise else [])]
    path = write(HEADER + "\n".join(lines) + "\n")

    def read(quick: bool) -> object:
        with monkeypatch.context() as patch:
            patch.setattr("tokenergy_collectors.base.csvfile._FIRST_BYTES", 64)
            patch.setattr("tokenergy_collectors.base.csvfile._CHUNK_BYTES", 100)
            if not quick:
                patch.setattr(nvidia_log, "add_chunk", lambda *_: False)
            try:
                log = nvidia_log.read_log(path, "n1", StampReader(zone))
            except UserError as error:
                return str(error)
            return [
                (one.stamps, one.codes, one.known, one.powers["unknown"], one.unnamed)
                for one in log.sections
            ], log.left_out.lines()

    assert read(quick=True) == read(quick=False)


def test_quick_reader_takes_the_bulk(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEADER + "".join(line(i % 4, f"GPU-{i % 3}", f"{i}.25 W") for i in range(9_000))
    taken = []

    def spy(*args: Any) -> bool:
        taken.append(add_chunk(*args))
        return taken[-1]

    monkeypatch.setattr(nvidia_log, "add_chunk", spy)
    [log] = nvidia_log.read_log(write(text), "n1", StampReader()).sections
    assert taken == [True]  # the first chunk is read line by line, and tells the columns
    assert np.array_equal(np.array(log.powers["unknown"]), np.arange(9_000) * 1000 + 250)
    assert MISSING not in log.powers["unknown"]


def test_quick_reader_leaves_the_fold_to_the_exact_one(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenergy_collectors.base.csvfile._FIRST_BYTES", 64)
    minutes = [0, 30, 59, 0, 30, 59]
    lines = ["2024/10/27 01:59:00.000, 0, 5.00 W, 1234567890"]
    lines += [f"2024/10/27 02:{minute:02d}:00.000, 0, 5.00 W, 1" for minute in minutes]
    path = write("timestamp, index, power.draw [W], x\n" + "\n".join(lines) + "\n")
    [log] = nvidia_log.read_log(path, "n1", StampReader("Europe/Berlin")).sections
    since = [(ts_us - log.stamps[0]) // 60_000_000 for ts_us in log.stamps]
    assert since == [0, 1, 31, 60, 61, 91, 120]
