"""Records a decoder: the collector in a process of its own, the decoder in this one.

In: a decoder and a plan. Out: a folder with the lake as the collector wrote it, and `about.json`:
what ran on what, and the tokens as the decoding loop itself counted them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from benchmarks.decode.counting import Counting
from benchmarks.decode.plan import Phase, Plan, jobs_csv
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.spool import folder as walfolder

NODE = "decode"
ABOUT = "about.json"
LAKE = "lake"
JOBS = "jobs.csv"

_SCRAPE_EVERY_S = 1.0
_STOP_S = 30.0
_START_US = 60_000_000
_LATE = "was not sampling when the first job began; record again"


class Decoder(Protocol):
    """What generates tokens.

    Attributes:
        about: what it is, for `about.json`.
        device_id: UUID of its GPU; None: the first board of the host.
    """

    about: dict[str, object]
    device_id: str | None

    def begin(self, batch: int) -> None:
        """Make ready for sequences of a batch size."""

    def step(self) -> tuple[int, int]:
        """Compute a step; return prompt tokens computed and tokens generated, both by now."""


def record(
    folder: Path, decoder: Decoder, plan: Plan, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Record a decoder at every batch size, then idle; return the content of `about.json`.

    Args:
        folder: where to; it must be new or empty.
        decoder: what decodes.
        plan: how long.
        environment: of the collector; that of this process if None.

    Raises:
        UserError: the folder is not empty, or the collector did not start in time or ended badly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; choose a new or an empty folder")
    for batch in plan.batches:
        _tell(f"warming up {batch} sequences")
        decoder.begin(batch)
    with ExitStack() as stack:
        model = str(decoder.about.get("model", "random"))
        names = [phase.job_id for phase in plan.phases(0) if phase.batch]
        counting = {name: stack.enter_context(Counting(model)) for name in names}
        config, jobs, log = _configure(folder, counting), folder / JOBS, folder / "collect.log"
        with _collector(config, log, environment or os.environ) as daemon:
            _wait_for_start(daemon, log, _now_us() + _START_US)
            # Only now is it known how long the collector took to start and learn the sensor.
            phases = plan.phases(_now_us())
            jobs.write_text(jobs_csv(phases, NODE, decoder.device_id or "0"))
            daemon.send_signal(signal.SIGHUP)
            _wait_for_start(daemon, log, phases[0].start_us, starts=2)
            done = [_run(phase, decoder, counting.get(phase.job_id)) for phase in phases]
            time.sleep(plan.after_s)
    about = {**decoder.about, "jobs": done, "collector": json.loads(_last_line(log))}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    for path in (config, jobs, log):
        path.unlink()
    shutil.rmtree(folder / LAKE / walfolder.FOLDER)
    return about


def _configure(folder: Path, counting: Mapping[str, Counting]) -> Path:
    """Write the configuration and an empty list of jobs; return the path of the former."""
    jobs, config = folder / JOBS, folder / "collect.toml"
    jobs.write_text(jobs_csv((), NODE, ""))
    lines = [f"lake = {json.dumps(str(folder / LAKE))}", f'node = "{NODE}"', 'log_format = "json"']
    lines.append(f"jobs_file = {json.dumps(str(jobs))}")
    for job_id, counters in counting.items():
        lines += ["", "[[tokens]]", f'source_id = "{job_id}"', f'job_id = "{job_id}"']
        lines += [f'url = "{counters.url}"', f"every_s = {_SCRAPE_EVERY_S}"]
    config.write_text("\n".join(lines) + "\n")
    return config


@contextmanager
def _collector(
    config: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the collector until the end of the block; its log goes to a file."""
    command = [sys.executable, "-m", "tokenergy_collectors", "run", "--config", str(config)]
    with (
        log.open("w") as said,
        subprocess.Popen(command, env=dict(environment), stderr=said) as daemon,
    ):
        try:
            yield daemon
        finally:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
    if daemon.returncode != 0:
        raise UserError(f"the collector exited with {daemon.returncode}: {_last_line(log)}")


def _wait_for_start(
    daemon: subprocess.Popen[bytes], log: Path, until_us: int, *, starts: int = 1
) -> None:
    """Wait until the collector samples, for the first time or again after a reload.

    Raises:
        UserError: it ended, or does not sample at `until_us`.
    """
    while log.read_text().count('"event": "start"') < starts:
        if daemon.poll() is not None:
            raise UserError(f"the collector did not start: {_last_line(log)}")
        if _now_us() >= until_us:
            why = "does not sample after a minute" if starts == 1 else _LATE
            raise UserError(f"the collector {why}")
        time.sleep(0.05)


def _run(phase: Phase, decoder: Decoder, counting: Counting | None) -> dict[str, Any]:
    """Do what a job does, between its edges; return what it did."""
    if counting is not None:
        decoder.begin(phase.batch)
    late_us = max(0, _now_us() - phase.start_us)
    _tell(f"{phase.job_id}: {(phase.end_us - phase.start_us) / 1e6:.0f} s")
    _sleep_until(phase.start_us)
    steps = longest_us = 0
    begin_us = _now_us()
    # No step is begun that might end after the job.
    while counting is not None and begin_us + longest_us < phase.end_us:
        counting.add(*decoder.step())
        steps += 1
        now_us = _now_us()
        longest_us, begin_us = max(longest_us, now_us - begin_us), now_us
    _sleep_until(phase.end_us)
    return {
        "job_id": phase.job_id,
        "batch": phase.batch,
        "start_us": phase.start_us,
        "end_us": phase.end_us,
        "late_us": late_us,
        "steps": steps,
        "prompt_tokens": counting.prompt if counting else 0,
        "generated_tokens": counting.generated if counting else 0,
    }


def _last_line(log: Path) -> str:
    lines = log.read_text().splitlines()
    return lines[-1] if lines else "its log is empty"


def _sleep_until(at_us: int) -> None:
    while (left_us := at_us - _now_us()) > 0:
        time.sleep(left_us / 1e6)


def _now_us() -> int:
    return time.time_ns() // 1_000


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
