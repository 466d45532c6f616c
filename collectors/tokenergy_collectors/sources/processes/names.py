"""The names of containers, asked of Docker or Podman on their socket, if the configuration says so.

In: ids. Out: names; the first 12 digits of the id where no name is known. API: Docker Engine
`GET /containers/json`, which Podman answers too.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from tokenergy_collectors.sources.processes.cgroups import printable

_SHORT = 12
_AGAIN_S = 3.0
"""Less than the time between two lists: each one may ask once, for all that is new in it."""
_TIMEOUT_S = 2.0
_MOST_BYTES = 8 << 20


class Names:
    """Follows the names of the running containers.

    Args:
        path: the socket; None to use ids alone.
        clock: seconds, monotonic.

    Attributes:
        problem: why the last question had no answer; None if it had one.
    """

    def __init__(self, path: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._by_id: dict[str, str] = {}
        self._next_s = 0.0
        self.problem: str | None = None

    def of(self, container: str) -> str:
        """Return the name of a container, or the start of its id."""
        if self._path is not None and container not in self._by_id:
            # A container that Docker does not know must not be asked for at every look.
            if self._clock() >= self._next_s:
                self._next_s = self._clock() + _AGAIN_S
                self._ask(self._path)
            # The name of a job stays as it began, also if Docker answers later.
            self._by_id.setdefault(container, container[:_SHORT])
        return self._by_id.get(container, container[:_SHORT])

    def _ask(self, path: str) -> None:
        try:
            for one in _containers(path):
                name = printable(one["Names"][0].lstrip("/"))
                self._by_id.setdefault(one["Id"], name)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self.problem = f"container_names {path}: {why}: jobs have the ids of containers"
        else:
            self.problem = None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


def _containers(path: str) -> list[Any]:
    """Return Docker's list.

    Raises:
        OSError: nobody answers.
        ValueError: the answer is none.
    """
    connection = _Connection(path)
    try:
        connection.request("GET", "/containers/json")
        answer = connection.getresponse()
        text = answer.read(_MOST_BYTES)
    except http.client.HTTPException as error:
        raise ValueError(str(error) or type(error).__name__) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"HTTP {answer.status}")
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("no list")
    return found
