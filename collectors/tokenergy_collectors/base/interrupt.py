"""Ctrl-C: a command ends within about a second with one line and exit code 130, whatever it does.

In: SIGINT. Out: `Interrupted` in the main thread; long statements of a database are
stopped; a process that has not ended after a second is ended.

Python runs a signal handler only between two of its own instructions, so one long call into a
library (a statement of DuckDB, a kernel) would hold Ctrl-C back until it returns. The interpreter
writes the signal's number to a pipe at once, though; a thread waits there and does the rest.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol
from weakref import WeakSet

EXIT_CODE = 130
"""128 + SIGINT, as a shell reports a program that the signal ended."""

_GRACE_S = 1.0
_REPEAT_S = 0.05


class Interrupted(BaseException):
    """Ctrl-C; no `KeyboardInterrupt`, to which typer and libraries have answers of their own."""


class _Interruptible(Protocol):
    """A connection to a database."""

    def interrupt(self) -> None:
        """Stop what runs at the moment; called from another thread, often, and for nothing too."""


_RUNNING: WeakSet[_Interruptible] = WeakSet()
_SCRATCH: set[Path] = set()
_ASKED = threading.Event()
_SAID = threading.Lock()


def stops(connection: _Interruptible) -> None:
    """Let Ctrl-C interrupt a connection, for as long as somebody else keeps it."""
    _RUNNING.add(connection)


def asked() -> bool:
    """Return whether Ctrl-C was pressed."""
    return _ASKED.is_set()


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield a path that is removed, with all in it, if the process has to be ended meanwhile."""
    _SCRATCH.add(path)
    try:
        yield path
    finally:
        _SCRATCH.discard(path)


def say() -> None:
    """Say once, on one line, that the command was interrupted."""
    if not _SAID.acquire(blocking=False):
        return
    with suppress(OSError, ValueError, AttributeError):  # a closed or missing standard error
        # A progress bar may be on the terminal's line, and may have hidden the cursor.
        clear = "\r\x1b[2K\x1b[?25h" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{clear}interrupted\n")
        sys.stderr.flush()


@contextmanager
def watched() -> Iterator[None]:
    """Let Ctrl-C end the block; a SIGINT that is ignored or handled otherwise is left alone."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _ASKED.clear()
    if _SAID.locked():
        _SAID.release()
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    threading.Thread(target=_watch, args=(read_fd,), daemon=True).start()
    before = signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _raise)
    try:
        yield
    finally:
        # After Ctrl-C the thread goes on: threads of a pool may still keep the process.
        if not _ASKED.is_set():
            signal.set_wakeup_fd(before)
            if signal.getsignal(signal.SIGINT) is _raise:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(write_fd)


def _raise(_number: int, _frame: FrameType | None) -> None:
    _ASKED.set()
    raise Interrupted


def _watch(read_fd: int) -> None:
    """Wait for SIGINT; then stop what runs, and end the process if it does not end by itself."""
    while number := os.read(read_fd, 1):
        # `run` and others have a handler of their own, which ends them in their own time.
        if number[0] == signal.SIGINT and signal.getsignal(signal.SIGINT) is _raise:
            break
    else:
        os.close(read_fd)
        return
    _ASKED.set()
    ends_s = time.monotonic() + _GRACE_S
    os.set_blocking(read_fd, False)
    while time.monotonic() < ends_s and not _pressed_again(read_fd):
        for one in list(_RUNNING):
            with suppress(Exception):  # it may have been closed meanwhile
                one.interrupt()
        time.sleep(_REPEAT_S)
    end()


def _pressed_again(read_fd: int) -> bool:
    with suppress(BlockingIOError):
        return signal.SIGINT in os.read(read_fd, 64)
    return False


def end() -> NoReturn:
    """Say so and end the process at once, without half-written files and child processes.

    The interpreter's own clean-up is left out: it waits for threads, and libraries that were
    stopped in the middle complain in it about what they had not yet freed.
    """
    import multiprocessing  # here: a daemon never needs it

    say()
    for child in multiprocessing.active_children():
        child.terminate()
    for path in list(_SCRATCH):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    os._exit(EXIT_CODE)
