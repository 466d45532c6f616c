"""A lake of many hours with two jobs, readers that look at it all the time, and runs to kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import duckdb

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.packedbooks import FOLDER as DAYS
from tokenergy_collectors.lake.published import FOLDER
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.file import NAME
from tokenergy_sql.revisions import revisions

PUE = """SELECT (SELECT count(DISTINCT round(e_facility_nj::DOUBLE
        / (e_gpu_nj + e_host_nj)::DOUBLE, 6)) FROM job_hour_index),
    (SELECT max(round(e_facility_nj::DOUBLE / (e_gpu_nj + e_host_nj)::DOUBLE, 2)) FROM job_index),
    (SELECT count(*) FROM job_index AS j JOIN (SELECT job_id, sum(e_facility_nj) AS nj
        FROM job_hour_index GROUP BY job_id) AS h USING (job_id) WHERE h.nj <> j.e_facility_nj),
    (SELECT count(*) FROM job_hour_index)"""
"""How many PUEs hours show, that of the jobs, jobs that are not the sum of their hours, rows."""


def fill(root: Path, hours: int) -> Lake:
    """Make the raw tables: two nodes of a board each, with a job each that never ends."""
    builder = LakeBuilder(root)
    end_us = T0 + hours * HOUR_US
    for number, node in enumerate(("n1", "n2")):
        board, job = f"{node} A", f"job {node}"
        builder.device(board, node=node)
        builder.power(board, level(200_000 + 1_000 * number, T0, end_us, S), node=node)
        builder.job(job, board, T0 + 60 * S, end_us - 60 * S, node=node)
        stamps = range(T0, end_us, 300 * S)
        values = [(ts, 700 * place) for place, ts in enumerate(stamps)]
        builder.tokens(job, values, source_id=node, node=node)
    return builder.lake


def declare(lake: Lake, pue: float) -> None:
    """Write a site file that declares a PUE, for all of history."""
    (lake.root / "site.toml").write_text(
        f"[site]\nhost_w = 500\n[[period]]\nfrom = 2026-01-01T00:00:00Z\npue = {pue}\n"
    )


def start(lake: Lake | str, *words: str) -> subprocess.Popen[bytes]:
    """Start a command on a lake, or on the one at a URL, in a process that can be killed."""
    code = "import sys; from tokenergy_sql.cli import main; sys.exit(main())"
    place = lake if isinstance(lake, str) else str(lake.root)
    command = [sys.executable, "-c", code, *words, "--lake", place]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def run(lake: Lake | str, *words: str) -> str:
    """Run a command to its end, which must be a good one; return what it printed."""
    with start(lake, *words) as process:
        said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    return said


def kill_often(lake: Lake | str, kills: int, longest_s: float, seed: int, *words: str) -> int:
    """Start a command again and again, and kill it after a random time; return how often it was.

    A run that ends before is no kill; three of these in a row end it, since nothing is left to do.
    """
    chance, done, ended = random.Random(seed), 0, 0
    while done < kills and ended < 3:
        with start(lake, *words) as process:
            try:
                said = process.communicate(timeout=chance.uniform(0.2, longest_s))[0].decode()
                assert process.returncode == 0, said
                ended += 1
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                done, ended = done + 1, 0
    return done


class Readers:
    """Two clients that ask for the PUE in a loop: the product, and DuckDB with the catalog alone.

    Attributes:
        seen: how often each answer came, by client.
    """

    def __init__(self, lake: Lake) -> None:
        self.seen: dict[str, Counter[object]] = {"tokenergy": Counter(), "duckdb": Counter()}
        self._lake, self._over = lake, threading.Event()
        self._pool = ThreadPoolExecutor()
        self._loops: list[Future[None]] = []

    def __enter__(self) -> Readers:
        clients = (("tokenergy", self._by_product), ("duckdb", self._by_catalog))
        self._loops = [self._pool.submit(self._loop, *client) for client in clients]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._pool.shutdown()
        if error is None:
            for loop in self._loops:
                loop.result()  # raises what the client met

    def _loop(self, name: str, answer: Callable[[], object]) -> None:
        while not self._over.wait(0.05):
            self.seen[name][answer()] += 1

    def _by_product(self) -> object:
        return ask(Lake(self._lake.root), "test", lambda con: con.execute(PUE).fetchone())

    def _by_catalog(self) -> object:
        with duckdb.connect(str(self._lake.root / NAME), read_only=True) as con:
            return con.execute(PUE).fetchone()


def strays(lake: Lake) -> set[str]:
    """Return the files below `books` that neither readers nor a revision know, hidden included."""
    known = {path for table in revisions.REVISED_TABLES for path in lake.files(table)}
    known |= {lake.root / name for one in revisions.manifests(lake) for name in one.replaced}
    found = {path for path in (lake.root / FOLDER).rglob("*") if path.is_file()}
    found = {path for path in found if not path.is_relative_to(lake.root / DAYS)}
    return {str(p.relative_to(lake.root)) for p in found - known if p.name != "published.json"}
