"""Loads at the boundary of IT and of the connection: what is added, and what is not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sql.gridload.staged import END, SECONDS, board, lake_of, sine
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.gridload.boundary import around
from tokenergy_sql.gridload.connection import metered_course
from tokenergy_sql.gridload.spans import profile_span
from tokenergy_sql.index.site import Site, load_site
from tokenergy_transforms.loadprofile.loadcourse import Boundary
from tokenergy_transforms.loadprofile.span import Spanned, span_rows


@pytest.fixture
def planted(tmp_path: Path) -> LakeBuilder:
    builder = lake_of(tmp_path)
    board(builder, "A", sine(400_000, 50_000, 0.7), "a", seed=1)
    board(builder, "B", lambda t: 300_000, "b", seed=2, index=1)
    return builder


def spanned(builder: LakeBuilder, boundary: Boundary) -> dict[str, Spanned]:
    found = span_rows(
        builder.lake,
        ["job", "site"],
        T0,
        END,
        boundary=boundary,
        around=around(builder.lake, boundary),
    )
    return {" ".join(one.name): one for one in found}


def test_a_host_adds_to_the_level_and_to_no_swing(planted: LakeBuilder) -> None:
    planted.build(Site(None, 100_000, {}))
    boards, it = spanned(planted, "boards"), spanned(planted, "it")
    for name, added in (("site s", 100_000), ("job a", 50_000), ("job b", 50_000)):
        before, after = boards[name].rows.profile, it[name].rows.profile
        assert after["mean_mw"] == pytest.approx(before["mean_mw"] + added, rel=1e-9)
        assert after["swing_mw"] == pytest.approx(before["swing_mw"], abs=1)
        assert after["up_1s_mw"] == pytest.approx(before["up_1s_mw"], abs=1)
        assert "host_by_hour" in after["reason_codes"]
        assert "host_by_hour" not in before["reason_codes"]
    assert it["site s"].rows.profile["boundary"] == "it"


def test_without_a_host_s_power_it_is_not_known(planted: LakeBuilder) -> None:
    planted.build(Site(None, None, {}))
    row = spanned(planted, "it")["site s"].rows.profile
    assert (row["cells"], row["mean_mw"]) == (0, None)
    assert {"no_host_power", "no_cells"} <= set(row["reason_codes"].split(","))


def test_without_meters_the_connection_is_it_times_pue(planted: LakeBuilder) -> None:
    planted.build(Site(1_250_000, 100_000, {}))
    it, connection = spanned(planted, "it"), spanned(planted, "connection")
    for name in ("site s", "job a"):
        row = connection[name].rows.profile
        assert row["mean_mw"] == pytest.approx(it[name].rows.profile["mean_mw"] * 1.25, rel=1e-9)
        assert "modelled_pue" in row["reason_codes"]


def test_without_a_pue_the_connection_is_not_known(planted: LakeBuilder) -> None:
    planted.build(Site(None, 100_000, {}))
    row = spanned(planted, "connection")["site s"].rows.profile
    assert row["mean_mw"] is None
    assert "no_pue" in row["reason_codes"]


METERS = """
[[meter]]
id = "grid"
quantity = "power"
unit = "W"
role = "utility"
accuracy_percent = 1

[[meter]]
id = "it"
quantity = "power"
unit = "W"
role = "it"
accuracy_percent = 1
"""


def metered(builder: LakeBuilder, spacing_s: int) -> None:
    """A grid meter that shows 1000 W, from 200 s on 1500 W; read every few seconds."""
    (builder.lake.root / "site.toml").write_text(METERS)
    for name, extra in (("grid", 0), ("it", -200)):
        rows = [
            {
                "ts_us": T0 + t * S,
                "meter_id": name,
                "node": "n1",
                "source": "csv",
                "value_n": (1000 + extra + 500 * (t >= 200)) * 10**9,
            }
            for t in range(0, SECONDS + 1, spacing_s)
        ]
        builder.add("meter", rows)
    builder.build(load_site(None, builder.lake.root))


@pytest.mark.parametrize("spacing_s", [1, 10, 7])
def test_a_site_s_own_meter_is_the_connection(planted: LakeBuilder, spacing_s: int) -> None:
    metered(planted, spacing_s)
    course = metered_course(planted.lake, "s", T0, END)
    assert course is not None
    step_s = {1: 1, 10: 10, 7: 10}[spacing_s]
    assert (course.step_us, course.period_us) == (step_s * S, spacing_s * S)
    assert course.limit_hz == 0.5 / step_s
    power = course.power_mw
    assert np.allclose(power[: 190 // step_s], 1e6)
    assert np.allclose(power[(210 // step_s) : (590 // step_s)], 1.5e6)
    assert "metered_connection" in course.reasons
    assert not np.isnan(power[: 590 // step_s]).any()


def test_the_meter_replaces_the_model_in_the_rows(planted: LakeBuilder) -> None:
    metered(planted, 10)
    done = profile_span(planted.lake, ["job", "site"], T0, T0 + HOUR_US, None, "connection", "cpu")
    assert (done.groups, done.boundary) == (3, "connection")
    rows = {row["group_id"]: row for row in planted.lake.read("load_span").to_pylist()}
    site = rows["s"]
    assert site["period_us"] == 10 * S
    assert (site["up_1s_mw"], site["up_10s_mw"], site["up_60s_mw"]) == (
        None,
        250_000,
        500_000,
    )  # the step is drawn over a cell
    assert "ramp_below_period" in site["reason_codes"]
    assert "metered_connection" in site["reason_codes"]
    bands = planted.lake.read("load_span_spectrum").to_pylist()
    assert {
        band["reason"] for band in bands if band["high_hz"] > 0.1 and band["kind"] == "site"
    } == {"above_nyquist"}
    for table in ("load_span", "load_span_spectrum"):
        assert TABLES[table].time == "from_us"
        assert planted.lake.hours(table) == [T0]
    # Again at the same boundary: replaced; at another one: beside it.
    profile_span(planted.lake, ["site"], T0, T0 + HOUR_US, None, "connection", "cpu")
    assert len(planted.lake.read("load_span")) == 1
    profile_span(planted.lake, ["site"], T0, T0 + HOUR_US, None, "boards", "cpu")
    assert len(planted.lake.read("load_span")) == 2


def test_without_meters_there_is_no_metered_course(planted: LakeBuilder) -> None:
    planted.build(Site(1_250_000, 100_000, {}))
    assert metered_course(planted.lake, "s", T0, END) is None
