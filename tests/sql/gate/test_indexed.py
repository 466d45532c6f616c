"""The whole way: readings of two servers, the index, the gate; with and without a calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import command
from tests.support.lakes import LakeBuilder
from tests.support.servers import Server, serve
from tokenergy_collectors.lake import Lake

LOAD: dict[str, Any] = {"swing": 0.2, "mix_swing": 0.1}
CALIBRATION = "[reference]\ngain_uncertainty_ppm = 0\noffset_uncertainty_mw = 0\n" + "".join(
    f"[cards.{card}]\n"
    "counter.gain_ppm = 0\ncounter.gain_uncertainty_ppm = 2000\n"
    "counter.offset_mw = 0\ncounter.offset_uncertainty_mw = 0\n"
    for card in ("before", "after")
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = LakeBuilder(tmp_path_factory.mktemp("indexed") / "lake")
    board: dict[str, Any] = {"name": "NVIDIA A100", "counter_gain": 1.0}
    serve(builder, "before", Server(seed=1, **LOAD), **board)
    serve(builder, "after", Server(seed=2, gain=1.05, **LOAD), **board)
    return builder.build()


def gate(lake: Lake, base: str, head: str) -> tuple[int, dict[str, Any]]:
    code, out, err = command(
        "tokenergy", "gate", f"job:{base}", f"job:{head}", "--lake", str(lake.root),
        "--format", "json",
    )  # fmt: skip
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    return code, found


def test_a_job_against_itself_passes(lake: Lake) -> None:
    code, found = gate(lake, "before", "before")
    assert (code, found["verdict"], found["sample"]) == (0, "pass", "five_minutes")
    assert found["ratio"] == pytest.approx(1, abs=1e-9)
    assert found["shared_meters"] > 0.999
    assert found["base"]["compared_share"] > 0.98
    # One card on both sides: its 5 % cancel.
    assert found["ratio_high"] - found["ratio_low"] < 0.005


def test_on_two_cards_a_regression_shows_once_they_are_calibrated(lake: Lake) -> None:
    code, found = gate(lake, "before", "after")
    assert (code, found["verdict"], found["reasons"]) == (0, "cannot_tell", ["meters"])
    assert found["ratio"] == pytest.approx(1.05, abs=0.003)
    Path(lake.root, "calibration.toml").write_text(CALIBRATION, "utf-8")
    assert command("tokenergy", "index", "--lake", str(lake.root))[0] == 0
    code, found = gate(lake, "before", "after")
    assert (code, found["verdict"]) == (1, "worse")
    assert 1.04 < found["ratio_low"] < 1.05 < found["ratio_high"] < 1.06
