"""A whole Airflow: scheduler, dag processor, triggerer and API server, processes on loopback.

As it is here, on SQLite and with the LocalExecutor; `airflow_cluster.Cluster` is one with workers.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.support import sessions
from tests.support.airflow import Airflow

DAG = "tokenergy_hourly"
PATIENCE_S = 240
"""Longer than any step takes on a busy machine; whoever waits so long has failed."""

LOOK_EVERY_S = 0.2

PARTS = {
    "api-server": ["api-server", "--host", "127.0.0.1", "--workers", "1"],
    "scheduler": ["scheduler"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer"],
}
"""The commands of the processes."""

ENDED = ("success", "failed")
"""States of a run that is over."""

T = TypeVar("T")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_for(
    what: str,
    look: Callable[[], T | None],
    tell: Callable[[], str] = str,
    patience_s: float = PATIENCE_S,
    every_s: float = LOOK_EVERY_S,
) -> T:
    """Look until there is something to return; fail after a while, and say what was awaited."""
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        if found := look():
            return found
        time.sleep(every_s)
    raise AssertionError(f"no {what} after {patience_s} s\n{tell()}")


class AirflowServer:
    """The processes of an Airflow, from `start` to `stop`.

    Args:
        home: an empty folder.
        environment: further variables of all processes.

    Attributes:
        home: the same folder.
        logs: where the tasks' logs are.
        port: of the API server.
    """

    parts: Mapping[str, Sequence[str]] = PARTS
    """The processes by name, and their commands."""

    patience_s, look_every_s = PATIENCE_S, LOOK_EVERY_S

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home, self.logs, self.port = home, home / "logs", free_port()
        self._airflow = Airflow(home)
        self._environment = {
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",  # each worker takes 140 MiB
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            **environment,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._files = ExitStack()
        self._token = ""

    def start(self) -> None:
        """Make the database, start the processes and wait until they are healthy."""
        self._prepare()
        for part in self.parts:
            self.start_part(part)
        self.wait_for("healthy Airflow", self._healthy)
        self._token = self._login()
        self.wait_for("parsed DAG", lambda: self.ask("GET", f"/dags/{DAG}", missing=None))

    def _prepare(self) -> None:
        self.command("db", "migrate")

    def _login(self) -> str:
        return str(self._fetch("GET", "/auth/token")["access_token"])

    def command(self, *words: str) -> str:
        """Run a command of Airflow to its end, which must be a good one; return what it printed."""
        done = self._airflow.run(["-m", "airflow", *words], self._environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _environment_of(self, part: str) -> dict[str, str]:
        """Return further variables of one of the processes."""
        del part
        return {}

    def start_part(self, part: str, more: Mapping[str, str] | None = None) -> None:
        """Start one of the processes, with further variables of its environment."""
        log = self._files.enter_context((self.home / f"{part}.out").open("ab"))
        variables = {**self._environment, **self._environment_of(part), **(more or {})}
        self._running[part] = subprocess.Popen(
            [self._airflow.python, "-m", "airflow", *self.parts[part]],
            env=self._airflow.environment(variables),
            cwd=self.home,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop_part(self, part: str) -> None:
        """Stop one of the processes and all that it started."""
        sessions.end(self._running.pop(part))

    def restart(self, more: Mapping[str, str]) -> None:
        """Start what reads DAG files again, with further variables; wait until they are in use."""
        parts = ("scheduler", "dag-processor")
        for part in parts:
            self.stop_part(part)
        before = self.ask("GET", f"/dags/{DAG}/details")["last_parsed"]
        for part in parts:
            self.start_part(part, more)

        def parsed() -> bool:
            return bool(self.ask("GET", f"/dags/{DAG}/details")["last_parsed"] != before)

        self.wait_for("parsed DAG", parsed)
        self.wait_for("healthy Airflow", self._healthy)

    def stop(self) -> None:
        """Stop all processes."""
        with self._files:
            for part in [*self._running]:
                self.stop_part(part)

    def wait_for(
        self, what: str, look: Callable[[], T | None], tell: Callable[[], str] | None = None
    ) -> T:
        """Look until there is something to return; a failure shows what the processes printed."""
        return wait_for(what, look, tell or self.output, self.patience_s, self.look_every_s)

    def output(self) -> str:
        """Return the last lines of what the processes printed."""
        files = sorted(self.home.glob("*.out"))
        texts = ("\n".join(file.read_text("utf-8").splitlines()[-40:]) for file in files)
        return "\n".join(f"== {file.name}\n{text}" for file, text in zip(files, texts, strict=True))

    def ask(self, method: str, path: str, body: Any = None, **missing: Any) -> Any:
        """Return the answer of the public API; `missing` instead if there is no such thing."""
        try:
            return self._fetch(method, f"/api/v2{path}", body)
        except urllib.error.HTTPError as error:
            if error.code == 404 and "missing" in missing:
                return missing["missing"]
            raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from error

    def _fetch(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def _healthy(self) -> bool:
        for part, process in self._running.items():
            assert process.poll() is None, f"{part} ended\n{self.output()}"
        try:
            found = self._fetch("GET", "/api/v2/monitor/health")
        except OSError:
            return False
        parts = {"metadatabase", *(part.replace("-", "_") for part in self._running)}
        return all(one["status"] == "healthy" for part, one in found.items() if part in parts)

    def trigger(self, run: str, date: datetime, conf: Mapping[str, Any], dag: str = DAG) -> None:
        """Start a run of the hour that contains a date."""
        body = {"dag_run_id": run, "logical_date": date.isoformat(), "conf": dict(conf)}
        self.ask("POST", f"/dags/{dag}/dagRuns", body)

    def unpause(self, paused: bool = False, dag: str = DAG) -> None:
        """Let a DAG run on its schedule, or not."""
        self.ask("PATCH", f"/dags/{dag}", {"is_paused": paused})

    def runs(self, dag: str = DAG) -> dict[str, dict[str, Any]]:
        """Return all runs, by their id."""
        found = self.ask("GET", f"/dags/{dag}/dagRuns?limit=100")["dag_runs"]
        return {run["dag_run_id"]: run for run in found}

    def tasks(self, run: str, dag: str = DAG) -> dict[str, dict[str, Any]]:
        """Return the tasks of a run, by their id; mapped ones with their number."""
        found = self.ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances?limit=100")
        return {
            one["task_id"] + (f"[{one['map_index']}]" if one["map_index"] >= 0 else ""): one
            for one in found["task_instances"]
        }

    def finished(self, run: str, dag: str = DAG) -> dict[str, str]:
        """Wait until a run has ended; return the state of each of its tasks, and of the run."""

        def ended() -> dict[str, str] | None:
            state = self.runs(dag).get(run, {}).get("state")
            return None if state not in ENDED else self.states(run, state, dag)

        def tell() -> str:
            return f"{self.states(run, '', dag)}\n{self.output()}"

        return self.wait_for(f"end of {run}", ended, tell)

    def idle(self) -> None:
        """Wait until no run goes on: the schedule may have started one in between."""

        def ended() -> bool:
            return all(run["state"] in ENDED for run in self.runs().values())

        self.wait_for("end of all runs", ended)

    def states(self, run: str, state: str, dag: str = DAG) -> dict[str, str]:
        """Return the state of each task of a run, and the given one as that of the run."""
        return {name: one["state"] for name, one in self.tasks(run, dag).items()} | {"run": state}

    def log(self, run: str, task: str, dag: str = DAG) -> str:
        """Return all that the log files of a task say, its tries one after the other."""
        folder = self.logs / f"dag_id={dag}" / f"run_id={run}" / f"task_id={task}"
        return "\n".join(path.read_text("utf-8") for path in sorted(folder.rglob("*.log")))
