"""A connection to one BMC: asks for resources, logs in, and logs in again when a session ends.

In: paths. Out: JSON and when it was read, or why there is none: `AwayError` if the BMC does not
answer or lets nobody in, `RefusedError` if it does not give this resource.

DMTF's own client is not used: it verifies no certificate unless it is given a file, waits without
a limit and repeats each request ten times unless told otherwise, sleeps where nobody can wake it,
and a server that sends a byte now and then holds it for ever.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.secret import SecretError
from tokenergy_collectors.sources.redfish.settings import RedfishDevice
from tokenergy_collectors.sources.redfish.wire import Reply, Wire, basic

ROOT = "/redfish/v1/"
_SESSIONS = "/redfish/v1/SessionService/Sessions"
_LOGOUT_S = 2.0

_LOCKED_US = 600_000_000
"""A password that was refused is not tried again for so long: BMCs lock users after a few tries."""

_REFUSED = "it refuses the user name or the password (HTTP 401)"


class RefusedError(Exception):
    """The BMC does not give this resource; the message says why.

    Attributes:
        missing: whether it says that there is no such resource.
    """

    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__(why)
        self.missing = missing


class Resource(NamedTuple):
    """A resource, with floats as `Decimal`, and when it was read (us UTC)."""

    body: Mapping[str, Any]
    ts_us: int


class Link:
    """One BMC. Its methods but `close` and `log_out` are called by one thread at a time.

    Args:
        device: the BMC, and how to log in.
        now_us: returns the stamp of this instant (us UTC).
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(
        self, device: RedfishDevice, now_us: Callable[[], int], monotonic_us: Callable[[], int]
    ) -> None:
        self._device = device
        self._wire = Wire(device, device.timeout_s)
        self._now_us = now_us
        self._monotonic_us = monotonic_us
        self._lock = threading.Lock()
        self._token: str | None = None
        self._session: str | None = None
        self._refused: tuple[str, int] | None = None
        """The password that was refused, and until when it is not tried again."""

    def get(self, path: str) -> Resource:
        """Return a resource.

        Raises:
            AwayError: the BMC does not answer, or lets nobody in.
            RefusedError: it does not give this resource.
        """
        headers, fresh = self._headers()
        before_us = self._now_us()
        reply = self._wire.ask("GET", path, headers)
        if reply.status == 401 and self._token is not None and not fresh:
            # The session has ended, as each does after some time.
            self._token = self._session = None
            headers, fresh = self._headers()
            before_us = self._now_us()
            reply = self._wire.ask("GET", path, headers)
        ts_us = (before_us + self._now_us()) // 2
        if reply.status == 401 and not fresh:
            self._fail_login(headers)
        return Resource(_body(reply, path), ts_us)

    def close(self) -> None:
        """End a request under way, from any thread; no other one follows."""
        self._wire.close()

    def log_out(self) -> None:
        """End the session, after `close`: a BMC has only few."""
        with self._lock:
            session, token = self._session, self._token
            self._session = self._token = None
        if session is None or token is None:
            return
        wire = Wire(self._device, min(_LOGOUT_S, self._device.timeout_s))
        try:
            wire.ask("DELETE", session, {"X-Auth-Token": token})
        except AwayError:
            return  # it ends by itself
        finally:
            wire.close()

    def _headers(self) -> tuple[dict[str, str], bool]:
        """Return what says who asks, and whether a session has just begun."""
        device = self._device
        if device.username is None:
            return {}, False
        if self._token is not None:
            return {"X-Auth-Token": self._token}, False
        try:
            password = device.password()
        except SecretError as error:
            raise AwayError(str(error), connected=False) from None
        if self._refused is not None:
            refused, until_us = self._refused
            if refused == password and self._monotonic_us() < until_us:
                raise AwayError(_REFUSED, connected=True)
            self._refused = None
        if device.auth == "basic":
            return {"Authorization": basic(device.username, password)}, False
        self._log_in(device.username, password)
        return {"X-Auth-Token": self._token or ""}, True

    def _log_in(self, username: str, password: str) -> None:
        """Begin a session.

        Raises:
            AwayError: the BMC gives none.
        """
        path = self._sessions()
        # On a connection of its own: the request is never repeated, which could leave a session.
        self._wire.hang_up()
        login = json.dumps({"UserName": username, "Password": password})
        reply = self._wire.ask("POST", path, {"Content-Type": "application/json"}, login.encode())
        if reply.status in (401, 403):
            self._refuse(password)
        token = reply.headers.get("x-auth-token")
        if reply.status not in (200, 201, 202, 204) or not token:
            raise AwayError(
                f"it gives no session (HTTP {reply.status}): are too many open? "
                'auth = "basic" needs none',
                connected=True,
            )
        with self._lock:
            self._token = token
            self._session = urlsplit(reply.headers.get("location", "")).path or None

    def _sessions(self) -> str:
        """Return the path of the sessions, which the root tells anyone who asks."""
        try:
            root = _body(self._wire.ask("GET", ROOT, {}), ROOT)
        except RefusedError:
            return _SESSIONS
        return link_of(root.get("Links"), "Sessions") or _SESSIONS

    def _fail_login(self, headers: Mapping[str, str]) -> None:
        if not headers:
            raise AwayError("it asks for a user name and password (HTTP 401)", connected=True)
        try:
            self._refuse(self._device.password())
        except SecretError as error:
            raise AwayError(str(error), connected=False) from None

    def _refuse(self, password: str) -> None:
        self._refused = (password, self._monotonic_us() + _LOCKED_US)
        raise AwayError(_REFUSED, connected=True)


def link_of(part: Any, name: str) -> str | None:
    """Return the path to which a link leads; None if there is none, or it is no path."""
    found = part.get(name) if isinstance(part, Mapping) else None
    path = found.get("@odata.id") if isinstance(found, Mapping) else None
    if not isinstance(path, str) or not path.startswith("/"):
        return None
    # A BMC may not have other requests sent by what it calls a path.
    return path if path.isascii() and path.isprintable() and " " not in path else None


def _body(reply: Reply, path: str) -> Mapping[str, Any]:
    if reply.status in (429, 503):
        raise AwayError(f"it is busy or starts (HTTP {reply.status})", connected=True)
    if reply.status == 404:
        raise RefusedError(f"the BMC has no {path} (HTTP 404)", missing=True)
    if reply.status in (401, 403):
        raise RefusedError(f"the user may not read {path} (HTTP {reply.status})")
    if 300 <= reply.status < 400:
        raise RefusedError(f"{path} redirects to another address (HTTP {reply.status})")
    if reply.status != 200:
        raise RefusedError(f"{path}: HTTP {reply.status}")
    try:
        found = json.loads(reply.body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RefusedError(f"{path}: an answer that is not JSON") from None
    if not isinstance(found, dict):
        raise RefusedError(f"{path}: an answer that is not Redfish")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
