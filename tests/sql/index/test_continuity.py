"""Every figure is continuous in the edges of jobs and hours: a microsecond moves it by its worth.

A job ends, or begins, at an hour's edge, and up to two microseconds beside it. All numbers of the
index, of its sums by dimension, of full rate and of the load profile must be alike, and none may be
NULL, or have another reason, on one side only. So it is with meters that lag behind restless power.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index import efficiency
from tokenergy_sql.index.site import load_site
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.loadprofile import groups, profile

if TYPE_CHECKING:
    import duckdb

EDGE = T0 + HOUR_US
OFFSETS_US = (1, -1, 2, -2)
RATE = 100_000
"""Tokens a second."""

READ_EVERY_S = 5
BRACKET = READ_EVERY_S * RATE
"""Tokens between two readings: what the bounds leave open at an edge between them."""

ROUNDED_NJ = 8
"""Rows, hours and boundaries of a job that each round down to the nanojoule."""

ROUNDED_US = 2
"""Two microseconds, or one that rounds to the next in each of two hours."""

BOARD_MW, BOARD_AND_HOST_MW = 735_000, 1_100_000
"""The most that a board draws, and it with its host of 200 W at a PUE of 1.2."""

NUMBERS = "^(.*_nj|n_.*|(device|covered|idle|gap|steady|token|joint|unseen)_us)$"
"""Columns of hours whose sums are compared: an hour may have next to nothing of the job."""

OF_BOARD = ("e_gpu_nj", "e_gpu_low_nj", "e_gpu_high_nj", "e_gpu_active_nj", "e_joint_nj")
"""Energy that is split by the share itself, and not by whole microseconds of device time."""

QUOTIENTS = {
    "coverage": ("covered_us", "device_us"),
    "tokens_per_kwh": ("n_joint", "e_joint_facility_nj"),
    "boundary_ratio": ("e_facility_nj", "e_gpu_active_nj"),
    "measured_share": ("e_gpu_nj", "e_facility_nj"),
    "counter_rel_err": ("e_gpu_nj", "e_gpu_nj"),
    "te_gpu": ("e_joint_nj", "n_joint"),
    "te_rss": ("e_joint_nj", "n_joint"),
    "te_gpu_burdened": ("e_joint_burdened_nj", "n_joint"),
    "te_": ("e_joint_facility_nj", "n_joint"),
    "tokenergy": ("e_joint_facility_nj", "n_joint"),
}
"""What is divided, by how the column begins or ends: columns of job_index."""

OF_HOURS = ("job_hour_index", "by day")
"""Sums of hours: each hour more has the bounds of its tokens at its own edges."""

JOB_OF = {
    "job_index": "job_id",
    "job_hour_index": "job_id",
    "job_device": "job_id",
    "job_efficiency": "job_id",
    "load_profile": "group_id",
}
"""The column that has the job, by table of the catalog."""

DIMENSIONS = ("job", "model", "day", "node", "gpu", "rack")
NOT_FIGURES = ("inputs_digest", "index_version", "hour_us")
"""What a row was made from, and which hour of a job is its latest."""


Figures = dict[str, Any]

EXACT: dict[str, Any] = {"counter_us": 0}
LAGGING: dict[str, dict[str, Any]] = {
    "counter": {"counter_us": 100_000},
    "samples": {},
    "average": {"sensor_kind": "average_1s"},
    "quarter": {"name": "NVIDIA H100 80GB HBM3"},
}
"""What `device` says of boards with a counter that is renewed at 10 Hz, and without a counter."""


@dataclass(frozen=True)
class Case:
    """A job on a board, a node, a rack and a site of its own, whose figures are compared.

    Its end or its start (`moved`) lies beside the hour's edge; `meter` is "exact" or of LAGGING.
    """

    moved: str
    meter: str
    share_ppm: int = 1_000_000
    offsets_us: tuple[int, ...] = OFFSETS_US[:2]

    @property
    def name(self) -> str:
        return f"{self.moved} {self.meter} {self.share_ppm}"

    def span(self, offset_us: int) -> tuple[int, int]:
        at_us = EDGE + offset_us
        return (EDGE - 60 * S, at_us) if self.moved == "end" else (at_us, EDGE + 60 * S)


EDGES, SHARES_PPM = ("end", "start"), (1_000_000, 500_000, 1)
SHARED = {
    (moved, ppm): Case(moved, "exact", ppm, OFFSETS_US if ppm == 1_000_000 else OFFSETS_US[:2])
    for moved in EDGES
    for ppm in SHARES_PPM
}
LAGGED = {(moved, meter): Case(moved, meter) for moved in EDGES for meter in LAGGING}
CASES = (*SHARED.values(), *LAGGED.values())


def add_case(builder: LakeBuilder, case: Case, offset_us: int) -> None:
    """Add one board, read from two minutes before to after the edge, and its job.

    It draws 100 W and has an exact counter, or a power that changes every second and a meter that
    lags.
    """
    name, meter = case.name, {**LAGGING, "exact": EXACT}[case.meter]
    learned = {"update_us": 100_000, "learned_us": 100_000, "sensor_kind": "instant"}
    builder.device(
        name, **{"node": name, "rack": name, "site": name, "name": name, **learned, **meter}
    )
    stamps = [EDGE + second * S for second in range(-120, 121)]
    mw = [100_000 if meter is EXACT else 100_000 + n * 7919 % 13 * 40_000 for n in range(241)]
    drawn = [0, *itertools.accumulate((a + b) // 2 for a, b in itertools.pairwise(mw))]
    counters = {t: 1_000_000 + mj for t, mj in zip(stamps, drawn, strict=True)}
    readings = list(zip(stamps, mw, strict=True))
    builder.power(name, readings, counters=counters if "counter_us" in meter else None, node=name)
    builder.job(name, name, *case.span(offset_us), share_ppm=case.share_ppm, user=name, node=name)
    # Bounds of tokens are the readings around an edge, exact only where an edge meets a reading.
    values = [(t + S // 2, RATE * (t - stamps[0]) // S) for t in stamps[:-1:READ_EVERY_S]]
    own: dict[str, Any] = {"source_id": name, "node": name, "model": name}
    builder.tokens(name, values, **own)
    builder.tokens(name, [(t, 3 * n) for t, n in values], kind="prompt_computed", **own)
    gauges = {"device_id": name, "sm_util": 90, "mem_util": 10, "sm_mhz": 1200, "temp_c": 50}
    state = [{"ts_us": t, "throttle": 0, **gauges} for t in stamps]
    builder.add("state", state, node=name)


def figures(root: Path, offset_us: int) -> dict[str, Figures]:
    """Build a lake of all cases at an offset; return every number and code shown of each job."""
    builder = LakeBuilder(root)
    cases = [case for case in CASES if offset_us in (0, *case.offsets_us)]
    for case in cases:
        add_case(builder, case, offset_us)
    (root / "site.toml").write_text("[site]\npue = 1.2\nhost_w = 200\n")
    lake = builder.build(load_site(None, root))
    inventory = read_inventory(lake)
    for hour in profile.worklist(lake):
        profile.profile_hour(
            lake, hour, groups.parse_kinds("job"), S, "cpu", inventory, lambda _: None
        )
    full_rate = {row["job_id"]: row for row in efficiency.jobs(lake)}
    found: dict[str, Figures] = {}
    with catalog.connect(lake, adhoc=True) as con:
        look_at_one_job(con)
        for case in cases:
            con.execute("SET VARIABLE looked_at = $1", [case.name])
            found[case.name] = {
                **figures_of_job(con),
                **{f"full rate.{key}": value for key, value in full_rate[case.name].items()},
            }
    return {
        name: {key: value for key, value in of_job.items() if not key.endswith(NOT_FIGURES)}
        for name, of_job in found.items()
    }


def look_at_one_job(con: duckdb.DuckDBPyConnection) -> None:
    """Let the catalog's tables of jobs hold one job: the variable `looked_at`.

    So a sum by day too is of one job, as in a lake of its own.
    """
    for table in JOB_OF:
        con.execute(f"CREATE TEMP TABLE every_{table} AS FROM {table}")
    for table, column in JOB_OF.items():
        con.execute(
            f"CREATE OR REPLACE VIEW {table} AS "
            f"FROM every_{table} WHERE {column} = getvariable('looked_at')"
        )


def figures_of_job(con: duckdb.DuckDBPyConnection) -> Figures:
    """Return what the catalog shows of the job that is looked at, by name."""
    found: Figures = {}

    def put(name: str, result: duckdb.DuckDBPyRelation) -> None:
        for place, row in enumerate(result.fetchall()):
            pairs = zip(result.columns, row, strict=True)
            found.update({f"{name}[{place}].{key}": value for key, value in pairs})

    put("job_index", con.table("job_index"))
    for table in ("job_hour_index", "job_efficiency"):
        put(table, con.table(table).aggregate(f"sum(COLUMNS('{NUMBERS}'))"))
    for dimension in DIMENSIONS:
        put(f"by {dimension}", con.sql(f"FROM tokenergy_by('{dimension}')"))
    put("job_device", con.table("job_device"))
    profiled = con.table("load_profile").filter("cells > 0")
    put("load_profile", profiled.aggregate("sum(energy_nj) AS energy_nj, max(max_mw) AS max_mw"))
    return found


def worth(name: str, job: dict[str, Any], share_ppm: int) -> float:
    """Return by how much two microseconds may move a figure: their worth, and its own rounding.

    Args:
        name: of the figure.
        job: columns of the job's row in job_index: what quotients are made of.
        share_ppm: that the job holds of the board.
    """
    table, _, column = name.rpartition(".")
    if column.endswith("_nj"):
        # A bound follows the power at the edge as well, which changes along its line.
        times = 2 if column.endswith(("low_nj", "high_nj")) else 1
        if column in OF_BOARD:
            return times * ROUNDED_US * BOARD_MW * share_ppm / 1e6 + ROUNDED_NJ
        return times * ROUNDED_US * BOARD_AND_HOST_MW + ROUNDED_NJ
    if column.endswith("_j"):
        return worth(f"{name[:-1]}nj", job, share_ppm) / 1e9
    if column.endswith("_us"):
        return ROUNDED_US
    of_hours = table.startswith(OF_HOURS)
    if column.startswith("n_"):
        return BRACKET if of_hours and column.endswith(("low", "high")) else 1
    quotient = max((q for q in QUOTIENTS if q in column), key=len, default=None)
    if quotient is None or job.get(QUOTIENTS[quotient][0]) is None:
        return 0.0
    relative = sum(worth(part, job, share_ppm) / float(job[part]) for part in QUOTIENTS[quotient])
    if of_hours and column.endswith(("low", "high")):
        relative += BRACKET / float(job["n_low"])
    return relative * 2


def jumps(one: dict[str, Any], other: dict[str, Any], share_ppm: int) -> dict[str, Any]:
    """Return the figures that differ by more than their worth, with both values."""
    job = {key.rpartition(".")[2]: value for key, value in one.items() if "job_index[" in key}
    found = {}
    for key in {**one, **other}:
        a, b = one.get(key), other.get(key)
        if a is None or b is None or isinstance(a, (str, bool)):
            same = a == b
        else:
            step = worth(key, job, share_ppm)
            quotient = "." in key and not key.endswith(("_nj", "_j", "_us")) and ".n_" not in key
            # A difference that is divided may be next to nothing: its step is that of the divisor.
            size = 1.0 if key.endswith("rel_err") else abs(float(a))
            most = step * size if quotient else step
            same = math.isclose(float(a), float(b), rel_tol=1e-12, abs_tol=most)
        if not same:
            found[key] = (a, b)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Figures]]:
    """The figures of all cases, by offset: a lake each."""
    folder = tmp_path_factory.mktemp("continuity")
    return {
        offset_us: figures(folder / f"{offset_us}", offset_us) for offset_us in (0, *OFFSETS_US)
    }


def assert_continuous(found: dict[int, dict[str, Figures]], case: Case) -> None:
    """Compare all figures of a job whose edge is moved from the hour's edge."""
    at_edge = found[0][case.name]
    assert len(at_edge) > 200
    assert at_edge["by day[0].jobs"] == 1
    for offset_us in case.offsets_us:
        moved = found[offset_us][case.name]
        assert (offset_us, jumps(at_edge, moved, case.share_ppm)) == (offset_us, {})


@pytest.mark.parametrize("share_ppm", SHARES_PPM)
@pytest.mark.parametrize("moved", EDGES)
def test_no_figure_jumps_at_an_edge(
    found: dict[int, dict[str, Figures]], moved: str, share_ppm: int
) -> None:
    assert_continuous(found, SHARED[moved, share_ppm])


@pytest.mark.parametrize("meter", list(LAGGING))
@pytest.mark.parametrize("moved", EDGES)
def test_no_figure_jumps_where_the_meter_lags(
    found: dict[int, dict[str, Figures]], moved: str, meter: str
) -> None:
    assert_continuous(found, LAGGED[moved, meter])
