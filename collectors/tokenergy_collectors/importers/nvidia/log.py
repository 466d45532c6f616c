"""Reads an nvidia-smi log.

In: a path. Out: its `Readings`, every value checked. Most of a log goes through the fast reader;
the rest is read line by line.
"""

from __future__ import annotations

import re
from pathlib import Path

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile, Progress
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia.columns import (
    column_name,
    parse_header,
)
from tokenergy_collectors.importers.nvidia.fast import add_chunk
from tokenergy_collectors.importers.nvidia.readings import Readings


def read_log(
    path: str | Path, node: str, clock: StampReader, progress: Progress | None = None
) -> Readings:
    """Read and check a whole log.

    Raises:
        UserError: the log cannot be used; the message names the line.
    """
    with CsvFile(path, progress) as file:
        log = Readings(parse_header(file.header), node, clock)
        header = [column_name(name) for name in file.header]
        row: list[str] = []
        for chunk in file.chunks():
            if add_chunk(log, chunk, len(header)):
                file.skip(chunk)
                continue
            for row in file.rows_of(chunk):
                file.check_width(row)
                try:
                    log.add(row)
                except BadValueError:
                    # nvidia-smi writes its header again when it restarts and appends.
                    if [column_name(cell) for cell in row] != header:
                        raise
        if file.tail is not None:
            log.cut_off = not _add_tail(log, file.tail, row, len(header))
        if not log.stamps:
            raise BadValueError("has no readings: expected lines after the header")
    return log


def _add_tail(log: Readings, tail: list[str], before: list[str], width: int) -> bool:
    """Add a last line without a newline if it looks whole; return whether it was added."""
    if len(tail) != width or (before and _shape(tail[-1]) != _shape(before[-1])):
        return False
    try:
        log.add(tail)
    except BadValueError:
        return False
    return True


def _shape(text: str) -> str:
    """Return what is the same in every line: the number of decimals, units, lengths of names."""
    return re.sub(r"\w", "0", re.sub(r"^\d+(?=\D|$)", "", text))
