"""Checks of tokens find books that the raw readings cannot have given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, run_checks

RISE = [0, 100, 200, 300, 400, 500, 600]

Histories = list[tuple[list[int], dict[str, Any]]]
"""Values of counters, ten seconds apart, and what is special about each."""

SOUND: dict[str, Histories] = {
    "one": [(RISE, {})],
    "two nodes": [(RISE, {"node": "n1"}), ([5000 + n for n in RISE], {"node": "n2"})],
    "ranks": [(RISE, {"metric": "sglang:x", "series": f'{{"tp_rank":"{r}"}}'}) for r in range(4)],
    "glitch down": [([0, 100, 7, 300, 400, 500, 600], {})],
    "restart": [([1000, 1100, 1200, 50, 150, 250, 350], {})],
    "glitch up": [([300, 400, 10**15, 600, 700, 800, 900], {})],
    "told restart": [
        (RISE[:3], {"since_us": T0 - S}),
        ([0, 0, 0, 900, 950], {"since_us": T0 + 25 * S}),
    ],
}

WRONG = {"twice": 1200, "one more": 601, "less": 500, "nothing": 0, "two taken for one": 26_650}
"""What was booked of a job whose readings cannot have given it.

Two nodes under one name, read as one counter: every other reading would be a restart.
"""


def add_job(builder: LakeBuilder, job: str, histories: Histories) -> None:
    """Add a job on a board of its own, and its counters."""
    builder.device(job)
    builder.power(job, level(100_000, T0, T0 + 60 * S, S))
    builder.job(job, job, T0, T0 + 60 * S)
    for values, more in histories:
        readings = [(T0 + 10 * S * n, value) for n, value in enumerate(values)]
        builder.tokens(job, readings, source_id=f"server of {job}", **more)


def found(lake: Lake, name: str) -> Finding:
    (finding,) = run_checks(lake, only=[name])
    return finding


def book(lake: Lake, tokens: dict[str, int]) -> None:
    """Change what was booked of some jobs in all tables alike, as one wrong model would."""
    for table, names in (
        ("token_usage", ("tokens", "low", "high")),
        ("job_index", ("n_generated",)),
    ):
        for path in lake.files(table):
            rows = pq.read_table(path)
            changed = [
                {**row, **dict.fromkeys(names, tokens.get(row["job_id"]))}
                if row["job_id"] in tokens
                else row
                for row in rows.to_pylist()
            ]
            pq.write_table(pa.Table.from_pylist(changed, schema=rows.schema), path)


@pytest.fixture(scope="module")
def unexplained(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The jobs that `tokens_add_up` names in a lake of all jobs, as often as it does."""
    builder = LakeBuilder(tmp_path_factory.mktemp("tokens") / "lake")
    for job, histories in SOUND.items():
        add_job(builder, job, histories)
    for job in WRONG:
        add_job(builder, job, SOUND["two nodes" if job == "two taken for one" else "one"])
    lake = builder.build()
    book(lake, WRONG)
    finding = found(lake, "tokens_add_up")
    place = finding.columns.index("job_id")
    return [row[place] for row in finding.rows]


@pytest.mark.parametrize("job", SOUND)
def test_what_the_readings_give_passes(unexplained: list[str], job: str) -> None:
    assert job not in unexplained


@pytest.mark.parametrize("job", WRONG)
def test_what_the_readings_cannot_give_is_named(unexplained: list[str], job: str) -> None:
    assert unexplained.count(job) == 1


