"""What is done once a day: settings, both steps, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.late import books, fleet
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import locked
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.scheduled.daily import compact_past, expire_old, report_days, settle_daily
from tokenergy_sql.scheduled.faults import judge

PARAMS = {
    "site": None,
    "older_than": "24h",
    "grace": "0s",
    "retention": None,
    "keep_revisions": None,
    "report": None,
    "report_days": 7,
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = fleet(tmp_path_factory.mktemp("daily") / "lake").lake
    books(lake)
    return lake


def settled(lake: Lake, **given: Any) -> dict[str, Any]:
    return settle_daily({**PARAMS, **given}, str(lake.root))


def test_settings(lake: Lake, tmp_path: Path) -> None:
    found = settled(lake)
    assert found["keep_us"] == {}
    assert (found["older_us"], found["grace_us"]) == (24 * HOUR_US, 0)
    assert found["report"] == f"{lake.root}-report/days.html"
    (tmp_path / "mine.toml").write_text('state = "90d"\n')
    with_file = settled(lake, retention=str(tmp_path / "mine.toml"))
    assert with_file["keep_us"] == {"state": 90 * 24 * HOUR_US}
    with pytest.raises(UserError, match="older_than 'soon'"):
        settled(lake, older_than="soon")


def test_the_steps(lake: Lake) -> None:
    lines: list[str] = []
    done = compact_past(lake, settled(lake), lines.append)
    assert done.made > 0
    assert done.removed == done.sources
    assert compact_past(lake, settled(lake), lines.append).made == 0
    path = report_days(lake, settled(lake))
    assert path is not None
    assert path.read_text("utf-8").startswith("<!")
    expiry = expire_old(lake, {**settled(lake), "keep_us": {"power": 48 * HOUR_US}}, lines.append)
    assert expiry.tables["power"].files > 0
    assert lake.hours("power") == []


def test_nothing_is_reported_before_anything_is_booked(tmp_path: Path) -> None:
    empty = Lake(tmp_path / "lake", create=True)
    empty.prepare()
    assert report_days(empty, settled(empty)) is None


def test_another_run_at_work_is_worth_another_try(lake: Lake) -> None:
    with locked(lake), pytest.raises(UserError) as busy:
        compact_past(lake, settled(lake), print)
    judged = judge(busy.value, 1)
    assert (judged.kind, judged.again) == ("busy", True)
