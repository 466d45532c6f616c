"""Real servers on loopback, on emulated boards: whose tokens they count is found, never guessed."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.collectors.sources.processes.rig import HZ, UPTIME_S, VLLM, Rig
from tests.collectors.sources.processes.test_jobs import SHELL
from tests.support.page_servers import Server
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.sources.processes import serving
from tokenergy_collectors.sources.processes.listening import Listening, NotFoundError
from tokenergy_collectors.sources.processes.procfs import Proc
from tokenergy_collectors.sources.processes.socketcgroup import cgroup_ids
from tokenergy_collectors.sources.tokens.ownjob import Finders
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
        else:
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


def hand_made(rig, pid, port=8000, inode=4711, fd=True):
    """Let a process of a written /proc listen on a port."""
    (rig.proc.root / "net").mkdir(exist_ok=True)
    line = f"0: 0100007F:{port:04X} 00000000:0000 0A 0:0 00:0 0 1000 0 {inode} 1\n"
    (rig.proc.root / "net" / "tcp").write_text("head\n" + line)
    folder = rig.proc.root / str(pid) / "fd"
    folder.mkdir()
    if fd:
        (folder / "3").symlink_to(f"socket:[{inode}]")


def find(rig, port=8000):
    found = Finders(rig.keys, rig.host).of(f"http://127.0.0.1:{port}/metrics")
    rig.others()
    return found


def test_the_cgroup_says_which_of_two_jobs_of_a_board_it_is(rig):
    rig.proc.run(100, "/slurm/uid_0/job_18/step_0/task_0")
    hand_made(rig, 100)
    rig.put(2, 100)
    found = find(rig)
    rig.others(("17", 2, "slurm"), ("18", 2, "slurm"))
    assert found.find(rig.host.now_us()).job == (None, "18")
    rig.others(("17", 2, "slurm"), ("18", 3, "slurm"))
    server = found.find(rig.host.now_us())
    assert server.job is None
    assert "say two things, 18 and 17" in server.why


def test_workers_beside_the_server_in_its_unit_are_its_own(rig):
    """TGI's router and shards have one parent, Ray's proxy and actors another: one unit."""
    rig.proc.run(100, VLLM, comm="router")
    rig.proc.run(101, VLLM, comm="shard")
    rig.proc.run(102, "/system.slice/other.service")
    hand_made(rig, 100)
    rig.put(1, 101)
    rig.put(2, 102)
    found = find(rig)
    rig.others(("a", 1, "declared"), ("b", 2, "declared"))
    assert found.find(rig.host.now_us()).job == (None, "a")


def test_the_servers_own_children_count_before_others_of_its_unit(rig):
    rig.proc.run(100, VLLM)
    rig.proc.run(101, "/system.slice/vllm.service/worker", comm="launcher", parent=100)
    rig.proc.run(102, "/system.slice/vllm.service/worker", parent=101)
    rig.proc.run(103, VLLM, comm="other")
    hand_made(rig, 100)
    rig.put(1, 102)
    rig.put(2, 103)
    found = find(rig)
    rig.others(("a", 1, "declared"), ("b", 2, "declared"))
    assert found.find(rig.host.now_us()).job == (None, "a")


def test_a_server_that_began_again_on_the_port_is_another_one(rig):
    rig.proc.run(100, VLLM)
    hand_made(rig, 100)
    found = find(rig)
    assert found.find(rig.host.now_us()).stats == {(100, (UPTIME_S - 50) * HZ)}
    (rig.proc.root / "100" / "fd" / "3").unlink()
    (rig.proc.root / "100" / "fd").rmdir()
    rig.proc.end(100)
    rig.proc.run(100, VLLM, age_s=1)
    hand_made(rig, 100)
    assert found.find(rig.host.now_us()).stats == {(100, (UPTIME_S - 1) * HZ)}


def test_a_server_is_a_job_of_its_own_where_processes_are(rig):
    rig.proc.run(100, VLLM)
    hand_made(rig, 100)
    rig.put(1, 100)
    found = find(rig)
    rig.run(1)
    assert found.find(rig.host.now_us()).job == (None, "n1/systemd/vllm.service")


def test_the_proxy_of_docker_and_a_hidden_process_are_told(rig):
    rig.proc.run(100, "/system.slice/docker.service", comm="docker-proxy")
    hand_made(rig, 100)
    with pytest.raises(NotFoundError, match="--network=host"):
        find(rig).find(rig.host.now_us())
    (rig.proc.root / "100" / "fd" / "3").unlink()
    with pytest.raises(NotFoundError, match="PID namespace"):
        find(rig).find(rig.host.now_us())


@pytest.fixture
def refused(monkeypatch):
    """The files of other processes are hidden, as from another user."""
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/fd"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def in_cgroups(rig, monkeypatch, tmp_path, of_socket, path):
    """Mount cgroup v2 with a folder, and let the kernel say that a socket was made in it."""
    (rig.proc.root / "mounts").write_text(f"cgroup2 {tmp_path}/cgroups cgroup2 rw 0 0\n")
    folder = tmp_path / "cgroups" / path.lstrip("/")
    folder.mkdir(parents=True)
    ids = {of_socket: folder.stat().st_ino}
    monkeypatch.setattr(serving, "cgroup_ids", lambda: ids)


def test_another_users_server_is_found_by_the_cgroup_of_its_socket(
    rig, tmp_path, monkeypatch, refused
):
    rig.proc.run(100, VLLM)
    rig.proc.run(101, "/system.slice/other.service")
    hand_made(rig, 100)
    rig.put(2, 100)
    rig.put(3, 101)
    in_cgroups(rig, monkeypatch, tmp_path, "4711", VLLM)
    (tmp_path / "cgroups/system.slice/other.service").mkdir()
    found = find(rig)
    rig.others(("17", 2, "slurm"), ("18", 3, "slurm"))
    server = found.find(rig.host.now_us())
    assert (server.job, server.devices) == ((None, "17"), (rig.gpu(2),))


def test_a_login_session_does_not_say_whose_server_it_is(rig, tmp_path, monkeypatch, refused):
    rig.proc.run(100, SHELL)
    hand_made(rig, 100)
    rig.put(2, 100)
    in_cgroups(rig, monkeypatch, tmp_path, "4711", SHELL)
    found = find(rig)
    rig.others(("17", 2, "slurm"))
    with pytest.raises(NotFoundError, match="another user's"):
        found.find(rig.host.now_us())


def test_the_root_cgroup_says_nothing(rig, tmp_path, monkeypatch, refused):
    rig.proc.run(100, "1:name=systemd:/system.slice/vllm.service\n0::/\n")
    hand_made(rig, 100)
    rig.put(2, 100)
    in_cgroups(rig, monkeypatch, tmp_path, "4711", "/")
    found = find(rig)
    rig.others(("17", 2, "slurm"))
    with pytest.raises(NotFoundError, match="another user's"):
        found.find(rig.host.now_us())


def test_the_kernel_tells_the_cgroup_of_a_socket():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        inode = str(os.fstat(held.fileno()).st_ino)
        found = cgroup_ids()
    if not found:
        pytest.skip("this kernel does not tell the cgroups of sockets (Linux 5.8)")
    assert found[inode] > 0


def test_without_netlink_another_users_server_is_told(rig, monkeypatch, refused):
    rig.proc.run(100, VLLM)
    hand_made(rig, 100)
    (rig.proc.root / "mounts").write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")

    def refuse():
        raise OSError(97, "Address family not supported")

    monkeypatch.setattr(serving, "cgroup_ids", refuse)
    with pytest.raises(NotFoundError, match="run the collector as that user"):
        find(rig).find(rig.host.now_us())
