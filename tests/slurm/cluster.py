"""A Slurm of one node with four boards, in a folder of its own: munged, slurmctld and slurmd.

Out: commands to submit and to look up jobs. Its boards are device files made by mknod; Slurm
looks at nothing else of them. It runs as root, since slurmd starts jobs as their users; it
ends what it started and nothing else.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

HOOK = Path(__file__).parents[2] / "deploy/slurm/tokenergy-hook.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel")
SHARDS = 4
"""Shards of each board."""

CONF = """\
ClusterName=tok
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
DefMemPerNode=10
ReturnToService=2
GresTypes=gpu,shard
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
Prolog={root}/hooks/tokenergy-hook.sh
Epilog={root}/hooks/tokenergy-hook.sh
PrologFlags=Alloc
FirstJobId=101
KillWait=1
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 CoresPerSocket=16 RealMemory=2000 \
Gres=gpu:h100:4,shard:{shards} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
"""
GRES = """\
NodeName={host} Name=gpu Type=h100 File={root}/dev/nvidia[0-3]
NodeName={host} Name=shard Count={shards}
"""
WRAPPER = """\
#!/bin/sh
# A prolog or an epilog that is lost, for some jobs of the test.
if [ -e {root}/lose-$SLURM_SCRIPT_CONTEXT-$SLURM_JOB_ID ]; then
  exit 0
fi
TOKENERGY_SLURM_SPOOL={root}/hooks/spool exec {hook}
"""


def why_not() -> str | None:
    """Return in one line why no Slurm can run here; None if one can."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "needs root: slurmd starts jobs as their users, and mknod makes the boards"
    with tempfile.TemporaryDirectory() as folder:
        try:
            _make_board(Path(folder) / "board", 0)
        except PermissionError:
            return "needs mknod, which this container does not allow"
    return None


def _make_board(path: Path, minor: int) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(240, minor))


class Cluster:
    """The cluster, until the end of the `with` block.

    Args:
        root: a new folder with a short path: it holds sockets.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = socket.gethostname().partition(".")[0]
        self.spool = root / "hooks/spool"
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(root / "slurm.conf"),
            "TZ": "UTC0",
            "SLURM_TIME_FORMAT": "standard",
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cluster:
        for name in ("munge", "state", "spool", "hooks/spool", "dev", "log"):
            (self.root / name).mkdir(parents=True)
        (self.root / "munge").chmod(0o700)
        for minor in range(4):
            _make_board(self.root / f"dev/nvidia{minor}", minor)
        key = self.root / "munge/key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        names = {
            "root": self.root,
            "host": self.host,
            "hook": HOOK,
            "shards": 4 * SHARDS,
            "ctld_port": free_port(),
            "d_port": free_port(),
        }
        (self.root / "slurm.conf").write_text(CONF.format(**names))
        (self.root / "gres.conf").write_text(GRES.format(**names))
        wrapper = self.root / "hooks/tokenergy-hook.sh"
        wrapper.write_text(WRAPPER.format(**names))
        wrapper.chmod(0o755)
        try:
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # slurmd last but one: it ends the jobs' processes, and munged answers until then.
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, *words: str) -> str:
        """Run a command of Slurm; return what it prints."""
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def submit(self, command: str, *options: str) -> str:
        """Submit a job that runs a shell command; return its id."""
        script = self.root / f"job-{secrets.token_hex(4)}.sh"
        script.write_text(f"#!/bin/sh\n#SBATCH --output={self.root}/log/%j.out\n{command}\n")
        found = re.search(r"Submitted batch job (\d+)", self.run("sbatch", *options, str(script)))
        assert found is not None
        return found[1]

    def lose(self, context: str, command: str, *options: str) -> str:
        """Submit a job whose `prolog_slurmd` or `epilog_slurmd` is lost; return its id."""
        job_id = self.submit(command, "--hold", *options)
        (self.root / f"lose-{context}-{job_id}").touch()
        self.run("scontrol", "release", job_id)
        return job_id

    def show(self, job_id: str) -> dict[str, str]:
        """Return what `scontrol show job -d` says of a job, by key."""
        text = self.run("scontrol", "show", "job", "-d", job_id)
        # The id of an array is that of one of its tasks too: then all of them are shown.
        [one] = [one for one in text.split("\n\n") if one.startswith(f"JobId={job_id} ")]
        return dict(re.findall(r"(\w+)=(\S*)", one))

    def tasks(self, job_id: str) -> dict[str, str]:
        """Return the ids of the jobs of an array, by the task's number."""
        text = self.run("scontrol", "show", "job", job_id)
        return {
            task: job
            for job, task in re.findall(r"JobId=(\d+) ArrayJobId=\d+ ArrayTaskId=(\d+) ", text)
        }

    def wait(self, job_id: str, *states: str, timeout_s: float = 90) -> dict[str, str]:
        """Wait until a job is in one of some states; return what scontrol says then."""
        return until(
            lambda: found if (found := self.show(job_id))["JobState"] in states else None,
            f"job {job_id} is not {' or '.join(states)}",
            timeout_s,
        )

    def _start_all(self) -> None:
        munge, socket_path = self.root / "munge", self.root / "munge/socket"
        self._start(
            *("munged", "--foreground", "--force", f"--socket={socket_path}"),
            *(f"--key-file={munge}/key", f"--pid-file={munge}/pid", f"--log-file={munge}/log"),
            f"--seed-file={munge}/seed",
        )
        until(socket_path.exists, "munged does not listen", 20)
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-c")
        until(
            lambda: (
                " State=IDLE"
                in subprocess.run(
                    ["scontrol", "show", "node", self.host],
                    env=self.environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                ).stdout.replace("\n   ", " ")
            ),
            f"the node does not come up; see {self.root}/log",
            60,
        )

    def _start(self, name: str, *options: str) -> None:
        program = _program(name)
        assert program is not None
        with (self.root / f"log/{name}").open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    [program, *options],
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                )
            )


Found = TypeVar("Found")


def until(ready: Callable[[], Found], why: str, timeout_s: float) -> Found:
    """Wait until a function returns something true; return that."""
    end_s = time.monotonic() + timeout_s
    while not (found := ready()):
        assert time.monotonic() < end_s, why
        time.sleep(0.1)
    return found


def unix_s(text: str) -> int:
    """Return a time as scontrol prints it (in UTC here) in Unix seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
