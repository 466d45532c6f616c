"""Judges why a task failed: is it worth another try, and after how long.

In: an error. Out: what kind of fault it is, whether to try again, and why in one line. Nothing
heavy is imported: a class of a package that nobody has imported cannot have been raised.

The kind of an error is that of the first error in its chain that says anything: our commands turn
what the system reports into a `UserError` for people, and the system's error is still behind it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.scheduled.alerts import Alert, alert_of, reason_of
from tokenergy_sql.scheduled.settings import FIRST_WAIT, LONGEST_WAIT, RETRIES

Kind = Literal[
    "storage",
    "refused",
    "memory",
    "busy",
    "slow",
    "contract",
    "value",
    "install",
    "finding",
    "unknown",
]

_RETRIES_UNKNOWN = 2
"""Of an error that nobody foresaw: it is more often a mistake of ours than the weather."""

_MEANING: dict[Kind, str] = {
    "storage": "storage or network failed",
    "refused": "the disk or the quota is full, or access is denied: mend that and clear the task",
    "memory": "memory ran out",
    "busy": "another run is at work on the same hours",
    "slow": "it took longer than its time limit",
    "contract": "a file breaks the contract or is damaged: mend it and clear the task",
    "value": "a setting or a file that it names cannot be used: correct it and clear the task",
    "install": "a package is missing where the task runs",
    "finding": "",
    "unknown": "an error that nobody foresaw",
}
_PASSES: dict[Kind, int] = {
    "storage": RETRIES,
    "memory": RETRIES,
    "busy": RETRIES,
    "slow": _RETRIES_UNKNOWN,
    "unknown": _RETRIES_UNKNOWN,
}
"""How often a kind of fault is tried again; those that are missing here never."""

_STORAGE_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        # a disk, a file server, a lock that was not granted in time
        *("EIO", "ESTALE", "EREMOTEIO", "ENODEV", "ENXIO", "ENOLCK", "EDEADLK", "EAGAIN", "EBUSY"),
        *("EINTR", "ETXTBSY", "EMFILE", "ENFILE", "EPROTO", "EUCLEAN"),
        # a network
        *("ETIMEDOUT", "ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "EPIPE", "ENETDOWN"),
        *("ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ESHUTDOWN"),
    )
)
_REFUSED_ERRNOS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM))


class BusyError(Exception):
    """What a task found may be the half-done work of another run: it is to look again."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do about an error.

    Attributes:
        kind: of the fault.
        again: whether the task is to be tried again.
        wait: before the next try; None if there is none.
        reason: why the task failed and what follows, one line.
    """

    kind: Kind
    again: bool
    wait: timedelta | None
    reason: str


def judge(error: BaseException | None, try_number: int, never: Collection[Kind] = ()) -> Judgement:
    """Return what to do about an error of a task.

    Args:
        error: what it raised; None if it was killed.
        try_number: which of its tries this was, from 1: see `try_since_clear`.
        never: kinds that this task is not tried again for.
    """
    kind = "unknown" if error is None else kind_of(error)
    again = try_number <= _PASSES.get(kind, 0) and kind not in never
    wait = wait_after(try_number) if again else None
    if wait is not None:
        follows = f"tried again in {wait.total_seconds() / 60:.0f} min"
    elif kind in _PASSES and kind not in never:
        follows = f"given up after {try_number} tries"
    else:
        follows = "not tried again"
    # A finding is a whole sentence: the same data give the same one.
    why = f" ({_MEANING[kind]}; {follows})" if _MEANING[kind] else ""
    return Judgement(kind, again, wait, f"{reason_of(error)}{why}")


def alert_of_failure(context: Mapping[str, Any]) -> Alert:
    """Return the alert of a failure, as `alerts.alert_of`, with the kind of fault in its reason."""
    alert, error = alert_of(context), context.get("exception")
    if "reason" in context or not isinstance(error, BaseException):
        return alert
    return replace(alert, reason=judge(error, _try_of(context), _never(context)).reason)


def retry_line(context: Mapping[str, Any]) -> str:
    """Return the line that a log ends with if its task is to be tried again."""
    alert, error = alert_of(context), context.get("exception")
    known = error if isinstance(error, BaseException) else None
    return f"RETRY {alert.title}: {judge(known, _try_of(context)).reason}"


def _never(context: Mapping[str, Any]) -> Collection[Kind]:
    """Return what the retry policy of a task says of kinds that it is not tried again for."""
    policy = getattr(context.get("task"), "retry_policy", None)
    found: Collection[Kind] = getattr(policy, "never", ())
    return found


def _try_of(context: Mapping[str, Any]) -> int:
    instance = context.get("ti")
    try_number, most = getattr(instance, "try_number", 1), getattr(instance, "max_tries", RETRIES)
    return try_since_clear(try_number, most)


def try_since_clear(try_number: int, max_tries: int) -> int:
    """Return which of its tries this is, from 1, since a task was first run or last cleared.

    Airflow goes on counting when a task is cleared, and raises `max_tries` instead.

    Args:
        try_number: as Airflow counts, from 1.
        max_tries: as Airflow has it: after this try it does not try again.
    """
    return max(try_number - max(max_tries - RETRIES, 0), 1)


def wait_after(try_number: int) -> timedelta:
    """Return how long to wait after a try (from 1): twice as long after each, up to a limit."""
    return min(FIRST_WAIT * (1 << min(try_number - 1, 10)), LONGEST_WAIT)


def kind_of(error: BaseException) -> Kind:
    """Return the kind of fault that an error tells of."""
    for one in _chain(error):
        if (kind := _own_kind(one)) == "value":
            # A sentence for people says only that something cannot be used. What is behind it says
            # whether the disk failed; a file that is not there is a wrong name.
            behind = (other for other in _chain(one) if isinstance(other, OSError))
            faults = (_kind_of_system(other) for other in behind)
            return next((fault for fault in faults if fault is not None), "value")
        if kind is not None:
            return kind
    return "unknown"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those behind it, `raise ... from None` or not."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _own_kind(error: BaseException) -> Kind | None:
    """Return the kind of one error by itself; None if it says nothing."""
    if isinstance(error, BusyError) or _is(
        error, "tokenergy_collectors.lake.compaction", "BusyError"
    ):
        return "busy"
    if _is(error, "airflow.sdk.exceptions", "AirflowFailException"):
        return "finding"
    if _is(error, "tokenergy_collectors.lake.quarantine", "DamagedError") or _is(
        error, "tokenergy_collectors.lake.reading", "BrokenFileError"
    ):
        return "contract"
    if isinstance(error, UserError):
        return "value"
    if isinstance(error, ImportError):
        return "install"
    if isinstance(error, MemoryError) or _is(error, "duckdb", "OutOfMemoryException"):
        return "memory"
    if _is(error, "airflow.sdk.exceptions", "AirflowTaskTimeout"):
        return "slow"
    if isinstance(error, FileNotFoundError):
        # It was listed a moment ago: it was removed meanwhile, or its server is away.
        return "storage"
    if isinstance(error, OSError):
        return _kind_of_system(error)
    if _is(error, "duckdb", "IOException"):
        return _kind_of_text(str(error))
    return None


def _kind_of_system(error: OSError) -> Kind | None:
    if error.errno in _REFUSED_ERRNOS:
        return "refused"
    if error.errno in _STORAGE_ERRNOS or isinstance(error, ConnectionError | TimeoutError):
        return "storage"
    return None


def _kind_of_text(text: str) -> Kind:
    """Return the kind of an error that has the system's words in it, and no number."""
    refused = any(os.strerror(number) in text for number in _REFUSED_ERRNOS)
    return "refused" if refused else "storage"


def _is(error: BaseException, module: str, name: str) -> bool:
    """Return whether an error is of a class, without importing the module."""
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(error, found)
