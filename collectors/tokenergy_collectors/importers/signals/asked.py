"""What `import signal` is asked for: texts of options become checked values.

In: the options. Out: the import.
"""

from __future__ import annotations

import time
from pathlib import Path

from tokenergy_collectors.base.csvfile import BadValueError, Progress
from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.importers.signals.export import SignalFile, import_signal
from tokenergy_collectors.importers.signals.mapping import column_map
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.newsignals import SignalName
from tokenergy_collectors.lake.signalunits import unit_of


def import_asked(
    file: Path,
    lake: Path,
    *,
    name: str,
    quantity: str,
    unit: str,
    tz: str,
    columns: str | None,
    step: str | None,
    zone: str | None,
    currency: str | None,
    lifecycle: bool | None,
    read_at: str | None,
    node: str,
    progress: Progress | None = None,
) -> ImportResult:
    """Import a file as the options of `import signal` say.

    Raises:
        UserError: an option cannot be used; or see `import_signal`.
    """
    if not name.strip() or not name.isprintable():
        raise UserError(f"--name {name!r}: expected a name, such as caiso-north")
    try:
        found = unit_of(quantity, unit, currency)
    except ValueError as error:
        raise UserError(str(error)) from None
    step_us = None if step is None else parse_duration(step)
    signal_file = SignalFile(file, column_map(columns), tz, found, step_us)
    what = SignalName(name.strip(), quantity, lifecycle, zone, found.currency)
    read_us = _read_us(read_at)
    return import_signal(Lake(lake, create=True), signal_file, what, node, read_us, progress)


def _read_us(read_at: str | None) -> int:
    if read_at is None:
        return time.time_ns() // 1000
    try:
        return StampReader().read(read_at)
    except BadValueError as error:
        raise UserError(f"--read-at: {error}") from None
