"""A power reading that freezes while power changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults import Outcome


def fault(device: int, at_s: float, for_s: float, *, counter: bool = False) -> str:
    return (
        f'[[faults]]\nkind = "stale"\nnode = "n1"\ndevice = {device}\nat_s = {at_s}\n'
        f"for_s = {for_s}\ncounter = {str(counter).lower()}\n"
    )


@pytest.fixture(scope="module")
def stale(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    faults = (
        fault(0, 100.03, 40.0)
        + fault(1, 100.03, 40.0, counter=True)
        + fault(3, 140.03, 40.0, counter=True)
    )
    return Outcome(tmp_path_factory.mktemp("stale"), faults)


def test_it_is_reported_after_5_seconds_and_when_it_is_over(stale: Outcome) -> None:
    for board, least in ((0, 100.03), (1, 100.03), (3, 140.03)):
        events = [e for e in stale.events("stale", "stale_over") if e[1] == board]
        begun = [e[2] for e in events if e[0] == "stale"]
        over = [e[2] for e in events if e[0] == "stale_over"]
        assert len(begun) == len(over) == (1 if board == 0 else 2)
        assert least + 4.8 < min(begun) <= max(begun) < least + 6.1
        assert least + 40 <= min(over) <= max(over) < least + 42
    details = [r["detail"] for r in stale.lake.read("event").to_pylist() if r["kind"] == "stale"]
    assert [d for d in details if d.startswith("power has stayed at ")]
    assert [d for d in details if d.startswith("the energy counter has stayed at ")]


def test_from_then_on_no_power_is_recorded(stale: Outcome) -> None:
    for board in (0, 1):
        rows = stale.power(board)
        assert not [r for r in rows if 106.1 < r["at_s"] < 140.03 and r["power_mw"] is not None]
    counted = [r for r in stale.power(0) if 101 < r["at_s"] < 140 and r["energy_mj"]]
    assert len(counted) >= 36


def test_a_frozen_counter_is_not_repeated_and_bridges_all(stale: Outcome) -> None:
    values = [r["energy_mj"] for r in stale.power(1) if r["energy_mj"] is not None]
    assert len(values) == len(set(values))
    assert not [r for r in stale.power(1) if 101.1 < r["at_s"] < 140 and r["energy_mj"]]


def test_the_counter_is_the_total_and_the_jobs_lose_nothing(stale: Outcome) -> None:
    stale.assert_sound()
    for board in (0, 1):
        assert {r["method"] for r in stale.booked(board, 107, 139)} == {"counter_gap"}
    assert abs(stale.jobs["serve"].error or 1) < 1e-6
    assert abs(stale.jobs["train"].error or 1) < 1e-6
    # It began while the counter stood still: known within its bounds only.
    assert stale.jobs["late"].unmetered_nj > 0


def test_without_a_counter_it_is_missing(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, fault(0, 100.03, 40.0), '"counter"')
    outcome.assert_sound()
    [begun, over] = outcome.events("stale", "stale_over")
    assert begun[:2] == ("stale", 0)
    assert 101.9 < begun[2] < 103.1
    assert over[0] == "stale_over"
    assert {r["method"] for r in outcome.booked(0, 104, 140)} == {"missing"}
    serve = outcome.jobs["serve"]
    assert 0 < serve.true_nj - (serve.found_nj or 0) < 40 * 730e9


def test_idle_boards_and_steady_counters_are_not_suspected(tmp_path: Path) -> None:
    assert Outcome(tmp_path, "").events("stale", "stale_over") == []
