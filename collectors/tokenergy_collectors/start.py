"""Starts the daemon: on the boards of this host, or on emulated ones.

In: the options of `tokenergy-collect run`. Out: a run, and its row counts.
"""

from __future__ import annotations

from pathlib import Path

from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.run import run_here
from tokenergy_collectors.emulate.run.emulated import run_emulated
from tokenergy_collectors.settings.config import Config


def run_collector(
    config_path: Path | None,
    *,
    control: Control,
    lake: str | None = None,
    node: str | None = None,
    duration: str | None = None,
    emulate: str | None = None,
    real_time: bool = False,
    truth: Path | None = None,
) -> dict[str, int]:
    """Run the daemon until `control` ends it or its time is over; return the last row counts.

    Raises:
        NvmlLostError: no board answers any more; everything read before that is sealed.
        UserError: an option or the configuration cannot be used, or there is no GPU.
    """

    def read_config() -> Config:  # called again at each reload; the options still apply
        return load_toml(config_path, Config, {"lake": lake, "node": node})

    duration_us = None if duration is None else parse_duration(duration)
    try:
        if emulate is not None:
            return run_emulated(read_config, duration_us, control, emulate, real_time, truth)
        if real_time or truth is not None:
            raise UserError("--real-time and --truth need --emulate")
        return run_here(read_config, duration_us, control)
    finally:
        # Also after an error: the supervisor should not wait for more signs of life.
        control.notifier.send("STOPPING=1")
