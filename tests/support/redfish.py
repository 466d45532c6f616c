"""BMCs on a loopback port: sushy-static with a tree of files, and one with faults of its own."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = "/redfish/v1"
Tree = dict[str, Any]
"""Resources by path, without `/redfish/v1`."""


def ref(path: str) -> dict[str, str]:
    """Return a link."""
    return {"@odata.id": f"{ROOT}{path}"}


def collection(*paths: str) -> dict[str, Any]:
    """Return a collection."""
    return {"Members@odata.count": len(paths), "Members": [ref(path) for path in paths]}


def tree(**chassis: Tree) -> Tree:
    """Return a tree of chassis; the paths of their resources begin below the chassis.

    The resource "" of a chassis is its own; links from it to the others are added.
    """
    found: Tree = {
        "": {"Chassis": ref("/Chassis"), "Links": {"Sessions": ref("/SessionService/Sessions")}},
        "/Chassis": collection(*(f"/Chassis/{name}" for name in chassis)),
    }
    for name, resources in chassis.items():
        base = f"/Chassis/{name}"
        links = {
            one: ref(f"{base}/{one}")
            for one in ("EnvironmentMetrics", "PowerSubsystem", "Sensors", "Power")
            if one in resources
        }
        found[base] = {"Id": name, **links, **resources.get("", {})}
        found |= {f"{base}/{one}": body for one, body in resources.items() if one}
    return found


def environment(watts: Any = 412.5, **more: Any) -> Tree:
    """Return a chassis that has EnvironmentMetrics."""
    power = {"PowerWatts": {"DataSourceUri": f"{ROOT}/x", "Reading": watts}}
    return {"EnvironmentMetrics": power | {key: {"Reading": one} for key, one in more.items()}}


def old_power(*controls: Any, supplies: Any = ()) -> Tree:
    """Return a chassis that has the Power resource alone."""
    return {"Power": {"PowerControl": list(controls), "PowerSupplies": list(supplies)}}


def supplies(chassis: str, **watts: Any) -> Tree:
    """Return a chassis whose power supplies say what they take; None: one that is absent."""
    base = f"/Chassis/{chassis}/PowerSubsystem/PowerSupplies"
    found: Tree = {
        "PowerSubsystem": {"PowerSupplies": ref(base)},
        "PowerSubsystem/PowerSupplies": collection(*(f"{base}/{name}" for name in watts)),
    }
    for name, one in watts.items():
        path = f"PowerSubsystem/PowerSupplies/{name}"
        found[path] = {"Id": name, "Metrics": ref(f"{base}/{name}/Metrics")}
        if one is None:
            found[path]["Status"] = {"State": "Absent"}
            del found[path]["Metrics"]
        else:
            found[f"{path}/Metrics"] = {
                "InputPowerWatts": {"Reading": one},
                "EnergykWh": {"Reading": one * 10},
            }
    return found


def sensors(chassis: str, **found: Tree) -> Tree:
    """Return a chassis with sensors."""
    base = f"/Chassis/{chassis}/Sensors"
    listed = {"Sensors": collection(*(f"{base}/{name}" for name in found))}
    return listed | {f"Sensors/{name}": {"Id": name, **body} for name, body in found.items()}


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class StaticBmc:
    """sushy-static, of OpenStack: serves files as a BMC does.

    Attributes:
        port: where it listens; the same after a restart.
    """

    def __init__(self, folder: Path, found: Tree, pair: tuple[Path, Path] | None = None) -> None:
        self.port = free_port()
        self._folder, self._pair = folder, pair
        self._process: subprocess.Popen[bytes] | None = None
        for path, body in found.items():
            self.put(path, body)

    def __enter__(self) -> StaticBmc:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def put(self, path: str, body: Any) -> None:
        """Change a resource; text is served as it is."""
        folder = self._folder / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        text = body if isinstance(body, str) else json.dumps(body)
        (folder / "index.json").write_text(text)

    def remove(self, path: str) -> None:
        """Remove a resource."""
        (self._folder / path.strip("/") / "index.json").unlink()

    def start(self) -> None:
        """Listen; return once connections are accepted."""
        options = ["-i", "127.0.0.1", "-p", str(self.port), "-m", str(self._folder)]
        if self._pair is not None:
            options += ["-c", str(self._pair[0]), "-k", str(self._pair[1])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sushy_tools.static.main", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, "sushy-static ended: is sushy-tools installed?"
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


Fault = Callable[["Handler"], bool]
"""Answers a request itself and returns True, or returns False."""


class FaultyBmc:
    """A BMC with sessions and passwords that does what it is told to do wrong.

    Attributes:
        tree: its resources.
        users: passwords by user; empty: anyone may read.
        sessions: tokens of open sessions, by path.
        requests: method, path and how the request was let in, in order.
        fault: asked before each answer.
    """

    def __init__(self, found: Tree, users: dict[str, str] | None = None) -> None:
        self.tree = {ROOT + (path or "/"): body for path, body in deepcopy(found).items()}
        self.users = users or {}
        self.sessions: dict[str, str] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.fault: Fault = lambda _: False
        self.asked = threading.Event()
        self.begun = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.bmc = self  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> FaultyBmc:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """Have a fault for some time."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = lambda _: False


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    @property
    def bmc(self) -> FaultyBmc:
        """The BMC that it belongs to."""
        return self.server.bmc  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, body: Any = None, **headers: str) -> bool:
        """Send an answer; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)
        return True

    def do_GET(self) -> None:
        """Answer with a resource."""
        bmc = self.bmc
        how = self._how()
        bmc.requests.append(("GET", self.path, how))
        bmc.asked.set()
        if bmc.fault(self):
            return
        if bmc.users and how not in ("session", "basic") and self.path != f"{ROOT}/":
            self.answer(401, {"error": {"message": "who are you?"}})
        elif self.path in bmc.tree:
            self.answer(200, bmc.tree[self.path])
        else:
            self.answer(404, {"error": {"message": "not here"}})

    def do_POST(self) -> None:
        """Begin a session."""
        bmc = self.bmc
        login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        bmc.requests.append(("POST", self.path, ""))
        if bmc.fault(self):
            return
        if bmc.users.get(login["UserName"]) != login["Password"]:
            self.answer(401, {"error": {"message": f"{login['Password']} is wrong"}})
            return
        bmc.begun += 1
        path, token = f"{self.path}/{bmc.begun}", f"token-{bmc.begun}"
        bmc.sessions[path] = token
        self.answer(201, {}, X_Auth_Token=token, Location=path)

    def do_DELETE(self) -> None:
        """End a session."""
        bmc = self.bmc
        bmc.requests.append(("DELETE", self.path, self._how()))
        if bmc.fault(self):
            return
        known = bmc.sessions.pop(self.path, None)
        self.answer(204 if known else 404)

    def _how(self) -> str:
        token = self.headers.get("X-Auth-Token")
        if token is not None:
            return "session" if token in self.bmc.sessions.values() else "expired"
        said = self.headers.get("Authorization", "")
        if said:
            user, _, password = base64.b64decode(said.split()[1]).decode().partition(":")
            return "basic" if self.bmc.users.get(user) == password else "wrong"
        return ""
