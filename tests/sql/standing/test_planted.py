"""Racks whose power is known in every cell: what the books say of them, and of what holds them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.sql.standing.fleets import (
    RACKS,
    curve,
    fleet,
    indexed,
    integrated,
    placed,
    readings,
    row_of,
    rows_of,
)
from tests.support.lakes import HOUR_US, T0, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.site import load_site

CHECKS = ("places_add_up", "place_power_is_ordered")
CURVES = {f"n{number}": curve(number) for number in (1, 2, 3, 4)}
SITE = RACKS + placed("n1", "r1") + placed("n2", "r1") + placed("n3", "r2") + placed("n4", "r3")


def sound(lake: Lake) -> None:
    findings = run_checks(lake, only=CHECKS)
    assert len(findings) == len(CHECKS)
    assert [row for one in findings for row in one.rows] == []


def cells(*nodes: str) -> np.ndarray:
    """The energy of nodes in each cell, nJ."""
    return sum(np.array(integrated(CURVES[node])) for node in nodes)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    site = "[site]\nrated_kw = 6\nhost_w = 50\n" + SITE
    return indexed(tmp_path_factory.mktemp("planted"), site, CURVES)


@pytest.mark.parametrize(
    ("place", "nodes", "rated_mw"),
    [
        ("rack:r1", ("n1", "n2"), 1_500_000),
        ("rack:r2", ("n3",), 1_500_000),
        ("rack:r3", ("n4",), None),
        ("module:a1", ("n1", "n2", "n3"), 3_000_000),
        ("hall:a", ("n1", "n2", "n3"), 4_000_000),
        ("hall:b", ("n4",), None),
        ("site", ("n1", "n2", "n3", "n4"), 6_000_000),
    ],
)
def test_a_place_is_the_sum_of_its_nodes_cell_by_cell(
    lake: Lake, place: str, nodes: tuple[str, ...], rated_mw: int | None
) -> None:
    truth = cells(*nodes)
    powers = np.sort(sum(np.rint(cells(node) / 1e7) for node in nodes))
    row = row_of(lake, place)
    assert row["energy_nj"] == truth.sum()
    assert row["low_nj"] < row["energy_nj"] < row["high_nj"]
    assert (row["nodes"], row["boards"], row["missing"]) == (len(nodes), len(nodes), None)
    assert row["rated_mw"] == rated_mw
    assert row["cells"] == 360
    assert (row["present_us"], row["device_us"]) == (HOUR_US, len(nodes) * HOUR_US)
    assert row["p50_mw"] == powers[179]
    assert row["p99_mw"] == powers[356]  # 0.99 x 360 = 356.4: the 357th
    assert row["peak_mw"] == powers[-1]
    assert row["min_mw"] == powers[0]
    assert row["mean_mw"] == pytest.approx(powers.mean())
    assert row["peak_low_mw"] < row["peak_mw"] < row["peak_high_mw"]
    assert row["peak_us"] == T0 + int(np.argmax(truth)) * 10 * S
    assert sum(row["counts"]) == 360


def test_hosts_are_added_evenly(lake: Lake) -> None:
    boards, both = row_of(lake, "hall:a"), row_of(lake, "hall:a", "boards+host")
    assert both["energy_nj"] - boards["energy_nj"] == 3 * 50_000 * HOUR_US
    for name in ("p50_mw", "p99_mw", "peak_mw", "min_mw", "peak_low_mw", "peak_high_mw"):
        assert both[name] - boards[name] == 150_000
    assert both["peak_in_site_mw"] is None


def test_peaks_in_a_place_are_those_of_its_own_cells(lake: Lake) -> None:
    """Each rack is known whenever the site is, so its peak is the same."""
    for rack in ("r1", "r2", "r3"):
        row = row_of(lake, f"rack:{rack}")
        assert row["peak_in_site_mw"] == row["peak_in_hall_mw"] == row["peak_mw"]
    parts = [row_of(lake, f"rack:{rack}")["peak_in_site_mw"] for rack in ("r1", "r2", "r3")]
    assert row_of(lake, "site")["peak_mw"] < sum(parts)
    sound(lake)


def test_a_node_that_moves_inside_a_cell_is_split_there(tmp_path: Path) -> None:
    moved = "2026-01-15T08:30:04.5Z"
    site = RACKS + placed("n1", "r1", until=moved) + placed("n1", "r3", since=moved)
    site += placed("n2", "r1") + placed("n4", "r3")
    lake = indexed(tmp_path, site, {node: CURVES[node] for node in ("n1", "n2", "n4")})
    shown = [value for _, value in readings(CURVES["n1"])]
    until_s = 1804
    before = sum((a + b) / 2 for a, b in itertools.pairwise(shown[: until_s + 1]))
    # A segment of a second is divided by time: half of it.
    before += (shown[until_s] + shown[until_s + 1]) / 4
    first, second = sorted(rows_of(lake, "node:n1"), key=lambda row: row["hall"])
    assert (first["rack"], second["rack"]) == ("r1", "r3")
    assert first["energy_nj"] == pytest.approx(before * S, abs=2)
    assert first["energy_nj"] + second["energy_nj"] == cells("n1").sum()
    assert (first["present_us"], second["present_us"]) == (1_804_500_000, 1_795_500_000)
    assert (first["cells"], second["cells"]) == (180, 179)
    # The racks hold another node all the time, so they are known in the cell of the move too.
    one, other = row_of(lake, "rack:r1"), row_of(lake, "rack:r3")
    assert (one["cells"], other["cells"]) == (360, 360)
    alone = np.rint(cells("n2")[181:] / 1e7)
    assert one["min_mw"] <= alone.min()
    assert row_of(lake, "site")["energy_nj"] == cells("n1", "n2", "n4").sum()
    sound(lake)


def test_a_rack_that_moves_has_a_row_for_each_hall_and_its_nodes_are_nowhere_between(
    tmp_path: Path,
) -> None:
    away, back = "2026-01-15T08:20:00Z", "2026-01-15T08:40:00Z"
    site = f"""
