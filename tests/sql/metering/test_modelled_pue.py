"""A PUE of parts, beside the truth of a planted hall; what is labelled how, and what is unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sql.metering.modelledsite import (
    COOLING,
    GRID,
    HALL,
    LIGHTS_KW,
    LOSS,
    METERS,
    MODEL,
    TEXT,
    Truth,
)
from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tokenergy_sql.cooling.puemodel import with_models
from tokenergy_sql.index.site import load_site
from tokenergy_sql.metering.hour import hour_rows

KWH = 3_600 * 10**12

COOLED = 'cooling = "modelled"\ncooling_accuracy_percent = 15'


def rows_of(
    root: Path, text: str, truth: Truth, *lost: str
) -> tuple[dict[int, dict[tuple[str, str], dict[str, Any]]], list[dict[str, Any]]]:
    """The rows of `site_hour` by hour, place and figure, and those of `site_part`."""
    builder = LakeBuilder(root / "lake")
    truth.write(builder, *lost)
    (builder.lake.root / "site.toml").write_text(text, "utf-8")
    site = load_site(None, builder.lake.root)
    by_hour, parts = {}, []
    for hour in range(truth.hours):
        hour_us = T0 + hour * HOUR_US
        metered = hour_rows(builder.lake, site.places, hour_us, "v")
        found = with_models(builder.lake, site.places, site.cooling, metered, hour_us, "v")
        by_hour[hour] = {(r["place"], r["figure"]): r for r in found.site.to_pylist()}
        parts += found.parts.to_pylist()
    return by_hour, parts


def value(row: dict[str, Any]) -> float:
    return int(row["above"]) / int(row["below"])


@pytest.mark.parametrize(
    ("seed", "mean_c", "off"), [(1, 8.0, 0.5), (2, 24.0, 0.5), (3, 31.0, 0.5), (12, 31.0, 1.0)]
)
def test_bounds_hold_the_truth_of_a_planted_hall(
    tmp_path: Path, seed: int, mean_c: float, off: float, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = Truth(seed, mean_c=mean_c, off=off)
    by_hour, _ = rows_of(tmp_path, TEXT, truth)
    errors, inside = [], 0
    for hour, rows in by_hour.items():
        row, true = rows["hall:a", "pue_modelled"], truth.pue(hour)
        assert row["covered_us"] == HOUR_US
        errors.append(value(row) / true - 1)
        low, high = row["above_low"] / row["below_high"], row["above_high"] / row["below_low"]
        assert 1 < low < value(row) < high
        inside += low <= true <= high
    with capsys.disabled():
        worst, rms = np.max(np.abs(errors)), np.sqrt(np.mean(np.square(errors)))
        print(
            f"\nmodelled PUE at {mean_c} °C: rms {rms:.2%}, worst {worst:.2%}, inside {inside}/24"
        )
    assert inside >= 0.95 * truth.hours
    assert np.median(np.abs(errors)) < 0.03


def test_parts_are_labelled_and_add_up(tmp_path: Path) -> None:
    truth = Truth(4, hours=1)
    by_hour, parts = rows_of(tmp_path, TEXT, truth)
    own = {(row["part"], row["name"], row["method"]): row for row in parts}
    assert set(own) == {
        ("loss", "ups-a", "modelled"),
        ("it", "", "measured"),
        ("losses", "curves", "modelled"),
        ("cooling", "", "modelled"),
        ("other", "", "declared"),
    }
    shown = {"it": "it", "losses": "loss", "cooling": "cooling", "other": "lights"}
    for (part, _, _), row in own.items():
        if part in shown:
            true = truth.kwh(shown[part], 0) * KWH
            assert abs(int(row["energy_nj"]) / true - 1) < 0.12, part
            assert row["low_nj"] <= true <= row["high_nj"], part
    row = by_hour[0]["hall:a", "pue_modelled"]
    added = sum(int(one["energy_nj"]) for key, one in own.items() if key[0] != "loss")
    assert abs(int(row["above"]) - added) <= 4
    assert json.loads(row["above_meters"]) == {"it-a": 1, "loss:ups-a": 1}
    assert json.loads(own["cooling", "", "modelled"]["inputs"])["weather_meters"] == [
        *("humidity", "outdoor")
    ]
    # In no figure of meters alone, and beside them in one of its own.
    assert ("hall:a", "pue") not in by_hour[0]
    assert (
        by_hour[0]["hall:a", "losses_modelled"]["above"]
        == own["losses", "curves", "modelled"]["energy_nj"]
    )


@pytest.mark.parametrize(
    ("change", "lost", "reasons"),
    [
        (("", ""), ("outdoor",), {"no_weather"}),
        (("", ""), ("humidity",), {"no_humidity"}),
        (("", ""), ("it-a",), {"gap"}),
        ((LOSS, ""), (), {"no_losses"}),
        ((COOLED, 'cooling = "metered"'), (), {"no_cooling_meter"}),
        (('role = "ups_out"', 'role = "ups_in"'), (), {"no_it_meter"}),
    ],
)  # fmt: skip
def test_a_part_that_is_not_known_leaves_the_pue_unknown(
    tmp_path: Path, change: tuple[str, str], lost: tuple[str, ...], reasons: set[str]
) -> None:
    by_hour, parts = rows_of(tmp_path, TEXT.replace(*change), Truth(5, hours=1, mean_c=30), *lost)
    row = by_hour[0]["hall:a", "pue_modelled"]
    assert (row["covered_us"], row["above"], row["below"]) == (0, None, None)
    assert reasons <= {
        why for one in parts if one["part"] != "loss" for why in (one["reasons"] or "").split(",")
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\naccuracy_percent = 5\n", "\n"),
        ("cooling_accuracy_percent = 15\n", ""),
        ("accuracy_percent = 0\naccuracy_absolute = 0.3\n", ""),
        ("accuracy_percent = 0.5\n", ""),
    ],
)
def test_an_error_that_nobody_said_leaves_no_bounds(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    by_hour, parts = rows_of(tmp_path, TEXT.replace(old, new), Truth(6, hours=1))
    row = by_hour[0]["hall:a", "pue_modelled"]
    assert row["above"] > row["below"] > 0
    assert (row["above_low"], row["above_high"]) == (None, None)
    codes = {why for one in parts for why in (one["reasons"] or "").split(",")}
    assert codes & {"no_curve_accuracy", "no_cooling_accuracy", "no_accuracy"}


def test_a_ups_with_both_meters_needs_no_curve_and_a_curve_beside_them_adds_nothing(
    tmp_path: Path,
) -> None:
    """The difference of two meters is the loss; a curve between them only explains it."""
    before = GRID.replace('"grid-a"', '"grid-a"').replace("utility", "ups_in")
    curve = LOSS.replace('between = ["it-a"]', 'between = ["grid-a"]')
    busway = METERS.replace("ups_out", "pdu_out")
    truth = Truth(7, hours=1)
    text = (
        HALL
        + busway
        + before
        + curve
        + MODEL.replace('"modelled"\ncooling_accuracy_percent = 15', '"modelled"')
        + COOLING
    )
    by_hour, parts = rows_of(tmp_path, text, truth)
    rows = by_hour[0]
    (loss,) = [one for one in parts if one["part"] == "loss"]
    assert loss["added"] is False
    assert ("hall:a", "losses_modelled") not in rows
    measured = rows["hall:a", "losses"]
    assert json.loads(measured["above_meters"]) == {"grid-a": 1, "it-a": -1}
    difference = (truth.whole.sum() - truth.parts["it"].sum()) / 60 * KWH
    assert abs(int(measured["above"]) / difference - 1) < 0.02
    # Above the line IT is added and taken off: what comes in is what counts.
    row = rows["hall:a", "pue_modelled"]
    assert json.loads(row["above_meters"]) == {"grid-a": 1, "it-a": 0}
    others = sum(int(one["energy_nj"]) for one in parts if one["part"] in ("cooling", "other"))
    assert abs(int(row["above"]) - others - truth.whole.sum() / 60 * KWH) < 0.003 * int(
        row["above"]
    )


def test_a_declared_part_is_its_power_times_the_time(tmp_path: Path) -> None:
    declared = MODEL.replace('losses = "curves"', "losses_kw = 12.5").replace(
        'cooling = "modelled"', "cooling_kw = 40"
    )
    by_hour, parts = rows_of(tmp_path, HALL + METERS + declared, Truth(8, hours=1))
    known = {one["part"]: one for one in parts}
    assert {one["method"] for one in parts} == {"measured", "declared"}
    assert int(known["losses"]["energy_nj"]) == 12.5 * KWH
    assert [int(known["cooling"][of]) for of in ("low_nj", "energy_nj", "high_nj")] == [
        *(34 * KWH, 40 * KWH, 46 * KWH)
    ]
    row = by_hour[0]["hall:a", "pue_modelled"]
    assert int(row["above"]) - int(row["below"]) == (12.5 + 40 + LIGHTS_KW) * KWH
