"""One signal over time: revisions of any edges, holes, and the view `signal_value`."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import SIGNAL
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_collectors.lake.signalcourse import pieces_of
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import connect
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.signals.reading import read_signal

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_768_435_200_000_000  # 2026-01-15T00:00:00Z
NAME = SignalName("s", "price", zone="Z", currency="EUR")


def rows_of(values):
    return [
        {"ts_us": START + a * MINUTE, "until_us": START + b * MINUTE, "value": v, "read_us": r}
        for a, b, v, r in values
    ]


VALUES = st.lists(
    st.tuples(
        st.integers(0, 200), st.integers(1, 60),
        st.none() | st.integers(-5, 5), st.integers(0, 20),
    ).map(lambda one: (one[0], one[0] + one[1], one[2], one[3])),
    max_size=12,
    unique_by=lambda one: one[3],  # no two rows are read at once
)  # fmt: skip


def painted(values):
    """Return the value of each minute: rows painted over each other as they were read."""
    found = {}
    for a, b, value, _ in sorted(values, key=lambda one: one[3]):
        found.update(dict.fromkeys(range(a, b), (value, a, b)))
    return found


def by_minute(pieces):
    found = {}
    for from_us, until_us, *value in pieces:
        span = range((from_us - START) // MINUTE, (until_us - START) // MINUTE)
        assert not found.keys() & {*span}  # pieces do not overlap
        found.update(dict.fromkeys(span, value[0]))
    return found


@given(VALUES)
def test_the_row_read_last_counts_at_each_instant(values):
    pieces = pieces_of(rows_of(values))
    found = by_minute((one.from_us, one.until_us, one.row["value"]) for one in pieces)
    assert found == {minute: one[0] for minute, one in painted(values).items()}


@given(VALUES)
def test_the_view_says_the_same(values):
    rows = [
        NAME.row((one["ts_us"], one["until_us"], one["value"], None), "n", "csv", one["read_us"])
        for one in rows_of(values)
    ]
    with open_memory() as con:
        con.register("signal", pa.Table.from_batches([to_batch(rows, SIGNAL.schema())]))
        views.define(con, ["signal_value"])
        found = con.execute(
            "SELECT from_us, until_us, value FROM signal_value ORDER BY from_us"
        ).fetchall()
    assert found == [
        (one.from_us, one.until_us, one.row["value"]) for one in pieces_of(rows_of(values))
    ]


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path, create=True)
    add = [(START + n * HOUR, START + (n + 1) * HOUR, 1000 * n, "actual") for n in range(5)]
    add[2] = (*add[2][:2], None, None)
    append_new(lake, NAME, add, "n", "csv", START + 10 * HOUR, {})
    # Later, quarters of the fourth hour, the second of them a hole.
    quarters = [
        (START + 3 * HOUR + q * 15 * MINUTE, START + 3 * HOUR + (q + 1) * 15 * MINUTE, -q, None)
        for q in range(4)
    ]
    quarters[1] = (*quarters[1][:2], None, None)
    append_new(lake, NAME, quarters, "n", "csv", START + 20 * HOUR, {})
    return lake


@pytest.mark.parametrize("through_sql", [False, True])
def test_a_course_of_a_lake(lake, through_sql):
    source = connect(lake) if through_sql else lake
    course = read_signal(source, "s", "price", START + HOUR // 2, START + 4 * HOUR + MINUTE)
    minutes = [
        ((a - START) // MINUTE, (b - START) // MINUTE)
        for a, b in zip(course.from_us.tolist(), course.until_us.tolist(), strict=True)
    ]
    assert minutes == [(30, 60), (60, 120), (180, 195), (210, 225), (225, 240), (240, 241)]
    assert course.value.tolist() == [0, 1000, 0, -2, -3, 4000]
    assert course.value.dtype == np.int64
    assert (course.unit, course.currency, course.zone) == ("millionths of EUR/kWh", "EUR", "Z")

    before = read_signal(
        source, "s", "price", START + 3 * HOUR, START + 4 * HOUR, as_of_us=START + 15 * HOUR
    )
    assert before.value.tolist() == [3000]
    assert not len(read_signal(source, "s", "price", START + 2 * HOUR, START + 3 * HOUR))
    if through_sql:
        source.close()


@pytest.mark.parametrize("through_sql", [False, True])
def test_a_name_that_is_not_there(lake, through_sql):
    source = connect(lake) if through_sql else lake
    with pytest.raises(UserError, match=r"'x' \(price\): the lake has none .* s \(price\)"):
        read_signal(source, "x", "price", START, START + HOUR)
    with pytest.raises(UserError, match="quantity 'carbon': expected carbon_average"):
        read_signal(source, "s", "carbon", START, START + HOUR)
    if through_sql:
        source.close()
