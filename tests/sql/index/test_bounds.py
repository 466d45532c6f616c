"""How bounds combine: the worked example of docs/uncertainty.md, and squares beside sums."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.calibration import Calibration, Row
from tokenergy_sql.index.site import Site

PAGE = Path(__file__).parents[3] / "docs" / "uncertainty.md"
START_US, END_US, LAST_US = T0 + 5 * S, T0 + 15 * S, T0 + 20 * S
CARDS = "ABCD"
BOARD = "NVIDIA H100 80GB HBM3"


def counter_mj(at_us: int) -> int:
    """What a counter shows of a board that draws 100 W, and 500 W while the job runs."""
    busy_us = min(max(at_us, START_US), END_US) - START_US
    return (100 * (at_us - T0) + 400 * busy_us) // 1_000


def example(folder: Path, calibration: Calibration = (), cards: str = CARDS) -> Lake:
    """A job of 10 s and 40,000 tokens on four cards, each read at 10 Hz with a counter."""
    builder = LakeBuilder(folder / "lake")
    stamps = range(T0, LAST_US + 1, 100_000)
    readings = [(t, 500_000 if START_US < t <= END_US else 100_000) for t in stamps]
    counters = {t: counter_mj(t) for t in range(T0, LAST_US + 1, S)}
    for index, card in enumerate(cards):
        about = {"sensor_kind": "instant", "learned_us": 100_000, "update_us": 100_000}
        builder.device(card, index=index, name=BOARD, counter_us=100_000, **about)
        builder.power(card, readings, counters=counters)
        builder.job("j", card, START_US, END_US)
    builder.tokens("j", [(START_US, 0), (END_US, 40_000)])
    return builder.build(Site(None, None, {}, calibration))


def calibrated(cards: str = CARDS) -> Calibration:
    """Counters that tell 0.8 % too little, known to 0.4 % and 0.1 W; a reference of 0.1 %."""
    return tuple(Row("card", name, "counter", -8_000, 4_000, 0, 100, 1_000, 50) for name in cards)


def job(lake: Lake, job_id: str = "j") -> dict[str, float]:
    rows = ask(
        lake,
        "SELECT job_id, e_gpu_nj / 1e9 AS e, e_gpu_low_nj / 1e9 AS low, "
        "e_gpu_high_nj / 1e9 AS high, e_gpu_rss_low_nj / 1e9 AS rss_low, "
        "e_gpu_rss_high_nj / 1e9 AS rss_high, te_gpu_out, te_gpu_low, "
        "te_gpu_high, te_rss_low, te_rss_high FROM job_index",
    )
    (row,) = [row for row in rows if row.pop("job_id") == job_id]
    return {name: float(value) for name, value in row.items() if value is not None}


def told() -> dict[str, list[float]]:
    """The numbers of the page's example, by what stands before them."""
    _, text = PAGE.read_text("utf-8").split("<!-- example -->")
    rows = [line.split("|")[1:-1] for line in text.split("\n\n")[1].splitlines()[2:]]
    return {
        name.strip(): [float(word.replace(",", "")) for word in cells if word.strip()]
        for name, *cells in rows
    }


def test_the_worked_example(tmp_path: Path) -> None:
    page = told()
    booked = 5_000 + 0.05 * 500 - 0.05 * 100
    assert page["booked"] == [booked]
    by_class = [(booked - 12) / 1.05, (booked + 12) / 0.95]
    assert page["class: 5 % and 1.2 W"] == pytest.approx(by_class, abs=0.05)
    edges = [-(25 + 5.5), 27.5 + 5]
    assert page["edges"] == edges
    card = [by_class[i] + edges[i] for i in (0, 1)]
    assert page["one card"] == pytest.approx(card, abs=0.05)
    found = job(example(tmp_path / "class"))
    assert found["e"] == pytest.approx(4 * booked, abs=1e-3)
    assert [found["low"], found["high"]] == pytest.approx([4 * j for j in card], abs=0.1)
    assert page["four cards"] == pytest.approx([found["low"], found["high"]], abs=0.05)
    assert [found["rss_low"], found["rss_high"]] == [found["low"], found["high"]]
    assert page["J per token"] == pytest.approx(
        [found["te_gpu_low"], found["te_gpu_high"]], abs=0.0005
    )

    known = [(booked - 1.5) / 0.997, (booked + 1.5) / 0.987]
    assert page["calibrated"] == pytest.approx(known, abs=0.05)
    found = job(example(tmp_path / "calibrated", calibrated()))
    assert found["e"] == pytest.approx(4 * booked, abs=1e-3)
    four = [4 * (known[i] + edges[i]) for i in (0, 1)]
    assert page["four calibrated cards"] == pytest.approx(four, abs=0.05)
    assert [found["low"], found["high"]] == pytest.approx(four, abs=0.1)
    own = booked * 0.004 / 0.997**2 + 0.1 * 10 / 0.997
    assert page["a card's own part"] == pytest.approx([own], abs=0.05)
    saved = 4 * own - math.sqrt(3 * 4 * own**2)
    assert page["four, by squares"] == pytest.approx([four[0] + saved, four[1] - saved], abs=0.1)
    squares = [found["rss_low"], found["rss_high"]]
    assert page["four, by squares"] == pytest.approx(squares, abs=0.1)
    assert page["J per token, by squares"] == pytest.approx(
        [found["te_rss_low"], found["te_rss_high"]], abs=0.0005
    )


