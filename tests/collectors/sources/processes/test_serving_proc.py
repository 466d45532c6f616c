"""Servers in a written /proc: units, children, cgroups of sockets and hidden processes."""

import os
import socket
from pathlib import Path

import pytest

from tests.collectors.sources.processes.rig import HZ, UPTIME_S, VLLM
from tests.collectors.sources.processes.test_jobs import SHELL
from tokenergy_collectors.sources.processes import serving
from tokenergy_collectors.sources.processes.listening import NotFoundError
from tokenergy_collectors.sources.processes.socketcgroup import cgroup_ids
from tokenergy_collectors.sources.tokens.ownjob import Finders


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
    iterdir = Path.iterdir

    def refuse(path):
        if path.name == "fd":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)


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
