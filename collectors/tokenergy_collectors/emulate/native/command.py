"""`tokenergy-collect emulate`: boards for other programs, in real time.

In: a profile's node, and perhaps a program to run. Out: the environment that makes a program find
the boards, or that program's exit code; at the end, the truth.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.native.build import library_folder
from tokenergy_collectors.emulate.native.feeder import Feeder
from tokenergy_collectors.emulate.profile.profile import Profile, load_profile
from tokenergy_collectors.emulate.run.early_end import write_truth_until
from tokenergy_collectors.emulate.run.node import EmulatedNode

STATE_VARIABLE = "TOKENERGY_EMULATED_NVML"
_FEED_EVERY_S = 0.05
_PATIENCE_S = 10.0


def emulate(
    profile_name: str,
    *,
    stop: threading.Event,
    say: Callable[[str], None],
    node: str | None = None,
    state: Path | None = None,
    duration_us: int | None = None,
    truth: Path | None = None,
    command: Sequence[str] = (),
) -> int:
    """Serve a node's boards until the profile, the duration or the command ends; or `stop`.

    Args:
        profile_name: a shipped profile's name, or a file.
        stop: set to end it early.
        say: takes each line for the user.
        node: which node of the profile; the first by default.
        state: where to put the state file; by default in a folder of its own, removed at the end.
        duration_us: end after this long.
        truth: where to write the truth.
        command: a program to run on the boards, with its arguments.

    Returns:
        The command's exit code (128 + n if signal n ended it); 0 without one.

    Raises:
        UserError: something given cannot be used, or there is no C compiler.
    """
    profile = load_profile(profile_name)
    folder = library_folder()
    clock = SystemClock()
    with _place(state) as path:
        emulated = EmulatedNode(profile, node or next(iter(profile.nodes)), clock)
        end_us = min(duration_us or emulated.duration_us, emulated.duration_us)
        with emulated, Feeder(emulated, clock, path) as feeder:
            variables = environment(folder, path)
            child = _start(command, variables)
            if child is None:
                for line in _describe(emulated, profile, variables):
                    say(line)
            _feed(feeder, child, stop, lambda: emulated.now_us() < end_us)
            code = _finish(child, feeder)
            # At least 1 us: the truth is that of a profile of this length, which cannot be 0.
            ended_us = min(max(emulated.now_us(), 1), end_us)
    if truth is not None:
        write_truth_until(emulated, ended_us, truth)
    return code


def environment(folder: Path, state: Path) -> dict[str, str]:
    """Return the variables that make a program load the library and find the state file."""
    before = os.environ.get("LD_LIBRARY_PATH")
    return {
        "LD_LIBRARY_PATH": f"{folder}:{before}" if before else str(folder),
        STATE_VARIABLE: str(state),
    }


@contextmanager
def _place(state: Path | None) -> Iterator[Path]:
    """Yield a path for the state file."""
    if state is not None:
        yield state.absolute()
        return
    base = os.environ.get("XDG_RUNTIME_DIR")
    base = base if base and os.access(base, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tokenergy-", dir=base) as folder:
        yield Path(folder) / "boards"


def _describe(emulated: EmulatedNode, profile: Profile, variables: dict[str, str]) -> Iterator[str]:
    yield f"# {len(emulated.boards)} boards of {emulated.node!r} in {profile.name!r}, in real time"
    for name, value in variables.items():
        yield f"export {name}={shlex.quote(value)}"
    for source in emulated.sources:
        yield f"# tokens of job {source.job_id}, model {source.model}: {source.url}"


def _start(command: Sequence[str], variables: dict[str, str]) -> subprocess.Popen[bytes] | None:
    if not command:
        return None
    try:
        return subprocess.Popen(command, env={**os.environ, **variables})  # noqa: S603 - the user's
    except OSError as error:
        raise UserError(f"{command[0]}: cannot be run: {error.strerror}") from None


def _runs(child: subprocess.Popen[bytes] | None) -> bool:
    return child is None or child.poll() is None


def _feed(
    feeder: Feeder,
    child: subprocess.Popen[bytes] | None,
    stop: threading.Event,
    in_time: Callable[[], bool],
) -> None:
    """Feed until the time is over, the command has ended, or `stop` is set."""
    while not stop.is_set() and in_time() and _runs(child):
        feeder.feed()
        _wait(child, stop)


def _wait(child: subprocess.Popen[bytes] | None, stop: threading.Event) -> None:
    """Wait until it is time to feed again, the command ends, or `stop` is set."""
    if child is None:
        stop.wait(_FEED_EVERY_S)
        return
    with suppress(subprocess.TimeoutExpired):
        child.wait(_FEED_EVERY_S)


def _finish(child: subprocess.Popen[bytes] | None, feeder: Feeder) -> int:
    """End the command if it still runs, and feed its boards until it has; return its exit code."""
    if child is None:
        return 0
    if child.poll() is None:
        child.terminate()
    patience_s = time.monotonic() + _PATIENCE_S
    while child.poll() is None:
        # A program that handles SIGTERM may read its boards once more before it ends.
        feeder.feed()
        _wait(child, threading.Event())
        if time.monotonic() > patience_s:
            child.kill()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode
