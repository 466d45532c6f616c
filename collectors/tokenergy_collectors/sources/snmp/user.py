"""SNMP v3: a user, whose messages are signed and perhaps encrypted.

In: objects to get. Out: the answer, or what of v3 went wrong. pysnmp's engine speaks, in an event
loop that runs in the thread that asks.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from tokenergy_collectors.sources.meters.udp import Address, StoppedError
from tokenergy_collectors.sources.snmp.session import Answer, Session
from tokenergy_collectors.sources.snmp.settings import SnmpDevice

_AUTH = {
    "md5": "HMAC96_MD5", "sha": "HMAC96_SHA", "sha224": "HMAC128_SHA224",
    "sha256": "HMAC192_SHA256", "sha384": "HMAC256_SHA384", "sha512": "HMAC384_SHA512",
}  # fmt: skip
_PRIV = {
    "des": "CBC56_DES", "aes": "CFB128_AES", "aes192": "CFB192_AES", "aes256": "CFB256_AES",
}  # fmt: skip

# pysnmp's timers go by the wall clock, in steps of half a second: they shall not end a request.
_NEVER_S = 86_400

_making = threading.Lock()
"""An engine takes 0.1 s of CPU: many at once would take the turns of the sampling."""

Result = TypeVar("Result")


class UserSession(Session):
    """Asks as a user of v3.

    Args:
        address: where the agent is.
        device: its user, and how messages are signed and encrypted.
        auth_key: the user's passphrase for signing; None if they are not signed.
        priv_key: for encryption.
    """

    def __init__(
        self, address: Address, device: SnmpDevice, auth_key: str | None, priv_key: str | None
    ) -> None:
        self._api = api = import_module("pysnmp.hlapi.v3arch.asyncio")
        self._user = api.UsmUserData(
            device.user,
            auth_key,
            priv_key,
            authProtocol=getattr(api, f"USM_AUTH_{_AUTH.get(device.auth, 'NONE')}"),
            privProtocol=getattr(api, f"USM_PRIV_{_PRIV.get(device.priv, 'NONE')}"),
        )
        self._context = api.ContextData(contextName=device.context.encode())
        self._stopped = False
        self._request: asyncio.Task[Any] | None = None
        self._loop = asyncio.new_event_loop()
        # What comes from elsewhere, or is no SNMP, must not reach the log.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._engine, self._target = self._run(self._open(address))

    def get(self, oids: Sequence[str], timeout_s: float) -> Answer:
        """Return the answer to one request; it raises what `Session.get` does."""
        api = self._api
        asked = [api.ObjectType(api.ObjectIdentity(oid)) for oid in oids]
        found = api.get_cmd(
            self._engine, self._user, self._target, self._context, *asked, lookupMib=False
        )
        error, status, _, binds = self._run(asyncio.wait_for(found, timeout_s))
        return Answer(None if error is None else type(error).__name__, int(status), binds)

    def stop(self) -> None:
        """End a request under way, from any thread, and every later one."""
        self._stopped = True
        request = self._request
        if request is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(request.cancel)

    def close(self) -> None:
        """Close the socket."""
        self._engine.close_dispatcher()
        self._loop.run_until_complete(_settle())
        self._loop.close()

    async def _open(self, address: Address) -> tuple[Any, Any]:
        six = address.family == socket.AF_INET6
        kind = self._api.Udp6TransportTarget if six else self._api.UdpTransportTarget
        target = await kind.create((address.host, address.port), timeout=_NEVER_S, retries=0)
        # One for each device: an engine has one key for each user, whatever the device.
        with _making:
            return self._api.SnmpEngine(), target

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        self._request = self._loop.create_task(work)
        try:
            if self._stopped:
                self._request.cancel()
            found: Result = self._loop.run_until_complete(self._request)
            return found
        except asyncio.CancelledError:
            raise StoppedError from None
        finally:
            self._request = None


async def _settle() -> None:
    """Let closed sockets and cancelled timers end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)
