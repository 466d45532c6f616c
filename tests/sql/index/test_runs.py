"""A row of the ledger is a run of segments: all other books are as if each segment were a row."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support import phases
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.ledger import ask
from tests.support.long import pairs
from tests.support.servers import Server, serve
from tests.support.shardfleets import shard_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.published import BOOKS
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import Aggregator, worklist
from tokenergy_transforms.batch import I32
from tokenergy_transforms.booking import runs as kernel
from tokenergy_transforms.booking.accounts import LedgerRows
from tokenergy_transforms.booking.blocks import SLOT_US, Blocks
from tokenergy_transforms.booking.hour import Hour

SITE = Site(1_250_000, 900_000, {})


OFF = """
SELECT max(abs(l.energy_nj - d.energy_nj)), count(*)
FROM ledger AS l
JOIN divided AS d
    ON d.device_id = l.device_id AND d.node = l.node AND d.start_us = l.start_us
    AND d.account = l.account AND d.job_id IS NOT DISTINCT FROM l.job_id
WHERE l.method IN ('counter', 'samples') AND l.attribution = 'exclusive'
"""


def _ramp(first: int, last: int, step_us: int = S) -> list[tuple[int, int]]:
    """Return readings of seconds after T0 that grow, and not in a straight line."""
    return [(us, us // S % 997 * 700) for us in range(T0 + first * S, T0 + last * S, step_us)]


def _joint_time_that_ends_with(builder: LakeBuilder, name: str, end_us: int | None) -> None:
    """A job on two nodes: the server of one is lost, and missed for as long as the job is there."""
    here, there = f"{name} here", f"{name} there"
    for node in (here, there):
        builder.device(node, node=node)
        builder.job(name, node, T0 + S, end_us if node == here else None, node=node)
    builder.power(here, _ramp(0, 2_000, 1_300_000), node=here)
    builder.power(there, _ramp(0, 2_400), node=there)
    for node, until in ((here, 1_700), (there, 2_400)):
        values = [(T0 + s * S, 10 * s) for s in range(1, until, 3)]
        builder.tokens(name, values, source_id=node, node=node)


def _energy_that_begins_beside_a_gap(builder: LakeBuilder) -> None:
    """Readings of two boards of a job begin one after the other; the share of one grows."""
    for board in ("read", "unread"):
        builder.device(board, node="gap", index=int(board == "unread"))
        builder.job("gap", board, T0 + 5 * S, T0 + 300 * S, node="gap", share_ppm=500_000)
    builder.job("other", "unread", T0 + 5 * S, T0 + 12 * S, node="gap")
    builder.power("read", _ramp(13, 300), node="gap")
    builder.power("unread", [*_ramp(0, 3), *_ramp(25, 300)], node="gap")
    values = [(T0 + s * S, 10 * s) for s in range(1, 300, 3)]
    builder.tokens("gap", values, source_id="gap", node="gap")


def served(root: Path) -> Lake:
    """Servers with prompts on one and on two boards, read every second and every 7 s."""
    builder = LakeBuilder(root)
    serve(builder, "seldom", Server(seconds=2_400))
    serve(builder, "late", Server(seconds=2_400, late_s=11, seed=7))
    serve(builder, "two boards", Server(seconds=2_400, seed=3))
    builder.device("second", node="two boards", index=1)
    readings = [(T0 + s * S, 300_000 + s % 7) for s in range(300, 2_100, 2)]
    builder.power("second", readings, node="two boards")
    builder.job("two boards", "second", T0 + 5 * S + 3, T0 + 2_400 * S, node="two boards")
    phases.run(builder, name="often")
    phases.run(builder, name="in steps", every_s=2)
    # Read only from one instant inside a segment to another.
    phases.run(builder, name="half", kinds=())
    values = [(T0 + 123_456_789 + n * 1_900_000, 40 * n) for n in range(100)]
    builder.tokens("half", values, source_id="half", node="half")
    _joint_time_that_ends_with(builder, "a claim", T0 + 1_900 * S + 400_001)
    _joint_time_that_ends_with(builder, "silence", None)
    _energy_that_begins_beside_a_gap(builder)
    list(Aggregator(builder.lake, S, "cpu").run(worklist(builder.lake)))
    return builder.lake


def each_segment(
    rows: LedgerRows, _device: I32, hour: Hour, _blocks: Blocks, _cuts: kernel.Cuts
) -> kernel.Runs:
    """Return each row as a run of its own."""
    segment = rows.values[0]
    ones = np.ones(len(segment), np.int32)
    return kernel.Runs(rows, hour.end_us[segment], hour.max_gap_us[segment], ones)


def breaches(lake: Lake) -> list[str]:
    """Return the checks that a lake fails."""
    return [found.name for found in run_checks(lake) if found.fatal and found.rows]


def same_by_segment(made: Lake, single: Lake) -> None:
    """`ledger_by_segment` divides runs into what single segments were booked, but for rounding."""
    key = "device_id, node, start_us, account, job_id"
    sums = f"SELECT {key.replace('start_us, ', '')}, sum(energy_nj), sum(low_nj), sum(high_nj), "
    sums += "sum(device_us), sum(covered_us), count(*) FROM {} GROUP BY ALL ORDER BY ALL"
    with catalog.connect(made, adhoc=True) as con:
        divided = con.execute(sums.format("ledger_by_segment()")).fetchall()
        rows = con.sql("FROM ledger_by_segment()").to_arrow_table()
    with catalog.connect(single, adhoc=True) as con:
        assert divided == con.execute(sums.format("ledger")).fetchall()
        con.register("divided", rows)
        off = con.execute(OFF).fetchone()
    assert off is not None
    assert off[0] <= 1
    assert off[1] > 100


@pytest.mark.parametrize("seed", pairs([1, None, 2, 3], always=2))
def test_all_other_books_are_those_of_single_segments(
    seed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = served(tmp_path / "a") if seed is None else shard_fleet(tmp_path / "a", seed)
    single = Lake(shutil.copytree(made.root, tmp_path / "b"))
    index(made, SITE, progress=lambda _: None, catalog=False)
    with monkeypatch.context() as patched:
        patched.setattr(kernel, "runs", each_segment)
        index(single, SITE, progress=lambda _: None, catalog=False)
    for table in BOOKS:
        if table != "ledger":
            assert made.read(table).equals(single.read(table)), table
    runs, rows = made.read("ledger"), single.read("ledger")
    assert len(runs) * 4 < len(rows) == sum(runs["segments"].to_pylist())
    assert breaches(made) == breaches(single)
    same_by_segment(made, single)
    if seed is None:
        assert ask(made, "SELECT count(*) AS n FROM phase_block WHERE windows > 0")[0]["n"] > 10
        joint = "SELECT count(*) AS n FROM job_index WHERE e_joint_nj < e_gpu_nj"
        assert ask(made, joint)[0]["n"] > 0


def test_a_run_is_in_one_slot_and_holds_no_instant_at_which_its_job_is_divided(
    tmp_path: Path,
) -> None:
    lake = served(tmp_path / "a")
    index(lake, SITE, progress=lambda _: None, catalog=False)
    for row in lake.read("ledger").to_pylist():
        inside = row["start_us"] // SLOT_US == (row["end_us"] - 1) // SLOT_US
        assert row["segments"] == 1 or (inside and row["segments"] > 1)
        if row["job_id"] == "often":  # its tokens are read every second: intervals of 10 s
            assert row["end_us"] - row["start_us"] <= 10 * S
    longest = "SELECT job_id, max(segments) AS n FROM ledger GROUP BY job_id"
    assert {row["job_id"]: row["n"] for row in ask(lake, longest)}["seldom"] > 20
    assert lake.hours("ledger") == [T0 - T0 % HOUR_US]


def test_asking_for_a_time_changes_no_row_of_it(tmp_path: Path) -> None:
    lake = served(tmp_path / "a")
    index(lake, SITE, progress=lambda _: None, catalog=False)
    rng = np.random.default_rng(1)
    rows = "FROM ledger_by_segment({}) WHERE {} ORDER BY ALL"
    windows = "FROM fleet_power(7, since := {}, till := {})"
    with catalog.connect(lake, adhoc=True) as con:
        for _ in range(8):
            since, till = sorted(rng.integers(T0, T0 + 2_400 * S, 2).tolist())
            asked = con.execute(rows.format(f"since := {since}, till := {till}", "true")).fetchall()
            inside = f"start_us < {till} AND end_us > {since}"
            assert asked == con.execute(rows.format("", inside)).fetchall()
            # Windows that begin then; the first and the last may be cut off by the question.
            found = con.execute(windows.format(since, till)).fetchall()
            every = con.execute(windows.format("NULL", "NULL")).fetchall()
            assert found[1:-1] == every[every.index(found[1]) :][: len(found) - 2]


def test_a_run_without_its_segments_stays_one_row(tmp_path: Path) -> None:
    lake = served(tmp_path / "a")
    index(lake, SITE, progress=lambda _: None, catalog=False)
    of_node = lake.read("segment", node="often")
    hour_us = T0 - T0 % HOUR_US
    lake.replace("segment", of_node.slice(0, of_node.num_rows // 2 + 3), hour_us, "often")
    sums = "SELECT sum(energy_nj), sum(device_us), count(*) FROM {} WHERE node = 'often'"
    with catalog.connect(lake, adhoc=True) as con:
        energy_nj, device_us, count = con.execute(sums.format("ledger")).fetchall()[0]
        found = con.execute(sums.format("ledger_by_segment()")).fetchall()[0]
    assert found[:2] == (energy_nj, device_us)
    assert found[2] > count
