"""A real BACnet/IP device in a child process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).parent / "bacnet_device.py"


class Device:
    """A device of BACpypes3.

    Args:
        objects: properties by TYPE,INSTANCE; "behaviour" has what it does: no_rpm, most, hangs.

    Attributes:
        port: where it listens; the same after a restart.
    """

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self._objects = objects
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Device:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it; return once it has its objects."""
        self._process = subprocess.Popen(
            [sys.executable, _PROGRAM, str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.put(self._objects)

    def kill(self) -> None:
        """Kill it, as a loss of power would."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.communicate()

    def put(self, objects: dict[str, dict[str, Any]]) -> list[list[Any]]:
        """Add or change objects; return the requests since the last call: kind, objects."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(objects) + "\n")
        process.stdin.flush()
        found: list[list[Any]] = json.loads(process.stdout.readline())
        return found

    def requests(self) -> list[list[Any]]:
        """Return the requests since the last call: kind, number of objects."""
        return self.put({})
