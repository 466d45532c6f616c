"""A real upsd with the driver dummy-ups on a loopback port, and one that says what it is told."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

_FOLDERS = ("/lib/nut", "/usr/lib/nut", "/usr/libexec/nut", "/usr/local/ups/bin", "/usr/sbin")

MISSING = "no upsd and dummy-ups here: install the package nut-server"


def find(name: str) -> str | None:
    """Return the path of a program of NUT; Debian's in /usr/sbin is a script that refuses."""
    paths = (Path(folder) / name for folder in _FOLDERS)
    return next((str(path) for path in paths if os.access(path, os.X_OK)), None)


def is_here() -> bool:
    """Whether there are upsd and dummy-ups."""
    return find("upsd") is not None and find("dummy-ups") is not None


class UpsServer:
    """upsd with one UPS, `u1`.

    Attributes:
        port: where it listens; the same after a restart.
    """

    def __init__(self, folder: Path, values: Mapping[str, object]) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._values = dict(values)
        self._write("u1.dev", "")
        self._write(
            "ups.conf",
            f"pollinterval = 1\n[u1]\ndriver = dummy-ups\nport = {folder}/u1.dev\n"
            "mode = dummy-once\n",
        )
        # Data is stale as soon as upsd allows.
        self._write("upsd.conf", f"LISTEN 127.0.0.1 {self.port}\nMAXAGE 3\n")
        self._write("upsd.users", "[monitor]\npassword = secret\n")
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> UpsServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.kill(name)

    def start(self) -> None:
        """Start the driver and upsd; return once upsd has all values."""
        (self._folder / "dummy-ups-u1").unlink(missing_ok=True)
        self.start_driver()
        # An upsd that finds no driver looks for it again only seconds later.
        deadline_s = time.monotonic() + 60
        while not self._has_driver():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        self._run("upsd", "-D")
        self._wait()

    def start_driver(self) -> None:
        """Start the driver alone."""
        self._write_values()
        self._run("dummy-ups", "-a", "u1", "-D")

    def kill(self, name: str) -> None:
        """Kill upsd or dummy-ups."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def restore(self, values: Mapping[str, object]) -> None:
        """Have both programs run with some values, whatever was done to them."""
        driver = self._running.get("dummy-ups")
        if driver is not None:
            driver.send_signal(signal.SIGCONT)
        if len(self._running) < 2:
            for name in list(self._running):
                self.kill(name)
            self._values = dict(values)
            self.start()
        elif self._values != values:
            self._values = dict(values)
            self._write_values()
        self._wait()

    def stop_driver(self) -> None:
        """Stop the driver, so that it says nothing more; return once upsd calls its data stale."""
        self._running["dummy-ups"].send_signal(signal.SIGSTOP)
        self.wait_for("ERR DATA-STALE")

    def continue_driver(self) -> None:
        """Have the driver go on; return once upsd takes it."""
        self._running["dummy-ups"].send_signal(signal.SIGCONT)
        self._wait()

    def put(self, **values: object) -> None:
        """Change values (dots are underscores); return once upsd has them."""
        self._values |= {name.replace("_", "."): value for name, value in values.items()}
        self._write_values()
        self._wait()

    def wait_for(self, text: str) -> None:
        """Return once upsd's answer has a text."""
        deadline_s = time.monotonic() + 60
        while text not in (said := self._list()):
            assert time.monotonic() < deadline_s, said
            time.sleep(0.05)

    def _has_driver(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as found:
                found.connect(str(self._folder / "dummy-ups-u1"))
        except OSError:
            return False
        return True

    def _wait(self) -> None:
        for name, value in self._values.items():
            self.wait_for(f'VAR u1 {name} "{value}"')

    def _list(self) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as found:
                found.sendall(b"LIST VAR u1\n")
                said = b""
                while not said.endswith(b"END LIST VAR u1\n") and not said.startswith(b"ERR"):
                    said += found.recv(65_536) or b"END LIST VAR u1\n"
        except OSError:
            return ""
        return said.decode()

    def _write_values(self) -> None:
        lines = "".join(f"{name}: {value}\n" for name, value in self._values.items())
        self._write("u1.dev", lines)

    def _write(self, name: str, text: str) -> None:
        # At once, as the driver may read it at any time.
        other = self._folder / f".{name}"
        other.write_text(text)
        other.chmod(0o600)
        other.rename(self._folder / name)

    def _run(self, name: str, *options: str) -> None:
        program = find(name)
        assert program is not None
        folders = ("NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH", "NUT_PIDPATH")
        self._running[name] = subprocess.Popen(
            [program, *options, "-u", getpass.getuser()],
            env=os.environ | {one: str(self._folder) for one in folders},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


class LineServer:
    """Answers each line as it is told: what no real upsd can be brought to say.

    Attributes:
        lines: what came in, in order.
        asked: set once a line has come in.
    """

    def __init__(self, answer: Callable[[str], bytes | None]) -> None:
        self._answer = answer
        self.lines: list[str] = []
        self.connections = 0
        self.asked = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> LineServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                self.lines.append(line.decode().rstrip("\n"))
                self.asked.set()
                answer = self._answer(self.lines[-1])
                if answer is None:
                    break
                connection.sendall(answer)


def listed(values: Mapping[str, object], ups: str = "u1") -> bytes:
    """Return the answer to LIST VAR."""
    lines = [f'VAR {ups} {name} "{value}"\n' for name, value in values.items()]
    text = "".join([f"BEGIN LIST VAR {ups}\n", *lines, f"END LIST VAR {ups}\n"])
    return text.encode("latin-1")
