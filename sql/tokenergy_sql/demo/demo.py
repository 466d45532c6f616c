"""The emulated cluster behind `tokenergy demo`: its folder, its site file and its readings.

In: a folder and a profile. Out: in the folder a lake with raw tables, and the truth files. Nodes
are collected the way `tokenergy-collect fleet` does it, one process a node, on all cores.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.settings.config import Config
from tokenergy_sql.demo import building

if TYPE_CHECKING:
    from rich.progress import Progress

_MARK = ".tokenergy-demo"
_RATE_HZ = 10.0
_ROLL_S = 300.0

SITE = """# Declared constants of an emulated site without meters.
[site]
name = "emulated"
pue = 1.25
host_w = 1800.0   # each node, without its GPUs

# How long a request may take.
[slo]
ttft_s = 2.5      # to its first token
tpot_s = 0.15     # for each token after that, on average
"""


def _site(profile_name: str) -> str:
    if profile_name != building.PROFILE:
        return SITE
    return resources.files("tokenergy_sql.demo").joinpath("building.toml").read_text("utf-8")


def describe(profile_name: str) -> str:
    """Return a line that says what a profile emulates."""
    profile = load_profile(profile_name)
    boards = sum(node.count for node in profile.nodes.values())
    minutes = profile.duration_us / 60_000_000
    return (
        f"{len(profile.nodes)} emulated nodes, {boards} GPUs, {len(profile.jobs)} jobs, "
        f"{minutes:g} minutes of virtual time"
    )


def prepare(folder: Path, profile_name: str) -> None:
    """Make the demo's folder, or empty the one that an earlier demo made.

    The site file has the building's meters if the profile's nodes stand in it, else constants.

    Raises:
        UserError: the folder holds other files, or cannot be made.
    """
    try:
        # The mark says that an earlier demo made the folder, so its lake may be deleted.
        if folder.exists() and not (folder / _MARK).exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder}: the folder is not empty and no demo made it; choose another with --out"
            )
        for name in ("lake", "truth"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
        (folder / _MARK).touch()
        (folder / "lake" / "site.toml").write_text(_site(profile_name), "utf-8")
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from None


def collect(folder: Path, profile_name: str, progress: Progress) -> None:
    """Collect the nodes of the profile, as many at a time as there are cores.

    Raises:
        UserError: a node could not be collected.
    """
    nodes = load_profile(profile_name).nodes
    task = progress.add_task(f"collect {len(nodes)} nodes", total=len(nodes))
    workers = min(len(nodes), os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    _keep_the_tracker_quiet()
    with ProcessPoolExecutor(workers, context, initializer=_leave_interrupts) as pool:
        try:
            running = [pool.submit(_collect_node, folder, profile_name, node) for node in nodes]
            for future in as_completed(running):
                future.result()
                progress.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _collect_node(folder: Path, profile_name: str, node: str) -> None:
    """Collect one node, in a process of its own: NVML is loaded once a process."""

    def read_config(name: str) -> Config:
        keys = {"lake": str(folder / "lake"), "node": name, "rate_hz": _RATE_HZ, "roll_s": _ROLL_S}
        return Config.model_validate(keys)

    profile = load_profile(profile_name)
    collect_fleet(profile, read_config, Control(), nodes=[node], truth=folder / "truth")


def _keep_the_tracker_quiet() -> None:
    """Let the helper process of `multiprocessing` clean up after Ctrl-C without a remark on it."""
    given = os.environ.get("PYTHONWARNINGS")
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = f"{given},{quiet}" if given else quiet


def _leave_interrupts() -> None:
    """Ignore Ctrl-C in a node's process: the parent stops, and no file is cut in the middle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
