"""A real OpenADR 2.0b server (openleadr) in a process of its own on a loopback port.

The process knows the events it is started with and those it is told of later, and says what it was
answered. It can be killed at any moment, and another one started at the same port: that one has
forgotten who registered.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

Said = dict[str, Any]

PATH = "OpenADR2/Simple/2.0b"


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class VtnProcess:
    """The process, until `kill` or the end of the `with` block."""

    def __init__(self, port: int, *events: Said) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/{PATH}"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.support.vtn", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for event in events:
            self.tell({"add": event})
        self.tell({"serve": True})
        assert self.hear() == {"serving": True}

    def __enter__(self) -> VtnProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def tell(self, what: Said) -> None:
        """Have it do something: add or cancel an event, serve."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Said:
        """The next thing that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server ended"
        found: Said = json.loads(line)
        return found

    def change(self, what: Said) -> None:
        """Have it add or cancel an event, and wait until it did."""
        self.tell(what)
        assert self.hear() == {"done": True}


def event(
    event_id: str,
    start_us: int,
    minutes: tuple[int, ...],
    payloads: tuple[float, ...],
    kind: str = "delta",
    signal: str = "LOAD_DISPATCH",
) -> Said:
    """An event whose intervals follow one another."""
    return {
        "event_id": event_id, "start_us": start_us, "minutes": minutes, "payloads": payloads,
        "signal": signal, "kind": kind,
    }  # fmt: skip


def _say(what: Said) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _add(server: Any, told: Said) -> None:
    async def answered(ven_id: str, event_id: str, opt_type: str) -> None:
        _say({"event_id": event_id, "answered": opt_type})

    begin = datetime.fromtimestamp(told["start_us"] / 1e6, UTC)
    intervals = []
    for minutes, payload in zip(told["minutes"], told["payloads"], strict=True):
        length = timedelta(minutes=minutes)
        intervals.append({"dtstart": begin, "duration": length, "signal_payload": payload})
        begin += length
    server.add_event(
        "ven-1", told["signal"], told["kind"], intervals, callback=answered,
        event_id=told["event_id"], market_context="http://utility.example/fast",
    )  # fmt: skip


async def _serve(port: int) -> None:
    from openleadr import OpenADRServer

    logging.getLogger("openleadr").setLevel(logging.CRITICAL)
    server = OpenADRServer(
        vtn_id="vtn-1", http_host="127.0.0.1", http_port=port, show_server_cert_domain=False
    )

    async def registered(_: Said) -> tuple[str, str]:
        return "ven-1", "registration-1"

    server.add_handler("on_create_party_registration", registered)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        if "serve" in told:
            out, sys.stdout = sys.stdout, sys.stderr  # it prints a banner
            await server.run_async()
            sys.stdout = out
            _say({"serving": True})
        elif "cancel" in told:
            server.cancel_event("ven-1", told["cancel"])
            _say({"done": True})
        else:
            _add(server, told["add"])
            if told.get("late"):
                _say({"done": True})


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
