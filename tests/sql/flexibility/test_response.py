"""`tokenergy response` on planted events: what was given is what was planted, or NULL."""

from __future__ import annotations

import csv
import io
import random
import statistics
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.sql.flexibility.staged import Row, booked, stage
from tests.support.commands import command
from tests.support.lakes import HOUR_US, LakeBuilder
from tokenergy_collectors.lake import Lake
from tokenergy_sql.flexibility.baseline import Form, on_day, similar_days
from tokenergy_sql.flexibility.windows import Window

EVENT_DAY = date(2026, 1, 15)
"""A Thursday."""
HOURS = range(12, 20)
MINUTE_US = 60_000_000


def us(day: date, hour: float) -> int:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return round((start + timedelta(hours=hour)).timestamp()) * 1_000_000


Loads = dict[date, dict[int, float]]


def loads(seed: int, days: int = 10) -> Loads:
    """kW by day and hour, of the event's day and the days before."""
    chance = random.Random(seed)
    return {
        EVENT_DAY - timedelta(days=back): {hour: chance.uniform(60, 140) for hour in HOURS}
        for back in range(days)
    }


def staged(root: Path, found: Loads, lines: str, error: float = 0.0) -> Lake:
    """A lake with two boards that share the load, and events."""
    lake = Lake(root / "lake", create=True)
    rows: list[Row] = []
    for day, hours in found.items():
        for hour, kw in hours.items():
            for board, share in (("a", 0.25), ("b", 0.75)):
                span = us(day, hour), us(day, hour + 1)
                rows.append(booked(board, *span, kw * share, error=error))
    stage(lake, "ledger", rows)
    add_events(root, lake, lines)
    return lake


def add_events(root: Path, lake: Lake, lines: str) -> None:
    path = root / "events.csv"
    path.write_text("event_id,start,end,reduce_kw,reduce_percent,target_kw,status\n" + lines)
    code, _, err = command(
        "tokenergy-collect", "import", "events", str(path), "--lake", str(lake.root)
    )
    assert code == 0, err


def run(lake: Lake, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "response", "--lake", str(lake.root), *more)


def rows(lake: Lake, *more: str) -> list[dict[str, str]]:
    code, out, err = run(lake, *more, "--format", "csv")
    assert (code, err) == (0, "")
    return [*csv.DictReader(io.StringIO(out))]


def reckoned(found: Loads, days: list[date], hours: range, high: int) -> dict[int, float]:
    """The baseline by hour, written from docs/flexibility.md: high X of `days`, adjusted."""
    mean = {day: statistics.fmean(found[day][hour] for hour in hours) for day in days}
    top = sorted(days, key=lambda day: -mean[day])[:high]
    early = range(hours.start - 4, hours.start - 1)
    usual = statistics.fmean(found[day][hour] for day in top for hour in early)
    shift = statistics.fmean(found[EVENT_DAY][hour] for hour in early) - usual
    return {hour: statistics.fmean(found[day][hour] for day in top) + shift for hour in HOURS}


WEEKDAYS = [date(2026, 1, day) for day in (14, 13, 12, 9, 8, 7, 6)]


@pytest.mark.parametrize("seed", range(3))
def test_the_baseline_is_high_4_of_5_adjusted(tmp_path: Path, seed: int) -> None:
    found = loads(seed)
    # Another event on Tuesday takes that day away; one that was withdrawn takes none.
    lake = staged(
        tmp_path, found,
        "e,2026-01-15T16:00Z,2026-01-15T18:00Z,30,,,\n"
        "x,2026-01-13T10:30Z,2026-01-13T11:00Z,,,,\n"
        "y,2026-01-12T10:30Z,2026-01-12T11:00Z,,,,cancelled\n",
    )  # fmt: skip
    days = [day for day in WEEKDAYS if day.day != 13][:5]
    expected = reckoned(found, days, range(16, 18), 4)
    total, *slices = rows(lake, "e")
    assert [row["row"] for row in slices] == ["slice", "slice"]
    for row, hour in zip(slices, (16, 17), strict=True):
        assert float(row["baseline_kw"]) == pytest.approx(expected[hour])
        assert float(row["actual_kw"]) == pytest.approx(found[EVENT_DAY][hour])
    given = statistics.fmean(expected[h] - found[EVENT_DAY][h] for h in (16, 17))
    assert float(total["given_kw"]) == pytest.approx(given)
    assert float(total["given_kwh"]) == pytest.approx(2 * given)
    rebound = sum(found[EVENT_DAY][h] - expected[h] for h in (18, 19))
    assert float(total["rebound_kwh"]) == pytest.approx(rebound)
    assert len(total["days"].split(",")) == 4
    assert {*total["days"].split(",")} < {day.isoformat() for day in days}
    assert (total["boundary"], total["why"]) == ("sum of boards", "")


