"""What passes by itself is tried again, later and later; what does not is told at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.reading import columns_of
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.site import load_site
from tokenergy_sql.revisions.recorder import recording
from tokenergy_sql.scheduled.faults import (
    BusyError,
    alert_of_failure,
    judge,
    kind_of,
    retry_line,
    try_since_clear,
    wait_after,
)


def raised(by: Callable[[], object]) -> BaseException:
    try:
        by()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is judged
        return error
    raise AssertionError("nothing was raised")


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/lake/power/x.parquet")


@pytest.mark.parametrize(
    "error",
    [
        *(system(n) for n in (errno.EIO, errno.ESTALE, errno.ENOLCK, errno.EAGAIN, errno.EDEADLK)),
        *(system(n) for n in (errno.ETIMEDOUT, errno.ECONNRESET, errno.EHOSTUNREACH)),
        ConnectionError("the peer went away"),
        TimeoutError("the lock was not granted in time"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "a file listed before"),
        duckdb.IOException('IO Error: Could not read from file "x.parquet": Stale file handle'),
        duckdb.HTTPException("HTTP Error: 503"),
    ],
    ids=repr,
)
def test_faults_of_storage_and_network_are_tried_again(error: BaseException) -> None:
    assert kind_of(error) == "storage"
    tries = [judge(error, number) for number in range(1, 6)]
    assert [one.again for one in tries] == [True, True, True, True, False]
    minutes = [one.wait.total_seconds() / 60 for one in tries if one.wait]
    assert minutes == [1, 2, 4, 8]
    assert tries[0].reason.endswith(" (storage or network failed; tried again in 1 min)")
    assert tries[4].reason.endswith(" (storage or network failed; given up after 5 tries)")


def test_the_wait_doubles_up_to_a_limit() -> None:
    waits = [wait_after(number) for number in (1, 2, 3, 4, 5, 6, 100)]
    assert waits == [timedelta(minutes=m) for m in (1, 2, 4, 8, 10, 10, 10)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_full_disk_does_not_pass_by_itself(number: int) -> None:
    judged = judge(system(number), 1)
    assert (judged.kind, judged.again, judged.wait) == ("refused", False, None)
    assert "clear the task; not tried again)" in judged.reason


def test_a_disk_that_is_full_under_duckdb_is_known_by_its_text() -> None:
    error = raised(lambda: duckdb.sql("COPY (SELECT 1) TO '/dev/full' (FORMAT parquet)"))
    assert isinstance(error, duckdb.IOException)
    assert kind_of(error) == "refused"


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, "storage"), (errno.ESTALE, "storage"), (errno.ENOSPC, "refused")],
)
def test_behind_a_sentence_for_people_the_system_s_error_counts(
    number: int, kind: str, tmp_path: Path
) -> None:
    def index() -> None:
        with recording(Lake(tmp_path / "lake", create=True), "1"):
            raise system(number)

    error = raised(index)
    assert type(error) is UserError
    assert kind_of(error) == kind


def test_a_wrong_parameter_is_not_tried_again(tmp_path: Path) -> None:
    for by in (
        lambda: Lake(tmp_path / "nowhere"),
        lambda: load_site(tmp_path / "nowhere.toml", tmp_path),
    ):
        judged = judge(raised(by), 1)
        assert (judged.kind, judged.again) == ("value", False)
        assert judged.reason.startswith(str(raised(by)))


def test_a_file_that_breaks_the_contract_is_not_tried_again(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"ts_us": ["not a number"]}), path)
    assert judge(raised(lambda: columns_of(path, POWER)), 1).kind == "contract"
    path.write_bytes(b"PAR1 and no more")
    judged = judge(raised(lambda: columns_of(path, POWER)), 1)
    assert (judged.kind, judged.again) == ("contract", False)


def test_damaged_books_are_not_tried_again(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("GPU-1")
    builder.power("GPU-1", level(300_000, T0, T0 + 60 * S))
    lake = builder.build()
    (path,) = lake.files("ledger")
    path.write_bytes(path.read_bytes()[:100])
    error = raised(lambda: run_checks(lake, [T0], ["law"]))
    assert judge(error, 1).kind == "contract", repr(error)
    assert path.name in judge(error, 1).reason


def test_another_run_at_work_is_waited_for() -> None:
    assert judge(BusyError("half written"), 4).again
    assert not judge(BusyError("half written"), 5).again


def test_a_task_that_is_cleared_has_all_its_tries_again() -> None:
    """Airflow goes on counting tries, and adds the retries to the last one."""
    assert [try_since_clear(number, 4) for number in (1, 2, 5)] == [1, 2, 5]
    assert [try_since_clear(number, 1 + 4) for number in (2, 3)] == [1, 2]
    assert [try_since_clear(number, 5 + 4) for number in (6, 10)] == [1, 5]
    assert try_since_clear(1, 0) == 1
    cleared = context(system(errno.EIO))
    cleared["ti"].try_number, cleared["ti"].max_tries = 6, 9
    assert "tried again in 1 min" in retry_line(cleared)


def test_what_nobody_foresaw_is_tried_twice_again() -> None:
    error = KeyError("hour")
    assert [judge(error, number).again for number in (1, 2, 3)] == [True, True, False]
    assert judge(error, 3).reason == (
        "KeyError: 'hour' (an error that nobody foresaw; given up after 3 tries)"
    )
    assert judge(None, 1).again  # its process was killed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (duckdb.OutOfMemoryException("Out of Memory Error"), "memory"),
        (pa.ArrowMemoryError("malloc of size 1 failed"), "memory"),
        (ModuleNotFoundError("No module named 'duckdb'"), "install"),
        (ValueError("there is no check x"), "unknown"),
    ],
    ids=repr,
)
def test_other_kinds(error: BaseException, kind: str) -> None:
    assert kind_of(error) == kind


def test_a_task_may_be_too_quick_for_another_try_of_some_kinds() -> None:
    assert judge(MemoryError(), 1).again
    judged = judge(MemoryError("all of it"), 1, ("memory",))
    assert not judged.again
    assert judged.reason == "MemoryError: all of it (memory ran out; not tried again)"
    assert judge(system(errno.EIO), 1, ("memory",)).again


def test_errors_that_point_at_each_other_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert kind_of(first) == "unknown"


def context(error: BaseException | None, **more: Any) -> dict[str, Any]:
    instance = SimpleNamespace(task_id="index", map_index=-1, log_url=None, try_number=2)
    dag = SimpleNamespace(dag_id="tokenergy_hourly")
    return {"dag": dag, "run_id": "r", "ti": instance, "exception": error, **more}


def test_the_log_ends_with_the_reason() -> None:
    assert retry_line(context(system(errno.EIO))) == (
        "RETRY tokenergy_hourly.index failed (r): OSError: [Errno 5] Input/output error: "
        "'/lake/power/x.parquet' (storage or network failed; tried again in 2 min)"
    )
    assert alert_of_failure(context(UserError("lake x: no such directory"))).reason == (
        "lake x: no such directory (a setting or a file that it names cannot be used: correct it "
        "and clear the task; not tried again)"
    )


def test_a_kill_and_a_run_keep_their_words() -> None:
    killed = alert_of_failure(context(None))
    assert killed.reason == "its process was killed or its worker is lost; Airflow knows no more"
    run = alert_of_failure(context(None, reason="timed_out"))
    assert "longer than TOKENERGY_RUN_TIMEOUT allows" in run.reason
