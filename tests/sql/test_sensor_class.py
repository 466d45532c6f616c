"""Classes of sensor: every shipped board's errors lie within those that the ledger allows for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import LakeBuilder
from tokenergy_collectors.emulate.catalogue import SENSORS, shipped
from tokenergy_sql import catalog
from tokenergy_sql.models import model_text
from tokenergy_sql.pipeline import ERROR_PPM


def classes(folder: Path, **devices: dict[str, Any]) -> dict[str, dict[str, Any]]:
    builder = LakeBuilder(folder / "lake")
    for name, device in devices.items():
        builder.device(name, **device)
    with catalog.connect(builder.lake) as con:
        con.execute(f"CREATE TEMP TABLE parameters AS SELECT {ERROR_PPM}::BIGINT AS error_ppm")
        result = con.sql(model_text("sensor_class"))
        names = result.columns
        return {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}


@pytest.mark.parametrize("kind", list(shipped()))
def test_a_shipped_board_lies_within_its_class(tmp_path: Path, kind: str) -> None:
    board = shipped()[kind]
    sensor = SENSORS[board["sensor"]] | board
    told = "unknown" if "instant" in board.get("unsupported", []) else "instant"
    period_us = sensor["update_us"]
    device = {"name": board["name"], "sensor_kind": told, "update_us": period_us}
    found = classes(tmp_path, A={**device, "learned_us": period_us})["A"]
    assert abs(board.get("gain_ppm", 0)) + board["gain_spread_ppm"] <= found["gain_ppm"]
    offset_mw = abs(board.get("offset_mw", 0)) + board.get("offset_spread_mw", 0)
    assert offset_mw <= found["offset_mw"]
    assert found["window_us"] == pytest.approx(sensor["window_us"], rel=0.02)
    assert found["seen_ppm"] == pytest.approx(1e6 * sensor["window_us"] / period_us, rel=0.02)
    assert found["lag_us"] == pytest.approx((period_us + sensor["window_us"]) / 2, rel=0.02)


def test_what_is_not_known_and_what_is_sampled_too_rarely(tmp_path: Path) -> None:
    found = classes(
        tmp_path,
        imported={"name": "NVIDIA H100", "update_us": 1_000_000},
        rare={"sensor_kind": "instant", "learned_us": 20_000, "update_us": 50_000},
        average={"sensor_kind": "average_1s", "learned_us": 100_000, "update_us": 100_000},
        idle={"sensor_kind": "average_1s", "update_us": 100_000},
    )
    keys = ("window_us", "lag_us", "seen_ppm")
    assert {name: tuple(row[key] for key in keys) for name, row in found.items()} == {
        "imported": (None, 0, 1_000_000),
        "rare": (20_000, 20_000, 400_000),
        "average": (1_000_000, 550_000, 1_000_000),
        "idle": (1_000_000, 0, 1_000_000),
    }
