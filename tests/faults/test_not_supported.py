"""Readings that a board no longer supports: another is used until they are back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults import Outcome


def fault(device: int, *readings: str) -> str:
    names = ", ".join(f'"{name}"' for name in readings)
    return (
        f'[[faults]]\nkind = "not_supported"\nnode = "n1"\ndevice = {device}\n'
        f"readings = [{names}]\nat_s = 100.03\nfor_s = 40\n"
    )


@pytest.fixture(scope="module")
def unsupported(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    faults = (
        fault(0, "instant")
        + fault(1, "instant", "average", "usage", "utilization", "temperature")
        + fault(2, "counter")
        + fault(3, "instant", "average")
    )
    return Outcome(tmp_path_factory.mktemp("unsupported"), faults)


@pytest.mark.parametrize(
    ("board", "fallback"), [(0, "average_1s"), (1, "none"), (2, "instant"), (3, "unknown")]
)
def test_the_sensor_changes_and_changes_back(
    unsupported: Outcome, board: int, fallback: str
) -> None:
    rows = unsupported.power(board)
    meanwhile = {r["sensor"] for r in rows if 100.6 < r["at_s"] < 140.03}
    assert meanwhile == {fallback}
    assert {r["sensor"] for r in rows if not 100.04 < r["at_s"] < 151} == {"instant"}
    changes = [e[0] for e in unsupported.events("sensor") if e[1] == board]
    assert changes == ([] if fallback == "instant" else ["sensor", "sensor"])


def test_what_is_not_reported_is_null_and_noted(unsupported: Outcome) -> None:
    silent = [r for r in unsupported.power(1) if 100.6 < r["at_s"] < 140]
    assert {r["power_mw"] for r in silent} == {None}
    assert all(r["energy_mj"] is not None for r in silent)
    assert not [r for r in unsupported.power(2) if 100.1 < r["at_s"] < 140 and r["energy_mj"]]
    assert unsupported.events("counter_lost", "counter_found", "gauges") == [
        ("counter_lost", 2, 101.0),
        ("gauges", 1, 101.0),
        ("counter_found", 2, 141.0),
        ("gauges", 1, 141.0),
    ]
    assert unsupported.events("lost", "stale", "counter_reset") == []


def test_the_ledger_takes_what_is_left_and_the_jobs_lose_nothing(unsupported: Outcome) -> None:
    unsupported.assert_sound()
    assert {r["method"] for r in unsupported.booked(1, 102, 139)} == {"counter_gap"}
    for name, bound in (("serve", 1e-6), ("train", 1e-6), ("late", 1e-6)):
        assert abs(unsupported.jobs[name].error or 1) < bound


def test_with_every_reading_away_the_counter_still_bridges(tmp_path: Path) -> None:
    every = "".join(fault(i, "instant", "average", "usage", "counter") for i in range(4))
    outcome = Outcome(tmp_path, every)
    outcome.assert_sound()
    assert {r["method"] for r in outcome.booked(0, 102, 139)} == {"counter_gap"}
    assert [e[0] for e in outcome.events("sensor", "counter_lost") if e[1] == 0] == [
        "sensor",
        "counter_lost",
        "sensor",
    ]
    assert abs(outcome.jobs["serve"].error or 1) < 1e-6
