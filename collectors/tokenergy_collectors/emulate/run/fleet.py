"""Collects every node of an emulated cluster, one after the other, in one process.

In: a profile and a configuration. Out: the lake that one daemon on each node would write, and the
truth, one file a node. Every node has a virtual clock of its own that begins when the
profile does, so that their rows cover the same time although the nodes were read in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.progress import progress_bar
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import Profile, load_profile
from tokenergy_collectors.emulate.run.emulated import run_emulated_node
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.settings.config import Config

OnDone = Callable[[str, int], object]
"""Takes a node that is done, and the number of its boards."""


class Collected(NamedTuple):
    """What was collected: nodes, their boards, and how many nodes were asked for."""

    nodes: int
    boards: int
    wanted: int


def collect_fleet(
    profile: Profile,
    read_config: Callable[[str], Config],
    control: Control,
    *,
    nodes: Iterable[str] = (),
    duration_us: int | None = None,
    truth: Path | None = None,
    on_done: OnDone = lambda node, boards: None,
) -> Collected:
    """Collect the nodes of a profile into one lake; doing it again adds nothing.

    Args:
        profile: the cluster.
        read_config: returns the configuration for a node.
        control: ends the collection; what was read until then is sealed.
        nodes: only these; all if there are none.
        duration_us: how long on each node; as long as the profile says if None.
        truth: folder for the truth, one file a node; beside the lake if None.
        on_done: called for each node once it is done.

    Raises:
        UserError: the profile has no such node, or something cannot be used or written.
    """
    wanted = list(dict.fromkeys(nodes)) or list(profile.nodes)
    for node in wanted:
        profile.require_node(node)
    # Before the first node: a lake that cannot be written must not cost a node's run first.
    Lake(read_config(wanted[0]).lake, create=True).prepare()
    done = boards = 0
    for node in wanted:
        path = None if truth is None else truth / f"{escape_node(node)}.json"

        def read(node: str = node) -> Config:
            return read_config(node)

        clock = VirtualClock(profile.start_us)
        run_emulated_node(read, profile, clock, control, duration_us, path, quiet=True)
        if control.event.is_set():
            break
        done, boards = done + 1, boards + profile.nodes[node].count
        on_done(node, profile.nodes[node].count)
    return Collected(done, boards, len(wanted))


def run_fleet(
    profile_name: str,
    config_path: Path | None,
    control: Control,
    lake: str | None,
    truth: Path | None,
    nodes: Iterable[str],
    duration: str | None,
) -> str:
    """Collect a fleet as its command does, with a progress bar; return a summary line.

    Raises:
        UserError: an option, the profile or the configuration cannot be used.
    """

    def read_config(node: str) -> Config:
        return load_toml(config_path, Config, {"lake": lake, "node": node})

    profile = load_profile(profile_name)
    duration_us = None if duration is None else parse_duration(duration)
    began_s = time.monotonic()
    wanted = list(nodes)
    with progress_bar() as progress:
        task = progress.add_task("collect", total=len(wanted) or len(profile.nodes))

        def advance(node: str, boards: int) -> None:
            del boards
            progress.update(task, description=f"collect {node}", advance=1)

        done = collect_fleet(
            profile,
            read_config,
            control,
            nodes=wanted,
            duration_us=duration_us,
            truth=truth,
            on_done=advance,
        )
    run_us = min(duration_us or profile.duration_us, profile.duration_us)
    return _summary(done, run_us, time.monotonic() - began_s)


def _summary(done: Collected, run_us: int, took_s: float) -> str:
    stopped = "" if done.nodes == done.wanted else f", stopped before all {done.wanted} were done"
    return (
        f"collect: {done.nodes} nodes, {done.boards} GPUs, {run_us / 60_000_000:g} minutes of "
        f"virtual time in {took_s:.1f} s{stopped}"
    )
