"""Runs the daemon on emulated boards, and writes the truth beside the lake."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.clock import Clock, VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.reload import ReloadingDaemon
from tokenergy_collectors.daemon.run import ReadConfig
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.settings.config import Config, keys_of
from tokenergy_collectors.sources.nvml.boards import Board, close_boards, open_boards
from tokenergy_collectors.sources.nvml.learn import learn_periods
from tokenergy_collectors.sources.nvml.scopes import adopt, learn_scopes
from tokenergy_collectors.sources.nvml.settings import GpuKeys, Place
from tokenergy_collectors.sources.tokens.settings import TokenKeys, TokenSource

if TYPE_CHECKING:
    from tokenergy_collectors.emulate.profile.profile import Profile
    from tokenergy_collectors.emulate.run.node import EmulatedNode


def run_emulated(
    read_config: ReadConfig,
    duration_us: int | None,
    control: Control,
    profile_name: str,
    real_time: bool,
    truth: Path | None,
) -> dict[str, int]:
    """Run on emulated boards; the profile declares the jobs and serves the token endpoints."""
    from tokenergy_collectors.emulate.profile.profile import load_profile
    from tokenergy_collectors.emulate.run.wallclock import SteppableClock

    profile, config = load_profile(profile_name), read_config()
    profile.require_node(config.node)  # before the lake's folder is made
    Lake(config.lake, create=True).prepare()
    clock: Clock = SteppableClock() if real_time else VirtualClock(profile.start_us)
    return run_emulated_node(read_config, profile, clock, control, duration_us, truth)


def run_emulated_node(
    read_config: ReadConfig,
    profile: Profile,
    clock: Clock,
    control: Control,
    duration_us: int | None = None,
    truth: Path | None = None,
    *,
    quiet: bool = False,
) -> dict[str, int]:
    """Run on the boards of one emulated node; write its truth if the whole profile was run.

    Args:
        read_config: its `node` says which node of the profile.
        profile: the cluster.
        clock: real or virtual.
        control: ends the run.
        duration_us: how long to run; the whole profile if None.
        truth: file for the truth; beside the lake if None.
        quiet: see `Log`.

    Raises:
        UserError: there is no such node, or something cannot be used or written.
    """
    from tokenergy_collectors.emulate.run.node import EmulatedNode

    config = read_config()
    twins = _learn_on_a_twin(profile, config)
    with EmulatedNode(profile, config.node, clock) as emulated:
        boards, missing = open_boards()
        for board in boards:
            twin = twins[board.device_id]
            board.update_us, board.counter_us = twin.update_us, twin.counter_us
            adopt(board, twin.scopes, twin.counter_scope)
        daemon = ReloadingDaemon(
            emulated_config(config, emulated),
            lambda: emulated_config(read_config(), emulated),
            clock,
            boards,
            missing,
            control,
            emulated_jobs=emulated.allocations,
            quiet=quiet,
            spread_jobs=[job.id for job in profile.jobs if len(job.devices) > 1],
        )
        whole = duration_us is None or duration_us >= emulated.duration_us
        run_us = emulated.duration_us if whole else duration_us
        try:
            counts = daemon.run(run_us)
        finally:
            close_boards()
        if whole and not control.event.is_set():
            _write_truth(emulated, truth, Lake(config.lake, create=True))
        return counts


def emulated_config(config: Config, emulated: EmulatedNode) -> Config:
    """Return a configuration with what an emulated node adds: its endpoints and its place."""
    sources = [
        TokenSource(source_id=s.source_id, url=s.url, job_id=s.job_id, model=s.model)
        for s in emulated.sources
    ]
    return config.model_copy(
        update={
            "node": emulated.node,
            "tokens": (*keys_of(config, TokenKeys).tokens, *sources),
            "place": Place(**emulated.labels),
        }
    )


def _learn_on_a_twin(profile: Profile, config: Config) -> dict[str, Board]:
    """Return boards equal to the emulated ones, with periods and scopes learned, by UUID.

    Learning takes time, and an emulated node's time begins with its profile. So the collector
    learns on a second node that ends there: the one that is recorded loses no time.
    """
    from tokenergy_collectors.emulate.nvml import library as nvml
    from tokenergy_collectors.emulate.run.node import EmulatedNode

    clock = VirtualClock(profile.start_us)
    learn_s = min(keys_of(config, GpuKeys).learn_s, profile.duration_s / 4)
    with nvml.install(EmulatedNode(profile, config.node, clock)):
        try:
            boards, _ = open_boards()
            learn_periods(boards, clock, learn_s, threading.Event())
            learn_scopes(boards, clock, learn_s, threading.Event())
        finally:
            close_boards()
    return {board.device_id: board for board in boards}


def _write_truth(emulated: EmulatedNode, path: Path | None, lake: Lake) -> None:
    """Write the truth where the user says, or else in a folder beside the lake."""
    root = lake.root.resolve()
    path = path or root.parent / f"{root.name}-truth" / f"{escape_node(emulated.node)}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    emulated.write_truth(path)