def add_counted(builder: LakeBuilder, job_id: str, names: dict[str, str]) -> None:
    """Add a job on boards of 300 W with exact counters, each with the name of its kind."""
    for index, (device_id, name) in enumerate(names.items()):
        builder.device(device_id, index=index, name=name, learned_us=0, counter_us=0)
        counters = {t: 300 * (t - T0) // 1_000 for t in range(T0, LAST_US + 1, S)}
        builder.power(device_id, [(t, 300_000) for t in counters], counters=counters)
        builder.job(job_id, device_id, T0, LAST_US)


COUNTS = (1, 2, 3, 4, 12)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Jobs on so many cards, each card calibrated."""
    builder = LakeBuilder(tmp_path_factory.mktemp("cards") / "lake")
    rows: list[Row] = []
    for count in COUNTS:
        names = [f"of {count}: {n:02}" for n in range(count)]
        add_counted(builder, f"on {count}", dict.fromkeys(names, BOARD))
        rows += [Row("card", name, "counter", 0, 4_000, 0, 0, 0, 0) for name in names]
    lake = builder.build(Site(None, None, {}, tuple(rows)))
    assert_checks_pass(lake)
    return lake


@pytest.mark.parametrize("count", COUNTS)
def test_own_errors_of_more_than_three_cards_add_by_squares(cards: Lake, count: int) -> None:
    found = job(cards, f"on {count}")
    own = 6_000 * 0.004 / 1.004**2
    saved = max(0.0, count * own - math.sqrt(3 * count) * own)
    assert found["rss_low"] - found["low"] == pytest.approx(saved, abs=0.01)
    assert found["high"] - found["rss_high"] == pytest.approx(saved, abs=0.01)
    assert (saved > 0) == (count > 3)


def test_what_a_class_leaves_open_is_the_same_for_all_its_boards(tmp_path: Path) -> None:
    """Eight boards of one name save nothing; of eight names they save as eight cards do."""
    builder = LakeBuilder(tmp_path / "lake")
    add_counted(builder, "one", {f"one {n}": "NVIDIA H100" for n in range(8)})
    add_counted(builder, "many", {f"many {n}": f"H100 v{n}" for n in range(8)})
    lake = builder.build()
    one, many = job(lake, "one"), job(lake, "many")
    assert one["rss_low"] - one["low"] == 0
    each = 6_000 * 0.05 / 1.05**2 + 1.2 * 20 / 1.05
    saved = many["rss_low"] - many["low"]
    assert saved == pytest.approx(8 * each * (1 - math.sqrt(3 / 8)), rel=1e-4)


def test_a_bound_that_stops_at_nothing_saves_no_more_than_there_is(tmp_path: Path) -> None:
    """Twelve boards of unknown kinds read 5 W: the class's 12.5 W leave a lower bound of 0."""
    builder = LakeBuilder(tmp_path / "lake")
    for index in range(12):
        builder.device(f"D{index}", index=index, name=f"kind {index}")
        readings = [(t, 5_000) for t in range(T0, LAST_US + 1, 100_000)]
        builder.power(f"D{index}", readings)
        builder.job("j", f"D{index}", T0, LAST_US)
    found = job(builder.build())
    assert found["low"] == 0 < found["rss_low"] < found["rss_high"] < found["high"]
    width = found["high"] - found["low"]
    assert found["rss_high"] - found["rss_low"] >= 0.49 * width


def test_the_fleet_by_the_page_s_query(tmp_path: Path) -> None:
    """Over all accounts and jobs: by hand from the rows of the hours."""
    _, text = PAGE.read_text("utf-8").split("```sql\n", 1)
    lake = example(tmp_path, calibrated("ABC"))
    (found,) = ask(lake, text.split("```", 1)[0])
    rows = ask(
        lake,
        "SELECT device_id, sum(low_nj)::DOUBLE AS low, sum(high_nj)::DOUBLE AS high, "
        "sum(own_nj)::DOUBLE AS own, sum(class_nj)::DOUBLE AS shared FROM ledger_hour "
        "GROUP BY device_id",
    )
    parts = [row["own"] + row["shared"] for row in rows]
    assert [row["shared"] > 0 for row in sorted(rows, key=lambda r: r["device_id"])] == [
        False, False, False, True,
    ]  # fmt: skip
    saved = max(0.0, sum(parts) - math.sqrt(3 * sum(part**2 for part in parts))) / 2 / 1e9
    low, high = (sum(row[name] for row in rows) / 1e9 for name in ("low", "high"))
    assert [found["low_j"], found["high_j"]] == pytest.approx([low, high])
    assert found["rss_low_j"] == pytest.approx(low + saved)
    assert found["rss_high_j"] == pytest.approx(high - saved)
