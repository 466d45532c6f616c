"""What is done once a day: past hours are compacted, old ones expire, the last days are reported.

In: a lake, the settings of a run. Out: what each step did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import Compacted
from tokenergy_collectors.lake.compaction import compact as compact_lake
from tokenergy_sql.index.site import load_site
from tokenergy_sql.report import build_report, last_hours
from tokenergy_sql.scheduled.expiring import Expiry, expire
from tokenergy_sql.scheduled.retention import Retention, load_retention, parse_time
from tokenergy_sql.scheduled.settings import report_of, root_of
from tokenergy_sql.workcopy.working import url_in

_SAY_EVERY_S = 60.0


def settle_daily(params: Mapping[str, Any], place: str | None) -> dict[str, Any]:
    """Return the settings of a run, checked, as values that JSON can hold.

    Args:
        params: parameters of the run: site, older_than, grace, retention, keep_revisions, report,
            report_days.
        place: path of the lake.

    Raises:
        UserError: a value cannot be used, or there is no such lake.
    """
    root = root_of(place, params["site"])
    in_store = url_in(root) is not None
    retention = Path(params["retention"]) if params["retention"] else None
    kept = Retention({}) if in_store else load_retention(retention, Path(root))
    return {
        "lake": root,
        "site": params["site"],
        "older_us": parse_time("older_than", params["older_than"]),
        "grace_us": parse_time("grace", params["grace"]),
        "in_store": in_store,
        "keep_us": dict(kept.keep_us),
        "keep_revisions": params["keep_revisions"],
        "report": params["report"] or report_of(root, "days.html"),
        "report_hours": 24 * params["report_days"],
    }


def compact_past(lake: Lake, settled: Mapping[str, Any], say: Callable[[str], None]) -> Compacted:
    """Compact the past hours of a lake.

    Args:
        lake: the lake.
        settled: see `settle_daily`.
        say: takes a line about once a minute.

    Raises:
        UserError: a file cannot be read or written.
        BusyError: another run is at work.
    """
    said_s = time.monotonic()

    def tell(share: float, what: str) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= _SAY_EVERY_S:
            said_s = time.monotonic()
            say(f"{share:.0%} {what}")

    until_us = time.time_ns() // 1000 - int(settled["older_us"])
    return compact_lake(lake, until_us, settled["grace_us"], progress=tell)


def expire_old(lake: Lake, settled: Mapping[str, Any], say: Callable[[str], None]) -> Expiry:
    """Remove the hours of a lake that are older than they are kept.

    Args:
        lake: the lake.
        settled: see `settle_daily`.
        say: takes a line before each step.

    Raises:
        UserError: a file cannot be read or removed.
        BusyError: another run is at work.
    """
    site = load_site(Path(settled["site"]) if settled["site"] else None, lake.root)
    now_us = time.time_ns() // 1000
    return expire(lake, site, Retention(settled["keep_us"]), now_us, say)


def report_days(lake: Lake, settled: Mapping[str, Any]) -> Path | None:
    """Write the report of the last days; return its path, or None if nothing is booked yet.

    The hourly runs check each hour, so nothing is checked again here but the last one.

    Raises:
        UserError: the file cannot be written.
    """
    booked = lake.hours("ledger_hour")
    if not booked:
        return None
    out = lake.root / settled["report"]
    out.parent.mkdir(parents=True, exist_ok=True)
    hours = last_hours(lake, settled["report_hours"])
    return build_report(lake, out, hours=hours, check_hours=booked[-1:])
