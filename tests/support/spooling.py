"""Rows for a spool, a lake that refuses what it is told to refuse, and what is in its log."""

import os

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.spool.wal import SUFFIX

T0 = 1_768_464_000_000_000


def clock(ts_us):
    return (ts_us, "n", 1, 2, 3, 1)


def power(ts_us, power_mw=5):
    return (ts_us, "GPU-a", power_mw, "instant", None, 0)


def state(ts_us):
    return (ts_us, "GPU-a", 1, 1, 1, 1, 0, None)


class FullDisk(Lake):
    """A lake that refuses what it is told to refuse."""

    def __init__(self, root):
        super().__init__(root, create=True)
        self.refuse = lambda table, path: False

    def append(self, table, rows, node, tag=None):
        if self.refuse(table, rows):
            raise UserError(f"{table}: cannot be written: No space left on device")
        return super().append(table, rows, node, tag)


def logs(lake):
    return sorted(lake.root.glob(f".wal/n/*{SUFFIX}"))


def stamps(lake, table):
    return sorted(lake.read(table)["ts_us"].to_pylist())


def kill(spool):
    """Leave a spool as a kill does: its memory is gone, and its lock and its files are let go."""
    spool._folder.close()
    for writer in spool._open.values():
        os.close(writer._fd)
