"""Token usage that is kept and counted in part is what counting all of it gives.

Whatever comes, goes or changes: the answer is the one without a cache. And no more is counted than
that asks for.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.sql.index.test_token_points import Row, add_jobs, some_jobs, some_readings
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.long import pairs, seeds
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index import tokens
from tokenergy_sql.index.tokencounting import Chosen, Counted
from tokenergy_sql.index.tokens import Usage
from tokenergy_sql.index.usagekept import FOLDER, STATE

DAY_US = 24 * HOUR_US

Answer = dict[str, list[str]]


def answer(lake: Lake, hours: list[int]) -> Answer:
    found = Usage.of(lake)
    tables = {
        "rows": found.rows,
        "by_job": found.by_job,
        "by_job_in": found.by_job_in(hours),
        "known": found.known,
        "of_jobs": found.of_jobs,
        "of_hours": found.of_hours(hours),
    }
    told = {name: sorted(map(repr, rows.to_pylist())) for name, rows in tables.items()}
    return {**told, "hours": [str(hour) for hour in found.hours]}


def without_cache(lake: Lake, aside: Path, hours: list[int]) -> Answer:
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(lake.root, aside, ignore=shutil.ignore_patterns("usage"))
    return answer(Lake(aside), hours)


def moved(rows: list[Row], days: int) -> list[Row]:
    return [
        {
            **row,
            "ts_us": row["ts_us"] + days * DAY_US,
            "since_us": None if row["since_us"] is None else row["since_us"] + days * DAY_US,
        }
        for row in rows
    ]


@pytest.mark.parametrize("seed", seeds(2))
def test_any_history_gives_what_counting_all_gives(tmp_path: Path, seed: int) -> None:
    """Readings of some jobs come on several days, in any order; jobs change; files go."""
    rng = random.Random(seed)
    job_ids = [f"j{number}" for number in range(60)]
    builder = LakeBuilder(tmp_path / "lake")
    most = 0
    for step in range(8):
        chosen = rng.sample(job_ids, rng.choice((1, 3, 20)))
        what = rng.choice(("tokens", "tokens", "tokens", "jobs", "both", "gone"))
        if step == 0 or what in ("tokens", "both"):
            days = rng.randrange(3)
            readings = [row for job in chosen for row in moved(some_readings(rng, job), days)]
            for node in ("n1", "n2"):
                builder.add("tokens", [row for row in readings if row["node"] == node], node)
        if step == 0 or what in ("jobs", "both"):
            add_jobs(builder, [{**row, "recorded_us": T0 + step} for row in some_jobs(rng, chosen)])
        if step and what == "gone":
            rng.choice(builder.lake.files("tokens")).unlink()
        hours = rng.sample([T0 + n * HOUR_US for n in range(80)], 60)
        expected = without_cache(builder.lake, tmp_path / "aside", hours)
        assert answer(builder.lake, hours) == expected, f"step {step}: {what}"
        most = max(most, len(expected["rows"]))
    assert most > 100


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Three jobs, one after the other, on three days; the last one goes on."""
    found = LakeBuilder(tmp_path / "lake")
    for number, job in enumerate("abc"):
        start_us = T0 + number * DAY_US
        found.job(job, job, start_us, None if job == "c" else start_us + 3 * HOUR_US)
        points = [(start_us + n * 600 * S, n * 37) for n in range(18)]
        found.tokens(job, points, source_id=job)
    return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs of each count; None: all."""
    told: list[Any] = []
    count = tokens.count

    def spy(con: Any, points: Any, readings: Any, chosen: Chosen | None) -> Counted:
        told.append((None if chosen is None else sorted(chosen.jobs.to_pylist()), len(points)))
        return count(con, points, readings, chosen)

    monkeypatch.setattr(tokens, "count", spy)
    return told


def state(builder: LakeBuilder) -> set[str]:
    folder = builder.lake.root / FOLDER
    return {path.relative_to(folder).as_posix() for path in folder.glob("date=*/*.parquet")}


def test_only_jobs_that_something_changed_are_counted(
    builder: LakeBuilder, counted: list[Any]
) -> None:
    Usage.of(builder.lake)
    Usage.of(builder.lake)
    assert counted == [(None, 9)], "nothing changed: nothing is counted"
    before = state(builder)
    builder.tokens("c", [(T0 + 2 * DAY_US + 3 * HOUR_US, 700)], source_id="c")
    Usage.of(builder.lake)
    assert counted[1:] == [(["c"], 4)], "its own hours alone are read"
    assert len(before & state(builder)) == 3
    builder.job("b", "b", T0 + DAY_US, T0 + DAY_US + 2 * HOUR_US, recorded_us=T0 + DAY_US)
    Usage.of(builder.lake)
    assert counted[2:] == [(["b"], 3)]


@pytest.mark.parametrize(
    ("what", "damage"),
    pairs([STATE, "jobs", "known", "totals", "date="], ["removed", "cut", "rubbish", "empty"]),
)
def test_a_lost_or_damaged_file_is_made_again(
    builder: LakeBuilder, tmp_path: Path, what: str, damage: str
) -> None:
    hours = [T0, T0 + DAY_US]
    expected = answer(builder.lake, hours)
    for path in (builder.lake.root / FOLDER).rglob("*"):
        name = path.relative_to(builder.lake.root / FOLDER).as_posix()
        if path.is_file() and name.startswith(what):
            if damage == "removed":
                path.unlink()
            else:
                whole = path.read_bytes()
                left = {"cut": whole[:-9], "rubbish": b"PAR1" + whole[::-1], "empty": b""}
                path.write_bytes(left[damage])
    assert answer(builder.lake, hours) == expected
    builder.tokens("c", [(T0 + 2 * DAY_US + 3 * HOUR_US, 700)], source_id="c")
    assert answer(builder.lake, hours) == without_cache(builder.lake, tmp_path / "aside", hours)


def test_rows_that_go_while_they_are_wanted_are_counted_again(builder: LakeBuilder) -> None:
    expected = Usage.of(builder.lake).rows
    found = Usage.of(builder.lake)
    shutil.rmtree(builder.lake.root / FOLDER)
    assert found.rows.sort_by("hour_us").equals(expected.sort_by("hour_us"))


def test_what_other_models_counted_is_not_taken(
    builder: LakeBuilder, counted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Usage.of(builder.lake)
    monkeypatch.setattr(tokens, "index_version", lambda: "another")
    Usage.of(builder.lake)
    assert [jobs for jobs, _ in counted] == [None, None]


class Service:
    """A server of one job that is read every three hours, for days."""

    def __init__(self, builder: LakeBuilder, name: str, rng: random.Random) -> None:
        self.builder, self.name, self.rng = builder, name, rng
        self.now_us, self.values = T0 + rng.randrange(HOUR_US), dict.fromkeys("ab", 0)
        self.since_us: int | None = rng.choice((None, T0 - HOUR_US, self.now_us - 7 * S))
        self.fastest = 0
        self.job(None)

    def job(self, end_us: int | None) -> None:
        start_us = T0 + HOUR_US // 4
        self.builder.job(self.name, self.name, start_us, end_us, recorded_us=self.now_us)

    def run(self, hours: int) -> None:
        for model in self.values:
            points, at_us = [], self.now_us
            while at_us < self.now_us + hours * HOUR_US:
                self.values[model] += self.rng.randrange(1 + self.fastest)
                points.append((at_us, self.values[model]))
                at_us += 3 * HOUR_US
            self.read(points, model)
        self.now_us += hours * HOUR_US

    def read(self, points: list[tuple[int, int]], model: str, **names: Any) -> None:
        series = {"metric": "vllm:generation_tokens_total", "series": "{}"}
        names = {"source_id": self.name, **series, **names}
        self.builder.tokens(self.name, points, since_us=self.since_us, model=model, **names)

    def happens(self, what: str) -> None:
        day_us = self.now_us - self.rng.randrange(1, 4) * DAY_US
        match what:
            case "faster":
                self.fastest *= 3
            case "restart":
                self.values = dict.fromkeys("ab", 0)
                self.since_us = None if self.since_us is None else self.now_us - S
            case "end":
                self.job(self.now_us - self.rng.choice((DAY_US, HOUR_US // 3, 3 * DAY_US)))
            case "late":
                self.read([(day_us + 7, self.values["a"])], "a", source_id=f"{self.name}-2")
            case "new":
                self.values[f"m{len(self.values)}"] = self.rng.choice((0, 10_000))
            case "glitch":
                self.read([(self.now_us - 300 * S, 3)], "a")


@pytest.mark.parametrize("seed", seeds(3))
def test_settled_days_are_what_counting_all_gives(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers run for weeks; now and then something happens to one of them."""
    rng = random.Random(seed)
    builder = LakeBuilder(tmp_path / "lake")
    services = [Service(builder, f"s{number}", rng) for number in range(4)]
    partly: list[int] = []
    count = tokens.count

    def spy(con: Any, points: Any, readings: Any, chosen: Chosen | None) -> Counted:
        if chosen is not None:
            partly.append(len(set(chosen.points["job_id"].to_pylist())))
        return count(con, points, readings, chosen)

    monkeypatch.setattr(tokens, "count", spy)
    for step in range(14):
        hours_long = rng.choice((3, 6, 24)) if step else 72
        for service in services:
            service.fastest = max(service.fastest, 100 * (step == 1))
            service.run(hours_long)
        events = ("", "", "", "faster", "restart", "end", "late", "new", "glitch")
        what = rng.choice(events) if step > 4 else ""
        rng.choice(services).happens(what)
        end_us = max(service.now_us for service in services)
        hours = [*range(T0, end_us, 5 * HOUR_US)]
        expected = without_cache(builder.lake, tmp_path / "aside", hours)
        assert answer(builder.lake, hours) == expected, f"step {step}: {what}"
    assert max(partly) == 4
    assert sum(map(bool, partly)) > len(partly) // 3


def test_an_hour_of_a_long_job_reads_few_hours(
    builder: LakeBuilder, counted: list[Any], tmp_path: Path
) -> None:
    service = Service(builder, "s", random.Random(1))
    service.fastest = 9
    service.run(30 * 24)
    Usage.of(builder.lake)
    service.run(3)
    found = Usage.of(builder.lake)
    (_, all_hours), (jobs, read) = counted
    assert jobs == ["s"]
    assert all_hours > 240
    assert read <= 16, "those of two days"
    hours = found.hours[::7]
    assert answer(builder.lake, hours) == without_cache(builder.lake, tmp_path / "aside", hours)
