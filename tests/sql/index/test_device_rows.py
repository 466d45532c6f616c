"""Rows of devices that only repeat what is known are left out, and change nothing."""

import random

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tokenergy_collectors.lake import devicenews
from tokenergy_collectors.lake.contract import DEVICE
from tokenergy_collectors.lake.devicenews import news, read_news
from tokenergy_sql.catalog.connecting import connect
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.index.devicerows import read_devices
from tokenergy_sql.index.inputs import device_rows

FACTS = [name for name in DEVICE.column_names if name != "ts_us"]


def recorded(rng):
    row = dict.fromkeys(DEVICE.column_names)
    return row | {
        "ts_us": T0 + rng.randrange(6) * HOUR_US // 2,
        "device_id": rng.choice(["a", "b"]),
        "node": rng.choice(["n1", "n1", "n2"]),
        "name": rng.choice(["x", "x", "y"]),
        "limit_mw": rng.choice([None, 1, 1]),
        "emulated": True,
    }


def now(rows):
    """What was recorded last of each device, as models see it."""
    with open_memory() as con:
        con.register("device", pa.Table.from_pylist(rows, schema=DEVICE.schema()))
        con.execute(
            "CREATE TABLE latest AS FROM device "
            "QUALIFY row_number() OVER (PARTITION BY device_id ORDER BY ts_us DESC, node) = 1"
        )
        return sorted(con.table("latest").select(*FACTS).fetchall(), key=str)


@pytest.mark.parametrize("seed", range(30))
def test_an_hour_sees_the_same_facts_and_the_same_last_ones(seed):
    rng = random.Random(seed)
    rows = [recorded(rng) for _ in range(14)]
    table = pa.Table.from_pylist(rows, schema=DEVICE.schema())
    few = news(table).to_pylist()
    for hour_us in range(T0 - HOUR_US, T0 + 4 * HOUR_US, HOUR_US):
        seen, of_few = device_rows(rows, hour_us), device_rows(few, hour_us)
        # Of rows with one device, stamp and node it is open which counts.
        if len({(row["device_id"], row["ts_us"], row["node"]) for row in rows}) == len(rows):
            assert now(seen) == now(of_few)
        assert {str([row[n] for n in FACTS]) for row in seen} == {
            str([row[n] for n in FACTS]) for row in of_few
        }


def test_a_daemon_that_starts_every_day_adds_nothing(tmp_path):
    builder = LakeBuilder(tmp_path)
    for day in range(20):
        builder.device("GPU-a", ts_us=T0 + day * 24 * HOUR_US)
    builder.device("GPU-a", ts_us=T0 + 30 * 24 * HOUR_US, limit_mw=600_000)
    assert [row["limit_mw"] for row in read_devices(builder.lake)] == [700_000, 600_000]
    with connect(builder.lake) as con:
        assert con.execute("SELECT count(*) FROM device").fetchall() == [(21,)]


def test_a_row_after_two_of_one_stamp_stays():
    """Of two nodes with one stamp the first by name counts, so the next row says another node."""
    first = dict.fromkeys(DEVICE.column_names) | {"device_id": "a", "name": "x", "emulated": True}
    rows = [
        first | {"ts_us": T0, "node": "n1"},
        first | {"ts_us": T0, "node": "n2"},
        first | {"ts_us": T0 + 1, "node": "n2"},
        first | {"ts_us": T0 + 2, "node": "n2"},
    ]
    few = news(pa.Table.from_pylist(rows, schema=DEVICE.schema())).to_pylist()
    assert few == rows[:3]
    assert now(few) == now(rows)


def test_what_is_kept_is_of_the_files_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(devicenews, "_MANY", 1)
    builder = LakeBuilder(tmp_path)
    for day in range(5):
        builder.device("GPU-a", ts_us=T0 + day * 24 * HOUR_US)
    lake = builder.lake
    assert len(read_news(lake)) == 1
    (kept,) = (lake.root / devicenews.FOLDER).glob("*.parquet")
    monkeypatch.setattr(devicenews, "news", lambda _: pytest.fail("it is kept"))
    assert len(read_news(lake)) == 1
    monkeypatch.undo()
    monkeypatch.setattr(devicenews, "_MANY", 1)
    builder.device("GPU-a", ts_us=T0 + 2 * 24 * HOUR_US + 7, limit_mw=600_000)
    builder.device("GPU-b", ts_us=T0)
    told = [(row["device_id"], row["limit_mw"]) for row in read_news(lake).to_pylist()]
    assert told == [("GPU-a", 700_000), ("GPU-a", 600_000), ("GPU-a", 700_000), ("GPU-b", 700_000)]
    for path in (lake.root / devicenews.FOLDER).glob("*.parquet"):
        if path != kept:
            path.write_bytes(b"damaged")
    assert len(read_news(lake)) == 4


def test_no_rows(tmp_path):
    assert read_devices(LakeBuilder(tmp_path).lake) == []