def planted(cut_kw: float, rebound_kw: float, away_kw: float = 0.0) -> Loads:
    """Every day the same shape at its own level, so the form leaves nothing unexplained."""
    shape = {hour: 100.0 + hour for hour in HOURS}
    found = {
        EVENT_DAY - timedelta(days=back): {hour: kw + 3 * back for hour, kw in shape.items()}
        for back in range(10)
    }
    for hour in (16, 17):
        found[EVENT_DAY][hour] -= cut_kw
    found[EVENT_DAY][18] += rebound_kw
    for hours in found.values():
        hours[15] += away_kw
    return found


def test_what_was_given_is_what_was_planted(tmp_path: Path) -> None:
    line = "e,2026-01-15T16:00Z,2026-01-15T18:00Z,{},,,\n"
    for asked, verdict in ((19.5, "given"), (20.5, "not given")):
        root = tmp_path / str(asked)
        root.mkdir()
        lake = staged(root, planted(20, 6), line.format(asked))
        [total] = rows(lake)
        assert float(total["given_kw"]) == pytest.approx(20)
        assert float(total["given_kwh"]) == pytest.approx(40)
        assert float(total["rebound_kwh"]) == pytest.approx(6)
        assert float(total["spread_kw"]) == pytest.approx(0, abs=1e-9)
        assert float(total["requested_kw"]) == asked
        assert total["verdict"] == verdict


def test_bounds_of_the_meters_and_of_the_days_make_it_indistinguishable(tmp_path: Path) -> None:
    line = "e,2026-01-15T16:00Z,2026-01-15T18:00Z,20.5,,,\n"
    lake = staged(tmp_path, planted(20, 0), line, error=0.05)
    [total] = rows(lake)
    low, high = float(total["given_low_kw"]), float(total["given_high_kw"])
    assert (low, high) == (pytest.approx(19), pytest.approx(21))
    assert total["verdict"] == "not distinguishable"


def test_requests_of_every_kind(tmp_path: Path) -> None:
    lake = staged(
        tmp_path, planted(20, 0),
        "share,2026-01-15T16:00Z,2026-01-15T17:00Z,,10,,\n"
        "target,2026-01-15T17:00Z,2026-01-15T18:00Z,,,100,\n",
    )  # fmt: skip
    share, target = rows(lake)
    assert float(share["requested_kw"]) == pytest.approx(0.1 * 116)
    assert float(target["requested_kw"]) == pytest.approx(117 - 100)


def test_an_event_between_full_hours_is_cut_at_them(tmp_path: Path) -> None:
    lake = staged(tmp_path, planted(20, 0), "e,2026-01-15T16:15Z,2026-01-15T17:30Z,1,,,\n")
    total, *slices = rows(lake, "e")
    assert [float(row["hours"]) for row in slices] == [0.75, 0.5]
    assert float(total["given_kwh"]) == pytest.approx(25)
    assert float(total["given_kw"]) == pytest.approx(20)


def test_nothing_is_known_where_days_are_missing(tmp_path: Path) -> None:
    found = planted(20, 0)
    line = "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,\n"
    few = {day: hours for day, hours in found.items() if day >= date(2026, 1, 9)}
    lake = staged(tmp_path, few, line)
    [total] = rows(lake)
    assert total["why"] == "few_days"
    for name in ("baseline_kw", "given_kw", "given_kwh", "given_low_kw", "rebound_kwh", "verdict"):
        assert total[name] == ""
    assert float(total["actual_kw"]) > 0
    assert float(rows(lake, "--of", "4", "--high", "3")[0]["given_kw"]) == pytest.approx(20)


def test_a_day_with_a_gap_is_no_day_of_the_baseline(tmp_path: Path) -> None:
    found = planted(20, 0)
    lake = staged(tmp_path, found, "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,\n")
    day = date(2026, 1, 14)
    at = us(day, 16)
    stage(lake, "ledger", [
        booked("a", at, at + 30 * MINUTE_US, None),
        booked("a", at + 30 * MINUTE_US, at + HOUR_US, 20),
        booked("b", at, at + HOUR_US, 80),
    ])  # fmt: skip
    [total] = rows(lake)
    assert "2026-01-14" not in total["days"]
    assert float(total["given_kw"]) == pytest.approx(20)
    # The same on the event's day: nothing is known of what was drawn.
    stage(lake, "ledger", [booked("a", us(EVENT_DAY, 16), us(EVENT_DAY, 17), None)])
    [total] = rows(lake)
    assert (total["given_kw"], total["actual_kw"], total["why"]) == ("", "", "no_power")


def test_other_boards_than_usual_are_told(tmp_path: Path) -> None:
    lake = staged(tmp_path, planted(20, 0), "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,\n")
    stage(lake, "ledger", [booked("a", us(EVENT_DAY, 16), us(EVENT_DAY, 17), 96)])
    assert rows(lake)[0]["why"] == "boards_differ"


