"""Imports logs of `nvidia-smi --query-gpu=timestamp,uuid,power.draw,... --format=csv[,nounits]`.

In: one such file. Out: rows of `power`, `device` and, if the log has gauges, `state`. A reading
that nvidia-smi could not take (`[N/A]`, a lost GPU) is skipped; it never becomes 0. A log has no
energy counter, so `energy_mj` is NULL.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.csvfile import Progress
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia.log import read_log
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.paths import escape_node

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake


def import_nvidia_smi(
    lake: Lake, path: str | Path, node: str, tz: str = "UTC", progress: Progress | None = None
) -> ImportResult:
    """Read a log completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the log.
        node: the host that it was recorded on.
        tz: time zone of its stamps (nvidia-smi writes local time without an offset).
        progress: called now and then with the number of bytes read so far.

    Raises:
        UserError: the log cannot be used, and nothing was written; or the lake cannot be written.
    """
    from tokenergy_collectors.importers.nvidia.rows import device_rows, power_rows, state_rows

    escape_node(node)
    log = read_log(path, node, StampReader(tz), progress)
    power, state = power_rows(log), state_rows(log)
    devices = device_rows(log, node, power)
    result = ImportResult(devices=len(log.devices.ids))
    result.first_us, result.last_us = min(log.stamps), max(log.stamps)
    if without := len(log.stamps) + log.unnamed - power.num_rows:
        result.notes.append(f"skipped rows without a power value: {without}")
    if log.cut_off:
        result.notes.append("skipped the last line: it is cut off")
    write_new(lake, "device", devices, node, result, apart_from=["update_us"])
    write_new(lake, "power", power, node, result)
    if state is not None:
        write_new(lake, "state", state, node, result)
    return result
