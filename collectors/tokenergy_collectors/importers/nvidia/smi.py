"""Imports logs of `nvidia-smi --query-gpu=timestamp,uuid,power.draw,... --format=csv[,nounits]`.

In: one such file. Out: rows of `power`, `device` and, if the log has gauges, `state`. A reading
that nvidia-smi could not take (`[N/A]`, a lost GPU) is skipped; it never becomes 0. A log has no
energy counter, so `energy_mj` is NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.csvfile import BadValueError, Progress
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia.log import NvidiaLog, read_log
from tokenergy_collectors.importers.nvidia.naming import read_name
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.paths import escape_node

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.importers.nvidia.rows import Section
    from tokenergy_collectors.lake import Lake

_ENOUGH_STAMPS = 10
"""So many stamps whose fraction is 0 each time are stamps to the second."""


def import_nvidia_smi(
    lake: Lake,
    path: str | Path,
    node: str,
    tz: str = "UTC",
    progress: Progress | None = None,
    *,
    device: str | None = None,
    columns: str | None = None,
) -> ImportResult:
    """Read a log completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the log.
        node: the host that it was recorded on.
        tz: time zone of its stamps (nvidia-smi writes local time without an offset).
        progress: called now and then with the number of bytes read so far.
        device: index, UUID or PCI address of the device, if the log has no column for it.
        columns: names of the log's columns, separated by commas, in place of its headers.

    Raises:
        UserError: the log cannot be used, and nothing was written; or the lake cannot be written.
    """
    escape_node(node)
    name = None
    if device is not None:
        try:
            name = read_name("device", device.strip(), node)
        except BadValueError as error:
            raise UserError(f"--device: {error}") from None
    clock = StampReader(tz)
    log = read_log(path, node, clock, progress, device=name, columns=columns)
    result = ImportResult(left_out=log.left_out)
    if log.cut_off:
        result.notes.append("skipped the last line: it is cut off")
    if any(section.stamps for section in log.sections):
        try:
            _write(lake, log, node, clock, result, Path(path).name)
        except BadValueError as error:
            raise UserError(f"{path}: {error}") from None
    if clock.unsure:
        result.warnings.append(
            f"stamps are in an hour that {tz} had twice, and nothing before them tells which: they "
            "are taken for the first, and are an hour early where they are of the second"
        )
    return result


def _are_seconds(clock: StampReader, sections: Sequence[Section]) -> bool:
    """Say whether the stamps of a log are to the second; few without fractions prove nothing."""
    import numpy as np

    if not clock.has_fractions or clock.is_finer_than_seconds:
        return not clock.has_fractions
    return len(np.unique(np.concatenate([s.stamps for s in sections]))) >= _ENOUGH_STAMPS


def _describe(result: ImportResult, sections: Sequence[Section], without_power: int) -> None:
    """Say in a result what the sections of a log hold, and which rows were skipped."""
    result.devices = len({name for section in sections for name in section.devices.ids})
    result.first_us = min(int(section.stamps.min()) for section in sections)
    result.last_us = max(int(section.stamps.max()) for section in sections)
    if without_power:
        result.notes.append(f"skipped rows without a power value: {without_power}")
    for section in sections:
        result.notes += [note for note in section.devices.notes if note not in result.notes]


def _write(
    lake: Lake, log: NvidiaLog, node: str, clock: StampReader, result: ImportResult, name: str
) -> None:
    """Write the rows of a log of some name.

    Raises:
        BadValueError: it does not say which device a reading is of; nothing was written.
        UserError: the lake cannot be written.
    """
    import pyarrow as pa

    from tokenergy_collectors.importers.nvidia import doubts
    from tokenergy_collectors.importers.nvidia.rows import (
        check_instants,
        device_rows,
        section_of,
        state_rows,
    )

    if instances := sum(section.leave_out_instances() for section in log.sections):
        result.notes.append(
            f"skipped lines of MIG instances, whose board has the power: {instances}"
        )
    sections = [section_of(section) for section in log.sections if section.stamps]
    if not sections:
        raise BadValueError("has lines of MIG instances only: expected those of their boards")
    power = pa.concat_tables([section.power for section in sections])
    seconds = _are_seconds(clock, sections)
    if not seconds:
        check_instants(power)
    _describe(result, sections, log.readings - power.num_rows)
    states: list[pa.Table] = [s for section in sections if (s := state_rows(section)) is not None]
    of_this_log = ["update_us", "stamp_step_us", "power_step_mw", "sensor_kind"]
    devices = device_rows(sections, node, power)
    described = dict(
        zip(*(devices[name].to_pylist() for name in ("device_id", "index")), strict=True)
    )
    result.warnings += [*doubts.of_order(power), *doubts.of_names(lake, node, power, described)]
    result.warnings += doubts.of_overlap(lake, node, power, name)
    write_new(lake, "device", devices, node, result, apart_from=of_this_log)
    # A stamp to the second may belong to several readings, of which two may well be equal.
    write_new(lake, "power", power, node, result, repeats=seconds)
    if states:
        write_new(lake, "state", pa.concat_tables(states), node, result)