[[hall]]
names = ["a", "b"]
[[rack]]
name = "r"
hall = "a"
until = {away}
[[rack]]
name = "r"
hall = "b"
from = {back}
{placed("n1", "r", until=away)}{placed("n1", "r", since=back)}"""
    lake = indexed(tmp_path, site, {"n1": CURVES["n1"]})
    truth = cells("n1")
    found = {row["hall"]: row for row in rows_of(lake, "rack:r")}
    assert {hall: row["energy_nj"] for hall, row in found.items()} == {
        "a": truth[:120].sum(),
        "b": truth[240:].sum(),
    }
    assert row_of(lake, "unplaced")["energy_nj"] == truth[120:240].sum()
    assert row_of(lake, "unplaced")["rated_mw"] is None
    assert row_of(lake, "site")["cells"] == 240
    assert row_of(lake, "site")["present_us"] == 2400 * S
    sound(lake)


def test_a_node_that_nobody_recorded_makes_its_places_unknown_and_not_smaller(
    tmp_path: Path,
) -> None:
    site = SITE + placed("lost", "r2")
    lake = indexed(tmp_path, site, CURVES)
    for place in ("node:lost", "rack:r2", "module:a1", "hall:a", "site"):
        row = row_of(lake, place)
        assert (row["cells"], row["peak_mw"], row["missing"]) == (0, None, "lost")
        assert row["bins"] is None
    assert row_of(lake, "node:lost")["energy_nj"] is None
    # What is known of the energy stays, of places without that node the power too.
    assert row_of(lake, "hall:a")["energy_nj"] == cells("n1", "n2", "n3").sum()
    assert row_of(lake, "rack:r1")["cells"] == 360
    assert row_of(lake, "rack:r1")["peak_in_hall_mw"] is None
    sound(lake)


def test_a_silence_of_one_board_is_unknown_in_all_that_holds_it(tmp_path: Path) -> None:
    builder = fleet(tmp_path, SITE, {node: CURVES[node] for node in ("n1", "n2", "n4")})
    builder.device("GPU-n3", node="n3")
    kept = [one for one in readings(CURVES["n3"]) if not 600 * S < one[0] - T0 < 663 * S]
    builder.power("GPU-n3", kept, node="n3")
    lake = builder.build(load_site(None, tmp_path))
    # 600 s to 663 s: six cells, and the seventh is known for more than half of its time.
    assert row_of(lake, "rack:r2")["cells"] == 354
    assert row_of(lake, "site")["cells"] == 354
    assert row_of(lake, "rack:r1")["cells"] == 360
    peaks = np.rint(cells("n1") / 1e7) + np.rint(cells("n2") / 1e7)
    known = np.delete(peaks, range(60, 66))
    assert row_of(lake, "rack:r1")["peak_in_site_mw"] == known.max()
    sound(lake)


def test_a_cell_that_is_known_in_part_has_the_mean_of_that_part(tmp_path: Path) -> None:
    builder = fleet(tmp_path, SITE, {})
    builder.device("GPU-n4", node="n4")
    steady = [one for one in readings([300_000] * 360) if not 600 * S < one[0] - T0 < 604 * S]
    builder.power("GPU-n4", steady, node="n4")
    lake = builder.build(load_site(None, tmp_path))
    row = row_of(lake, "rack:r3")
    assert row["cells"] == 360
    assert (row["min_mw"], row["peak_mw"]) == (300_000, 300_000)
    assert row["energy_nj"] == 300_000 * (HOUR_US - 4 * S)


def test_a_board_that_is_expected_and_silent_is_unknown(tmp_path: Path) -> None:
    builder = fleet(tmp_path, SITE, CURVES)
    builder.device("GPU-second", node="n4", index=1)
    lake = builder.build(load_site(None, tmp_path))
    assert row_of(lake, "rack:r3")["cells"] == 0
    # One that another board has replaced is not missed.
    other = tmp_path / "other"
    builder = fleet(other, SITE, CURVES)
    builder.device("GPU-old", node="n4", ts_us=T0 - HOUR_US)
    assert row_of(builder.build(load_site(None, other)), "rack:r3")["cells"] == 360


def test_a_board_that_moves_to_another_node_is_known_on_both(tmp_path: Path) -> None:
    builder = fleet(tmp_path, SITE, {"n1": CURVES["n1"], "n2": CURVES["n2"], "n3": CURVES["n3"]})
    builder.device("GPU-x", node="n4")
    builder.power("GPU-x", readings([200_000] * 180), node="n4")
    later = [(ts + HOUR_US // 2 + S, value) for ts, value in readings([200_000] * 179)]
    builder.power("GPU-x", later, node="n3")
    builder.device("GPU-x", node="n3", index=1, ts_us=T0 + HOUR_US // 2)
    lake = builder.build(load_site(None, tmp_path))
    assert row_of(lake, "rack:r3")["cells"] >= 358
    assert row_of(lake, "rack:r2")["cells"] >= 358
    assert row_of(lake, "rack:r3")["peak_mw"] == 200_000
    sound(lake)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """Powers step between cells within a microsecond, as in the table of docs/modules.md."""
    site = """
