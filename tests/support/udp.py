"""A UDP peer that answers as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence


class Peer:
    """A UDP peer in a thread of its own, that answers each datagram as it is told.

    Attributes:
        asked: set once a request has come in.
    """

    def __init__(self, answer: Callable[[bytes], Sequence[bytes]] = lambda _: ()) -> None:
        self._answer = answer
        self.asked = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            data, asker = self._socket.recvfrom(65_535)
            if not data:
                return
            self.asked.set()
            for one in self._answer(data):
                self._socket.sendto(one, asker)
