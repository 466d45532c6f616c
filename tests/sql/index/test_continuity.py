"""Every figure is continuous in the edges of jobs and hours: a microsecond moves it by its worth.

A job ends, or begins, at an hour's edge, and up to two microseconds beside it. All numbers of the
index, of its sums by dimension, of full rate and of the load profile must be alike, and none may be
NULL, or have another reason, on one side only.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index import efficiency
from tokenergy_sql.index.site import load_site
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.loadprofile import groups, profile

EDGE = T0 + HOUR_US
OFFSETS_US = (1, -1, 2, -2)
TOLERANCE = 1e-4
RATE = 100_000
"""Tokens a second: so many that one token more or less, by rounding, is below the tolerance."""

WORTH = {"_nj": 4 * 1_100_000, "_j": 4 * 1.1e-3, "_us": 2, "n_tokens": 1}
"""What two microseconds of a board of 700 W with its host of 200 W are worth, at a PUE of 1.2."""

OF_LITTLE = ("tokens_per_kwh", "boundary_ratio", "measured_share")
"""Quotients of energies; at a share of 1 ppm these are themselves worth microseconds."""

TOKEN_BOUNDS = (
    *("n_low", "n_high", "n_joint_low", "n_joint_high", "te_low", "te_high"),
    *("te_gpu_low", "te_gpu_high", "te_rss_low", "te_rss_high"),
)
"""Bounds of tokens are the readings around each edge: an hour more has two edges more."""

DIMENSIONS = ("job", "model", "day", "node", "gpu", "rack")
NOT_COMPARED = ("inputs_digest", "index_version", "as_of_us", "start_us", "end_us", "hour_us")
"""Stamps move with the edge by definition; the other two say what a row was made from."""


def lake_of(root: Path, start_us: int, end_us: int, share_ppm: int) -> LakeBuilder:
    """One board of 100 W with an exact counter, read from two minutes before to after the edge."""
    builder = LakeBuilder(root)
    learned = {"update_us": 100_000, "learned_us": 100_000, "sensor_kind": "instant"}
    builder.device("A", counter_us=0, rack="r1", site="s", **learned)
    stamps = [EDGE + second * S for second in range(-120, 121)]
    counters = {t: 1_000_000 + 100 * (t - stamps[0]) // 1000 for t in stamps}
    builder.power("A", level(100_000, stamps[0], stamps[-1], S), counters=counters)
    builder.job("j", "A", start_us, end_us, share_ppm=share_ppm, user="ann")
    # Bounds of tokens are the readings around an edge, exact only where an edge meets a reading.
    values = [(t + S // 2, RATE * (t - stamps[0]) // S) for t in stamps[:-1:5]]
    builder.tokens("j", values)
    builder.tokens("j", [(t, 3 * n) for t, n in values], kind="prompt_computed")
    gauges = {"device_id": "A", "sm_util": 90, "mem_util": 10, "sm_mhz": 1200, "temp_c": 50}
    builder.add("state", [{"ts_us": t, "throttle": 0, **gauges} for t in stamps])
    (root / "site.toml").write_text("[site]\npue = 1.2\nhost_w = 200\n")
    return builder


def figures(root: Path, start_us: int, end_us: int, share_ppm: int) -> dict[str, Any]:
    """Build a lake and return every number and code that is shown of its job, by name."""
    lake = lake_of(root, start_us, end_us, share_ppm).build(load_site(None, root))
    inventory = read_inventory(lake)
    for hour in profile.worklist(lake):
        profile.profile_hour(
            lake, hour, groups.parse_kinds("job"), S, "cpu", inventory, lambda _: None
        )
    found: dict[str, Any] = {}
    with catalog.connect(lake, adhoc=True) as con:

        def put(name: str, sql: str) -> None:
            result = con.sql(sql)
            for place, row in enumerate(result.fetchall()):
                pairs = zip(result.columns, row, strict=True)
                found.update({f"{name}[{place}].{key}": value for key, value in pairs})

        put("job_index", "FROM job_index")
        put("job_hour_index", _sums_of("job_hour_index"))
        put("job_efficiency", _sums_of("job_efficiency"))
        for dimension in DIMENSIONS:
            put(f"by {dimension}", f"FROM tokenergy_by('{dimension}')")
        put("job_device", "FROM job_device")
        put(
            "load_profile",
            "SELECT sum(energy_nj) AS energy_nj, max(max_mw) AS max_mw "
            "FROM load_profile WHERE cells > 0",
        )
    for row in efficiency.jobs(lake):
        found.update({f"full rate.{key}": value for key, value in row.items()})
    left_out = (*NOT_COMPARED, *TOKEN_BOUNDS)
    return {key: value for key, value in found.items() if not key.endswith(left_out)}


def _sums_of(table: str) -> str:
    """Return the sums of a table's whole numbers: an hour may have next to nothing of the job."""
    numbers = "^(.*_nj|n_.*|(device|covered|idle|gap|steady|token|joint|unseen)_us)$"
    return f"SELECT sum(COLUMNS('{numbers}')) FROM {table}"  # noqa: S608 - both are our own names


def alike(name: str, one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, (str, bool)):
        return bool(one == other)
    column = name.rpartition(".")[2]
    worth = next((w for ending, w in WORTH.items() if column.endswith(ending)), 0.0)
    if column.startswith(("te_", "tokenergy")):
        worth = WORTH["_j"] / (60 * RATE)
    return math.isclose(float(one), float(other), rel_tol=TOLERANCE, abs_tol=worth)


@pytest.mark.parametrize("share_ppm", [1_000_000, 500_000, 1])
@pytest.mark.parametrize("moved", ["end", "start"])
def test_no_figure_jumps_at_an_edge(tmp_path: Path, moved: str, share_ppm: int) -> None:
    def of(offset_us: int) -> dict[str, Any]:
        at_us = EDGE + offset_us
        span = (EDGE - 60 * S, at_us) if moved == "end" else (at_us, EDGE + 60 * S)
        return figures(tmp_path / f"{offset_us}", *span, share_ppm)

    at_edge = of(0)
    assert len(at_edge) > 200
    jumps = {
        f"{offset_us:+} us, {key}": (at_edge.get(key), found.get(key))
        for offset_us in (OFFSETS_US if share_ppm == 1_000_000 else OFFSETS_US[:2])
        for found in [of(offset_us)]
        for key in {**at_edge, **found}
        if not alike(key, at_edge.get(key), found.get(key))
        and not (share_ppm == 1 and key.endswith(OF_LITTLE))
    }
    assert jumps == {}
