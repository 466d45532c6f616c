"""The edges of both commands, as processes: closed pipes, full disks, Ctrl-C, odd consoles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level

TOKENERGY = "from tokenergy_sql.cli import main; main()"
COLLECT = "from tokenergy_collectors.cli import main; main()"

LATEST_S = 10.0
"""It takes about a second; machines that run other tests at the same time get a while longer."""

MANY = "SELECT * FROM range(300000)"
"""Two megabytes: more than one batch of rows, and more than any buffer on the way holds."""

LONG = "SELECT count(*) AS n FROM range(400000) a(i), range(24000) b(j) WHERE (a.i * b.j) % 7 = 3"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = LakeBuilder(tmp_path_factory.mktemp("edges") / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 2 * S))
    builder.job("j", "A", T0, T0 + S)
    return builder.build().root


def command(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, arguments)]


def run(program: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        command(program, *arguments), text=True, timeout=300, check=False, **options
    )


def prints(lake: Path) -> list[tuple[str, Sequence[object]]]:
    """Return commands that print, one for each way in which they do."""
    at = ["--lake", lake]
    return [
        (TOKENERGY, ["query", *at, MANY, "--format", "csv"]),
        (TOKENERGY, ["query", *at, "SELECT 1", "--format", "json"]),
        (TOKENERGY, ["query", *at, "SELECT 1"]),
        (TOKENERGY, ["check", *at]),
        (TOKENERGY, ["by", "job", *at]),
        (TOKENERGY, ["explain", "j", *at]),
        (TOKENERGY, ["--help"]),
        (COLLECT, ["config", "--example"]),
        (COLLECT, ["fleet", "--help"]),
    ]


@pytest.mark.parametrize("number", range(9))
def test_a_reader_that_goes_and_a_full_disk(lake: Path, number: int) -> None:
    program, arguments = prints(lake)[number]
    read, write = os.pipe()
    os.close(read)
    gone = run(program, *arguments, stdout=write)
    os.close(write)
    assert (gone.returncode, gone.stderr) == (141, "")
    with Path("/dev/full").open("w") as full:
        refused = run(program, *arguments, stdout=full)
    says = "error: standard output: cannot be written: No space left on device\n"
    assert (refused.returncode, refused.stderr) == (2, says)


def test_no_standard_output_at_all(lake: Path) -> None:
    done = run(TOKENERGY, "query", "--lake", lake, "SELECT 1", preexec_fn=lambda: os.close(1))
    assert done.returncode == 2
    assert done.stderr == "error: standard output: cannot be written: Bad file descriptor\n"


def test_a_full_standard_error_changes_no_exit_code(lake: Path) -> None:
    with Path("/dev/full").open("w") as full:
        wrong = run(TOKENERGY, "query", "--lake", lake, "SELEKT", stderr=full)
        usage = run(TOKENERGY, "query", "--nonsense", stderr=full)
    assert (wrong.returncode, usage.returncode) == (2, 2)


def test_a_terminal_without_our_characters(lake: Path) -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run(TOKENERGY, "query", "--lake", lake, "SELECT 'é' AS x", env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xe9" in done.stdout


def test_export_to_standard_output_is_only_the_rows(lake: Path) -> None:
    arguments = ["export", "--lake", lake, "--table", "jobs", "--out", "/dev/stdout"]
    done = run(TOKENERGY, *arguments)
    assert done.stdout.startswith("job_id,")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "export: 1 rows -> /dev/stdout\n"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_nothing_but_rows_on_standard_output_of_a_long_statement(lake: Path, form: str) -> None:
    """DuckDB draws a progress bar there if it takes Python for interactive, as under -c."""
    sql = "SELECT count(*) AS n FROM range(40000) a(i), range(12000) b(j) WHERE (i * j) % 7 = 3"
    # On one core it takes longer than the two seconds after which DuckDB draws.
    core = {min(os.sched_getaffinity(0))}
    arguments = ["query", "--lake", lake, sql, "--format", form]
    done = run(TOKENERGY, *arguments, preexec_fn=lambda: os.sched_setaffinity(0, core))
    found = json.loads(done.stdout) if form == "json" else done.stdout.splitlines()[:1]
    assert len(done.stdout.splitlines()) == (5 if form == "json" else 2)
    assert found


def busy(cpu_s: float) -> Callable[[int], bool]:
    """Return whether a process has computed for so long: a command's start takes a second."""

    def passed(pid: int) -> bool:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") >= cpu_s

    return passed