def test_more_tokens_than_the_devices_can_make(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    add_job(builder, "j", [([0, 10**9, 2 * 10**9, 2 * 10**9], {})])
    finding = found(builder.build(), "tokens_are_plausible")
    assert not finding.fatal
    (row,) = finding.rows
    assert dict(zip(finding.columns, row, strict=True))["tokens"] == 2 * 10**9


READINGS = [(T0, 0), (T0 + 60 * S, 600)]

NAMED: list[tuple[str | None, list[str | None], list[tuple[str, str]]]] = [
    (None, [None], []),
    ("a", ["a"], []),
    ("a", ["a", "b"], []),
    ("a", ["b"], [("a/ID", "b/ID")]),
    ("a", [None], [("a/ID", "ID")]),
    (None, ["a", "b"], [("ID", "a/ID, b/ID")]),
    (None, [], []),
]
"""The cluster of a job's counters, those of the lists that name it, and what is found."""

ELSEWHERE: list[tuple[bool, int, int | None, list[tuple[str, str]]]] = [
    (True, 0, 60, []),  # the tokens of a/ID are of a job whose list is not imported
    (False, 0, 60, [("a/ID", "b/ID")]),
    (False, 30, None, [("a/ID", "b/ID")]),
    (False, 61, None, []),  # an id that another cluster gave again later
    (False, -60, 0, []),
    (False, -60, 1, [("a/ID", "b/ID")]),
]
"""Whether the other cluster's job has tokens, its start and end (s), and what is found."""


def add_named(
    builder: LakeBuilder,
    job: str,
    counted: str | None,
    listed: list[str | None],
    *,
    tokens_first: bool,
) -> None:
    """Add counters and lists that name a job, in either order."""
    if tokens_first:
        builder.tokens(job, READINGS, cluster=counted, source_id=job)
    for number, cluster in enumerate(listed):
        start_us = T0 + number * S
        builder.job(job, f"board of {job}", start_us, start_us + S, cluster=cluster)
    if not tokens_first:
        builder.tokens(job, READINGS, cluster=counted, source_id=job)


def add_elsewhere(
    builder: LakeBuilder, job: str, own_tokens: bool, start_s: int, end_s: int | None
) -> None:
    """Add counters of one cluster, and a list of another one that has the same id."""
    builder.tokens(job, READINGS, cluster="a", source_id=f"x of {job}")
    end_us = None if end_s is None else T0 + end_s * S
    builder.job(job, f"board of {job}", T0 + start_s * S, end_us, cluster="b")
    if own_tokens:
        builder.tokens(job, READINGS, cluster="b", source_id=job)


@pytest.fixture(scope="module", params=[False, True], ids=["lists first", "tokens first"])
def disagreeing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, ...]]:
    """What `clusters_agree` finds in a lake of all cases, each with an id of its own."""
    builder = LakeBuilder(tmp_path_factory.mktemp("clusters") / "lake")
    add_job(builder, "j", [])
    for case, (counted, listed, _) in enumerate(NAMED):
        add_named(builder, f"N{case}", counted, listed, tokens_first=request.param)
    for case, (own_tokens, start_s, end_s, _) in enumerate(ELSEWHERE):
        add_elsewhere(builder, f"E{case}", own_tokens, start_s, end_s)
    finding = found(builder.build(), "clusters_agree")
    assert not finding.breach
    return finding.rows


def named(rows: list[tuple[Any, ...]], job: str) -> list[tuple[Any, ...]]:
    """Return the rows of one id, which is given as ID."""
    own = [row for row in rows if row[0].rpartition("/")[2] == job]
    return [tuple(text.replace(job, "ID") for text in row) for row in own]


@pytest.mark.parametrize("case", range(len(NAMED)))
def test_tokens_and_job_lists_name_one_cluster(
    disagreeing: list[tuple[Any, ...]], case: int
) -> None:
    """Whichever of the two came first: the import of counters warns only if the list did."""
    assert named(disagreeing, f"N{case}") == NAMED[case][2]


@pytest.mark.parametrize("case", range(len(ELSEWHERE)))
def test_a_job_of_another_cluster_at_another_time_or_with_tokens_is_another(
    disagreeing: list[tuple[Any, ...]], case: int
) -> None:
    assert named(disagreeing, f"E{case}") == ELSEWHERE[case][3]
