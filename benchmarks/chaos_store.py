"""Disconnects the object store of a running daemon and verifies what arrives.

In: a folder. Out: figures, in lines, and violations. The store is a real S3-speaking server
(moto's) behind a proxy of ours, and the daemon samples and seals every second throughout.

`away_and_back`: the connection is cut and restored, hangs and is restored; the daemon is killed
with SIGKILL during uploads, again and again. Every file must arrive, once, with the bytes it had.
Hours that are over are deleted locally, and must be in the store.

`stopped_and_started`: the server is killed, and the disk limit is so low that the daemon must drop
files; then the server starts again, empty. For every table the rows sealed must be the rows that
arrived plus those reported as dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from tests.support.lakes import T0, LakeBuilder, S
from tests.support.s3 import BUCKET, ENVIRONMENT, Server, Wire

from benchmarks import chaos_run
from tokenergy_collectors.lake.contract import HOUR_US

_AWAY_S = 3.0
_LIMIT_MB = 1
_OLD_HOURS = 30
_FULL_HOURS = 60
"""With 3,000 rows each they take more than the limit."""
_TABLES = ("power", "state", "event", "device", "clock", "tokens", "jobs", "host")

Outcome = tuple[list[tuple[str, str]], list[str]]
"""Figures (what, how much), and violations."""


def take_away(folder: Path, seed: int = 0, kills: int = 5) -> Outcome:
    """Run both parts; return figures and violations."""
    os.environ.update(ENVIRONMENT)
    server = Server().start()
    wire = Wire(server.port)
    try:
        figures, violations = away_and_back(folder / "away", server, wire, seed, kills)
        server.kill()
        more, worse = stopped_and_started(folder / "stopped", server, wire, seed)
        return figures + more, violations + worse
    finally:
        wire.cut()
        server.kill()


def away_and_back(folder: Path, server: Server, wire: Wire, seed: int, kills: int) -> Outcome:
    """Cut and silence the wire, kill the daemon; everything must arrive once."""
    chance = random.Random(seed)
    _prepare(folder, "away", wire, "keep_local_s = 0.0\n")
    lake = folder / "lake"
    _fill(lake, chance, _OLD_HOURS, 40)
    sealed = _digests(lake)
    told: Counter[str] = Counter()
    odd: list[str] = []
    wire.cut()
    for number in range(kills):
        process, life = _start(folder, number)
        if number == 0:  # it finds the store away; after that it is silent; then it is back
            time.sleep(_AWAY_S)
            wire.mend()
            wire.hang()
            time.sleep(_AWAY_S)
            wire.mend()
            chaos_run.await_event(process, life, "upload_works")
        wire.mend()
        time.sleep(chance.uniform(0.2, 2.0))
        sealed |= _digests(lake)
        process.kill()
        chaos_run.read_rest(process, life)
        told.update(line["event"] for line in life.told)
        odd += life.odd
        wire.cut() if number % 2 else wire.mend()
    wire.mend()
    process, life = _start(folder, kills)
    time.sleep(chaos_run.SETTLED_S)
    process.send_signal(signal.SIGTERM)
    chaos_run.read_rest(process, life)
    told.update(line["event"] for line in life.told)
    odd += life.odd
    drained = _drain(folder)
    here = _digests(lake)
    sealed |= here
    server.download(folder / "arrived", "away")
    arrived = _digests(folder / "arrived")
    rows = _rows(folder / "arrived")
    doubled = sum(table.total() - len(table) for table in rows.values())
    violations = [f"store away: {line}" for line in odd]
    if process.returncode or drained.returncode:
        codes = f"{process.returncode}, {drained.returncode}"
        violations.append(f"store away: stop and upload exited with {codes}: {drained.stderr}")
    if arrived != sealed:
        odd_ones = sorted(set(arrived.items()) ^ set(sealed.items()))
        violations.append(f"store away: {len(odd_ones)} files differ, such as {odd_ones[:2]}")
    if doubled:
        violations.append(f"store away: {doubled} rows are in the bucket twice")
    if not told["upload_failed"] or not told["released"]:
        violations.append(f"store away: no failure or no release reported: {dict(told)}")
    figures = [
        ("object store cut off or hanging; daemon killed", f"{kills} times"),
        ("  files sealed; arrived with the same bytes", f"{len(sealed)}; {len(arrived)}"),
        (
            "  failures reported; recoveries reported",
            f"{told['upload_failed']}; {told['upload_works']}",
        ),
        ("  let go here once verified", str(len(sealed) - len(here))),
        ("  rows there twice", str(doubled)),
    ]
    return figures, violations


def stopped_and_started(folder: Path, server: Server, wire: Wire, seed: int) -> Outcome:
    """Have the disk's limit reached while the server is dead; then start the server, empty."""
    _prepare(folder, "stopped", wire, f"[disk]\nlimit_mib = {_LIMIT_MB}\n")
    lake = folder / "lake"
    _fill(lake, random.Random(seed), _FULL_HOURS, 3000)
    sealed = Counter({table: rows.total() for table, rows in _rows(lake).items()})
    process, life = _start(folder, 0)
    time.sleep(_AWAY_S)
    server.start()
    time.sleep(_AWAY_S)
    running = process.poll() is None
    process.send_signal(signal.SIGTERM)
    chaos_run.read_rest(process, life)
    drained = _drain(folder)
    dropped: Counter[str] = Counter()
    for line in life.told:
        if line["event"] in ("sealed", "stop"):
            sealed.update(line["rows"])
        match = re.match(r"(\d+) rows of (\w+)", str(line.get("why")))
        if line["event"] == "drop" and match:
            dropped[match[2]] += int(match[1])
    server.download(folder / "arrived", "stopped")
    rows = {table: found.total() for table, found in _rows(folder / "arrived").items()}
    noted = sum(row["kind"] == "drop" for row in _events(folder / "arrived"))
    drops = sum(line["event"] == "drop" for line in life.told)
    violations = [f"store stopped: {line}" for line in life.odd]
    if not running or process.returncode or drained.returncode:
        codes = f"{process.returncode}, {drained.returncode}"
        violations.append(f"store stopped: stop and upload exited with {codes}: {drained.stderr}")
    violations += [
        f"store stopped: {table}: {sealed[table]} rows sealed, {rows.get(table, 0)} arrived, "
        f"{dropped[table]} reported as dropped"
        for table in _TABLES
        if rows.get(table, 0) + dropped[table] != sealed[table]
    ]
    if not dropped["state"] or noted != drops:
        violations.append(f"store stopped: {drops} drops reported, {noted} in the bucket's events")
    figures = [
        ("object store killed, restarted empty", f"{_LIMIT_MB} MiB of disk"),
        ("  drops reported, each also an event in the store", str(drops)),
        *(
            (
                f"  {table} rows sealed = arrived + dropped",
                f"{sealed[table]} = {rows.get(table, 0)} + {dropped[table]}",
            )
            for table in ("power", "state")
        ),
    ]
    return figures, violations


