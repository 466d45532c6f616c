"""A PostgreSQL and a Redis of a test's own: private folders, free ports, passwords, on loopback.

They are those of the distribution; the services of the system, if they run, are not touched. As
root they run as another user, since PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from tests.support import sessions
from tests.support.airflow_server import free_port, wait_for

NAME = "airflow"
"""The user of the database, and the database."""

_USERS = ("postgres", "nobody")


def why_not() -> str | None:
    """Return in one line what is missing here; None if nothing is."""
    programs = {"postgresql": "initdb", "redis-server": "redis-server", "util-linux": "setpriv"}
    missing = [package for package, name in programs.items() if _program(name) is None]
    return f"needs {', '.join(missing)}: apt-get install {' '.join(missing)}" if missing else None


class Databases:
    """Both servers, until the end of the `with` block.

    Args:
        logs: folder for what they print.
        postgres_password, redis_password: theirs.

    Attributes:
        postgres_port, redis_port: where they listen.
    """

    def __init__(self, logs: Path, postgres_password: str, redis_password: str) -> None:
        self.postgres_port, self.redis_port = free_port(), free_port()
        self._logs, self._password = logs, postgres_password
        self._redis_password = redis_password
        self._user = _other_user()
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Databases:
        # Not in a folder of pytest: only its owner may enter those.
        self._root = Path(tempfile.mkdtemp(prefix="tokenergy-databases-"))
        try:
            for name in ("postgres", "redis"):
                (self._root / name).mkdir(mode=0o700)
            for path in (self._root, *self._root.iterdir()):
                self._give(path)
            self._start_postgres()
            self._start_redis()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._running:
            # PostgreSQL: a fast shutdown, which waits for no client.
            sessions.end(self._running.pop(), signal.SIGINT)
        shutil.rmtree(self._root)

    def _give(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user, pwd.getpwnam(self._user).pw_gid)

    def _start_postgres(self) -> None:
        data = self._root / "postgres" / "data"
        password = self._root / "postgres" / "password"  # a process list would show an option
        password.write_text(self._password)
        self._give(password)
        self._run(
            *("initdb", "-D", str(data), "-U", NAME, f"--pwfile={password}", "--no-sync"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        )
        password.unlink()
        process = self._start(
            *("postgres", "-D", str(data), "-p", str(self.postgres_port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "fsync=off"),  # no test cuts the power
        )
        place = ("-h", "127.0.0.1", "-p", str(self.postgres_port), "-U", NAME)
        self._until(process, lambda: self._try("pg_isready", *place))
        self._run("createdb", *place, NAME, more={"PGPASSWORD": self._password})

    def _start_redis(self) -> None:
        lines = (
            *("bind 127.0.0.1", f"port {self.redis_port}", f"dir {self._root / 'redis'}"),
            *('save ""', "appendonly no", f"requirepass {self._redis_password}"),
        )
        process = self._start("redis-server", "-", given="\n".join(lines))
        place = ("-h", "127.0.0.1", "-p", str(self.redis_port))
        more = {"REDISCLI_AUTH": self._redis_password}
        self._until(process, lambda: self._try("redis-cli", *place, "ping", more=more))

    def _start(self, name: str, *options: str, given: str = "") -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.out").open("wb") as log:
            process = subprocess.Popen(
                self._command(name, options),
                cwd=self._root,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        assert process.stdin is not None
        process.stdin.write(given.encode())
        process.stdin.close()
        return process

    def _until(self, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        def look() -> bool:
            assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
            return ready()

        wait_for(f"answer of {process.args!r}", look)

    def _run(self, name: str, *options: str, more: Mapping[str, str] | None = None) -> None:
        done = self._done(name, options, more or {})
        assert done.returncode == 0, (name, done.stdout)

    def _try(self, name: str, *options: str, more: Mapping[str, str] | None = None) -> bool:
        return self._done(name, options, more or {}).returncode == 0

    def _done(
        self, name: str, options: tuple[str, ...], more: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(name, options),
            cwd=self._root,
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def _command(self, name: str, options: tuple[str, ...]) -> list[str]:
        program = _program(name)
        assert program is not None, name
        return [*_as_user(self._user), program, *options]


def _other_user() -> str | None:
    """Return the user that servers run as; None if that is who we are."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next(user for user in _USERS if user in known)


def _as_user(user: str | None) -> list[str]:
    if user is None:
        return []
    group = str(pwd.getpwnam(user).pw_gid)
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]


def _program(name: str) -> str | None:
    """Return the path of a program; Debian keeps those of PostgreSQL's servers out of the PATH."""
    debian = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*debian, os.environ.get("PATH", os.defpath)]))
