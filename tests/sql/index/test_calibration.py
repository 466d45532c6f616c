"""Calibration of single cards: the file, what it does to bounds, and that it makes hours stale."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.calibration import NAME, Row, load_calibration
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site, load_site

J = 10**9
BOARD = "NVIDIA A100-SXM4-80GB"
REFERENCE = "[reference]\ngain_uncertainty_ppm = 1_000\noffset_uncertainty_mw = 50\n"


def errors(gain_ppm: int, gain_within: int, offset_mw: int = 0, offset_within: int = 0) -> str:
    return (
        f"{{ gain_ppm = {gain_ppm}, gain_uncertainty_ppm = {gain_within}, "
        f"offset_mw = {offset_mw}, offset_uncertainty_mw = {offset_within} }}"
    )


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(REFERENCE + text, encoding="utf-8")
    return folder


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """One board that tells 300 W for a minute, without a counter."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", name=BOARD, sensor_kind="average_1s")
    builder.power("A", level(300_000, T0, T0 + 60 * S))
    return builder


def bounds_j(lake: Lake) -> tuple[float, float, float]:
    (row,) = ask(
        lake,
        "SELECT sum(energy_nj)::DOUBLE / 1e9 AS nj, sum(low_nj)::DOUBLE / 1e9 AS low, "
        "sum(high_nj)::DOUBLE / 1e9 AS high FROM ledger",
    )
    return row["nj"], row["low"], row["high"]


