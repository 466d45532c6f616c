"""Load profiles of a span: an hour's is that of the hour; what crosses the hour is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.swings import swinging
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour
from tokenergy_transforms.loadprofile.span import Spanned, span_rows

EDGE = T0 + HOUR_US


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def spanned(builder: LakeBuilder, from_us: int, until_us: int, **more: Any) -> dict[str, Spanned]:
    found = span_rows(builder.lake, KINDS, from_us, until_us, **more)
    return {" ".join(one.name): one for one in found}


def around_edge(builder: LakeBuilder, name: str, rows: list[tuple[int, int]], **more: Any) -> None:
    builder.device(name, update_us=100_000, site="s", **more)
    builder.power(name, [row for row in rows if row[0] < EDGE])
    builder.power(name, [row for row in rows if row[0] >= EDGE])


def test_the_span_of_an_hour_has_the_rows_of_the_hour(builder: LakeBuilder) -> None:
    for k, node in enumerate(("n1", "n2")):
        builder.device(f"G{k}", node=node, site="s", rack="r", update_us=100_000)
        rows = swinging(0.7, 900, seed=k, jitter_us=10_000)
        builder.power(f"G{k}", rows[:4_000] + rows[4_100:], node=node)
    builder.job("j", "G0", T0 + 10 * S + 13, T0 + 200 * S, share_ppm=400_000)
    profile_hour(builder.lake, T0, KINDS)
    found = spanned(builder, T0, EDGE)
    for table, of in (
        ("load_profile", lambda one: [one.rows.profile]),
        ("load_spectrum", lambda one: one.rows.bands),
        ("load_swing", lambda one: one.rows.swings),
    ):
        columns = [c for c in TABLES[table].column_names if c != "hour_us"]
        hourly = builder.lake.read(table).to_pylist()
        rows_of_span = [row for one in found.values() for row in of(one)]
        order = lambda row: (row["kind"], row["group_id"], row.get("low_hz", row.get("seen_hz")))  # noqa: E731
        assert len(hourly) == len(rows_of_span) > 0
        for hour, span in zip(
            sorted(hourly, key=order), sorted(rows_of_span, key=order), strict=True
        ):
            assert {c: hour[c] for c in columns} == {c: span[c] for c in columns}


def test_a_step_at_the_edge_of_an_hour_is_a_ramp_and_needs_storage(builder: LakeBuilder) -> None:
    """300 W for 100 s, then 500 W for 100 s: level in each hour, 10 kJ over both."""
    low = level(300_000, EDGE - 100 * S, EDGE - 100_000)
    around_edge(builder, "A", low + level(500_000, EDGE, EDGE + 100 * S))
    for hour_us in (T0, EDGE):
        profile_hour(builder.lake, hour_us, ["site"])
    hours = builder.lake.read("load_profile").to_pylist()
    # The line from 300 to 500 W lies in the hour before, as half a cell of the ramp.
    assert all(row["battery_nj"] < 30 * 10**12 // 1000 for row in hours)
    row = spanned(builder, EDGE - 50 * S, EDGE + 50 * S)["site s"].rows.profile
    assert row["battery_nj"] == pytest.approx(100_000 * 50 * S, rel=0.01)
    assert row["up_1s_mw"] == 200_000
    assert row["cells"] == 2_000
    assert (row["from_us"], row["until_us"]) == (EDGE - 50 * S, EDGE + 50 * S)


def test_segments_run_on_across_the_edge(builder: LakeBuilder) -> None:
    rng = np.random.default_rng(0)
    stamps = [EDGE - 40 * S + k * 100_000 + int(rng.integers(-9_000, 9_000)) for k in range(800)]
    swing = [500_000 + round(80_000 * np.sin(2 * np.pi * 0.7 * t / 1e6)) for t in stamps]
    around_edge(builder, "A", list(zip(stamps, swing, strict=True)))
    profile_hour(builder.lake, T0, ["site"])
    (hour,) = builder.lake.read("load_profile").to_pylist()
    assert (hour["segments"], hour["resolution_hz"]) == (2, 0.04)  # 25 s, twice
    row = spanned(builder, T0, EDGE + HOUR_US)["site s"].rows.profile
    assert (row["segments"], row["resolution_hz"]) == (5, 0.04)
    assert row["dominant_hz"] == pytest.approx(0.7, abs=0.01)


def test_what_is_read_of_other_devices_is_no_ramp(builder: LakeBuilder) -> None:
    around_edge(builder, "A", level(100_000, EDGE - 50 * S, EDGE + 50 * S))
    builder.device("B", index=1, update_us=100_000, site="s")
    builder.power("B", level(400_000, EDGE - 50 * S, EDGE - 100_000))
    row = spanned(builder, EDGE - 40 * S, EDGE + 40 * S)["site s"].rows.profile
    assert (row["up_1s_mw"], row["down_1s_mw"]) == (0, 0)
    assert (row["max_mw"], row["min_mw"]) == (500_000, 100_000)
    assert "devices_changed" in row["reason_codes"]


def test_a_job_that_comes_later_has_the_cells_before_it(builder: LakeBuilder) -> None:
    around_edge(builder, "A", level(200_000, EDGE - 50 * S, EDGE + 50 * S))
    builder.job("late", "A", EDGE + 10 * S, EDGE + 20 * S)
    late = spanned(builder, EDGE - 40 * S, EDGE + 40 * S)["job late"]
    assert (late.cells, late.rows.profile["cells"]) == (1_600, 200)
    assert late.rows.profile["energy_nj"] == 200_000 * 10 * S


def test_a_span_without_the_lake_s_hours_has_no_rows(builder: LakeBuilder) -> None:
    around_edge(builder, "A", level(200_000, EDGE - 50 * S, EDGE + 50 * S))
    assert spanned(builder, EDGE + 5 * HOUR_US, EDGE + 6 * HOUR_US) == {}
