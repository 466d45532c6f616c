"""`tokenergy caps` on planted curves: the cap that was planted as the best one is found."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sql.flexibility.staged import Row, stage
from tests.support.commands import command
from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tokenergy_collectors.lake import Lake

S = 1_000_000
CURVE = {300: (0.30, 700.0), 400: (0.25, 1200.0), 500: (0.27, 1500.0), 700: (0.35, 1650.0)}
"""J/token and tokens/s by cap, W."""


def run(lake: Lake, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "caps", "--lake", str(lake.root), *more)


def rows(lake: Lake, *more: str) -> dict[float, dict[str, str]]:
    code, out, err = run(lake, *more, "--format", "csv")
    assert (code, err) == (0, "")
    return {float(row["cap_w"]): row for row in csv.DictReader(io.StringIO(out))}


def efficiency(hour: int, te: float, rate: float, error: float, job: str = "j") -> Row:
    """An hour of which 3,000 s were at full rate."""
    tokens = round(rate * 3000)
    nj = round(te * tokens * 1e9)
    return {
        "job_id": job, "hour_us": T0 + hour * HOUR_US, "device_us": 2 * HOUR_US,
        "peak_tokens_s": rate * 1.02, "e_steady_nj": nj, "e_steady_low_nj": round(nj * (1 - error)),
        "e_steady_high_nj": round(nj * (1 + error)), "n_steady": tokens, "steady_us": 3000 * S,
    }  # fmt: skip


def planted(
    root: Path,
    caps_w: Mapping[int, int],
    error: float = 0.01,
    curve: Mapping[int, tuple[float, float]] = CURVE,
    more: tuple[Row, ...] = (),
) -> Lake:
    """A job on two boards, the cap of each hour, and what the curve says of it."""
    builder = LakeBuilder(root / "lake")
    lake = builder.lake
    for place, board in enumerate("ab"):
        last = None
        for hour, cap in sorted(caps_w.items()):
            if cap != last:
                at = T0 + hour * HOUR_US
                builder.device(board, index=place, ts_us=at, limit_mw=cap * 1000)
            last = cap
        builder.job("j", board, T0, T0 + 100 * HOUR_US)
    found = {T0 + hour * HOUR_US: efficiency(hour, *curve[cap], error)
             for hour, cap in caps_w.items()}  # fmt: skip
    for row in more:
        found[row["hour_us"]] = row
    stage(lake, "job_efficiency", found.values())
    stage(lake, "job_index", [
        {"job_id": "j", "start_us": T0, "model": "m", "gpu": "board", "workload": "inference"}
    ])  # fmt: skip
    stage(lake, "ledger_hour", [
        {"device_id": board, "node": "n1", "hour_us": hour_us, "account": "active", "job_id": "j",
         "device_us": HOUR_US}
        for hour_us in found for board in "ab"
    ])  # fmt: skip
    return lake


BY_HOUR = {0: 700, 1: 700, 2: 500, 3: 500, 4: 400, 5: 400, 6: 300, 7: 300}


def test_the_planted_curve_is_found(tmp_path: Path) -> None:
    found = rows(planted(tmp_path, BY_HOUR))
    assert [*found] == [300, 400, 500, 700]
    for cap, (te, rate) in CURVE.items():
        row = found[cap]
        assert float(row["te"]) == pytest.approx(te)
        assert float(row["tokens_s"]) == pytest.approx(rate)
        assert float(row["watts"]) == pytest.approx(te * rate)
        assert float(row["te_low"]) == pytest.approx(te * 0.99)
        assert float(row["te_high"]) == pytest.approx(te * 1.01)
        assert float(row["saved_j_per_token"]) == pytest.approx(0.35 - te)
        assert float(row["lost_tokens_s"]) == pytest.approx(1650 - rate)
        assert (row["hours"], row["boards"], row["left_out"]) == ("2", "2", "")
    assert [row["verdict"] for row in found.values()] == [
        "more J/token", "least J/token", "more J/token", "more J/token"
    ]  # fmt: skip


def test_a_floor_of_tokens_excludes_slow_caps(tmp_path: Path) -> None:
    lake = planted(tmp_path, BY_HOUR)
    found = rows(lake, "--min-tokens-per-s", "1400")
    assert [row["reaches"] for row in found.values()] == ["no", "no", "yes", "yes"]
    assert found[500]["verdict"] == "least J/token"
    assert found[400]["verdict"] == "too slow"
    none = rows(lake, "--min-tokens-per-s", "9999")
    assert {row["verdict"] for row in none.values()} == {"no cap reaches the rate"}


def test_overlapping_bounds_are_not_distinguishable(tmp_path: Path) -> None:
    found = rows(planted(tmp_path, BY_HOUR, error=0.05))
    # 0.25 and 0.27 differ by 8 %, and each may be off by 5 %; 0.30 differs by 18 %.
    assert found[500]["verdict"] == "not distinguishable"
    assert found[300]["verdict"] == "more J/token"
    assert float(found[500]["saved_low"]) == pytest.approx(0.35 * 0.95 - 0.27 * 1.05)
    assert float(found[500]["saved_high"]) == pytest.approx(0.35 * 1.05 - 0.27 * 0.95)


def test_hours_that_differ_at_one_cap_widen_its_bounds(tmp_path: Path) -> None:
    odd = efficiency(5, 0.29, 1200, 0.01)
    found = rows(planted(tmp_path, BY_HOUR, more=(odd,)))
    assert float(found[400]["te"]) == pytest.approx(0.27)
    assert float(found[400]["te_low"]) == pytest.approx(0.25)
    assert float(found[400]["te_high"]) == pytest.approx(0.29)
    assert found[500]["verdict"] == "not distinguishable"


def test_hours_that_do_not_compare_are_left_out_and_counted(tmp_path: Path) -> None:
    # At 400 W one hour ran at half the rate; another has no steady state; one is at two limits.
    slow = efficiency(5, 0.5, 600, 0.01)
    none = efficiency(7, 0.3, 700, 0.01) | {"n_steady": None, "e_steady_nj": None}
    lake = planted(tmp_path, BY_HOUR, more=(slow, none))
    builder = LakeBuilder(lake.root)
    builder.device("a", ts_us=T0 + 3 * HOUR_US + HOUR_US // 2, limit_mw=450_000)
    builder.device("a", ts_us=T0 + 4 * HOUR_US - 1, limit_mw=400_000)
    found = rows(lake)
    assert float(found[400]["te"]) == pytest.approx(0.25)
    assert {cap: row["hours"] for cap, row in found.items()} == {
        300: "1", 400: "1", 500: "1", 700: "2"
    }  # fmt: skip
    assert {row["left_out"] for row in found.values()} == {
        "limit_changed:1,low_rate:1,no_steady_state:1"
    }


def test_throttling_is_shown_and_heat_does_not_count(tmp_path: Path) -> None:
    lake = planted(tmp_path, BY_HOUR)
    builder = LakeBuilder(lake.root)
    states = [
        {"ts_us": T0 + hour * HOUR_US + minute * 60 * S, "device_id": board,
         "throttle": 0x40 if hour == 0 else 0x4 if hour == 4 and minute % 2 else 0}
        for hour in (0, 4, 5) for minute in range(60) for board in "ab"
    ]  # fmt: skip
    builder.add("state", states)
    found = rows(lake)
    assert (found[700]["hours"], found[700]["left_out"]) == ("1", "hot:1")
    assert float(found[400]["capped_share"]) == pytest.approx(0.25)
    assert found[300]["capped_share"] == ""


def test_one_cap_is_compared_with_nothing(tmp_path: Path) -> None:
    found = rows(planted(tmp_path, {0: 700, 1: 700}))
    assert [row["verdict"] for row in found.values()] == ["only cap measured"]


def test_a_board_without_a_limit_and_a_table(tmp_path: Path) -> None:
    lake = planted(tmp_path, BY_HOUR)
    code, out, _ = run(lake, "--job", "j")
    assert code == 0
    assert out.startswith("J/token by power cap, at full rate, GPU")
    LakeBuilder(lake.root).device("b", ts_us=T0 + 7 * HOUR_US, limit_mw=None)
    assert {row["left_out"] for row in rows(lake).values()} == {"no_limit:1"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "x"), "--model x: the lake has no efficiency of it"),
        (("--job", "x"), "--job x: the lake has no efficiency of it"),
        (("--model", "m", "--job", "j"), "--model and --job: give one of them"),
        (("--min-tokens-per-s", "-1"), "--min-tokens-per-s -1: expected 0 or more"),
        (("--from", "2027-01-01T00"), "caps: the lake has no efficiency of it"),
        (("--format", "xml"), "--format 'xml': expected table, json, csv or parquet"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    code, out, err = run(planted(tmp_path, {0: 700}), *more)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_no_hour_that_counts_says_why(tmp_path: Path) -> None:
    none = efficiency(0, 0.3, 700, 0.01) | {"n_steady": None, "e_steady_nj": None}
    code, _, err = run(planted(tmp_path, {0: 700}, more=(none,)))
    assert code == 2
    assert "caps: no hour counts: 1 no_steady_state" in err
