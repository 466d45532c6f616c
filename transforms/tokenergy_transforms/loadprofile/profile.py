"""One hour of a lake: readings in, load profiles, spectra and swings of its groups out.

In: `power`, `device` and `jobs`. Out: the hour's files of `load_profile`, `load_spectrum` and
`load_swing`, replaced whole. Run again on the same raw files and options, it writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.memory import keep_freed_memory
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_transforms import choice
from tokenergy_transforms.cuts import parse_window
from tokenergy_transforms.inventory import Inventory, read_inventory
from tokenergy_transforms.loadprofile import groups, rows, spectrum, stream
from tokenergy_transforms.loadprofile.hourreadings import HourReadings

STEPS_US = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
"""Grid steps that `auto` picks from."""

BREAK_EVEN_CELLS = 50_000_000
"""From so many cells in one hour's groups `auto` uses CUDA. Derived: a spectrum takes the CPU about
a microsecond a cell, and an hour must repay a second of start-up and transfer many times over."""

TABLES_WRITTEN = ("load_profile", "load_spectrum", "load_swing")


@dataclass(frozen=True, slots=True)
class Profiled:
    """What was done of one hour: groups, cells of their grids, what computed the spectra."""

    hour_us: int
    groups: int
    cells: int
    backend: str


def parse_step(text: str) -> int | None:
    """Return a grid step in microseconds; None for `auto`.

    Raises:
        UserError: it is not a duration, or does not divide an hour.
    """
    if text == "auto":
        return None
    step_us = 0
    with suppress(UserError):
        step_us = parse_window(text)
    if not 1_000 <= step_us <= 10_000_000:
        raise UserError(
            f"--step {text!r}: expected auto, or a duration of 1ms to 10s that divides an hour, "
            "such as 100ms"
        )
    return step_us


def auto_step(period_us: int) -> int:
    """Return the largest step of `STEPS_US` that is at most half a period, or else the smallest.

    With half a period, the images that interpolation makes above the limit stay there. With more
    they would fold onto the frequencies below it.
    """
    fitting = [step_us for step_us in STEPS_US if step_us <= 0.51 * period_us]
    return max(fitting, default=STEPS_US[0])


def worklist(lake: Lake, hours: Sequence[int] | None = None) -> list[int]:
    """Return the hours to do: those with readings, and those with files of an earlier run.

    Hours that have expired are not done.
    """
    if hours is not None:
        return sorted(set(hours))
    expired = read_expired(lake.root)
    found = {hour for table in ("power", *TABLES_WRITTEN) for hour in lake.hours(table)}
    tables = ("power", "load_profile")
    return sorted(hour for hour in found if not any(expired.has(name, hour) for name in tables))


def profile_hour(
    lake: Lake,
    hour_us: int,
    kinds: Sequence[str],
    step_us: int | None = None,
    device: choice.Device = "auto",
    inventory: Inventory | None = None,
    report: stream.Report = lambda _: None,
) -> Profiled:
    """Write the load profiles and spectra of one hour; remove them where nothing was read.

    Args:
        lake: where to read and write.
        hour_us: start of the hour, microseconds UTC.
        kinds: kinds of group, of `groups.KINDS`; the files hold these and no others.
        step_us: grid step; None picks one for each group, see `auto_step`.
        device: what computes the spectra.
        inventory: the lake's, if it has been read; read here if None.
        report: takes the name of each node before it is worked on.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached.
    """
    keep_freed_memory()
    inventory = inventory or read_inventory(lake)
    in_force = groups.in_force(inventory, hour_us)
    readings = HourReadings(lake, hour_us, in_force)
    paces = {}
    for node, of_node in readings.of_nodes(lake.nodes("power", hour_us)):
        report(f"{node}: pace")
        paces.update(of_node)
    found = groups.groups(inventory, in_force, hour_us, kinds, paces) if paces else []
    steps = [step_us or auto_step(rows.period_us(group)) for group in found]
    cells = sum(HOUR_US // step for step in steps)
    backend, psd = spectra(device, cells, {device_id for _, device_id in paces})
    order = stream.order(paces, in_force)
    filled = stream.fill(readings, hour_us, found, steps, order, psd, report)
    stream.check_lines(readings, filled, order, report)
    _write(lake, "load_profile", [one.rows.profile for one in filled], hour_us)
    _write(lake, "load_spectrum", [band for one in filled for band in one.rows.bands], hour_us)
    _write(lake, "load_swing", [row for one in filled for row in one.rows.swings], hour_us)
    return Profiled(hour_us, len(found), cells, backend)


def spectra(device: choice.Device, cells: int, metered: set[str]) -> tuple[str, spectrum.Psd]:
    """Return the name of what computes the spectra, and the function.

    Raises:
        UserError: CUDA was asked for and cannot be used.
    """
    if device == "cuda":
        return "cuda", _on_cuda(choice.cuda_devices(metered)[0])
    if device == "auto" and cells >= BREAK_EVEN_CELLS and choice.cuda_unusable() is None:
        free = choice.unmetered(metered)
        if free:
            return "cuda", _on_cuda(free[0])
    return "cpu", spectrum.psd_numpy


def _on_cuda(ordinal: int) -> spectrum.Psd:
    import cupy

    def psd(runs: list[spectrum.F64], step_s: float, cells: int) -> spectrum.F64:
        with cupy.cuda.Device(ordinal):
            return spectrum.psd_cupy(runs, step_s, cells)

    return psd


def _write(lake: Lake, table: str, written: list[rows.TableRow], hour_us: int) -> None:
    import pyarrow as pa

    if written:
        rows_of = pa.Table.from_pylist(written, schema=TABLES[table].schema())
        lake.replace(table, rows_of, hour_us, table)
    else:
        lake.remove(table, hour_us, table)
