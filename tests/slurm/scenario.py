"""All jobs of the test, from their submission to the index: what Slurm and the jobs say of them.

In: a cluster. Out: `Done`. One node, four boards whose device files are numbered in another order
than NVML's; the daemon runs without --emulate on the boards of another process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.slurm.cluster import SHARDS, Cluster, free_port, unix_s, until
from tests.support.commands import command
from tests.support.feeding import Feeding
from tests.support.ledger import ask
from tokenergy_collectors.emulate.native.build import library_folder
from tokenergy_collectors.lake import Lake

S = 1_000_000
WHOLE = 1_000_000
MINORS = [2, 0, 3, 1]
WORK = Path(__file__).with_name("work.py")
PROFILE = """
name = "slurm"
start = 2026-01-15T08:00:00Z
duration_s = 900
seed = 11

[nodes.n1]
boards = "h100"
count = 4
minors = [2, 0, 3, 1]

""" + "\n".join(
    f"""
[[jobs]]
id = "load-{index}"
devices = {{ n1 = [{index}] }}
start_s = 1
end_s = 900
workload = {{ type = "periodic", model = "m", frequency_hz = 0.2, high_w = {high_w} }}
"""
    for index, high_w in enumerate((300, 400, 500, 600))
)
CONFIG = """
lake = "{lake}"
node = "n1"
cluster = "tok"
roll_s = 5

[slurm]
spool = "{spool}"
grace_s = 3

[[tokens]]
source_id = "train"
url = "http://127.0.0.1:{train_port}/metrics"
job_id = "102"
every_s = 1

[[tokens]]
source_id = "serve"
url = "http://127.0.0.1:{serve_port}/metrics"
job_id = "103"
every_s = 1
"""


@dataclass
class Span:
    """An allocation as Slurm tells it: seconds since 1970, each the whole second of the instant."""

    job_id: str
    places: list[int]
    start_s: int
    end_s: int
    share_ppm: int = WHOLE


@dataclass
class Done:
    """What is left when all has ended."""

    lake: Path
    boards: list[str]
    spans: list[Span]
    names: dict[str, str]
    lost: str
    trained: dict[str, Any]
    served: dict[str, Any]
    files: list[str]
    index: list[dict[str, Any]] = field(default_factory=list)


def run_everything(root: Path, cluster: Cluster) -> Done:
    """Collect while the jobs run; then compute the index."""
    profile, lake, ports = root / "profile.toml", root / "lake", (free_port(), free_port())
    profile.write_text(PROFILE)
    lake.mkdir()
    config = root / "collect.toml"
    config.write_text(
        CONFIG.format(lake=lake, spool=cluster.spool, train_port=ports[0], serve_port=ports[1])
    )
    library_folder()  # compiled before anything is timed
    with Feeding(profile, root) as fed:
        environment = {**fed.environment, "SLURM_CONF": cluster.environment["SLURM_CONF"]}
        collect = [sys.executable, "-m", "tokenergy_collectors"]
        words = [*collect, "check", "--config", str(config)]
        checked = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert "FAIL" not in checked.stdout, checked.stdout
        assert f"{cluster.spool}: no file" in checked.stdout
        with (root / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen(
                [*collect, "run", "--config", str(config)], env=environment, stdout=log, stderr=log
            )
        try:
            until(lambda: Lake(lake).files("device"), "the daemon does not seal", 60)
            found = run_jobs(root, cluster, lake, ports)
        except BaseException:
            print((root / "daemon.log").read_text(), *ended(lake), sep="\n")
            daemon.kill()
            daemon.wait()
            raise
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0, (root / "daemon.log").read_text()
    for words in (["aggregate"], ["index"], ["check"]):
        code, out, err = command("tokenergy", *words, "--lake", str(lake))
        assert code == 0, (words, out, err)
    found.index = ask(Lake(lake), "SELECT * FROM job_index ORDER BY job_id")
    return found


def run_jobs(root: Path, cluster: Cluster, lake: Path, ports: tuple[int, int]) -> Done:
    """Run the jobs, and return what Slurm and they themselves say of them."""
    jobs, array = overlapping(root, cluster, ports)
    cluster.wait(jobs["wide"], "COMPLETED")
    lost = without_epilog(root, cluster, lake)
    again = cluster.submit("exec sleep 4", "--gres=gpu:1", "--requeue", "-J", "again")
    first = requeued(cluster, lake, again)
    unseen = cluster.lose("prolog_slurmd", "exec sleep 4", "--gres=gpu:1", "-J", "unseen")
    for job_id in (again, unseen, jobs["train"], jobs["serve"], jobs["other"]):
        cluster.wait(job_id, "COMPLETED")
    tasks = cluster.tasks(array)
    assert sorted(tasks) == ["0", "1"]
    for job_id in tasks.values():
        cluster.wait(job_id, "COMPLETED")
    last = cluster.submit("exec sleep 3", "--gres=gpu:4", "-J", "all")
    cluster.wait(last, "COMPLETED")

    part = WHOLE // SHARDS
    spans = [
        *(lost, first),
        Span(jobs["wide"], [0, 1], *times(cluster, jobs["wide"])),
        Span(jobs["train"], [2], *times(cluster, jobs["train"])),
        Span(jobs["serve"], [3], *times(cluster, jobs["serve"]), 2 * part),
        Span(jobs["other"], [3], *times(cluster, jobs["other"]), part),
        *(Span(job_id, [3], *times(cluster, job_id), part) for job_id in tasks.values()),
        Span(again, place_of(lake, again, 2), *times(cluster, again)),
        Span(unseen, place_of(lake, unseen, 1), *times(cluster, unseen)),
        Span(last, [0, 1, 2, 3], *times(cluster, last)),
    ]
    until(lambda: len(ended(lake)) == sum(len(one.places) for one in spans), "not recorded", 60)
    names = {job_id: f"sweep {array}_{task}" for task, job_id in tasks.items()}
    names |= {jobs["wide"]: "wide", jobs["serve"]: "serve it", jobs["other"]: "a=b\tc"}
    counted = [json.loads((root / f"{name}.json").read_text()) for name in ("train", "serve")]
    files = sorted(path.name for path in cluster.spool.iterdir())
    return Done(lake, boards_of(lake), spans, names, lost.job_id, *counted, files)


def overlapping(root: Path, cluster: Cluster, ports: tuple[int, int]) -> tuple[dict[str, str], str]:
    """Submit jobs that run beside each other; return their ids, and that of the array."""
    python = f"{sys.executable} {WORK}"
    train = f"{python} train {ports[0]} {root}/train.json"
    serve = f"exec {python} serve {ports[1]} {root}/serve.json"
    shard = "--gres=shard:1"
    jobs = {
        "wide": cluster.submit("exec sleep 12", "--gres=gpu:2", "-J", "wide", "-A", "physics"),
        "train": cluster.submit(f"{train} || {train}", "--gres=gpu:1", "-J", "train"),
        "serve": cluster.submit(serve, "--gres=shard:2", "-J", "serve it"),
        "other": cluster.submit("exec sleep 8", shard, "-J", "a=b\tc"),
    }
    assert list(jobs.values()) == ["101", "102", "103", "104"]  # as the configuration says
    array = cluster.submit("exec sleep 4", shard, "--array=0-1", "-J", "sweep")
    cluster.wait(jobs["wide"], "RUNNING")
    cluster.run("scontrol", "suspend", jobs["wide"])
    cluster.wait(jobs["wide"], "SUSPENDED")
    cluster.run("scontrol", "resume", jobs["wide"])
    # Garbage and half a line: told, and nothing more.
    (cluster.spool / "0-garbage.event").write_bytes(b"\x00\xff\n")
    (cluster.spool / "0-half.event").write_bytes(b"tokenergy-slurm-1\tevent=pro")
    return jobs, array


def without_epilog(root: Path, cluster: Cluster, lake: Path) -> Span:
    """Kill a job whose epilog is lost, and wait until it is closed all the same."""
    pid = root / "pid"
    command_line = f"echo $$ > {pid}; exec sleep 60"
    job_id = cluster.lose("epilog_slurmd", command_line, "--gres=gpu:1", "-J", "lost")
    until(lambda: pid.exists() and pid.read_text().strip(), "lost: it does not run", 60)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    cluster.wait(job_id, "FAILED")
    closed = f"job {job_id}: its epilog is lost"
    until(lambda: closed in (root / "daemon.log").read_text(), "it is not closed", 60)
    return Span(job_id, place_of(lake, job_id, 1), *times(cluster, job_id))


def boards_of(lake: Path) -> list[str]:
    """Return the boards in the order of their device files, which is that of Slurm's numbers."""
    devices = Lake(lake).read("device").to_pylist()
    by_minor = {row["minor"]: row for row in devices}
    assert [by_minor[minor]["index"] for minor in MINORS] == [0, 1, 2, 3]
    return [by_minor[place]["device_id"] for place in range(4)]


