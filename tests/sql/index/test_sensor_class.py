"""Classes of sensor: every shipped board's errors lie within those that the ledger allows for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import LakeBuilder
from tokenergy_collectors.emulate.profile.catalogue import SENSORS, shipped
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index.calibration import create_calibration
from tokenergy_sql.index.models import model_text


def classes(folder: Path, **devices: dict[str, Any]) -> dict[str | None, dict[str, Any]]:
    builder = LakeBuilder(folder / "lake")
    for name, device in devices.items():
        builder.device(name, **device)
    with catalog.connect(builder.lake) as con:
        create_calibration(con, ())
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
    spread_ppm, spread_mw = board["gain_spread_ppm"], board.get("offset_spread_mw", 0)
    for gain_ppm in (board.get("gain_ppm", 0) + sign * spread_ppm for sign in (-1, 1)):
        true_ppm = 1e12 / (1e6 + gain_ppm)
        assert found["sensor_low_ppm"] <= true_ppm <= found["sensor_high_ppm"]
    for offset_mw in (board.get("offset_mw", 0) + sign * spread_mw for sign in (-1, 1)):
        assert found["sensor_offset_low_mw"] <= offset_mw <= found["sensor_offset_high_mw"]
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
        # Of a log nobody can learn how often the reading is renewed: it is as published.
        logged={"name": "NVIDIA H100", "sensor_kind": "instant", "update_us": 1_000_000},
        plain={"name": "NVIDIA L40S", "sensor_kind": "instant", "update_us": 1_000_000},
        volta={"name": "Tesla V100-SXM2-16GB", "update_us": 1_000_000},
        ga100={"name": "NVIDIA A100-SXM4-80GB", "update_us": 1_000_000},
        averaged={"name": "NVIDIA A30", "sensor_kind": "average_1s", "update_us": 1_000_000},
        turing={"name": "Tesla T4", "sensor_kind": "unknown", "update_us": 1_000_000},
    )
    keys = ("window_us", "lag_us", "seen_ppm")
    assert {name: tuple(row[key] for key in keys) for name, row in found.items() if name} == {
        "imported": (None, 0, 1_000_000),
        "rare": (20_000, 20_000, 400_000),
        "average": (1_000_000, 550_000, 1_000_000),
        "idle": (1_000_000, 0, 1_000_000),
        "logged": (25_000, 0, 25_000),
        "plain": (100_000, 0, 100_000),
        "volta": (20_000, 0, 20_000),
        "ga100": (25_000, 0, 25_000),
        "averaged": (1_000_000, 0, 1_000_000),
        "turing": (100_000, 0, 100_000),
    }


def test_classes_are_those_of_published_cards(tmp_path: Path) -> None:
    """A100 PCIe: -4.6 % and -1.2 W. RTX 3090: -5.5 to 1.7 %. RTX 4090: 4.5 % and -12.4 W."""
    names = {"a100": "NVIDIA A100-PCIE-40GB", "rtx": "NVIDIA GeForce RTX 3090", "other": "board"}
    found = classes(tmp_path, **{key: {"name": name} for key, name in names.items()})
    published = {"a100": [(-46_000, -1_200)], "rtx": [(-55_000, 0), (17_000, 0), (45_000, -12_400)]}
    for name, cards in {**published, None: published["rtx"]}.items():
        for meter in ("sensor", "counter"):
            row = found[name]
            for gain_ppm, offset_mw in cards:
                true_ppm = 1e12 / (1e6 + gain_ppm)
                assert row[f"{meter}_low_ppm"] < true_ppm < row[f"{meter}_high_ppm"]
                offsets = (row[f"{meter}_offset_low_mw"], row[f"{meter}_offset_high_mw"])
                assert offsets[0] <= offset_mw <= offsets[1]
            assert not row["calibrated"]
            assert row[f"{meter}_own_ppm"] == row[f"{meter}_own_mw"] == 0
    assert found["a100"]["sensor_high_ppm"] - found["a100"]["sensor_low_ppm"] == pytest.approx(
        1e6 / 0.95 - 1e6 / 1.05, abs=2
    )
    told = {key: value for key, value in found["other"].items() if key != "device_id"}
    assert told | {"board": "", "limit_mw": None} == {
        key: value for key, value in found[None].items() if key != "device_id"
    }
