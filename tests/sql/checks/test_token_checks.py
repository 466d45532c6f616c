"""Checks of tokens find books that the raw readings cannot have given."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, run_checks

RISE = [0, 100, 200, 300, 400, 500, 600]


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    found = LakeBuilder(tmp_path / "lake")
    found.device("A")
    found.power("A", level(100_000, T0, T0 + 60 * S, S))
    found.job("j", "A", T0, T0 + 60 * S)
    return found


def add(builder: LakeBuilder, values: list[int], **more: object) -> None:
    builder.tokens("j", [(T0 + 10 * S * n, v) for n, v in enumerate(values)], **more)


def found(lake: Lake, name: str) -> Finding:
    (finding,) = run_checks(lake, only=[name])
    return finding


def booked(lake: Lake, tokens: int) -> None:
    """Change what was booked in all tables alike, as one wrong model would."""
    for table, names in (
        ("token_usage", ("tokens", "low", "high")),
        ("job_index", ("n_generated",)),
    ):
        for path in lake.files(table):
            rows = pq.read_table(path)
            for name in names:
                at = rows.schema.get_field_index(name)
                rows = rows.set_column(
                    at, rows.schema.field(name), pa.array([tokens], rows.schema.field(name).type)
                )
            pq.write_table(rows, path)


@pytest.mark.parametrize(
    "histories",
    [
        [(RISE, {})],
        [(RISE, {"node": "n1"}), ([5000 + n for n in RISE], {"node": "n2"})],
        [(RISE, {"metric": "sglang:x", "series": f'{{"tp_rank":"{r}"}}'}) for r in range(4)],
        [([0, 100, 7, 300, 400, 500, 600], {})],
        [([1000, 1100, 1200, 50, 150, 250, 350], {})],
        [([300, 400, 10**15, 600, 700, 800, 900], {})],
        [(RISE[:3], {"since_us": T0 - S}), ([0, 0, 0, 900, 950], {"since_us": T0 + 25 * S})],
    ],
)
def test_what_the_readings_give_passes(
    builder: LakeBuilder, histories: list[tuple[list[int], dict[str, object]]]
) -> None:
    for values, more in histories:
        add(builder, values, **more)
    assert found(builder.build(), "tokens_add_up").rows == []


@pytest.mark.parametrize("tokens", [1200, 601, 500, 0])
def test_what_the_readings_cannot_give_is_named(builder: LakeBuilder, tokens: int) -> None:
    add(builder, RISE)
    lake = builder.build()
    booked(lake, tokens)
    assert len(found(lake, "tokens_add_up").rows) == 1


def test_series_that_were_taken_for_one_are_named(builder: LakeBuilder) -> None:
    """Two nodes under one name, read as one counter: every other reading would be a restart."""
    for node, base in (("n1", 0), ("n2", 5000)):
        add(builder, [base + n for n in RISE], node=node)
    lake = builder.build()
    booked(lake, 26_650)
    assert len(found(lake, "tokens_add_up").rows) == 1


def test_more_tokens_than_the_devices_can_make(builder: LakeBuilder) -> None:
    add(builder, [0, 10**9, 2 * 10**9, 2 * 10**9])
    finding = found(builder.build(), "tokens_are_plausible")
    assert not finding.fatal
    (row,) = finding.rows
    assert dict(zip(finding.columns, row, strict=True))["tokens"] == 2 * 10**9


@pytest.mark.parametrize(
    ("counted", "listed", "rows"),
    [
        (None, [None], []),
        ("a", ["a"], []),
        ("a", ["a", "b"], []),
        ("a", ["b"], [("a/17", "b/17")]),
        ("a", [None], [("a/17", "17")]),
        (None, ["a", "b"], [("17", "a/17, b/17")]),
        (None, [], []),
    ],
)
@pytest.mark.parametrize("tokens_first", [False, True])
def test_tokens_and_job_lists_name_one_cluster(
    builder: LakeBuilder,
    tokens_first: bool,
    counted: str | None,
    listed: list[str | None],
    rows: list[tuple[str, str]],
) -> None:
    """Whichever of the two came first: the import of counters warns only if the list did."""
    readings = [(T0, 0), (T0 + 60 * S, 600)]
    if tokens_first:
        builder.tokens("17", readings, cluster=counted)
    for number, cluster in enumerate(listed):
        builder.job("17", "A", T0 + number * S, T0 + (number + 1) * S, cluster=cluster)
    if not tokens_first:
        builder.tokens("17", readings, cluster=counted)
    finding = found(builder.build(), "clusters_agree")
    assert finding.rows == rows
    assert not finding.breach


@pytest.mark.parametrize(
    ("own_tokens", "start_s", "end_s", "rows"),
    [
        (True, 0, 60, []),  # the tokens of a/17 are of a job whose list is not imported
        (False, 0, 60, [("a/17", "b/17")]),
        (False, 30, None, [("a/17", "b/17")]),
        (False, 61, None, []),  # an id that another cluster gave again later
        (False, -60, 0, []),
        (False, -60, 1, [("a/17", "b/17")]),
    ],
)
def test_a_job_of_another_cluster_at_another_time_or_with_tokens_is_another(
    builder: LakeBuilder,
    own_tokens: bool,
    start_s: int,
    end_s: int | None,
    rows: list[tuple[str, str]],
) -> None:
    readings = [(T0, 0), (T0 + 60 * S, 600)]
    builder.tokens("17", readings, cluster="a", source_id="x")
    end_us = None if end_s is None else T0 + end_s * S
    builder.job("17", "A", T0 + start_s * S, end_us, cluster="b")
    if own_tokens:
        builder.tokens("17", readings, cluster="b")
    assert found(builder.build(), "clusters_agree").rows == rows
