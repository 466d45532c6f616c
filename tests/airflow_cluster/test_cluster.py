"""An Airflow cluster runs the DAGs: a backfill beside the schedule, a killed worker, faults.

Run by `make e2e-airflow-cluster`. The tests are one story and run in their order: each takes the
lake as the one before left it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_cluster.fleet import BOARDS, NODES
from tests.airflow_cluster.place import Bucket, Folder, Place
from tests.airflow_cluster.story import HOURS, KEY, Story
from tests.support import databases
from tests.support.airflow_cluster import POOL, PYTHON, WORKERS
from tests.support.airflow_server import DAG, wait_for
from tests.support.deployment import compose
from tests.support.sinks import serving
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import show_hour

pytestmark = pytest.mark.e2e

PLACES: dict[str, type[Folder] | type[Bucket]] = {"folder": Folder, "bucket": Bucket}
WHERE = os.environ.get("TOKENERGY_CLUSTER_PLACES", "folder,bucket").split(",")

RESTATE, QUALITY = "tokenergy_restate", "tokenergy_quality"


@pytest.fixture(scope="module", params=[pytest.param(PLACES[name], id=name) for name in WHERE])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    made = request.param(tmp_path_factory.mktemp("place"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def story(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    if why := databases.why_not():
        pytest.skip(why)
    assert PYTHON.exists(), f"{PYTHON}: run this by `make e2e-airflow-cluster`"
    told = Story(tmp_path_factory.mktemp("story"), place)
    with serving(told.hook):
        try:
            told.airflow.start()
            yield told
        finally:
            told.airflow.stop()


def test_the_health_checks_of_the_compose_file_pass(story: Story) -> None:
    """But for curl, of which only the address is taken: not every machine has it."""
    airflow = story.airflow
    services = compose()["services"]
    hosts = {one["hostname"] for one in airflow.ask("GET", "/jobs?is_alive=true")["jobs"]}
    (this,) = hosts  # as Airflow calls it; in a container it is what $HOSTNAME says
    for part in airflow.parts:
        kind, *words = services[part]["healthcheck"]["test"]
        if kind == "CMD-SHELL":
            host = part if part in WORKERS else this
            airflow.shell(f"export HOSTNAME={host}\n{words[0]}")
        else:
            address = words[-1].replace(":8080/", f":{airflow.port}/")
            address = address.replace(":8974/", f":{airflow.health_port}/")
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
    print(f"healthy: {', '.join(airflow.parts)}")


def most_at_once(spans: list[tuple[str, str]]) -> int:
    """Return how many of some spans of time overlap at most."""
    edges = [(at, step) for start, end in spans for at, step in ((start, 1), (end, -1))]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def test_a_backfill_beside_the_schedule_gives_the_same_rows(story: Story, tmp_path: Path) -> None:
    airflow, past, newer = story.airflow, story.past, story.newer
    story.put(past, past.on_time())
    first, last = show_hour(past.hours[0]), show_hour(past.hours[-1])
    began_s, before = time.monotonic(), airflow.cpu_s()
    airflow.command(
        *("backfill", "create", "--dag-id", DAG, "--max-active-runs", "1"),
        *("--from-date", f"{first}:00", "--to-date", f"{last}:59"),
    )
    airflow.unpause()
    for number, hour_us in enumerate(newer.hours):
        story.put(newer, newer.of(hour_us))
        story.trigger(f"newer-{number}", hour_us)
        assert airflow.finished(f"newer-{number}")["run"] == "success"

    def backfilled() -> dict[str, Any] | None:
        (found,) = airflow.ask("GET", f"/backfills?dag_id={DAG}")["backfills"]
        return found if found["completed_at"] else None

    airflow.wait_for("end of the backfill", backfilled)
    story.rest()
    took_s = time.monotonic() - began_s
    cpu_s = {name: used_s - before[name] for name, used_s in airflow.cpu_s().items()}
    runs = airflow.runs()
    kinds = [one["run_type"] for one in runs.values()]
    assert kinds.count("backfill") == HOURS
    assert kinds.count("scheduled") >= 1
    assert {one["state"] for one in runs.values()} == {"success"}
    tasks = story.instances()
    taken = {worker: airflow.taken(worker) for worker in WORKERS}
    print(
        f"{len(NODES)} nodes, {BOARDS} boards: {len(runs)} runs ({kinds.count('backfill')} of a "
        f"backfill), {len(tasks)} tasks, {took_s:.0f} s, {took_s / len(runs):.1f} s a run"
    )
    print(f"CPU seconds a run: {', '.join(f'{n} {s / len(runs):.1f}' for n, s in cpu_s.items())}")
    print(f"tasks taken: {taken}")
    assert min(taken.values()) > 0
    story.assert_as_by_commands(tmp_path)


def test_the_pool_limits_what_runs_at_once(story: Story) -> None:
    tasks = story.instances()
    spans = [(one["start_date"], one["end_date"], one["pool"]) for one in tasks]
    pooled = most_at_once([span[:2] for span in spans if span[2] == POOL])
    everything = most_at_once([span[:2] for span in spans])
    print(f"at most {pooled} of {POOL} at once, {everything} of all")
    assert pooled == 1
    assert everything > 1


def settings_of(story: Story, run: str, dag: str, wanted: str) -> dict[str, Any]:
    """Wait until the first task of a run is in a state; return it."""

    def look() -> dict[str, Any] | None:
        one = story.airflow.tasks(run, dag).get("settings")
        return one if one is not None and one["state"] == wanted else None

    return story.airflow.wait_for(f"{wanted} settings of {run}", look)


@pytest.fixture(scope="module")
def storage_fault(story: Story) -> None:
    """A run that met a site file that cannot be read, a socket (ENXIO); it is mended now."""
    lake = story.folder / "faulty"
    Lake(lake, create=True).prepare()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(lake / "site.toml"))
    server.close()  # the file stays
    story.airflow.unpause(dag=QUALITY)
    story.trigger("storage", story.newer.hours[-1], QUALITY, lake=str(lake))
    settings_of(story, "storage", QUALITY, "up_for_retry")
    (lake / "site.toml").unlink()


@pytest.mark.usefixtures("storage_fault")
def test_a_worker_is_killed_amid_a_restatement_and_hourly_runs(
    story: Story, tmp_path: Path
) -> None:
    airflow, past = story.airflow, story.past
    story.put(past, past.late())
    since = datetime.fromtimestamp(past.hours[0] // 1_000_000, UTC)
    story.place.write(
        "site.toml",
        f"[site]\nhost_w = 500\n[[period]]\nfrom = {since:%Y-%m-%dT%H:%M:%SZ}\npue = 1.3\n",
    )
    before = story.place.revision()
    airflow.unpause()
    airflow.unpause(dag=RESTATE)
    story.trigger("hourly", story.newer.hours[-1], heal_days=10)
    span = {"from": show_hour(past.hours[0]), "to": show_hour(story.newer.hours[-1])}
    story.trigger("restate", past.hours[0], RESTATE, **span, reason="PUE, late readings")
    pid = wait_for(
        "task that derives", lambda: caught(story.place), airflow.output, airflow.patience_s
    )
    worker = airflow.worker_of(pid)
    both = {"hourly": DAG, "restate": RESTATE}
    victims = [
        (name, task)
        for name, dag in both.items()
        for task, one in airflow.tasks(name, dag).items()
        if one["state"] == "running" and os.getsid(one["pid"]) == os.getsid(pid)
    ]
    assert story.place.revision() == before  # it has published nothing
    airflow.kill_worker(worker)
    print(f"{worker} killed, and with it {victims}")
    assert victims
    for name, dag in both.items():
        states = airflow.finished(name, dag)
        assert states["run"] == "success", states
    story.rest()
    for name, task in victims:
        again = airflow.tasks(name, both[name])[task]
        print(f"{name}.{task}: try {again['try_number']} {again['state']}")
        assert (again["try_number"], again["state"]) == (2, "success")
    lake = story.assert_as_by_commands(tmp_path)
    print(f"revision {before} -> {lake.books.latest().revision}")
    airflow.start_part(worker)


def caught(place: Place) -> int | None:
    """Return the process that derives books, stopped amid that; None if none is caught."""
    if (pid := place.writer()) is None:
        return None
    os.kill(pid, signal.SIGSTOP)
    if place.writer() == pid:
        return pid
    os.kill(pid, signal.SIGCONT)  # it was through
    return None


@pytest.mark.usefixtures("storage_fault")
def test_what_passes_is_tried_again_and_what_does_not_is_not(story: Story) -> None:
    airflow = story.airflow
    airflow.unpause(dag=RESTATE)
    story.hook.all()
    story.trigger("value", story.newer.hours[-1], RESTATE, lake="/nowhere", reason="a wrong lake")
    assert airflow.finished("value", RESTATE)["settings"] == "failed"
    wrong = settings_of(story, "value", RESTATE, "failed")
    while (told := story.hook.next()[1])["run"] != "value" or told["task"] is None:
        pass
    assert told["task"] == "settings"
    assert "lake /nowhere: no such directory" in told["reason"]
    again = settings_of(story, "storage", QUALITY, "success")
    log = airflow.log("storage", "settings", QUALITY)
    print(f"storage: try {again['try_number']} {again['state']}; value: one try, {wrong['state']}")
    assert (wrong["try_number"], again["try_number"]) == (1, 2)
    assert "storage or network failed; tried again in 1 min" in log


def test_the_store_is_away_for_half_a_minute(story: Story, tmp_path: Path) -> None:
    if not isinstance(story.place, Bucket):
        pytest.skip("a folder is never away")
    airflow = story.airflow
    airflow.unpause()
    story.trigger("away", story.newer.hours[-1])

    def running() -> str | None:
        tasks = airflow.tasks("away").items()
        return next((name for name, one in tasks if one["state"] == "running"), None)

    airflow.wait_for("task that runs", running)
    back = story.place.away(30)
    try:
        assert airflow.finished("away")["run"] == "success"
    finally:
        back.join()
    tries = {name: one["try_number"] for name, one in airflow.tasks("away").items()}
    print(f"tries beside a store that was away for 30 s: {tries}")
    story.rest()
    story.assert_as_by_commands(tmp_path)


def test_no_log_shows_a_secret(story: Story) -> None:
    values = {path.name: path.read_bytes() for path in story.airflow.secrets.iterdir()}
    values["webhook"] = KEY.encode()
    folder = story.airflow.folder
    files = [*folder.rglob("*.log"), *folder.rglob("*.out")]
    texts = {file: file.read_bytes() for file in files}
    assert sum(b"told the webhook at 127.0.0.1" in text for text in texts.values()) >= 2
    shown = [(name, file) for name, v in values.items() for file, t in texts.items() if v in t]
    print(f"{len(values)} secrets, {len(texts)} logs, {sum(map(len, texts.values())):,} bytes")
    assert shown == []
