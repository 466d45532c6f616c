"""Puts a daemon together from its options: on the boards of this host, or on emulated ones."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.allocations import allocations
from tokenergy_collectors.boards import close_boards, open_boards
from tokenergy_collectors.clock import Clock, SystemClock, VirtualClock
from tokenergy_collectors.config import Config, Place, TokenSource
from tokenergy_collectors.daemon import Daemon
from tokenergy_collectors.declared import DeclaredJobs
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake, escape_node
from tokenergy_collectors.logs import Log
from tokenergy_collectors.strict import load_toml

if TYPE_CHECKING:
    from tokenergy_collectors.emulate.node import EmulatedNode

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def run_collector(
    config_path: Path | None,
    *,
    stop: threading.Event,
    lake: str | None = None,
    node: str | None = None,
    duration: str | None = None,
    emulate: str | None = None,
    real_time: bool = False,
    truth: Path | None = None,
) -> dict[str, int]:
    """Run the daemon until `stop` is set or its time is over; return the last seal's row counts.

    Raises:
        UserError: an option or the configuration cannot be used, or there is no GPU.
    """
    config = load_toml(config_path, Config, {"lake": lake, "node": node})
    duration_us = None if duration is None else parse_duration(duration)
    if emulate is not None:
        return _run_emulated(config, duration_us, stop, emulate, real_time, truth)
    if real_time or truth is not None:
        raise UserError("--real-time and --truth need --emulate")
    lake_dir = Lake(config.lake, create=True)
    lake_dir.prepare()
    try:
        return _run_daemon(config, lake_dir, SystemClock(), stop, duration_us, None)
    finally:
        close_boards()


def parse_duration(text: str) -> int:
    """Return a duration such as `90s`, `2m` or `1.5h` in microseconds.

    Raises:
        UserError: it is none, or is zero.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text.strip())
    duration_us = round(float(match[1]) * _SECONDS[match[2]] * 1_000_000) if match else 0
    if duration_us <= 0:
        raise UserError(f"duration {text!r}: expected a positive time such as 90s, 2m or 1h")
    return duration_us


def _run_emulated(
    config: Config,
    duration_us: int | None,
    stop: threading.Event,
    profile_name: str,
    real_time: bool,
    truth: Path | None,
) -> dict[str, int]:
    """Run on emulated boards; the profile declares the jobs and serves the token endpoints."""
    from tokenergy_collectors.emulate.node import EmulatedNode
    from tokenergy_collectors.emulate.profile import load_profile

    profile = load_profile(profile_name)
    lake = Lake(config.lake, create=True)
    lake.prepare()
    clock: Clock = SystemClock() if real_time else VirtualClock(profile.start_us)
    with EmulatedNode(profile, config.node, clock) as emulated:
        sources = [
            TokenSource(source_id=s.source_id, url=s.url, job_id=s.job_id, model=s.model)
            for s in emulated.sources
        ]
        config = config.model_copy(
            update={"tokens": (*config.tokens, *sources), "place": Place(**emulated.labels)}
        )
        whole = duration_us is None or duration_us >= emulated.duration_us
        run_us = emulated.duration_us if whole else duration_us
        try:
            counts = _run_daemon(config, lake, clock, stop, run_us, emulated.allocations)
        finally:
            close_boards()
        if whole and not stop.is_set():
            _write_truth(emulated, truth, lake)
        return counts


def _run_daemon(
    config: Config,
    lake: Lake,
    clock: Clock,
    stop: threading.Event,
    duration_us: int | None,
    emulated_jobs: list[dict[str, Any]] | None,
) -> dict[str, int]:
    """Open the boards and run the daemon; jobs are declared in a file, or by an emulated node."""
    boards, missing = open_boards()
    emulated = emulated_jobs is not None
    jobs_file = None if emulated or config.jobs_file is None else Path(config.jobs_file)
    known = allocations(lake).to_pylist()
    jobs = DeclaredJobs(config.node, boards, jobs_file, emulated_jobs or (), known)
    log = Log(config.log_format)
    daemon = Daemon(config, lake, clock, boards, jobs, emulated=emulated, log=log, missing=missing)
    return daemon.run(stop, duration_us)


def _write_truth(emulated: EmulatedNode, path: Path | None, lake: Lake) -> None:
    """Write what is true where the user says, or else in a folder beside the lake."""
    root = lake.root.resolve()
    path = path or root.parent / f"{root.name}-truth" / f"{escape_node(emulated.node)}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    emulated.write_truth(path)
