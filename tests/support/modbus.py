"""Real Modbus TCP servers on a loopback port, that can be killed and started again."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

CODES = {
    "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q",
    "float32": "f", "float64": "d",
}  # fmt: skip
"""Codes of `struct` by type of register."""

Request = tuple[int, int, int, int]
"""Device, function code, address, count."""


def words_of(code: str, number: float, *, swapped: bool = False) -> list[int]:
    """Return the 16-bit words of a number; `code` is that of `struct`."""
    data = struct.pack(f">{code}", number)
    words = [word for (word,) in struct.iter_unpack(">H", data)]
    return words[::-1] if swapped else words


class MeterServer:
    """A server of pymodbus, in a thread of its own.

    Args:
        devices: by device id, the words at each address; addresses between them are 0.
        refuse: returns the exception code for a request, or None.
        holes: whether the addresses between do not exist instead.

    Attributes:
        requests: those that came in, in order.
        port: where it listens; the same after a restart.
    """

    def __init__(
        self,
        devices: dict[int, dict[int, Sequence[int]]],
        refuse: Callable[[Request], int | None] = lambda _: None,
        *,
        holes: bool = False,
    ) -> None:
        self._blocks = devices
        self._refuse = refuse
        self._holes = holes
        self.requests: list[Request] = []
        self.connections = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> MeterServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            self.kill()

    def start(self) -> None:
        """Listen; return once connections are accepted."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(self._serve())

    def kill(self) -> None:
        """Close the server and all its connections."""
        loop, self._loop = self._loop, None
        assert loop is not None
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), loop).result(30)
        # Connections are closed by callbacks of the loop.
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def put(self, address: int, words: Sequence[int], device: int = 1) -> None:
        """Change registers; after a restart they have the new words too."""
        self._blocks[device][address] = words
        self._do(self._server.async_setValues(device, 16, address, list(words)))

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self) -> None:
        self._server = ModbusTcpServer(
            [self._device(id_, blocks) for id_, blocks in self._blocks.items()],
            address=("127.0.0.1", self.port),
            trace_connect=self._connected,
            trace_pdu=self._note,
        )
        await self._server.serve_forever(background=True)

    def _connected(self, connected: bool) -> None:
        self.connections += connected

    def _note(self, sending: bool, pdu: Any) -> Any:
        if not sending:
            self.requests.append((pdu.dev_id, pdu.function_code, pdu.address, pdu.count))
        return pdu

    def _device(self, id_: int, blocks: dict[int, Sequence[int]]) -> SimDevice:
        async def answer(
            function: int, _start: int, address: int, count: int, _now: list[int], _set: Any
        ) -> ExcCodes | None:
            code = self._refuse((id_, function, address, count))
            return None if code is None else ExcCodes(code)

        data = [
            SimData(address, values=list(words), datatype=DataType.REGISTERS)
            for address, words in (blocks if self._holes else _filled(blocks)).items()
        ]
        return SimDevice(id=id_, simdata=data, action=answer)


def _filled(blocks: dict[int, Sequence[int]]) -> dict[int, Sequence[int]]:
    """Return one block from the first to the last address."""
    found = {at + i: word for at, words in blocks.items() for i, word in enumerate(words)}
    return {min(found): [found.get(at, 0) for at in range(min(found), max(found) + 1)]}


class SilentServer:
    """Accepts connections, reads what comes, and sends what it was given, or nothing.

    Attributes:
        asked: set once a request has come in.
    """

    def __init__(self, answer: bytes = b"") -> None:
        self._answer = answer
        self.asked = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> SilentServer:
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
            with connection:
                while connection.recv(260):
                    self.asked.set()
                    if self._answer:
                        connection.sendall(self._answer)
