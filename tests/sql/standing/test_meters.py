"""Places with meters of their own: momentary powers, registers of energy, places in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sql.places.files import meter
from tests.sql.standing.fleets import CELLS, RACKS, curve, fleet, placed, row_of, rows_of
from tests.support.lakes import HOUR_US, T0, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import load_site

N = 10**9
SITE = RACKS + placed("n1", "r1") + placed("n2", "r2") + placed("n3", "r3")


def shown(meter_id: str, values: list[tuple[float, float]]) -> list[dict[str, object]]:
    """Raw rows: seconds, and values in the register's unit."""
    of = {"meter_id": meter_id, "node": "n1", "source": "modbus"}
    return [{**of, "ts_us": T0 + round(s * S), "value_n": round(value * N)} for s, value in values]


def built(root: Path, site: str, *readings: list[dict[str, object]]) -> Lake:
    builder = fleet(root, SITE + site, {node: curve(1) for node in ("n1", "n2", "n3")})
    by_hour: dict[int, list[dict[str, object]]] = {}
    for rows in readings:
        for row in rows:
            by_hour.setdefault(int(row["ts_us"]) // HOUR_US, []).append(row)  # type: ignore[call-overload]
    for of_hour in by_hour.values():
        builder.add("meter", of_hour)
    return builder.build(load_site(None, root))


def test_a_momentary_power_is_its_value_and_a_register_the_mean_between_readings(
    tmp_path: Path,
) -> None:
    site = meter("p", 'place = "rack:r1"', role="rack_in", quantity="power")
    site += meter("e", 'place = "rack:r2"\nresolution = 0.0001', role="pdu_out")
    # 2 kW, and 8 kW from 30:00 to 30:40; the register is read each minute and grows by 3 kW.
    power = [(s, 8 if 1800 <= s < 1840 else 2) for s in range(-10, 3611, 1)]
    energy = [(s, 100 + 3 * s / 3600) for s in range(-60, 3661, 60)]
    lake = built(tmp_path, site, shown("p", power), shown("e", energy))
    row = row_of(lake, "rack:r1", "metered")
    assert (row["peak_mw"], row["p50_mw"], row["cells"]) == (8_000_000, 2_000_000, CELLS)
    assert row["peak_us"] == T0 + 1800 * S
    assert row["energy_nj"] == pytest.approx((2 * 3560 + 8 * 40) * 1e12, rel=1e-4)
    assert row["shape_us"] == S
    assert (row["device_us"], row["covered_us"]) == (0, HOUR_US)
    row = row_of(lake, "rack:r2", "metered")
    assert row["p50_mw"] == pytest.approx(3_000_000, rel=0.01)
    assert row["peak_mw"] == pytest.approx(3_000_000, rel=0.01)
    assert row["shape_us"] == 60 * S
    assert row["energy_nj"] == pytest.approx(3 * 3.6e15, rel=0.001)
    # Both racks of the module are metered, so it is; the hall holds nothing else; the site does.
    for place in ("module:a1", "hall:a"):
        row = row_of(lake, place, "metered")
        assert row["peak_mw"] == pytest.approx(11_000_000, rel=0.01)
        assert row["p50_mw"] == pytest.approx(5_000_000, rel=0.01)
    for place in ("rack:r3", "hall:b", "site"):
        assert rows_of(lake, place, "metered") == []


def test_a_meter_at_the_place_itself_comes_before_its_parts(tmp_path: Path) -> None:
    site = meter("h", 'place = "hall:a"\nfeeds = ["p"]', role="pdu_out", quantity="power")
    site += meter("p", 'place = "rack:r1"', role="rack_in", quantity="power")
    site += meter("w", 'place = "rack:r2"', role="ups_in", quantity="power")
    flat = [(s, 4.0) for s in range(-10, 3611, 5)]
    lake = built(tmp_path, site, shown("h", [(s, 9.0) for s, _ in flat]), shown("p", flat))
    assert row_of(lake, "hall:a", "metered")["peak_mw"] == 9_000_000
    assert row_of(lake, "rack:r1", "metered")["peak_mw"] == 4_000_000
    assert rows_of(lake, "module:a1", "metered") == rows_of(lake, "rack:r2", "metered") == []


def test_time_without_readings_is_unknown_and_a_replaced_meter_goes_on(tmp_path: Path) -> None:
    site = meter(
        "p", 'place = "rack:r1"\ninterval_s = 5\naccuracy_percent = 1', role="it", quantity="power"
    )
    quiet = [(s, 5.0) for s in range(-10, 3611, 5) if not 1000 < s < 1100]
    lake = built(tmp_path, site, shown("p", quiet))
    row = row_of(lake, "rack:r1", "metered")
    assert (row["cells"], row["missing"]) == (CELLS - 10, "p")
    assert row["covered_us"] == HOUR_US - 100 * S
    assert row["low_nj"] < row["energy_nj"] == 5_000_000 * (HOUR_US - 100 * S) < row["high_nj"]
    assert row["peak_mw"] == row["min_mw"] == 5_000_000


def test_a_meter_without_readings_leaves_a_row_that_says_so(tmp_path: Path) -> None:
    site = meter("p", 'place = "rack:r1"', role="rack_in", quantity="power")
    row = row_of(built(tmp_path, site), "rack:r1", "metered")
    assert (row["cells"], row["energy_nj"], row["missing"]) == (0, None, "p")
