"""Rows of some jobs in the place of those that were kept: as if all had been sorted."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenergy_collectors.lake import allocationmerge

SCHEMA = pa.schema(
    [
        ("device_id", pa.string()),
        ("start_us", pa.int64()),
        ("job_id", pa.string()),
        ("mig_id", pa.string()),
        ("place", pa.int64()),
    ]
)
JOBS = "jklm"
ROW = st.tuples(
    st.sampled_from(["a", "B", "ä", "b"]),
    st.integers(0, 2),
    st.sampled_from(JOBS),
    st.sampled_from([None, "", "m"]),
)


def table(rows, first=0):
    """Rows in order; `place` tells apart those that are equal."""
    columns = [*zip(*rows, strict=True)] or [[]] * 4
    return pa.table([*columns, range(first, first + len(rows))], schema=SCHEMA)


def order(row):
    return row[0], row[1], row[2], row[3] or ""


@pytest.mark.parametrize("few", [allocationmerge._FEW, -1], ids=["slices", "sort"])
@settings(deadline=None)
@given(
    rows=st.lists(ROW, max_size=12),
    fresh=st.lists(ROW, max_size=6),
    jobs=st.frozensets(st.sampled_from(JOBS + "z")),
)
def test_rows_are_replaced_as_if_all_were_sorted(few, rows, fresh, jobs):
    rows = sorted(rows, key=order)
    fresh = sorted((row for row in fresh if row[2] in jobs), key=order)
    had, now = table(rows), table(fresh, first=100)
    stay = [row for row in had.to_pylist() if row["job_id"] not in jobs]
    expected = sorted(stay + now.to_pylist(), key=lambda row: order([*row.values()]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allocationmerge, "_FEW", few)
        assert allocationmerge.replaced(had, jobs, now).to_pylist() == expected


END = st.sampled_from([None, 5, 6, 7])


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(JOBS), END), max_size=8),
    fresh=st.lists(st.tuples(st.sampled_from(JOBS), END), max_size=8),
    jobs=st.frozensets(st.sampled_from(JOBS + "z")),
    until_us=st.integers(4, 8),
)
def test_what_ended_before_the_first_difference_stays(rows, fresh, jobs, until_us):
    schema = pa.schema([("job_id", pa.string()), ("end_us", pa.int64())])
    fresh = [row for row in fresh if row[0] in jobs]
    had, now = (
        pa.table([*zip(*some, strict=True)] or [[], []], schema=schema) for some in (rows, fresh)
    )
    since_us = allocationmerge.differs_since(had, jobs, now)

    def ended(some, before_us):
        return sorted(row for row in some if row[1] is not None and row[1] < before_us)

    after = [row for row in rows if row[0] not in jobs] + fresh
    assert (ended(rows, until_us) == ended(after, until_us)) == (until_us <= since_us)


def test_rows_that_stay_are_not_copied():
    had = table([("a", 0, "j", None), ("a", 1, "k", None), ("b", 0, "j", None)])
    found = allocationmerge.replaced(had, frozenset("k"), table([("a", 2, "k", None)], first=100))
    assert found["place"].to_pylist() == [0, 100, 2]
    base = had["start_us"].chunk(0).buffers()[1].address
    assert found["start_us"].chunk(0).buffers()[1].address == base
