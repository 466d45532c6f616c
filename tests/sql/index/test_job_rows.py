"""Rows of jobs that nothing changed stay; the others are as if all had been worked out again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.long import pairs, seeds
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index import jobrows
from tokenergy_sql.index.jobrows import JobRows
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

HOURS = 4
SITE = Site(1_200_000, 300_000, {})


def fleet(root: Path) -> LakeBuilder:
    """Two boards; on each a job after another, and one that lasts; tokens of all."""
    builder = LakeBuilder(root)
    for number, board in enumerate("AB"):
        node = f"n{number}"
        builder.device(board, node=node)
        builder.power(board, level(100_000, T0, T0 + HOURS * HOUR_US, S), node=node)
    for number in range(HOURS):
        start_us = T0 + number * HOUR_US + 600 * S
        builder.job(f"j{number}", "A", start_us, start_us + 2_400 * S, node="n0")
        tokens(builder, f"j{number}", start_us, 8)
    builder.job("long", "B", T0 + 60 * S, T0 + HOURS * HOUR_US - 60 * S, node="n1")
    tokens(builder, "long", T0 + 60 * S, 12 * HOURS - 2)
    return builder


def tokens(builder: LakeBuilder, job: str, start_us: int, count: int, rate: int = 100) -> None:
    values = [(start_us + k * 300 * S, rate * k) for k in range(count)]
    builder.tokens(job, values, source_id=job, node="n1" if job == "long" else "n0")


def run(lake: Lake, hours: list[int] | None = None, site: Site = SITE) -> None:
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, 10 * S, "cpu")
    index(lake, site, hours, progress=lambda _: None, catalog=False)


def contents(lake: Lake) -> dict[str, bytes]:
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in lake.files("job_index")}


def as_anew(lake: Lake) -> dict[str, bytes]:
    """Return what the files are if all jobs are worked out again."""
    (lake.root / jobrows.CACHE).unlink()
    index(lake, SITE, [], progress=lambda _: None, catalog=False)
    return contents(lake)


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The jobs that each run works out from now on."""
    found: list[set[str]] = []
    rows = JobRows._rows

    def seen(self: JobRows, touched: set[str]) -> object:
        found.append(touched)
        return rows(self, touched)

    monkeypatch.setattr(JobRows, "_rows", seen)
    return found


def test_a_new_hour_works_its_own_jobs_out(tmp_path: Path, worked_out: list[set[str]]) -> None:
    lake = fleet(tmp_path / "lake").lake
    hours = [T0 + number * HOUR_US for number in range(HOURS)]
    run(lake, hours[:-1])
    run(lake, hours[-1:])
    assert worked_out[-1] == {"j3", "long"}
    run(lake)
    assert worked_out[-1] == set()
    after = contents(lake)
    assert as_anew(lake) == after


def test_a_correction_works_out_what_it_touches(tmp_path: Path, worked_out: list[set[str]]) -> None:
    builder = fleet(tmp_path / "lake")
    run(builder.lake)
    before = contents(builder.lake)
    start_us = T0 + HOUR_US + 600 * S
    more = {"node": "n0", "recorded_us": T0 + 1, "user": "u"}
    builder.job("j1", "A", start_us, start_us + 1_200 * S, **more)
    run(builder.lake)
    assert worked_out[-1] == {"j1", "long"}, "one has rows in the same hour"
    after = contents(builder.lake)
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name.split("/")[3] for name in changed} == {"hour=08", "hour=09"}
    assert as_anew(builder.lake) == after


def test_a_job_that_is_gone_leaves_its_file(tmp_path: Path) -> None:
    """Its record was withdrawn: the file was quarantined, say."""
    builder = fleet(tmp_path / "lake")
    run(builder.lake)
    for path in builder.lake.files("jobs"):
        if b"j2" in path.read_bytes():
            path.unlink()
    for path in builder.lake.files("tokens"):
        if b"j2" in path.read_bytes():
            path.unlink()
    run(builder.lake)
    ids = builder.lake.read("job_index", columns=["job_id"])["job_id"].to_pylist()
    assert sorted(ids) == ["j0", "j1", "j3", "long"]
    after = contents(builder.lake)
    assert as_anew(builder.lake) == after


def test_another_site_touches_all(tmp_path: Path, worked_out: list[set[str]]) -> None:
    lake = fleet(tmp_path / "lake").lake
    run(lake, site=Site(None, None, {}))
    run(lake)
    assert worked_out[-1] == {"j0", "j1", "j2", "j3", "long"}


def test_facts_are_worked_out_of_those_jobs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a year of jobs, that is what would take long."""
    lake = fleet(tmp_path / "lake").lake
    hours = [T0 + number * HOUR_US for number in range(HOURS)]
    run(lake, hours[:-1])
    found: dict[str, set[str]] = {}
    build = jobrows.build_model

    def building(con: Any, name: str, table: str | None = None) -> None:
        build(con, name, table)
        for one in ("allocation", "job_usage", table or name):
            ids = con.execute(f"SELECT DISTINCT job_id FROM {one}").fetchall()  # noqa: S608 - names of this test
            found[f"{name}: {one}"] = {job_id for (job_id,) in ids}

    monkeypatch.setattr(jobrows, "build_model", building)
    run(lake, hours[-1:])
    assert found["job_facts: job_facts"] == {"j3", "long"}
    assert found["job_facts: allocation"] == found["job_facts: job_usage"] == {"j3", "long"}


@pytest.mark.parametrize("what", pairs(["jobs", "nothing", "hours", "cut"], always=2))
def test_a_damaged_cache_is_left(tmp_path: Path, what: str, worked_out: list[set[str]]) -> None:
    lake = fleet(tmp_path / "lake").lake
    run(lake)
    before, path = contents(lake), lake.root / jobrows.CACHE
    data = path.read_bytes()
    if what == "jobs":
        middle = data.index(b'"jobs": "') + 40
        other = b"A" if data[middle : middle + 1] != b"A" else b"B"
        data = data[:middle] + other + data[middle + 1 :]
    elif what == "hours":
        data = data.replace(b'"ledger_hour"', b'"ledger_year"')
    elif what == "cut":
        data = data[:-30]
    path.write_bytes(data)
    run(lake)
    assert bool(worked_out[-1]) == (what != "nothing")
    assert contents(lake) == before


@pytest.mark.parametrize("seed", seeds(3))
def test_whatever_happens_it_is_as_if_worked_out_again(tmp_path: Path, seed: int) -> None:
    """Late jobs, tokens, readings and boards in random hours, indexed hour by hour or all."""
    chance = random.Random(seed)
    builder = fleet(tmp_path / "lake")
    for number in range(4):
        at_us = T0 + chance.randrange(HOURS) * HOUR_US + chance.randrange(3_000) * S
        what = chance.choice(["job", "tokens", "end", "board", "readings"])
        if what == "job":
            builder.job(f"late{number}", "B", at_us, at_us + 900 * S, node="n1", recorded_us=at_us)
        elif what == "tokens":
            tokens(builder, f"j{chance.randrange(HOURS)}", at_us + number, 3, 50)
        elif what == "end":
            more = {"node": "n1", "recorded_us": T0 + number + 1}
            builder.job("long", "B", T0 + 60 * S, at_us + 61 * S, **more)
        elif what == "board":
            builder.device("A", node="n0", ts_us=at_us, name=f"board {number}")
        else:
            builder.power("C", level(50_000, at_us, at_us + 200 * S, S), node="n2")
        run(builder.lake, chance.choice([None, [at_us - at_us % HOUR_US]]))
        after = contents(builder.lake)
        assert as_anew(builder.lake) == after, (number, what)
