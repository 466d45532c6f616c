"""Limits of planted loads: kept, broken by the right job at the right time, or not observable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sql.gridload.staged import END, board, lake_of, sine
from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_sql.gridload.complying import Result, at_fault, comply
from tokenergy_sql.gridload.limits import Limit
from tokenergy_sql.index.site import Site

RAMP = Limit("PLACEHOLDER", "ramp", 150_000, False, "W", "boards", 0.9, horizon_us=S)
PEAK = Limit("PLACEHOLDER", "peak", 900_000, False, "W", "boards", 0.9)
BAND = Limit("PLACEHOLDER", "band_rms", 50_000, False, "W", "boards", 0.9, band_hz=(0.2, 2.5))
RANGE = Limit("PLACEHOLDER", "dynamic_range", 300_000, False, "W", "boards", 0.9)


@pytest.fixture
def planted(tmp_path: Path) -> LakeBuilder:
    """Job `steps` rises by 200 W at 300.05 s and falls back at 400.05 s; `level` is level."""
    builder = lake_of(tmp_path)
    board(builder, "A", lambda t: 600_000 if 300.05 < t < 400.05 else 400_000, "steps", seed=1)
    board(builder, "B", lambda t: 300_000, "level", seed=2, index=1)
    return builder


def one(builder: LakeBuilder, limit: Limit, **more: Any) -> Result:
    (found,) = comply(builder.lake, [limit], "site", T0, END, **more)
    return found


def test_a_ramp_is_found_with_its_time_and_its_job(planted: LakeBuilder) -> None:
    found = one(planted, RAMP)
    assert (found.verdict, found.reason, found.boundary_by) == ("fail", "", "read")
    assert found.value_mw == 200_000
    moments = sorted((moment.at_us - T0) / 1e6 for moment in found.moments[:2])
    assert moments == [pytest.approx(299.6, abs=0.6), pytest.approx(399.6, abs=0.6)]
    for moment in found.moments[:2]:
        assert [behind.job for behind in moment.jobs] == ["steps"]
        assert abs(moment.jobs[0].part_mw) == 200_000
        assert moment.jobs[0].without_mw == 0
    assert one(planted, replace(RAMP, value=210_000)).verdict == "pass"


def test_rises_and_falls_are_limited_apart(planted: LakeBuilder) -> None:
    up, down = (one(planted, replace(RAMP, direction=way)) for way in ("up", "down"))
    assert (up.moments[0].at_us - T0) / 1e6 == pytest.approx(299.6, abs=0.6)
    assert (down.moments[0].at_us - T0) / 1e6 == pytest.approx(399.6, abs=0.6)


def test_peak_and_range(planted: LakeBuilder) -> None:
    peak = one(planted, PEAK)
    assert (peak.verdict, peak.value_mw) == ("pass", 900_000)
    peak = one(planted, replace(PEAK, value=899_000))
    assert peak.verdict == "fail"
    assert [behind.job for behind in peak.moments[0].jobs] == ["steps", "level"]
    assert 300 <= (peak.moments[0].at_us - T0) / 1e6 <= 400
    assert one(planted, RANGE).value_mw == 200_000
    averaged = replace(PEAK, average_us=200 * S)  # half of it high: 700 + 100 W
    assert one(planted, averaged).value_mw == pytest.approx(800_000, rel=0.01)


def test_a_share_of_the_mean(planted: LakeBuilder) -> None:
    found = one(planted, replace(RANGE, value=0.3, relative=True, unit="percent"))
    assert found.limit_mw == pytest.approx(0.3 * (700_000 + 200_000 / 6), rel=0.01)
    assert found.verdict == "pass"


def test_a_swing_in_a_band_and_the_job_behind_it(tmp_path: Path) -> None:
    builder = lake_of(tmp_path)
    board(builder, "A", sine(400_000, 100_000, 0.7), "swings", seed=1)
    board(builder, "B", sine(400_000, 10_000, 0.3), "hardly", seed=2, index=1)
    found = one(builder, BAND)
    assert found.value_mw == pytest.approx(np.hypot(100_000, 10_000) / 2**0.5, rel=0.02)
    assert found.verdict == "fail"
    assert found.moments[0].jobs[0].job == "swings"
    assert found.moments[0].jobs[0].without_mw == pytest.approx(10_000 / 2**0.5, rel=0.05)
    above = replace(BAND, band_hz=(1.0, 2.5))
    assert one(builder, above).verdict == "pass"


def test_what_a_sensor_averages_over_is_never_a_pass(tmp_path: Path) -> None:
    """Readings once a second: nothing above 0.5 Hz, no ramp below a second."""
    builder = lake_of(tmp_path)
    board(builder, "A", sine(400_000, 100_000, 0.1), "a", spacing_us=1_000_000)
    band = replace(BAND, value=1e9)
    assert (one(builder, band).verdict, one(builder, band).reason) == (
        "unobservable",
        "above_nyquist",
    )
    fast = one(builder, replace(RAMP, horizon_us=100_000, value=1e9))
    assert (fast.verdict, fast.reason, fast.value_mw) == ("unobservable", "ramp_below_period", None)
    peak = replace(PEAK, average_us=100_000)
    assert (one(builder, peak).verdict, one(builder, peak).reason) == (
        "unobservable",
        "average_below_period",
    )
    assert one(builder, replace(peak, value=450_000)).verdict == "fail"
    assert one(builder, replace(PEAK, average_us=S)).verdict == "pass"


def test_a_fail_stays_one_and_a_pass_needs_coverage(planted: LakeBuilder) -> None:
    half = comply(planted.lake, [RAMP, replace(RAMP, value=1e9)], "site", T0, END + 600 * S)
    assert [(one.verdict, one.reason) for one in half] == [
        ("fail", ""),
        ("unobservable", "low_coverage"),
    ]
    assert half[0].coverage == pytest.approx(0.5, abs=0.01)
    low = replace(RAMP, value=1e9, min_coverage=0.4)
    (found,) = comply(planted.lake, [low], "site", T0, END + 600 * S)
    assert found.verdict == "pass"


def test_at_a_modelled_boundary_nothing_passes(planted: LakeBuilder) -> None:
    planted.build(Site(1_200_000, 100_000, {}))
    found = one(planted, replace(PEAK, value=1e9, boundary="it"))
    assert (found.verdict, found.reason, found.value_mw) == (
        "unobservable",
        "host_by_hour",
        1_000_000,
    )
    found = one(planted, replace(PEAK, value=1_100_000, boundary="connection"))
    assert (found.verdict, found.reason) == ("fail", "modelled_pue")
    assert found.value_mw == pytest.approx(1_200_000)
    assert found.boundary_by == "modelled"


def test_without_books_the_boundary_is_unknown(planted: LakeBuilder) -> None:
    found = one(planted, replace(PEAK, value=1, boundary="it"))
    assert (found.verdict, found.value_mw, found.coverage) == ("unobservable", None, 0)


def test_who_is_at_fault(planted: LakeBuilder) -> None:
    passed = one(planted, PEAK)
    failed = one(planted, RAMP)
    hidden = one(planted, replace(RAMP, horizon_us=1_000))
    assert not at_fault([passed], False)
    assert at_fault([passed, failed], True)
    assert at_fault([hidden], False)
    assert not at_fault([hidden], True)
