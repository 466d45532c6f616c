"""The counter in a training loop: it counts, reports now and then, and never stops the loop."""

import json
import os
import socket
import subprocess
import sys

import pytest

from tokenergy_collectors.report import LONGEST_BYTES, SOCKET_VARIABLE, Tokens


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """A socket that takes reports; `daemon()` returns those that came."""
    path = tmp_path / "tokens.sock"
    monkeypatch.setenv(SOCKET_VARIABLE, str(path))
    for name in ("RANK", "SLURM_PROCID", "SLURM_JOB_ID", "TOKENERGY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(path))
        found.setblocking(False)

        def take():
            reports = []
            while True:
                try:
                    reports.append(json.loads(found.recv(LONGEST_BYTES)))
                except BlockingIOError:
                    return reports

        yield take


def test_three_lines(daemon):
    tokens = Tokens("ft", model="m", every_s=0)
    for n in (100, 20):
        tokens.add(n)
    tokens.close()
    tokens.close()
    found = daemon()
    assert [one.pop("total") for one in found] == [0, 100, 120, 120]
    assert len({one.pop("session") for one in found}) == 1
    assert len({one.pop("began") for one in found}) == 1
    assert found == 4 * [
        {"v": 1, "job": "ft", "model": "m", "kind": "trained", "source": "loop", "rank": 0}
    ]


def test_reports_are_no_more_frequent_than_asked_and_the_last_count_is_sent(daemon):
    with Tokens("ft", every_s=3600) as tokens:
        for _ in range(1000):
            tokens.add(1)
    assert [one["total"] for one in daemon()] == [0, 1000]


def test_without_a_daemon_the_loop_goes_on(monkeypatch, tmp_path):
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "none.sock"))
    tokens = Tokens("ft", every_s=0)
    tokens.add(5)
    assert (tokens.total, tokens.unsent) == (5, 2)


def test_a_full_queue_does_not_block(daemon):
    tokens = Tokens("ft", every_s=0)
    for _ in range(5_000):
        tokens.add(1)
    assert tokens.unsent > 0
    daemon()
    tokens.close()
    assert daemon()[-1]["total"] == 5_000


@pytest.mark.parametrize("wrong", [-1, None, "x", float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_left_out_with_a_warning(daemon, wrong):
    tokens = Tokens("ft")
    with pytest.warns(UserWarning, match="is not a number of tokens: left out"):
        tokens.add(wrong)
    assert tokens.total == 0


def test_the_job_and_the_rank_come_from_the_environment(daemon, monkeypatch):
    with pytest.raises(ValueError, match="no job: give its id, or set TOKENERGY_JOB_ID"):
        Tokens()
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_PROCID", "3")
    Tokens().close()
    monkeypatch.setenv("TOKENERGY_JOB_ID", "mine")
    monkeypatch.setenv("RANK", "2")
    Tokens().close()
    found = daemon()
    assert [(one["job"], one["rank"]) for one in found] == [("4711", 3)] * 2 + [("mine", 2)] * 2
    with pytest.raises(ValueError, match="names of more than"):
        Tokens("x" * 5_000)


def test_the_count_of_a_whole_job_is_reported_by_rank_0_alone(daemon):
    for rank in (1, 0):
        Tokens("ft", scope="job", rank=rank).close()
    assert [one["rank"] for one in daemon()] == [0, 0]


def test_a_child_counts_for_itself(daemon):
    tokens = Tokens("ft", every_s=0)
    tokens.add(100)
    child = os.fork()
    if child == 0:
        tokens.add(7)
        os._exit(0)
    os.waitpid(child, 0)
    tokens.add(1)
    found = daemon()
    assert [one["total"] for one in found] == [0, 100, 7, 101]
    assert found[2]["session"] != found[1]["session"] == found[3]["session"]


def test_a_program_that_ends_reports_its_last_count(daemon):
    """Only Python's own library is loaded, in a process that imports nothing else."""
    program = (
        "import sys; from tokenergy_collectors.report import Tokens\n"
        "t = Tokens('ft', every_s=3600); t.add(3); t.add(4)\n"
        "assert not {'pyarrow', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert [one["total"] for one in daemon()] == [0, 7]
