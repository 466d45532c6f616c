"""An Airflow as deploy/airflow/compose.yaml has it, without containers: two Celery workers.

PostgreSQL and Redis are `databases`; settings, secrets and first commands are those of the files
in deploy/airflow, with other addresses. Each worker has its own home, cache and temporary folder.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import tokenergy_collectors
import tokenergy_sql
import tokenergy_transforms
from tests.support import sessions
from tests.support.airflow import DAGS, Airflow
from tests.support.airflow_server import PARTS, AirflowServer, free_port
from tests.support.databases import Databases
from tests.support.deployment import ROOT, compose, make_secrets, on_this_host, settings

WORKERS = ("worker-1", "worker-2")
POOL = "tokenergy_cuda"
PYTHON = Path(os.environ.get("TOKENERGY_CLUSTER_VENV", ROOT / ".venv-cluster")) / "bin" / "python"
"""Of the environment that has the packages of the image: requirements/airflow.txt."""

_QUICK = {
    # A killed worker is noticed by what it no longer says; as it comes, after five minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # A task that it had taken and not begun; as it comes, after ten.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}


class Cluster(AirflowServer):
    """The processes, from `start` to `stop`.

    Args:
        folder: an empty folder.
        environment: further variables of all processes.
        of_workers: further variables of the workers alone.

    Attributes:
        secrets: folder with a file for each secret.
        folder: the same folder: what is printed or logged anywhere is below it.
        health_port: where the scheduler says how it is.
    """

    parts: Mapping[str, list[str]] = {
        **PARTS,
        **{
            # Without a server for its logs: those listen on all addresses, and logs are shared.
            name: ["celery", "worker", "--celery-hostname", f"celery@{name}", "--skip-serve-logs"]
            for name in WORKERS
        },
    }

    # Two workers and two servers more share the same cores, and each look takes some of them.
    patience_s, look_every_s = 900, 1.0

    def __init__(
        self, folder: Path, environment: Mapping[str, str], of_workers: Mapping[str, str]
    ) -> None:
        home = folder / "home"
        home.mkdir()
        super().__init__(home, {})
        self.folder, self._of_workers = folder, of_workers
        self._airflow = Airflow(home, str(PYTHON))
        self.secrets = make_secrets(folder)
        self.databases = Databases(
            folder, self._secret("postgres_password"), self._secret("redis_password")
        )
        self.health_port = free_port()
        api = f"http://127.0.0.1:{self.port}"
        # In their place come those of the files in deploy/airflow.
        for name in (
            "AIRFLOW__API__SECRET_KEY",
            "AIRFLOW__API_AUTH__JWT_SECRET",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS",
        ):
            del self._environment[name]
        self._environment |= {
            **settings()[0],
            **{
                name: on_this_host(value, self.secrets)
                for name, value in compose()["services"]["scheduler"]["environment"].items()
            },
            **_QUICK,
            "AIRFLOW__API__BASE_URL": api,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.health_port),
            "C_FORCE_ROOT": "true",  # Celery warns; in the image nobody is root
            "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(_places()),
            "TOKENERGY_CUDA_POOL": POOL,
            **environment,
        }
        del self._environment["TOKENERGY_LAKE"]  # only workers know it

    def start(self) -> None:
        self._files.enter_context(self.databases)  # `stop` leaves it after the last process
        super().start()

    def kill_worker(self, name: str) -> None:
        """End all processes of a worker at once, as if its host had lost its power."""
        sessions.kill(self._running.pop(name))
        # The next one of this name has its own file, and is ready when that says so.
        (self.home / f"{name}.out").rename(self.home / f"{name}.killed.out")

    def worker_of(self, pid: int) -> str:
        """Return the worker that a process belongs to."""
        leader = os.getsid(pid)
        return next(name for name in WORKERS if self._running[name].pid == leader)

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds of each process and what it started, up to now."""
        return {name: sessions.cpu_s(one.pid) for name, one in self._running.items()}

    def taken(self, worker: str) -> int:
        """Return how many tasks a worker has taken."""
        return (self.home / f"{worker}.out").read_text("utf-8").count("] received")

    def _secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def _prepare(self) -> None:
        for name in ("sql_alchemy_conn", "result_backend", "broker_url"):
            text = self._secret(name)
            for host, port in (
                ("postgres:5432", self.databases.postgres_port),
                ("redis:6379", self.databases.redis_port),
            ):
                text = text.replace(f"@{host}/", f"@127.0.0.1:{port}/")
            (self.secrets / name).unlink()  # it may only be read
            (self.secrets / name).write_text(text)
        self.shell(compose()["services"]["init"]["command"][2])
        self.command("pools", "set", POOL, "1", "TokenEnergy's tasks that may use CUDA")

    def shell(self, script: str) -> None:
        """Run a shell script of the compose file, which must end well."""
        done = subprocess.run(
            ["bash", "-c", on_this_host(script, self.secrets)],
            env=self._airflow.environment(self._environment),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def _login(self) -> str:
        body = {"username": "admin", "password": self._secret("admin_password")}
        return str(self._fetch("POST", "/auth/token", body)["access_token"])

    def _environment_of(self, part: str) -> dict[str, str]:
        if part not in WORKERS:
            return {}
        own = {
            "AIRFLOW_HOME": "home",
            "HOME": "user",
            "NUMBA_CACHE_DIR": "numba",
            "TMPDIR": "tmp",
            "XDG_CACHE_HOME": "cache",
        }
        for name in own.values():
            (self.folder / part / name).mkdir(parents=True, exist_ok=True)
        places = {name: str(self.folder / part / folder) for name, folder in own.items()}
        return {**places, **self._of_workers}

    def _healthy(self) -> bool:
        def ready(name: str) -> bool:
            out = self.home / f"{name}.out"
            return name not in self._running or f"@{name} ready." in out.read_text("utf-8")

        return all(map(ready, WORKERS)) and super()._healthy()


def _places() -> list[str]:
    """Return where our packages are: the other environment does not have them."""
    packages = (tokenergy_collectors, tokenergy_transforms, tokenergy_sql)
    return [str(DAGS), *(str(Path(str(one.__file__)).parents[1]) for one in packages)]
