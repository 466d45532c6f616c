"""Puts a daemon together from its options: on the boards of this host, or on emulated ones."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from tokenergy_collectors.boards import close_boards, open_boards
from tokenergy_collectors.clock import Clock, SystemClock, VirtualClock
from tokenergy_collectors.config import Config, Place, TokenSource
from tokenergy_collectors.daemon import Daemon
from tokenergy_collectors.declared import DeclaredJobs
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.logs import Log
from tokenergy_collectors.strict import load_toml

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
    boards = open_boards()
    try:
        jobs_file = None if config.jobs_file is None else Path(config.jobs_file)
        jobs = DeclaredJobs(config.node, boards, jobs_file)
        log = Log(config.log_format)
        daemon = Daemon(config, lake_dir, SystemClock(), boards, jobs, emulated=False, log=log)
        return daemon.run(stop, duration_us)
    finally:
        close_boards()


def parse_duration(text: str) -> int:
    """Return a duration such as `90s`, `2m` or `1.5h` in microseconds.

    Raises:
        UserError: it is none, or is zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
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
        boards = open_boards()
        try:
            jobs = DeclaredJobs(config.node, boards, None, emulated.allocations)
            log = Log(config.log_format)
            daemon = Daemon(config, lake, clock, boards, jobs, emulated=True, log=log)
            counts = daemon.run(stop, emulated.duration_us if whole else duration_us)
        finally:
            close_boards()
        if whole and not stop.is_set():
            beside = lake.root.with_name(f"{lake.root.name}-truth")
            aside = truth or beside / f"{config.node}.json"
            aside.parent.mkdir(parents=True, exist_ok=True)
            emulated.write_truth(aside)
        return counts
