"""Reading an nvidia-smi log, line by line.

In: a path. Out: a `Log`, columns of integers, every value checked. Logs are long and say little
new in each line, so every cell's text is parsed once and remembered.
"""

from __future__ import annotations

import re
from pathlib import Path

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile, Progress
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia.columns import (
    plain,
    understand,
)
from tokenergy_collectors.importers.nvidia.fast import add_chunk
from tokenergy_collectors.importers.nvidia.readings import Log


def read_log(
    path: str | Path, node: str, clock: StampReader, progress: Progress | None = None
) -> Log:
    """Read and check a whole log.

    Raises:
        UserError: it cannot be used; the message names the line.
    """
    with CsvFile(path, progress) as file:
        log = Log(understand(file.header), node, clock)
        header = [plain(name) for name in file.header]
        row: list[str] = []
        for chunk in file.chunks():
            if add_chunk(log, chunk, len(header)):
                file.skip(chunk)
                continue
            for row in file.rows_of(chunk):
                file.count(row)
                try:
                    log.add(row)
                except BadValueError:
                    if [plain(cell) for cell in row] != header:
                        raise
        if file.tail is not None:
            log.cut_off = not _add_tail(log, file.tail, row, len(header))
        if not log.stamps:
            raise BadValueError("has no readings: expected lines after the header")
    return log


def _add_tail(log: Log, tail: list[str], before: list[str], width: int) -> bool:
    """Add a last line without a newline if it looks whole; return whether it was added."""
    if len(tail) != width or (before and _shape(tail[-1]) != _shape(before[-1])):
        return False
    try:
        log.add(tail)
    except BadValueError:
        return False
    return True


def _shape(text: str) -> str:
    """Return what stays alike from line to line: decimals, units and the lengths of names."""
    return re.sub(r"\w", "0", re.sub(r"^\d+(?=\D|$)", "", text))
