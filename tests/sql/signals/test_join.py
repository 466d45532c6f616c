"""A day of measured energy times a real 5-minute signal, against plain Python from the definition.

The signal is two days of the public example in `tests/data`. Job `flat` draws a constant power, so
its energy of any time is known without a meter; `steps` changes each minute and is held against the
rows of the ledger.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, LakeBuilder, S
from tests.support.long import pairs
from tests.support.once import once
from tokenergy_collectors.importers.signals.asked import import_asked
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_sql.catalog.connecting import connect
from tokenergy_sql.index.site import load_site

FILE = Path(__file__).parents[2] / "data" / "vessim_caiso_north.csv"
DAY = round(datetime(2023, 6, 8, tzinfo=UTC).timestamp()) * S
FLAT_MW = 612_345
FLAT = (DAY + 3 * HOUR_US + 1_033 * S, DAY + 21 * HOUR_US + 167 * S)
STEPS = (DAY + 1_234 * S, DAY + 11 * HOUR_US + 77 * S)
HOST_W, PUE = 400, Fraction(5, 4)
PER_KWH = 3_600_000_000_000
MINUTE = 60 * S
SITE = f"""
[site]
pue = {float(PUE)}
host_w = {HOST_W}
[[signal]]
carbon = "caiso-north"
kind = "marginal"
price = "market"
cfe = "share"
embodied_g_per_gpu_hour = 30
"""
PRICE_MINUTES = (7, 13, 29, 41)
"""Edges of prices are nobody's edges: neither of blocks nor of hours."""


def prices():
    """Intervals of odd lengths, some negative, some holes."""
    at, number = DAY - 5 * MINUTE, 0
    while at < DAY + 24 * HOUR_US:
        until = at + PRICE_MINUTES[number % 4] * MINUTE + 11 * S
        value = None if number % 7 == 3 else (number % 5 - 1) * 40_000
        yield at, until, value, None
        at, number = until, number + 1


