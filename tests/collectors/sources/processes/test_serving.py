"""Real servers on loopback, on emulated boards: whose tokens they count is found, never guessed."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.collectors.sources.processes.rig import Rig
from tests.support.page_servers import Server
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.sources.processes.listening import Listening, NotFoundError
from tokenergy_collectors.sources.processes.procfs import Proc
from tokenergy_collectors.sources.tokens.settings import TokenKeys, TokenSource
from tokenergy_collectors.sources.tokens.source import Tokens

HERE = SimpleNamespace(root=Path("/proc"))


class Site(Rig):
    """A rig with the real /proc and the `tokens` source, without `[processes]`."""

    def __init__(self, folder, url, **keys):
        super().__init__(folder, proc=HERE, enabled=False)
        self.url, self.more, self.tokens = url, keys, []

    def __enter__(self):
        super().__enter__()
        one = TokenSource(source_id="chat", url=self.url, **self.more)
        self.token_keys = TokenKeys(tokens=[one])
        Tokens(self.token_keys, self.host).plan(self.plan)
        return self

    def add(self, table, rows):
        if table == "tokens":
            # The listener gets what the sink got; it is the same object here.
            self.tokens += [row for row in map(TOKENS.as_dict, rows) if row not in self.tokens]
        elif table != "requests":
            super().add(table, rows)

    def step(self):
        """Let 5 s go by; return job and count of what was recorded."""
        before = len(self.tokens)
        self.run(5)
        return [(row["job_id"], row["value"]) for row in self.tokens[before:]]


@pytest.fixture
def server():
    servers = []

    def start(**keys):
        servers.append(Server(**keys))
        return servers[-1]

    yield start
    for one in servers:
        one.stop()


@pytest.mark.parametrize("worker", [False, True])
def test_tokens_are_of_the_job_that_holds_the_servers_board(tmp_path, server, worker):
    one = server(worker=worker)
    with Site(tmp_path, one.url) as site:
        site.put(2, one.gpu_pid)
        site.others(("16", 1, "slurm"), ("17", 2, "slurm"))
        assert set(site.step()) == {("17", 1000)}
        assert site.events == []
        [finding] = list(Tokens.check(site.token_keys, site.host))[1:]
        assert finding.level == "ok"
        assert f"served by process {one.pid} (" in finding.text
        assert site.gpu(2) in finding.text


def test_a_server_that_another_job_starts_again_counts_for_that_job(tmp_path, server):
    one = server()
    with Site(tmp_path, one.url) as site:
        site.put(2, one.pid)
        site.others(("17", 2, "slurm"))
        assert set(site.step()) == {("17", 1000)}
        one.stop()
        again = server(port=one.port)
        site.put(3, again.pid)
        site.others(("18", 3, "slurm"))
        assert site.step() == [("18", 1000)]


def test_a_server_that_goes_over_to_another_job_ends_the_count_of_the_first(tmp_path, server):
    one = server()
    with Site(tmp_path, one.url) as site:
        site.put(2, one.pid)
        site.others(("17", 2, "slurm"))
        site.step()
        site.others(("18", 2, "slurm"))
        assert site.step() == [("18", 1000), ("17", 1000)]
        assert site.step() == [("18", 1000)]
        site.others()
        assert site.step() == [("18", 1000)]
        assert site.step() == []


def test_of_two_jobs_that_fit_none_is_chosen(tmp_path, server):
    one = server()
    with Site(tmp_path, one.url) as site:
        site.put(2, one.pid)
        site.others(("17", 2, "slurm"), ("18", 2, "slurm"))
        assert [site.step() for _ in range(6)] == [[]] * 6
        [(_, words)] = site.told("error")
        assert "several jobs hold its boards, 17, 18" in words
        assert words.endswith("else give its job_id")
        site.others(("17", 2, "slurm"))
        assert site.step() == [("17", 1000)]


@pytest.mark.parametrize(
    ("on_board", "words"), [(True, "no job holds its boards"), (False, "is on a board")]
)
def test_without_a_job_no_row_is_written_and_that_is_told_once(tmp_path, server, on_board, words):
    one = server()
    with Site(tmp_path, one.url) as site:
        site.put(2, *([one.pid] if on_board else []))
        assert [site.step() for _ in range(8)] == [[]] * 8
        [(at_s, told)] = site.told("error")
        assert at_s == 15  # a scheduler may tell of a job later than its server answers
        assert words in told
        assert f"process {one.pid} (" in told


def test_a_given_job_is_not_looked_for(tmp_path, server):
    one = server()
    with Site(tmp_path, one.url, job_id="mine") as site:
        site.others(("17", 2, "slurm"))
        site.put(2, one.pid)
        assert set(site.step()) == {("mine", 1000)}


def test_a_server_behind_docker_or_on_another_host_is_told(tmp_path):
    proc = Proc(HERE.root)
    with pytest.raises(NotFoundError, match="another host"):
        Listening(proc, "http://192.0.2.1:8000/metrics").processes()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(NotFoundError, match=f"listens on port {port}"):
            Listening(proc, f"http://127.0.0.1:{port}/metrics").processes()


def test_a_socket_is_found_on_version_6_too():
    if not socket.has_ipv6:
        pytest.skip("this host has no IPv6")
    with socket.socket(socket.AF_INET6) as held:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind(("::", 0))
        held.listen()
        url = f"http://127.0.0.1:{held.getsockname()[1]}/metrics"
        [found] = Listening(Proc(HERE.root), url).processes()
        assert found.stat.pid == os.getpid()
