"""Runs tasks of the DAGs in processes of their own, and kills them where it is told.

In: lines of JSON on standard input: a DAG's module, a task, its arguments, and where to kill it.
Out: a line of JSON for each: how it ended, how long it took, how often it touched a name.

A task is what Airflow calls in a worker: the function under `@task`, in a process forked from this
one, which has imported the DAGs and the packages. It is killed (SIGKILL) after a time, or just
before the n-th time that it makes, renames, links or removes a file or folder, or opens one to
write.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_NAMES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "shutil.move"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

PRELOADED = (
    *("tokenergy_hourly", "tokenergy_restate", "tokenergy_daily"),
    *("duckdb", "pyarrow.parquet", "pyarrow.compute"),
    *("tokenergy_sql.report", "tokenergy_sql.scheduled.healing", "tokenergy_sql.index.pipeline"),
    *("tokenergy_sql.scheduled.checking", "tokenergy_sql.scheduled.daily"),
    *("tokenergy_sql.scheduled.booking", "tokenergy_sql.scheduled.restating"),
    *("tokenergy_transforms.batching", "tokenergy_transforms.loadprofile.profile"),
)


class _Touches:
    """Counts how often this process touches a name below a folder; kills it before one of them."""

    def __init__(self, root: str, last: int | None) -> None:
        self.count = 0
        self._root, self._last = root, last

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        if not (opens or event in _NAMES) or not str(arguments[0]).startswith(self._root):
            return
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def _arguments(task: str) -> dict[str, Any]:
    """Return what Airflow gives to a task beside the results of others."""
    from airflow.sdk.execution_time.context import OutletEventAccessors

    events: dict[str, Any] = {"outlet_events": OutletEventAccessors()}
    if task == "check":
        events["ti"] = SimpleNamespace(xcom_pull=lambda **_: [])  # nothing was healed
    return events


def _call(asked: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    if asked["group_rows"]:
        importlib.import_module("tokenergy_sql.index.groups").GROUP_ROWS = asked["group_rows"]
    function: Callable[..., Any] = getattr(sys.modules[asked["dag"]], asked["task"]).function
    code = getattr(function, "__wrapped__", function).__code__
    known = code.co_varnames[: code.co_argcount]
    given = {name: one for name, one in _arguments(asked["task"]).items() if name in known}
    try:
        function(*asked["arguments"], **given)
    except AirflowSkipException as error:
        print("skipped:", error)


def _child(asked: dict[str, Any], tell: int) -> None:
    """Run a task in a fork, and end the process."""
    touches, code = _Touches(asked["root"], asked["touch"]), 1
    try:
        with Path(asked["log"]).open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.addaudithook(touches)
        _call(asked)
        code = 0
    except BaseException:  # noqa: BLE001 - the fork must end here, whatever it was
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(tell, str(touches.count).encode())
        os._exit(code)


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Run a task to its end, or to where it is killed."""
    read, write = os.pipe()
    began_s = time.monotonic()
    pid = os.fork()
    if not pid:
        os.close(read)
        _child(asked, write)
    os.close(write)
    try:
        # The end of the pipe is the end of the process, however it ends.
        ended, _, _ = select.select([read], [], [], asked["after_s"])
        if not ended:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        took_s = time.monotonic() - began_s
        touches = os.read(read, 100).decode()
    finally:
        os.close(read)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    code = None if killed else os.waitstatus_to_exitcode(status)
    return {"killed": killed, "code": code, "seconds": took_s, "touches": int(touches or 0)}


def main() -> None:
    """Answer line by line until standard input ends."""
    for name in PRELOADED:
        importlib.import_module(name)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