def test_a_file_becomes_rows_in_one_order(tmp_path: Path) -> None:
    card = f"[cards.A]\ncounter = {errors(-8_000, 3_000)}\nsensor = {errors(45_000, 500, -12, 2)}\n"
    board = f'[boards."{BOARD}"]\nsensor = {errors(0, 20_000)}\n'
    one = load_calibration(written(tmp_path / "one", card + board))
    assert one == load_calibration(written(tmp_path / "other", board + card))
    assert one == (
        Row("board", BOARD, "sensor", 0, 20_000, 0, 0, 1_000, 50),
        Row("card", "A", "counter", -8_000, 3_000, 0, 0, 1_000, 50),
        Row("card", "A", "sensor", 45_000, 500, -12, 2, 1_000, 50),
    )
    (tmp_path / "site.toml").write_text("[site]\npue = 1.1\n")
    for path in (None, tmp_path / "site.toml"):
        assert load_site(path, tmp_path / "one").calibration == one
    assert load_calibration(tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cards.A]\nsensor = {}\n", "cards.A.sensor.gain_ppm: Field required (and 3 more)"),
        ("[cards.A]\n", "cards.A: empty; expected sensor, counter or both"),
        ("[boards.A]\n", "boards.A: empty; expected sensor, counter or both"),
        ("[card.A]\n", "unknown key 'card' = {'A': {}}; allowed: reference, cards, boards"),
        ("[cards.A]\nmeter = 5\n", "unknown key 'meter' = 5; allowed: sensor, counter"),
        (f"[cards.A]\nsensor = {errors(300_000, 0)}\n", "gain_ppm: Input should be less than or"),
        (f"[cards.A]\nsensor = {errors(0, -1)}\n", "gain_uncertainty_ppm: Input should be greater"),
        (f"[cards.A]\nsensor = {errors(0, 0, 10**6)}\n", "cards.A.sensor.offset_mw"),
        ("[cards.A]\nsensor = { gain_ppm = 1.5 }\n", "cards.A.sensor.gain_ppm: Input should be a"),
        ("[cards]\nA = 5\n", "cards.A"),
        ("[cards\n", "not a TOML file"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    folder = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        load_site(None, folder)
    assert says in str(error.value)
    assert str(folder / NAME) in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_reference_there_is_no_calibration(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(f"[cards.A]\nsensor = {errors(0, 0)}\n")
    with pytest.raises(UserError, match="reference: Field required"):
        load_calibration(tmp_path)


def test_a_calibrated_card_keeps_its_energy_and_moves_its_bounds(builder: LakeBuilder) -> None:
    """It tells 4.5 % too much and 12 W less on top: 300 W is read at (300 + 12) / 1.045 W."""
    root = builder.lake.root
    found_j, low_j, high_j = bounds_j(builder.build())
    assert found_j == 18_000
    assert low_j == pytest.approx(60 * (300 - 1.2) / 1.05, rel=1e-5)
    assert high_j == pytest.approx(60 * (300 + 1.2) / 0.95, rel=1e-5)

    written(root, f"[cards.A]\nsensor = {errors(45_000, 3_000, -12_000, 150)}\n")
    found_j, low_j, high_j = bounds_j(builder.build(load_site(None, root)))
    assert found_j == 18_000
    # Uncertainties of the card and of the reference add up: 0.4 % and 0.2 W.
    assert low_j == pytest.approx(60 * (300 + 11.8) / 1.049, rel=1e-5)
    assert high_j == pytest.approx(60 * (300 + 12.2) / 1.041, rel=1e-5)
    assert_checks_pass(builder.lake)  # although 18,000 J lies outside


def test_bounds_that_leave_out_the_energy_are_a_fault_of_a_card_of_its_class(
    builder: LakeBuilder,
) -> None:
    import pyarrow as pa

    lake = builder.build()
    ledger = lake.read("ledger")
    high = ledger["high_nj"].to_pylist()
    high[0] = ledger["energy_nj"].to_pylist()[0] - 1
    place = ledger.column_names.index("high_nj")
    altered = ledger.set_column(place, ledger.schema.field(place), pa.array(high))
    lake.replace("ledger", altered, T0, "ledger")
    (found,) = run_checks(lake, only=["bounds_hold"])
    assert [row[0] for row in found.rows] == ["A"]


def test_a_cards_own_table_comes_before_that_of_its_name(builder: LakeBuilder) -> None:
    root = builder.lake.root
    builder.device("B", name=BOARD, index=1, sensor_kind="average_1s")
    builder.device("C", name="NVIDIA GeForce RTX 4090", index=2)
    for name in "BC":
        builder.power(name, level(300_000, T0, T0 + 60 * S))
    board = f'[boards."{BOARD}"]\nsensor = {errors(0, 9_000)}\n'
    card = f"[cards.B]\nsensor = {errors(10_000, 1_000)}\n"
    lake = builder.build(load_site(None, written(root, board + card)))
    rows = ask(
        lake,
        "SELECT device_id, calibrated, own_nj::DOUBLE / high_nj AS own, "
        "class_nj::DOUBLE / high_nj AS class, energy_nj::DOUBLE / low_nj AS under "
        "FROM ledger_hour ORDER BY device_id",
    )
    assert [row["calibrated"] for row in rows] == [True, True, False]
    offset = 1 - 50 / 300_000
    assert rows[0]["under"] == pytest.approx(1.010 / offset, rel=1e-5)
    assert rows[1]["under"] == pytest.approx(1.012 / offset, rel=1e-5)
    assert rows[0]["own"] == rows[1]["class"] == rows[2]["own"] == 0
    assert rows[0]["class"] == pytest.approx(0.018, rel=0.05)
    assert rows[1]["own"] == pytest.approx(0.002, rel=0.05)
    assert rows[2]["class"] == pytest.approx(2 * (0.055 + 12.5 / 300), rel=0.2)


def test_a_counter_has_errors_of_its_own(builder: LakeBuilder) -> None:
    builder.device("D", name=BOARD, index=3, sensor_kind="average_1s")
    counters = {t: (t - T0) * 300_000 // S for t in range(T0, T0 + 60 * S + 1, S)}
    builder.power("D", level(300_000, T0, T0 + 60 * S), counters=counters)
    text = f"[cards.D]\nsensor = {errors(90_000, 0)}\ncounter = {errors(-20_000, 1_000)}\n"
    lake = builder.build(load_site(None, written(builder.lake.root, text)))
    (row,) = ask(
        lake,
        "SELECT sum(low_nj)::DOUBLE / 1e9 AS low, sum(high_nj)::DOUBLE / 1e9 AS high FROM ledger "
        "WHERE device_id = 'D'",
    )
    assert row["low"] == pytest.approx(60 * (300 - 0.05) / 0.982, rel=1e-5)
    assert row["high"] == pytest.approx(60 * (300 + 0.05) / 0.978, rel=1e-5)


def test_a_job_on_a_calibrated_card_says_so(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 60 * S)
    text = f"[cards.A]\nsensor = {errors(45_000, 3_000)}\n"
    site = load_site(None, written(builder.lake.root, text))
    site = dataclasses.replace(site, pue_ppm=1_000_000, host_mw=0)
    builder.tokens("j", [(T0, 0), (T0 + 60 * S, 1_000)])
    lake = builder.build(site)
    (row,) = ask(lake, "SELECT reason_codes, tokenergy, te_high FROM job_index")
    assert "calibrated" in row["reason_codes"].split(",")
    assert row["te_high"] < row["tokenergy"]
    assert_checks_pass(lake)


def test_a_new_calibration_makes_hours_stale(builder: LakeBuilder) -> None:
    lake = builder.build()
    root = lake.root
    written(root, f"[cards.A]\nsensor = {errors(0, 5_000)}\n")
    assert index(lake, load_site(None, root), progress=str).causes == {T0: ["site"]}
    assert index(lake, load_site(None, root), progress=str).causes == {}
    (root / NAME).unlink()
    assert index(lake, load_site(None, root), progress=str).causes == {T0: ["site"]}
    assert index(lake, Site(None, None, {}), progress=str).causes == {}