def _prepare(folder: Path, prefix: str, wire: Wire, more: str) -> None:
    chaos_run.prepare(folder)
    with (folder / "collect.toml").open("a") as file:
        file.write(
            f"[upload]\nto = 's3://{BUCKET}/{prefix}'\nendpoint_url = '{wire.url}'\n"
            f"every_s = 0.2\ntimeout_s = 2.0\nretry_s = 0.2\nretry_limit_s = 1.0\n{more}"
        )


def _fill(lake: Path, chance: random.Random, hours: int, rows: int) -> None:
    """Seal files of hours that are over, with readings that do not compress well."""
    builder = LakeBuilder(lake)
    for hour in range(hours):
        start_us = T0 - (hour + 1) * HOUR_US
        stamps = [start_us + i * S + chance.randrange(S) for i in range(rows)]
        builder.power("GPU-old", [(ts, chance.randrange(700_000)) for ts in stamps])
        gauges = [(ts, chance.randrange(101)) for ts in stamps]
        state = [{"ts_us": ts, "device_id": "GPU-old", "sm_util": util} for ts, util in gauges]
        builder.add("state", state)


def _start(folder: Path, number: int) -> tuple[subprocess.Popen[str], chaos_run.Life]:
    life = chaos_run.Life(number, chaos_run.now_us())
    process = chaos_run.start(folder)
    chaos_run.await_event(process, life, "start")
    return process, life


def _drain(folder: Path) -> subprocess.CompletedProcess[str]:
    """Upload once what a stop left."""
    words = [sys.executable, "-m", "tokenergy_collectors", "upload", "--config", "collect.toml"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def _digests(root: Path) -> dict[str, str]:
    """Return the digests of all files of a lake by relative path; some may go meanwhile."""
    found = {}
    for path in root.glob("*/date=*/hour=*/*.parquet"):
        try:
            found[path.relative_to(root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue
    return found


def _rows(root: Path) -> dict[str, Counter[str]]:
    """Return how often each row is there, by table."""
    found: dict[str, Counter[str]] = {}
    for path in sorted(root.glob("*/date=*/hour=*/*.parquet")):
        listed = pq.read_table(path, partitioning=None).to_pylist()
        table = path.relative_to(root).parts[0]
        found.setdefault(table, Counter()).update(json.dumps(row) for row in listed)
    return found


def _events(root: Path) -> list[dict[str, str]]:
    return [json.loads(row) for row in _rows(root).get("event", {})]
