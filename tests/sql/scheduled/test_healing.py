"""Before its own hour, a run makes the last days as if nothing had been late, and checks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding
from tokenergy_sql.index.site import Site
from tokenergy_sql.scheduled import healing
from tokenergy_sql.scheduled.healing import HealedHours, heal_and_check

NOWHERE = Site(None, None, {})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A minute of readings at the end of one hour and at the start of the next; no books."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("GPU-1")
    edge = T0 + HOUR_US
    builder.power("GPU-1", level(300_000, edge - 60 * S, edge + 60 * S))
    builder.job("job-1", "GPU-1", edge - 50 * S, edge + 10 * S)
    return builder.lake


def healed(lake: Lake, until_us: int) -> tuple[HealedHours, list[str]]:
    said: list[str] = []
    done = heal_and_check(lake, NOWHERE, T0 - 24 * HOUR_US, until_us, S, "cpu", 5, said.append)
    return done, said


def test_missed_hours_are_derived_profiled_and_checked_once(lake: Lake) -> None:
    done, said = healed(lake, T0 + HOUR_US)  # the second hour is the run's own
    assert done.hours == [T0]
    assert done.names == ["2026-01-15T08"]
    assert done.failed == []
    assert lake.hours("ledger") == lake.hours("load_profile") == [T0]
    assert said[-1].endswith(" checks of 1 healed hours: ok")
    again, said = healed(lake, T0 + HOUR_US)
    assert again == HealedHours([], [])
    assert said[-1].endswith(": nothing to do")


def test_a_profile_that_a_kill_prevented_is_written_by_the_next_run(lake: Lake) -> None:
    healed(lake, T0 + 2 * HOUR_US)
    (path,) = lake.files("load_profile", [T0])
    kept = path.read_bytes()
    path.unlink()
    done, said = healed(lake, T0 + 2 * HOUR_US)
    assert done.hours == []
    assert path.read_bytes() == kept
    assert any(line.startswith("load profile 2026-01-15T08: ") for line in said)


def test_the_run_s_own_hour_and_older_ones_are_left_alone(lake: Lake) -> None:
    done = heal_and_check(lake, NOWHERE, T0 + HOUR_US, T0 + HOUR_US, S, "cpu", say=lambda _: None)
    assert done == HealedHours([], [])
    assert lake.hours("segment") == []


def test_a_check_that_fails_is_shown_and_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def fail(_: Lake, hours: list[int], names: list[str]) -> list[Finding]:
        asked.append((hours, "law" in names, "tokens_add_up" in names))
        warning = Finding("clocks_agree", "They agree.", False, ["node"], [("n1",)])
        return [Finding("law", "Energy is booked.", True, ["device_id"], [("GPU-1",)] * 7), warning]

    monkeypatch.setattr(healing, "run_checks", fail)
    done, said = healed(lake, T0 + HOUR_US)
    # The checks of all jobs wait until the run's own hour is booked.
    assert asked == [([T0], True, False)]
    assert done.failed == ["law (7 rows)"]
    shown = said[-1].splitlines()
    assert shown[0].startswith("FAIL law: Energy is booked.")
    assert shown[1].strip() == "device_id=GPU-1"
    assert shown[-1].strip() == "... and 2 more"
