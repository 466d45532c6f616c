"""A connection to one Modbus server: a meter, or a gateway with several devices behind it.

In: requests for registers. Out: their words and when they were read, or why there are none:
`AwayError` if nobody answered, `RefusedError` if the device answered with an exception code.

pymodbus is imported when the first link is made: a collector without meters does not need it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Literal, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.meters.reader import AwayError

_FUNCTIONS = {"holding": 3, "input": 4}

_EXCEPTIONS = {
    1: "the device has no registers of this kind",
    2: "the device has no register at this address",
    3: "the device does not accept this request",
    4: "the device failed to read it",
    5: "the device has not finished",
    6: "the device is busy",
    8: "the device's memory has an error",
    10: "the gateway has no way to the device",
    11: "the device behind the gateway does not answer",
}

_OF_THE_DEVICE = frozenset({5, 6, 10, 11})
"""Exception codes that say nothing about an address: another request has the same answer."""


class RefusedError(Exception):
    """The device answered with an exception code.

    Attributes:
        code: the code.
        of_the_device: whether other registers of the device would have the same answer.
    """

    def __init__(self, code: int) -> None:
        words = _EXCEPTIONS.get(code, "the device refuses")
        super().__init__(f"{words} (exception {code})")
        self.code = code
        self.of_the_device = code in _OF_THE_DEVICE


class Words(NamedTuple):
    """The words of neighbouring registers, and when they were read (us UTC)."""

    words: list[int]
    ts_us: int


class Link:
    """One connection, which several threads may use: their requests take turns.

    Args:
        host: the server.
        port: its TCP port.
        timeout_s: how long to wait for a connection, and for each answer.
        now_us: returns the stamp of this instant (us UTC).

    Raises:
        UserError: pymodbus is not installed.
    """

    def __init__(self, host: str, port: int, timeout_s: float, now_us: Callable[[], int]) -> None:
        modbus = load_pymodbus()
        self._failure: type[Exception] = modbus.ModbusException
        self._place = (host, port)
        self._timeout_s = timeout_s
        self._now_us = now_us
        self._lock = threading.Lock()
        self._closed = False
        # A request is not repeated on the same connection: an answer that comes late would be
        # taken for that of the second one by devices that do not number them.
        self._client = import_module("pymodbus.client").ModbusTcpClient(
            host, port=port, timeout=timeout_s, retries=0
        )

    def read(
        self, kind: Literal["holding", "input"], address: int, count: int, device_id: int
    ) -> Words:
        """Return the words of neighbouring registers.

        Args:
            kind: of registers.
            address: of the first one, from 0.
            count: how many; at most 125.
            device_id: the device that has them.

        Raises:
            AwayError: nobody answered; the connection is closed, and the next call opens another.
            RefusedError: the device answered with an exception code.
        """
        with self._lock:
            if self._client.socket is not None:
                # Servers close connections that were idle, or restart: that shows only now.
                with suppress(AwayError):
                    return self._ask(kind, address, count, device_id)
            self._connect()
            return self._ask(kind, address, count, device_id)

    def close(self) -> None:
        """End a request under way, from any thread; no other one follows."""
        self._closed = True
        found = self._client.socket
        if found is not None:
            # Only the thread that waits for it may close it: its number could be another file's.
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
        if self._lock.acquire(blocking=False):
            self._client.close()
            self._lock.release()

    def _connect(self) -> None:
        # Not `client.connect`: it only tells that it failed, and logs why.
        if self._closed:
            raise AwayError("the collector stops", connected=False)
        try:
            self._client.socket = socket.create_connection(self._place, self._timeout_s)
        except socket.gaierror:
            raise AwayError("the name of the host is not known", connected=False) from None
        except TimeoutError:
            raise AwayError(
                f"no connection within {self._timeout_s:g} s", connected=False
            ) from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise AwayError(f"no connection: {why}", connected=False) from None

    def _ask(self, kind: Literal["holding", "input"], address: int, count: int, id_: int) -> Words:
        read = (
            self._client.read_holding_registers
            if kind == "holding"
            else self._client.read_input_registers
        )
        before_us = self._now_us()
        try:
            answer = read(address, count=count, device_id=id_)
            ts_us = (before_us + self._now_us()) // 2
            if answer.isError():
                raise RefusedError(answer.exception_code)
            if answer.function_code != _FUNCTIONS[kind] or len(answer.registers) != count:
                raise AwayError("an answer to another request", connected=True)
        except (self._failure, OSError) as error:
            self._client.close()
            raise AwayError(self._why(error), connected=True) from None
        except AwayError:
            self._client.close()
            raise
        return Words(list(answer.registers), ts_us)

    def _why(self, error: Exception) -> str:
        """Return what went wrong, without the transaction numbers of pymodbus's words."""
        if "No response received" in str(error):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(error, OSError) or "onnection" in str(error):
            return "the server closed the connection"
        return "an answer that is not Modbus"


def load_pymodbus() -> ModuleType:
    """Return the module `pymodbus`.

    Raises:
        UserError: it is not installed.
    """
    try:
        found = import_module("pymodbus")
    except ImportError:
        raise UserError("modbus: pymodbus is needed: pip install 'tokenergy[meters]'") from None
    # It logs each failed request with the bytes of earlier ones; failures are told by their events.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)
    return found