[[hall]]
name = "a"
[[rack]]
names = ["r1", "r2"]
hall = "a"
rated_kw = 1.5
"""
    site += placed("n1", "r1") + placed("n2", "r1") + placed("n3", "r2")
    drawn = {"n1": (700, 300, 300), "n2": (200, 300), "n3": (300, 700, 400)}
    builder = fleet(tmp_path, site, {})
    for node, watts in drawn.items():
        builder.device(f"GPU-{node}", node=node)
        stamps = [
            (T0 + cell * 10 * S + at, power * 1000)
            for cell, power in enumerate(watts)
            for at in (*range(0, 10 * S, S), 10 * S - 1)
        ]
        builder.power(f"GPU-{node}", stamps, node=node)
    lake = builder.build(load_site(None, tmp_path))
    one, other, hall = (row_of(lake, place) for place in ("rack:r1", "rack:r2", "hall:a"))
    peaks = [row["peak_mw"] / 1e6 for row in (one, other, hall)]
    assert peaks == pytest.approx([0.9, 0.7, 1.3], abs=1e-5)
    assert [row["cells"] for row in (one, other, hall)] == [2, 3, 2]
    parts = [row["peak_in_hall_mw"] / 1e6 for row in (one, other)]
    assert parts == pytest.approx([0.9, 0.7], abs=1e-5)
    assert peaks[2] / sum(parts) == pytest.approx(0.81, abs=0.005)
    assert (one["rated_mw"] - one["p99_mw"]) / 1e6 == pytest.approx(0.6, abs=1e-5)
    assert hall["mean_mw"] / hall["peak_mw"] == pytest.approx(0.96, abs=0.005)


def test_a_lake_that_places_no_node_has_no_rows_and_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokenergy_sql.standing import hour

    def never(*_: object) -> None:
        raise AssertionError("the ledger was read again")

    monkeypatch.setattr(hour, "read_booked", never)
    lake = indexed(tmp_path, RACKS, {"n1": CURVES["n1"]})
    assert lake.files("place_hour") == []
