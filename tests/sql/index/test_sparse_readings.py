"""What readings leave open that are sparse, coarse or without a limit: reasons and bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.records import Hours, Records, add, build, hours_of, kept_in

RECORDS: Records = {}
record = kept_in(RECORDS)


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Hours:
    """What the books say of all records."""
    return hours_of(build(tmp_path_factory.mktemp("records") / "lake", RECORDS))


SPACINGS_S = (2, 5, 60)
H100 = "NVIDIA H100 80GB HBM3"


@record
def sparse(builder: LakeBuilder, name: str) -> None:
    for spacing_s in SPACINGS_S:
        readings = level(700_000, T0, T0 + 600 * S, spacing_s * S)
        of: dict[str, Any] = {"name": H100, "update_us": spacing_s * S}
        add(builder, f"{name}_{spacing_s}", readings, (T0, T0 + 600 * S), **of)


@pytest.mark.parametrize("spacing_s", SPACINGS_S)
def test_sparse_readings_say_little(hours: Hours, spacing_s: int) -> None:
    """Each reading shows 700 W; the board may have drawn next to nothing between them."""
    found = hours[f"sparse_{spacing_s}"]
    assert (found["j"], found["reasons"]) == (420_000, "sparse")
    assert found["low"] == 0
    assert found["high"] >= 420_000


@record
def each_second(builder: LakeBuilder, name: str) -> None:
    readings = level(700_000, T0, T0 + 600 * S, S)
    add(builder, name, readings, (T0 + 100 * S, T0 + 500 * S), name=H100, update_us=S)


def test_bounds_of_a_log_of_1_hz_do_not_change(hours: Hours) -> None:
    found = hours["each_second"]
    assert found["reasons"] is None
    assert found["low"] > 0.94 * 280_000
    assert found["high"] < 1.07 * 280_000


@record
def same_moment(builder: LakeBuilder, name: str) -> None:
    """The board draws 300 W and 700 W in turn, each for half a second; readings meet 300 W."""
    of: dict[str, Any] = {"name": H100, "update_us": S, "sensor_kind": "instant"}
    readings = level(300_000, T0, T0 + 600 * S, S)
    add(builder, name, readings, (T0 + 100 * S, T0 + 500 * S), limit_mw=700_000, **of)


def test_instant_readings_once_a_second_may_meet_the_same_moment(hours: Hours) -> None:
    found = hours["same_moment"]
    assert found["j"] == 120_000
    assert found["low"] < 120_000 < 200_000 <= found["high"] < 1.1 * 280_000


@record
def stalled(builder: LakeBuilder, name: str) -> None:
    stamps, ts = [], T0
    for k in range(300):
        stamps.append(ts)
        ts += 3_934_000 if k % 10 == 9 else 1_002_000
    of: dict[str, Any] = {"update_us": 1_002_000, "limit_mw": None}
    add(builder, name, [(ts, 300_000) for ts in stamps], (T0, T0 + 360 * S), **of)


def test_stalls_of_a_log_of_1_hz_are_bridged(hours: Hours) -> None:
    """After every tenth reading the next comes 3.9 s later. 300 W all the time."""
    found = hours["stalled"]
    assert (found["j"], found["method"], found["reasons"]) == (108_000, "samples", "sparse")
    # 248 s between readings a second apart, 112 s between others: 0 to 1,500 W.
    assert 0.85 * 74_400 < found["low"] < 74_400
    assert found["high"] > 74_400 + 112 * 1_500


@record
def unlimited(builder: LakeBuilder, name: str) -> None:
    of: dict[str, Any] = {"limit_mw": None, "update_us": 100_000}
    add(builder, name, level(300_000, T0, T0 + 10 * S), (T0, T0 + 10 * S), **of)


def test_a_board_without_limit_and_counter_has_finite_bounds(hours: Hours) -> None:
    found = hours["unlimited"]
    assert found["j"] == 3_000
    assert found["high"] < 4_000


@record
def resolved(builder: LakeBuilder, name: str) -> None:
    for kind, steps in (
        ("fine", {}),
        ("watts", {"power_step_mw": 1_000}),
        ("seconds", {"stamp_step_us": S}),
    ):
        readings, held = level(300_000, T0, T0 + 600 * S, S), (T0 + 100 * S, T0 + 500 * S)
        add(builder, f"{name}_{kind}", readings, held, update_us=S, **steps)


def test_the_resolution_of_a_log_is_in_the_bounds(hours: Hours) -> None:
    """Half a watt over the time, and a second of power at each edge, in either direction."""
    fine, watts, seconds = (hours[f"resolved_{kind}"] for kind in ("fine", "watts", "seconds"))
    assert fine["j"] == watts["j"] == seconds["j"] == 120_000
    assert fine["low"] - watts["low"] == pytest.approx(200 / 1.055, rel=0.01)
    assert watts["high"] - fine["high"] == pytest.approx(200 / 0.945, rel=0.01)
    assert fine["low"] - seconds["low"] == pytest.approx(600, rel=0.01)
    assert seconds["high"] - fine["high"] == pytest.approx(600, rel=0.01)


MOVED_US = range(-2, 3)


@record
def moved(builder: LakeBuilder, name: str) -> None:
    dense = level(300_000, T0, T0 + 30 * S, S)
    sparse = level(300_000, T0 + 35 * S, T0 + 60 * S, 5 * S)
    for by_us in MOVED_US:
        one, held = f"{name}_{by_us}", (T0 + 10 * S, T0 + 30 * S + by_us)
        add(builder, one, [*dense, *sparse], held, update_us=S)
        builder.power(one, [(T0 + 20 * S, 340_000)], node=one)


def test_bounds_move_with_an_edge_by_its_microseconds(hours: Hours) -> None:
    """Where readings become sparse, after one that was averaged."""
    for name in ("j", "low", "high"):
        values = [float(hours[f"moved_{by_us}"][name]) for by_us in MOVED_US]
        assert max(values) - min(values) < 0.01, (name, values)
