"""Checks a host before the daemon runs on it; writes nothing.

In: a configuration, and boards that can be opened. Out: findings, one line each: `ok`, `warn` (the
daemon would run, but some data would be missing or wrong) or `FAIL` (it would not run).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.registry import SOURCES
from tokenergy_collectors.settings.config import Config, keys_of
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import Board, close_boards, open_boards
from tokenergy_collectors.sources.nvml.findings import driver_finding
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.nvml.settings import GpuKeys
from tokenergy_collectors.upload.findings import upload_findings

_DAY_S = 86_400
_READING_BYTES = (2.5, 5.0)
"""Size of one kept reading on disk, with counters, zstd and DELTA: for evenly spaced stamps and for
jittered ones. Under a changing load all readings are kept; of an idle board, one per second."""

_STATE_BYTES = 4.0
_FILE_BYTES = 3_000
"""Size of a file without its rows. Each seal writes one file for each of about five tables."""

_TABLES = 5
_LEAST_DAYS = 7.0
_LEAST_FREE_BYTES = 64 << 20


def preflight(config: Config, host: Host) -> Iterator[Finding]:
    """Yield the findings about this host.

    Args:
        config: the configuration that the daemon would use.
        host: its boards are opened here; learning their update periods takes time on its clock.
    """
    yield from _node(config)
    try:
        # Without a driver the other findings are still worth printing.
        if keys_of(config, GpuKeys).gpus:
            yield from _boards(host)
        else:
            yield Finding("ok", "nvml", "gpus = false: no GPU is read")
        for source in SOURCES.values():
            yield from source.check(config, host)
    finally:
        close_boards()
    yield from _lake(config)
    yield from _disk(config, host.boards)
    yield from upload_findings(config.upload, Path(config.lake))


def _boards(host: Host) -> Iterator[Finding]:
    """Open the boards of this host."""
    try:
        host.boards, missing = open_boards()
    except UserError as error:
        yield Finding("FAIL", "nvml", str(error))
    else:
        yield driver_finding()
        yield from (Finding("warn", "nvml", why) for why in missing)


def bytes_a_day(config: Config, boards: int, read_hz: float | None = None) -> tuple[float, float]:
    """Return the least and the most bytes that a day of sampling under load adds to the lake."""
    gpu = keys_of(config, GpuKeys)
    readings = boards * (read_hz or rate_hz(gpu, ())) * _DAY_S
    states = boards * _DAY_S / gpu.state_every_s * _STATE_BYTES
    files = _DAY_S / config.roll_s * _TABLES * _FILE_BYTES
    least, most = (readings * each + states + files for each in _READING_BYTES)
    return least, most


def _node(config: Config) -> Iterator[Finding]:
    try:
        escape_node(config.node)
        yield Finding("ok", "node", config.node)
    except UserError as error:
        yield Finding("FAIL", "node", str(error))


def _lake(config: Config) -> Iterator[Finding]:
    try:
        lake = Lake(config.lake, create=True)
    except UserError as error:
        yield Finding("FAIL", "lake", str(error))
        return
    new = "" if lake.root.exists() else " (it will be created)"
    yield Finding("ok", "lake", f"{lake.root} is writable{new}")


def _disk(config: Config, boards: Sequence[Board]) -> Iterator[Finding]:
    """Compare the free space with what a day of sampling takes."""
    # The lake's folder may not exist yet: its closest parent is on the same disk.
    there = Path(config.lake).absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        yield Finding("FAIL", "disk", f"{there}: {error.strerror}")
        return
    if not boards:
        yield Finding("ok", "disk", f"{_size(free)} free at {there}")
        return
    read_hz = rate_hz(keys_of(config, GpuKeys), boards)
    least, most = bytes_a_day(config, len(boards), read_hz)
    days = free / most
    text = (
        f"{_size(free)} free at {there}; a day under load takes {_size(least)} to {_size(most)} "
        f"({len(boards)} boards at {read_hz:g} Hz, 2.5 to 5 bytes per reading): "
        f"enough for {days:.1f} days"
    )
    if free < _LEAST_FREE_BYTES:
        yield Finding("FAIL", "disk", text)
    else:
        yield Finding("ok" if days >= _LEAST_DAYS else "warn", "disk", text)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