def interrupted(
    program: str, *arguments: object, when: Callable[[int], bool], times: int = 1
) -> tuple[int, float, str]:
    """Send SIGINT to a command once `when`; return its code, how long it took, what it said."""
    child = subprocess.Popen(
        command(program, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not when(child.pid):
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    begun_s = time.monotonic()
    for _ in range(times):
        child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=100)
    return child.returncode, time.monotonic() - begun_s, said


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_in_a_long_statement(lake: Path, times: int) -> None:
    asked = ["query", "--lake", lake, LONG]
    code, took_s, said = interrupted(TOKENERGY, *asked, when=busy(2.5), times=times)
    assert (code, said) == (130, "interrupted\n")
    assert took_s < LATEST_S


BLOCKED = """
import hashlib, sys
from tokenergy_collectors import cli
from tokenergy_collectors.base.interrupt import scratch
from pathlib import Path
def work():
    with scratch(Path(sys.argv[1])) as path:
        path.write_text("half")
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)  # one call, without the GIL
cli.guarded(work)
"""


def test_ctrl_c_in_a_call_that_never_looks_up(tmp_path: Path) -> None:
    """As in a kernel: no handler of Python runs until it returns; nothing half-written is left."""
    code, took_s, said = interrupted(BLOCKED, tmp_path / "half", when=busy(1.5))
    assert (code, said) == (130, "interrupted\n")
    assert took_s < LATEST_S
    assert list(tmp_path.iterdir()) == []


SWALLOWED = """
import sys, time
from pathlib import Path
from tokenergy_collectors import cli
from tokenergy_collectors.base.errors import UserError
def work():
    try:
        Path(sys.argv[1]).touch()
        time.sleep(60)
    finally:
        raise UserError("a consequence of the interruption")
cli.guarded(work)
"""


def test_ctrl_c_is_the_reason_whatever_a_library_makes_of_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code, _, said = interrupted(SWALLOWED, begun, when=lambda _: begun.exists())
    assert (code, said) == (130, "interrupted\n")


def test_ctrl_c_in_the_demo_leaves_no_process(tmp_path: Path) -> None:
    def collects(_: int) -> bool:
        return len(list(tmp_path.glob("demo/lake/power/**/*.parquet"))) >= 2

    arguments = ["demo", "--out", tmp_path / "demo"]
    code, took_s, said = interrupted(TOKENERGY, *arguments, when=collects)
    assert (code, said) == (130, "interrupted\n")
    assert took_s < LATEST_S
    time.sleep(1)
    mine = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(tmp_path).encode() in _bytes(path)
    ]
    assert mine == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_an_ignored_sigint_stays_ignored(lake: Path) -> None:
    """As a shell starts what runs in the background."""
    child = subprocess.Popen(
        command(
            TOKENERGY, "query", "--lake", lake, "SELECT sum(i) AS n FROM range(900000000) r(i)"
        ),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    assert "1 row" in child.communicate(timeout=200)[0]
    assert child.returncode == 0


def test_demo_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(TOKENERGY, "demo", "--out", tmp_path / "file")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'file'}: cannot be made: Not a directory\n"


def test_a_disk_that_fills_up(lake: Path, tmp_path: Path) -> None:
    """`ulimit -f` refuses to make a file longer, much as a full disk does."""
    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    arguments = ["export", "--lake", lake, "--table", "ledger", "--out", tmp_path / "x.csv"]
    done = run(TOKENERGY, *arguments, preexec_fn=small)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("error: ")
    done = run(TOKENERGY, "report", "--lake", lake, "--out", tmp_path / "r.html", preexec_fn=small)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert list(tmp_path.iterdir()) == []