def test_the_sites_meters_serve_if_the_event_is_of_whole_hours(tmp_path: Path) -> None:
    found = planted(20, 0)
    lake = staged(
        tmp_path, found,
        "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,\n"
        "half,2026-01-15T16:30Z,2026-01-15T18:00Z,5,,,\n",
    )  # fmt: skip
    stage(lake, "site_hour", [
        {
            "place": "site", "hour_us": us(day, hour), "figure": "facility",
            "covered_us": HOUR_US, "above": round(kw * 1.5 * 3.6e15),
            "above_low": round(kw * 1.5 * 3.6e15), "above_high": round(kw * 1.5 * 3.6e15),
        }
        for day, hours in found.items() for hour, kw in hours.items()
    ])  # fmt: skip
    whole, half = rows(lake)
    assert (whole["boundary"], half["boundary"]) == ("site meters", "sum of boards")
    assert float(whole["given_kw"]) == pytest.approx(30)
    boards = rows(lake, "--metered-by", "boards")[0]
    assert (boards["boundary"], float(boards["given_kw"])) == ("sum of boards", pytest.approx(20))
    assert rows(lake, "--metered-by", "site")[1]["given_kw"] == ""


def test_withdrawn_events_have_no_figures(tmp_path: Path) -> None:
    lake = staged(tmp_path, planted(0, 0), "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,cancelled\n")
    [total] = rows(lake)
    assert (total["why"], total["given_kw"], total["actual_kw"]) == ("cancelled", "", "")


def test_flexible_jobs_gave_what_they_drew_less_and_lost_tokens_at_their_own_rate(
    tmp_path: Path,
) -> None:
    lake = staged(tmp_path, planted(20, 0), "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,\n")
    begin = us(EVENT_DAY, 14)
    stage(lake, "ledger", [
        booked(board, us(EVENT_DAY, hour), us(EVENT_DAY, hour + 1), kw, job)
        for hour, powers in ((14, (30, 60)), (15, (30, 60)), (16, (10, 60)), (17, (0, 60)))
        for board, kw, job in zip("ab", powers, ("train", "chat"), strict=True)
        if kw
    ])  # fmt: skip
    builder = LakeBuilder(lake.root)
    builder.job("train", "a", begin, us(EVENT_DAY, 17), labels='{"flexible_hours": 6}')
    builder.job("chat", "b", begin, us(EVENT_DAY, 20))
    tokens = {15: 3_600_000, 16: 1_000_000}
    stage(lake, "job_hour_index", [
        {
            "job_id": "train", "hour_us": us(EVENT_DAY, hour), "device_us": HOUR_US,
            "token_us": HOUR_US, "n_trained": count,
        }
        for hour, count in tokens.items()
    ] + [
        {"job_id": "chat", "hour_us": us(EVENT_DAY, 17), "device_us": HOUR_US},
    ])  # fmt: skip
    *_, job = rows(lake, "e")
    assert (job["row"], job["job_id"], float(job["flexible_hours"])) == ("job", "train", 6.0)
    assert float(job["could_kw"]) == pytest.approx(30)
    assert float(job["during_kw"]) == pytest.approx(5)
    assert float(job["gave_kw"]) == pytest.approx(25)
    assert float(job["gave_kwh"]) == pytest.approx(50)
    assert float(job["tokens_s_before"]) == pytest.approx(1000)
    assert float(job["tokens_lost"]) == 2 * 3_600_000 - 1_000_000
    assert float(job["tokens_lost_per_kwh"]) == pytest.approx(6_200_000 / 50)
    # Of an hour that is not indexed nothing is known, and 0 would be a guess.
    code, out, _ = run(lake, "e")
    assert code == 0
    assert "Flexible jobs that ran in the hour before" in out


def test_local_days_and_clock_times() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # 17:00 to 19:00 on the Monday after summer time began on Sunday 2026-03-29.
    event = Window(us(date(2026, 3, 30), 15), us(date(2026, 3, 30), 17))
    days = similar_days(event, [event], berlin)
    assert days[:2] == [date(2026, 3, 27), date(2026, 3, 26)]
    before = on_day(event, event, days[0], berlin)
    assert before == Window(us(date(2026, 3, 27), 16), us(date(2026, 3, 27), 18))
    saturday = Window(us(date(2026, 1, 17), 12), us(date(2026, 1, 17), 13))
    assert similar_days(saturday, [], berlin)[0] == date(2026, 1, 10)
    assert Form().words == "high 4 of 5, adjusted to 3 h of the day"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("nix",), "event 'nix': not in the lake; it has 1, such as e"),
        (("--high", "6"), "--high 6 --of 5: expected 1 <= X <= Y <= 45"),
        (("--adjust-hours", "-1"), "--adjust-hours -1: expected 0 to 24"),
        (("--metered-by", "x"), "--metered-by 'x': expected site or boards"),
        (("--tz", "Mars"), "unknown time zone 'Mars'"),
        (("--format", "xml"), "--format 'xml': expected table, json, csv or parquet"),
        (("--jobs", "x.csv"), "--jobs: goes with an EVENT"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    lake = staged(tmp_path, {}, "e,2026-01-15T16:00Z,2026-01-15T18:00Z,5,,,\n")
    code, out, err = run(lake, *more)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_lake_without_events_says_what_to_do(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", create=True)
    stage(lake, "ledger", [booked("a", us(EVENT_DAY, 1), us(EVENT_DAY, 2), 1)])
    code, _, err = run(lake)
    assert code == 2
    assert "the lake has no events: import a list" in err
