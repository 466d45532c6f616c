"""Each task of the DAGs, twice and after kills: the same files, and none that does not belong."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.kills.week import declare
from tests.support.airflow import Airflow
from tests.support.late import HOURS, NODES, books, derived, fleet, readings
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_collectors.lake.published import list_path
from tokenergy_sql import steps
from tokenergy_sql.scheduled.daily import settle_daily
from tokenergy_sql.scheduled.restating import settle_span
from tokenergy_sql.scheduled.settings import schedule_of, settle

pytestmark = pytest.mark.e2e

POINTS = int(os.environ.get("TOKENERGY_KILL_POINTS", "4"))
"""Kills of a task at random times, and as many before random changes of names."""

HOUR = HOURS[0]
WORK = {"window": "1s", "device": "cpu", "site": None}
ALL = [*NODES, "n3"]
Make = Callable[[Path], Lake]


class Runner:
    """A process that runs tasks in forks of itself: see `dagtask`."""

    def __init__(self, home: Path) -> None:
        self._log = home / "tasks.log"
        airflow = Airflow(home)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [airflow.python, "-m", "tests.kills.dagtask"],
                env=airflow.environment(),
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(("{", '"ready"')):  # Airflow may print beside it
                return json.loads(line)
        raise AssertionError(self._log.read_text("utf-8"))

    def run(
        self,
        step: Step,
        lake: Lake,
        *,
        after_s: float | None = None,
        touch: int | None = None,
    ) -> dict[str, Any]:
        """Run a task on a lake; kill it after a time, or before it touches a name the n-th time."""
        asked = {
            **{"dag": step.dag, "task": step.task, "arguments": step.arguments(str(lake.root))},
            **{"root": str(lake.root.parent), "group_rows": step.group_rows},
            **{"after_s": after_s, "touch": touch, "log": str(self._log)},
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        done: dict[str, Any] = self._answer()
        assert done["killed"] or done["code"] == 0, self._log.read_text("utf-8")
        return done

    def close(self) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Step:
    """A task, and the lake that it finds.

    Attributes:
        dag, task: where it is.
        make: makes the lake.
        arguments: of the task, for the path of a lake.
        group_rows: segments of a group that is booked apart; None for the product's.
    """

    dag: str
    task: str
    make: Make
    arguments: Callable[[str], Sequence[Any]]
    group_rows: int | None = None


def hourly(hour_us: int, root: str) -> dict[str, Any]:
    params = {**WORK, "report": None, "report_hours": 24, "heal_days": 1}
    return settle(params, root, datetime.fromtimestamp(hour_us // 1_000_000, UTC))


def daily(root: str) -> dict[str, Any]:
    params = {
        **{"site": None, "older_than": "1h", "grace": "0s", "retention": None},
        **{"keep_revisions": 1, "report": None, "report_days": 7},
    }
    return settle_daily(params, root)


def restated(root: str) -> dict[str, Any]:
    span = {"from": show_hour(HOURS[0]), "to": show_hour(HOURS[-1] + 3_600_000_000), "days": 31}
    params = {**WORK, **span, "reason": "late"}
    return settle_span(params, root, datetime.now(UTC), schedule_of({}).delay, by_hand=True)


def raw(root: Path) -> Lake:
    return fleet(root).lake


def aggregated(root: Path) -> Lake:
    lake = raw(root)
    steps.aggregate_hours(lake.root, [HOUR], None, "1s", "cpu")
    return lake


def indexed(root: Path) -> Lake:
    lake = raw(root)
    books(lake, [HOUR])
    return lake


def late(root: Path) -> Lake:
    """Books of all hours; then the readings of a node and hour come."""
    builder = fleet(root, [("n2", HOURS[1])])
    books(builder.lake)
    readings(builder, "n2", HOURS[1])
    return builder.lake


def old(root: Path) -> Lake:
    """Books in two revisions, and a file that says that readings are kept for 30 days."""
    lake = raw(root)
    declare(lake, 1.2)
    books(lake)
    declare(lake, 1.5)
    books(lake)
    (lake.root / "retention.toml").write_text('power = "30d"\n')
    return lake


SHARD = {"number": 0, "of": 2}
STEPS = [
    Step("tokenergy_hourly", "heal", late, lambda root: [hourly(HOURS[-1], root)]),
    Step("tokenergy_hourly", "batches", raw, lambda root: [hourly(HOUR, root)]),
    Step("tokenergy_hourly", "aggregate", raw, lambda root: [hourly(HOUR, root), ALL]),
    Step("tokenergy_hourly", "book", aggregated, lambda root: [hourly(HOUR, root), SHARD], 300),
    Step("tokenergy_hourly", "load_profile", aggregated, lambda root: [hourly(HOUR, root)]),
    Step("tokenergy_hourly", "index", aggregated, lambda root: [hourly(HOUR, root)]),
    Step("tokenergy_hourly", "index", aggregated, lambda root: [hourly(HOUR, root)], 300),
    Step("tokenergy_hourly", "check", indexed, lambda root: [hourly(HOUR, root)]),
    Step("tokenergy_hourly", "report", indexed, lambda root: [hourly(HOUR, root)]),
    Step("tokenergy_restate", "find", late, lambda root: [restated(root)]),
    Step("tokenergy_restate", "derive", late, lambda root: [restated(root), [HOURS[1]]]),
    Step("tokenergy_restate", "check", indexed, lambda root: [restated(root), [HOUR]]),
    Step("tokenergy_daily", "compact", old, lambda root: [daily(root)]),
    Step("tokenergy_daily", "expire", old, lambda root: [daily(root)]),
    Step("tokenergy_daily", "revisions", old, lambda root: [daily(root)]),
    Step("tokenergy_daily", "report", old, lambda root: [daily(root)]),
]
NAMED = [f"{step.dag}.{step.task}{'-shards' * bool(step.group_rows)}" for step in STEPS]
POINTS_DONE: dict[str, int] = {}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("home"))
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Make, Path], Lake]:
    """Copies a lake that is made once."""
    first: dict[Make, Lake] = {}

    def copied(make: Make, folder: Path) -> Lake:
        if make not in first:
            first[make] = make(tmp_path_factory.mktemp(make.__name__) / "lake")
        shutil.rmtree(folder, ignore_errors=True)
        return Lake(shutil.copytree(first[make].root, folder / "lake"))

    return copied


def seen(lake: Lake) -> dict[str, bytes]:
    """Return what readers see: raw files, derived files, the list of the books."""
    raws = [path for name, one in TABLES.items() if one.layer == "raw" for path in lake.files(name)]
    found = {path.relative_to(lake.root).as_posix(): path.read_bytes() for path in raws}
    if list_path(lake.root).exists():
        found["published.json"] = list_path(lake.root).read_bytes()
    return found | derived(lake)


def names(lake: Lake) -> set[str]:
    """Return all files of the lake's folder and beside it, hidden ones too, but for caches.

    Parts of shards that a killed run has not finished may stay for an hour: see docs/shards.md.
    """
    beside = lake.root.parent
    found = {path.relative_to(beside).as_posix() for path in beside.rglob("*") if path.is_file()}
    return {n for n in found if not n.startswith(("lake/cache/", "lake/books/.shards/."))}


@pytest.mark.parametrize("step", STEPS, ids=NAMED)
def test_a_task_twice_and_after_kills(
    step: Step, runner: Runner, made: Callable[[Make, Path], Lake], tmp_path: Path
) -> None:
    once = made(step.make, tmp_path / "once")
    first = runner.run(step, once)
    whole, every = seen(once), names(once)
    runner.run(step, once)
    assert seen(once) == whole
    assert names(once) == every
    chance = random.Random(f"{step.dag} {step.task} {step.group_rows}")
    points = [{"after_s": chance.uniform(0, first["seconds"])} for _ in range(POINTS)]
    touches = range(1, first["touches"] + 1)
    points += [{"touch": n} for n in chance.sample(touches, min(POINTS, len(touches)))]
    kills = 0
    for point in points:
        lake = made(step.make, tmp_path / "killed")
        kills += runner.run(step, lake, **point)["killed"]
        runner.run(step, lake)
        assert seen(lake) == whole, point
        assert names(lake) == every, point
    name = f"{step.dag}.{step.task}{' of shards' * bool(step.group_rows)}"
    POINTS_DONE[name] = kills
    print(
        f"{name}: {kills} kills of {len(points)}, {first['touches']} names touched, "
        f"{first['seconds']:.1f} s, {len(whole)} files"
    )
    assert kills >= POINTS / 2


def test_there_were_enough_points() -> None:
    print(f"{sum(POINTS_DONE.values())} kills at random points: {POINTS_DONE}")
    assert sum(POINTS_DONE.values()) >= 50
