"""A board that two nodes read at once is reported, and changes no figure of another board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_sql.checks.checking import run_checks


def ledger_of_b(folder: Path, claimed_twice: bool) -> tuple[list[dict[str, Any]], set[str]]:
    """Return B's rows and the checks that fail; n2 may read A too, from the end of A's job on."""
    builder = LakeBuilder(folder)
    for name, watts in (("A", 100), ("B", 200)):
        builder.device(name, update_us=100_000, counter_us=100_000)
        counters = {T0 + t * S: 5_000 + 1_000 * watts * t for t in range(61)}
        builder.power(name, level(1_000 * watts, T0, T0 + 60 * S), counters=counters)
    if claimed_twice:
        builder.power("A", level(100_000, T0 + 20 * S, T0 + 60 * S), node="n2")
    builder.job("a", "A", T0, T0 + 20 * S)
    builder.job("b", "B", T0 + 10 * S, T0 + 50 * S)
    lake = builder.build()
    rows = ask(lake, "FROM ledger WHERE device_id = 'B' ORDER BY start_us")
    return rows, {finding.name for finding in run_checks(lake) if finding.breach}


def test_edges_of_one_board_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    right, nothing = ledger_of_b(tmp_path / "one", claimed_twice=False)
    found, failed = ledger_of_b(tmp_path / "two", claimed_twice=True)
    assert len({row["energy_nj"] for row in right}) > 1  # b's edges move something
    assert found == right
    assert nothing == set()
    assert "segments_do_not_overlap" in failed
