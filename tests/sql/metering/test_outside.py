"""CUE and the 24/7 score of a site with a known truth, by signals of odd edges and a hole."""

import pytest

from tests.sql.metering.planted import T0, S, site_toml
from tests.sql.metering.test_planted_site import HOUR, ROLLOVER_KWH, again, booked, figures
from tests.support.ledger import assert_checks_pass
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_sql.catalog.connecting import connect

PER_UG = 3.6e12
SITE = site_toml(ROLLOVER_KWH)
CARBON = '[[signal]]\ncarbon = "co2"\nkind = "average"\n'
CFE = '[[signal]]\ncfe = "share"\n'
EDGES = [-900, 420, 1_011, 1_800, 2_750, 3_800]
VALUES = [410_000, 380_500, None, 512_345, 0]
SHARES = [400_000_000, 250_000_000, 900_000_000, 0, 1_000_000_000]


def intervals(values):
    """From when until when (s of the hour) and what; the edges are those of no minute."""
    return [*zip(EDGES[:-1], EDGES[1:], values, strict=True)]


def add(lake, name, quantity, values):
    rows = [(T0 + a * S, T0 + b * S, value, None) for a, b, value in intervals(values)]
    append_new(lake, SignalName(name, quantity), rows, "grid", "csv", T0, {})


def site(tmp_path, text, **signals):
    builder, found = booked(tmp_path, text=SITE + text)
    for name, (quantity, values) in signals.items():
        add(builder.lake, name, quantity, values)
    again(builder.lake)
    return builder.lake, found


def parts(values):
    """What is known within the hour: start and end after the truth's start, value."""
    return [
        (3_600 + max(a, 0), 3_600 + min(b, 3_600), value)
        for a, b, value in intervals(values)
        if value is not None
    ]


def test_cue_is_co2_of_the_grid_over_it(tmp_path):
    lake, found = site(tmp_path, CARBON, co2=("carbon_average", VALUES))
    row = figures(lake)["site", "cue"]
    known = parts(VALUES)
    ug = sum(value * found.nj("grid", a, b) for a, b, value in known) / PER_UG
    it = sum(found.nj(name, a, b) for a, b, _ in known for name in ("it-a", "it-b"))
    assert row["covered_us"] == sum(b - a for a, b, _ in known) * S == HOUR - 789 * S
    assert row["above_low"] <= ug <= row["above_high"]
    assert row["below_low"] <= it <= row["below_high"]
    assert float(row["above"]) == pytest.approx(ug, rel=0.01)
    assert float(row["below"]) == pytest.approx(it, rel=0.01)
    # The roof emits nothing, and what it feeds is not bought.
    assert row["above_meters"] == '{"grid": 1}'
    # PUE needs no signal: it is of the whole hour.
    assert figures(lake)["site", "pue"]["covered_us"] == HOUR
    with connect(lake, adhoc=True) as con:
        ((value, low, high, unit),) = con.execute(
            "SELECT value, low, high, unit FROM site_figure_by('all') WHERE figure = 'cue'"
        ).fetchall()
    kg_per_kwh = ug / 1e9 / (it / 3.6e15)
    assert (low < kg_per_kwh < high, unit) == (True, "kg/kWh")
    assert value == pytest.approx(kg_per_kwh, rel=0.01)
    assert_checks_pass(lake)


@pytest.mark.parametrize("contracted_kw", [None, 100, 10_000])
def test_the_score_of_clean_energy(tmp_path, contracted_kw):
    """clean = own up to the load, and the grid's share of the rest; a surplus counts nowhere."""
    text = CFE if contracted_kw is None else f"{CFE}contracted_kw = {contracted_kw}\n"
    lake, found = site(tmp_path, text, share=("cfe_share", SHARES))
    row = figures(lake)["site", "cfe"]
    load = found.nj("dc", 3_600, 7_200)
    own = found.nj("roof", 3_600, 7_200) + (contracted_kw or 0) * 3_600 * 1e12
    mean = sum(value * found.nj("dc", a, b) for a, b, value in parts(SHARES)) / load / 1e9
    mine = min(load, own)
    clean = mine + mean * (load - mine)
    assert row["covered_us"] == HOUR
    assert row["above_low"] <= clean <= row["above_high"]
    assert float(row["above"]) == pytest.approx(clean, rel=0.01)
    assert float(row["below"]) == pytest.approx(load, rel=0.01)
    if contracted_kw == 10_000:
        assert row["above"] == row["below"]
    assert ("hall:a", "cfe") not in figures(lake)


def test_a_contract_that_is_a_signal_with_a_hole(tmp_path):
    """What a contract delivers is unknown for a while: so is the score then, and it is not 0."""
    mw = [100_000_000, None, 50_000_000, 0, 20_000_000]
    lake, found = site(
        tmp_path,
        CFE + 'contracted = "ppa"\n',
        share=("cfe_share", SHARES),
        ppa=("clean_power", mw),
    )
    row = figures(lake)["site", "cfe"]
    hole = (3_600 + EDGES[1], 3_600 + EDGES[2])
    known = [one for one in parts(SHARES) if one[:2] != hole]
    assert row["covered_us"] == HOUR - (hole[1] - hole[0]) * S
    load = sum(found.nj("dc", a, b) for a, b, _ in known)
    supply = {(a, b): value for a, b, value in parts(mw)}
    own = sum(found.nj("roof", a, b) + supply[a, b] * (b - a) * 1e6 for a, b, _ in known)
    mean = sum(value * found.nj("dc", a, b) for a, b, value in known) / load / 1e9
    clean = min(load, own) + mean * (load - min(load, own))
    assert float(row["above"]) == pytest.approx(clean, rel=0.01)
    assert float(row["below"]) == pytest.approx(load, rel=0.01)


def test_without_a_known_value_there_is_no_figure(tmp_path):
    lake, _ = site(tmp_path, CARBON + CFE)
    row = figures(lake)["site", "cue"]
    assert (row["covered_us"], row["above"], row["below"]) == (0, None, None)
    row = figures(lake)["site", "cfe"]
    assert (row["covered_us"], row["above"], row["below"]) == (0, None, None)