def _make(folder: Path) -> None:
    root = folder / "lake"
    builder = LakeBuilder(root)
    for device, node in (("A", "n1"), ("B", "n2")):
        builder.device(device, node=node, name="NVIDIA H100 80GB HBM3", update_us=20 * S)
    stamps = range(DAY, DAY + 24 * HOUR_US + 1, 20 * S)
    builder.power("A", [(t, FLAT_MW) for t in stamps], node="n1")
    builder.power("B", [(t, 100_000 + (t // MINUTE * 7919) % 500_000) for t in stamps], node="n2")
    builder.job("flat", "A", *FLAT, node="n1")
    builder.job("steps", "B", *STEPS, node="n2")
    tokens = [(t, (t - FLAT[0]) // S * 50) for t in range(*FLAT, 60 * S)]
    builder.tokens("flat", [*tokens, (FLAT[1], (FLAT[1] - FLAT[0]) // S * 50)], since_us=FLAT[0])
    (root / "site.toml").write_text(SITE)
    asked = {
        "name": "caiso-north", "quantity": "carbon_marginal", "unit": "g/kWh", "tz": "UTC",
        "columns": "time=time,value=Caiso_North", "step": None, "zone": "CAISO_NORTH",
        "currency": None, "lifecycle": None, "read_at": "2023-06-10T00:00:00Z", "node": "grid",
    }  # fmt: skip
    import_asked(FILE, root, **asked)
    append_new(
        builder.lake, SignalName("market", "price", currency="EUR"), [*prices()], "grid", "csv",
        DAY, {},
    )  # fmt: skip
    hours = [
        (DAY + h * HOUR_US, DAY + (h + 1) * HOUR_US, h * 40_000_000, None) for h in range(0, 24, 2)
    ]
    append_new(builder.lake, SignalName("share", "cfe_share"), hours, "grid", "csv", DAY, {})
    builder.build(load_site(None, root))


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    return Lake(once(tmp_path_factory, "signal_day", _make) / "lake")


def carbon():
    """The file as its rows say: start, end, g/kWh."""
    with FILE.open() as file:
        for row in csv.DictReader(file):
            start = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC)
            from_us = round(start.timestamp()) * S
            yield from_us, from_us + 5 * MINUTE, round(Fraction(row["Caiso_North"]) * 1000)


def booked(lake, job, purpose):
    rows = [
        {name: int(one) if isinstance(one, Decimal) else one for name, one in row.items()}
        for row in lake.read("job_signal_hour").to_pylist()
        if (row["job_id"], row["purpose"]) == (job, purpose)
    ]
    return {row["hour_us"]: row for row in rows}


def shared(a, b, c, d):
    return max(0, min(b, d) - max(a, c))


def test_a_constant_power_times_the_signal(lake):
    """g = P x overlap x value, summed over the file's rows; host and building are constants."""
    found = booked(lake, "flat", "carbon")
    assert len(found) == 19
    for hour, row in found.items():
        want = sum(
            Fraction(FLAT_MW * shared(max(a, hour), min(b, hour + HOUR_US), *FLAT) * value)
            for a, b, value in carbon()
        )
        host = want * HOST_W * 1000 / FLAT_MW
        assert abs(row["gpu_amount"] - want / PER_KWH) <= 2
        assert abs(row["it_amount"] - (want + host) / PER_KWH) <= 2
        assert abs(row["facility_amount"] - (want + host) * PUE / PER_KWH) <= 3
        held = shared(hour, hour + HOUR_US, *FLAT)
        assert abs(row["gpu_nj"] - FLAT_MW * held) <= 1
        assert row["embodied_ug"] == 30_000_000 * held // HOUR_US
        assert row["gpu_low"] <= row["gpu_amount"] <= row["gpu_high"]
        assert row["facility_low"] <= row["facility_amount"] <= row["facility_high"]


@pytest.mark.parametrize(("job", "purpose"), pairs(["flat", "steps"], ["carbon", "price"]))
def test_rows_of_the_ledger_times_the_signal(lake, job, purpose):
    """Each row of the ledger is shared by time among the intervals that it meets, as fractions."""
    if purpose == "carbon":
        values = [*carbon()]
    else:
        values = [one[:3] for one in prices() if one[2] is not None]
    ledger = [row for row in lake.read("ledger").to_pylist() if row["job_id"] == job]
    for hour, row in booked(lake, job, purpose).items():
        energy, amount, cuts = Fraction(0), Fraction(0), 0
        for one in ledger:
            if not hour <= one["start_us"] < hour + HOUR_US or one["energy_nj"] is None:
                continue
            start, end = one["start_us"], one["end_us"]
            for a, b, value in values:
                part = Fraction(one["energy_nj"] * shared(start, end, a, b), end - start)
                energy, amount = energy + part, amount + part * value
                cuts += part > 0
        # Whole nanojoules: each part is less than one off.
        assert abs(row["gpu_known_nj"] - energy) <= cuts
        assert abs(row["gpu_amount"] - amount / PER_KWH) <= 1 + Fraction(cuts * 500_000, PER_KWH)


@pytest.mark.parametrize("job", ["flat", "steps"])
def test_parts_add_up_to_the_job_to_the_nanojoule(lake, job):
    """The carbon signal has no hole: what is known is the whole energy of the job."""
    index = {
        row["hour_us"]: row
        for row in lake.read("job_hour_index").to_pylist()
        if row["job_id"] == job
    }
    found = booked(lake, job, "carbon")
    assert found.keys() == index.keys()
    for hour, row in found.items():
        of_hour = index[hour]
        it = of_hour["e_gpu_nj"] + of_hour["e_host_nj"]
        assert row["gpu_nj"] == row["gpu_known_nj"] == of_hour["e_gpu_nj"]
        assert row["it_nj"] == row["it_known_nj"] == it
        assert row["facility_nj"] == row["facility_known_nj"] == of_hour["e_facility_nj"]
        assert row["known_us"] == row["served_us"] == HOUR_US


def test_holes_leave_energy_out_and_fill_nothing_in(lake):
    """Every other hour the share of clean power is unknown, and so is what follows from it."""
    for hour, row in booked(lake, "flat", "cfe").items():
        number = (hour - DAY) // HOUR_US
        if number % 2:
            assert (row["known_us"], row["gpu_known_nj"], row["gpu_amount"]) == (0, 0, None)
        else:
            assert row["gpu_known_nj"] == row["gpu_nj"]
            assert row["gpu_amount"] == row["gpu_nj"] * number * 40_000_000 // 10**9


def test_a_negative_price_has_its_bounds_the_right_way_round(lake):
    rows = booked(lake, "flat", "price").values()
    assert any(row["gpu_amount"] < 0 for row in rows)
    assert any(row["gpu_known_nj"] < row["gpu_nj"] for row in rows)
    for row in rows:
        assert row["gpu_low"] <= row["gpu_amount"] <= row["gpu_high"]
        assert row["currency"] == "EUR"


def test_views_and_per_token(lake):
    with connect(lake, adhoc=True) as con:
        ((g, known, per_1k, sci, embodied),) = con.execute(
            "SELECT g, known_share, g_per_1k, sci_g_per_token, embodied_g FROM job_carbon "
            "WHERE job_id = 'flat'"
        ).fetchall()
        ((money, cost_known),) = con.execute(
            "SELECT money, known_share FROM job_cost WHERE job_id = 'flat'"
        ).fetchall()
        by_day = con.execute("SELECT sum(g) FROM carbon_by('model', 'hour')").fetchall()
        every = con.execute("SELECT sum(g) FROM carbon_by('all', 'all')").fetchall()
    held = FLAT[1] - FLAT[0]
    host = Fraction(HOST_W * 1000 + FLAT_MW, FLAT_MW) * PUE
    want = host * sum(FLAT_MW * shared(a, b, *FLAT) * value for a, b, value in carbon())
    grams = float(want / PER_KWH / 10**6)
    assert g == pytest.approx(grams, rel=1e-8)
    assert known == pytest.approx(1, abs=1e-12)
    tokens = held / S * 50
    assert embodied == pytest.approx(30 * held / HOUR_US, rel=1e-6)
    assert per_1k == pytest.approx(1000 * grams / tokens, rel=1e-3)
    assert sci == pytest.approx((grams + embodied) / tokens, rel=1e-3)
    paid = host * sum(
        FLAT_MW * shared(a, b, *FLAT) * value for a, b, value, _ in prices() if value is not None
    )
    assert money == pytest.approx(float(paid / PER_KWH / 10**9), rel=1e-6)
    seen = sum(shared(a, b, *FLAT) for a, b, value, _ in prices() if value is not None)
    assert cost_known == pytest.approx(seen / held, rel=1e-6)
    assert by_day[0][0] == pytest.approx(every[0][0], rel=1e-12)
