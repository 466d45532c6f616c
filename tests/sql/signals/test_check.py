"""The check `signals_add_up` finds what is wrong with carbon and cost of jobs."""

from __future__ import annotations

import pyarrow as pa

from tests.sql.signals.test_restated import lake  # noqa: F401 - a fixture
from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.lake.contract import JOB_SIGNAL_HOUR
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.checks.texts import checks_by_name


def found(lake, rows):  # noqa: F811
    """The hours and purposes that the check names."""
    text = checks_by_name()["signals_add_up"].text
    with open_memory() as con:
        views.define(con, views.UNITS)
        con.register("job_signal_hour", pa.Table.from_pylist(rows, JOB_SIGNAL_HOUR.schema()))
        con.register("job_hour_index", lake.read("job_hour_index"))
        return {(row[0], row[2]) for row in con.execute(text).fetchall()}


def test_it_finds_each_kind_of_mistake(lake):  # noqa: F811
    rows = lake.read("job_signal_hour").to_pylist()
    assert found(lake, rows) == set()
    mistakes = [
        {"gpu_nj": rows[0]["gpu_nj"] + 1},
        {"gpu_nj": rows[0]["gpu_nj"] - 1},
        {"facility_nj": rows[0]["facility_nj"] - 1},
        {"gpu_known_nj": rows[0]["gpu_nj"] + 1},
        {"facility_low": rows[0]["facility_amount"] + 1},
        {"gpu_high": rows[0]["gpu_amount"] - 1},
        {"served_us": HOUR_US + 1},
        {"known_us": HOUR_US + 1},
        {"job_id": "another"},
    ]
    assert rows[0]["hour_us"] == T0
    for mistake in mistakes:
        wrong = [{**rows[0], **mistake}, *rows[1:]]
        assert found(lake, wrong) == {("2026-01-15T08:00Z", rows[0]["purpose"])}, mistake
    # A part of an hour may have less than all.
    part = {"served_us": HOUR_US - 1, "known_us": 0, "gpu_nj": rows[0]["gpu_known_nj"]}
    assert found(lake, [{**rows[0], **part}, *rows[1:]]) == set()
