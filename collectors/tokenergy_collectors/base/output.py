"""Where output goes: standard output, and what `--out` names. No other module opens them.

In: a path that the user gave, or `sys.stdout`. Out: a regular file is replaced whole or not at all;
a FIFO or a device is written to, a symbolic link followed. What cannot be written is an
`OutputError`, which `cli.guarded` turns into an exit code.
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.interrupt import scratch

_DESCRIPTOR = re.compile(r"/proc/(\d+)/fd/(\d+)")
_MOST_LINKS = 40


class OutputError(Exception):
    """Output cannot be written: the disk is full, or the reader has closed the pipe.

    No `OSError`: typer and rich answer a closed pipe with exit codes of their own.

    Args:
        what: the name of the output.
        error: the system's error.
    """

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(f"{what}: cannot be written: {error.strerror or error}")
        self.closed_pipe = error.errno == errno.EPIPE
        """Whether whoever reads the output has gone, as `| head` does."""


class _RawStdout(io.RawIOBase):
    """Standard output's descriptor; after a failure it takes everything and writes nothing."""

    def __init__(self, fd: int) -> None:
        self._fd, self._failed = fd, False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        with suppress(OSError):
            return os.isatty(self._fd)
        return False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        if self._failed:
            return view.nbytes
        while True:
            try:
                return os.write(self._fd, view)
            except BlockingIOError:  # whoever shares the descriptor has set it to non-blocking
                select.select([], [self._fd], [])
            except OSError as error:
                self._failed = True
                raise OutputError("standard output", error) from None


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Let every failure to write to standard output in the block be an `OutputError`.

    Everything is written by the end of the block, since Python hides what fails after it.

    Raises:
        OutputError: something cannot be written.
    """
    before = sys.stdout
    if before is not sys.__stdout__:  # a test has put something else there
        yield
        return
    # None: the descriptor is closed. To print is then an error as well, not silence.
    fd = 1 if before is None else before.fileno()
    terminal = before is not None and before.isatty()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_RawStdout(fd)),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",  # a character that a terminal lacks is no reason to end
        line_buffering=terminal,
    )
    try:
        yield
    except SystemExit:
        sys.stdout.flush()
        raise
    else:
        sys.stdout.flush()
    finally:
        sys.stdout = before


def is_stdout(out: Path) -> bool:
    """Return whether a path names standard output, so that nothing else may be printed there."""
    return _descriptor(out) == 1


def require_writable(out: Path) -> None:
    """Refuse what cannot be an output file, before the work that fills it begins.

    Raises:
        UserError: it is a folder, its folder does not exist, or one may not write there.
    """
    if _descriptor(out) is not None:
        return
    target = Path(os.path.realpath(out))
    try:
        mode = _mode(out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from None
    if (mode is not None and stat.S_ISDIR(mode)) or not target.parent.is_dir():
        raise UserError(f"{out}: cannot be written: expected a file name in an existing folder")
    if mode is not None and not os.access(target, os.W_OK):
        raise UserError(f"{out}: cannot be written: no permission to write to it")
    if mode is None and not os.access(target.parent, os.W_OK | os.X_OK):
        raise UserError(f"{out}: cannot be written: no permission to write in {target.parent}")


@contextmanager
def writing(out: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block, `out` has what was written there.

    A regular file is written aside and renamed, so a reader never sees half of it and a failure
    leaves the one before. What is no regular file (a FIFO, a device, an open descriptor such as
    /dev/stdout), or lies where nothing may be created, is written to instead.

    Raises:
        UserError: see `require_writable`; or it cannot be written.
        OutputError: the reader of a FIFO has gone, or standard output is full.
    """
    require_writable(out)
    target = Path(os.path.realpath(out))
    mode = None if _descriptor(out) is not None else _mode(out)
    in_place = not (mode is None or stat.S_ISREG(mode)) or not os.access(target.parent, os.W_OK)
    try:
        if in_place or _descriptor(out) is not None:
            with tempfile.TemporaryDirectory() as folder, scratch(Path(folder)):
                aside = Path(folder) / "out"
                yield aside
                _copy(aside, out)
            return
        aside = target.with_name(f".tokenergy-{os.getpid()}.tmp")
        with scratch(aside):
            try:
                yield aside
                _publish(aside, target, mode)
            finally:
                with suppress(OSError):
                    aside.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}") from None


def write_text(text: str, out: Path) -> None:
    """Write a text in UTF-8 to what `out` names; see `writing`."""
    with writing(out) as path:
        path.write_text(text, "utf-8")


def _publish(aside: Path, target: Path, mode: int | None) -> None:
    """Rename a finished file to its place, with the permissions of the one that it replaces."""
    if mode is not None:
        aside.chmod(stat.S_IMODE(mode))
    # The rename may reach the disk before the bytes do, unless they are synced first.
    with aside.open("rb") as handle:
        os.fsync(handle.fileno())
    aside.replace(target)


def _copy(aside: Path, out: Path) -> None:
    try:
        with aside.open("rb") as source, _opened(out) as sink:
            shutil.copyfileobj(source, sink)
    except OSError as error:
        if error.errno == errno.EPIPE or is_stdout(out):
            raise OutputError(str(out), error) from None
        raise


def _opened(out: Path) -> BinaryIO:
    """Open what is written in place; of a descriptor its duplicate, which keeps its position."""
    descriptor = _descriptor(out)
    if descriptor is None:
        return out.open("wb")
    if descriptor == 1:
        sys.stdout.flush()
    return os.fdopen(os.dup(descriptor), "wb")


def _mode(out: Path) -> int | None:
    """Return the mode of what a path leads to; None if there is nothing yet."""
    try:
        return out.stat().st_mode
    except FileNotFoundError:
        return None


def _descriptor(out: Path) -> int | None:
    """Return the descriptor of this process that a path such as /dev/stdout names, if any."""
    for _ in range(_MOST_LINKS):
        place = Path(os.path.realpath(out.parent)) / out.name
        found = _DESCRIPTOR.fullmatch(str(place))
        if found and int(found[1]) == os.getpid():
            return int(found[2])
        if not os.path.islink(place):  # noqa: PTH114 - false, where the name is impossible
            return None
        try:
            out = place.parent / place.readlink()
        except OSError:  # a descriptor of another user's process
            return None
    return None