def requeued(cluster: Cluster, lake: Path, job_id: str) -> Span:
    """Requeue a job that runs; return its first allocation."""
    first = cluster.wait(job_id, "RUNNING")
    cluster.run("scontrol", "requeue", job_id)
    # While it waits, Slurm shows the instant of the requeue as that of a new submission.
    queued = cluster.wait(job_id, "PENDING")
    places = place_of(lake, job_id, 1)
    return Span(job_id, places, unix_s(first["StartTime"]), unix_s(queued["SubmitTime"]))


def times(cluster: Cluster, job_id: str) -> tuple[int, int]:
    found = cluster.show(job_id)
    return unix_s(found["StartTime"]), unix_s(found["EndTime"])


def place_of(lake: Path, job_id: str, start: int) -> list[int]:
    """Return the board on which Slurm put a job that may be on one of two, at its n-th start.

    Its number is in the allocation's id; that it is the right board is compared afterwards.
    """

    def rows() -> list[dict[str, Any]]:
        found = [row for row in ended(lake) if row["job_id"] == job_id]
        return sorted(found, key=lambda row: row["start_us"])

    until(lambda: len(rows()) >= start, f"job {job_id} has no {start} rows with an end", 60)
    return [int(rows()[start - 1]["allocation_id"].rpartition(":")[2])]


def ended(lake: Path) -> list[dict[str, Any]]:
    """Return the latest row of each allocation that has ended."""
    latest: dict[str, dict[str, Any]] = {}
    for row in sorted(Lake(lake).read("jobs").to_pylist(), key=lambda row: row["recorded_us"]):
        latest[row["allocation_id"]] = row
    return [row for row in latest.values() if row["end_us"] is not None]
