"""The checks of a scheduled run: of its own hour, and of what was healed before it.

In: a lake whose hour is booked. Out: findings.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, run_checks, touched_names


def check_run(lake: Lake, hour_us: int, healed: Sequence[int] = ()) -> list[Finding]:
    """Run all checks of an hour, and of healed hours those that had to wait for it.

    Jobs of a healed hour may go on into the run's own: their sums are right once that is booked.

    Args:
        lake: the lake.
        hour_us: start of the run's hour, microseconds UTC.
        healed: starts of the hours that the run healed.
    """
    others = [hour for hour in healed if hour != hour_us]
    found = run_checks(lake, [hour_us])
    return [*found, *(run_checks(lake, others, touched_names()) if others else [])]
