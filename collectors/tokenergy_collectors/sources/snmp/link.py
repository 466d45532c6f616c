"""Asks one SNMP agent for the values of objects.

In: numbers of objects. Out: their values and when they were read, or why there are none:
`SilentError` if nobody answered or not who was asked, `StatusError` if the agent refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tokenergy_collectors.sources.meters.groups import RefusedError
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.secret import SecretError
from tokenergy_collectors.sources.meters.udp import Address, StoppedError, find_address, no_way
from tokenergy_collectors.sources.snmp.community import CommunitySession
from tokenergy_collectors.sources.snmp.session import (
    Answer,
    Session,
    load_pysnmp,
)
from tokenergy_collectors.sources.snmp.settings import SnmpDevice
from tokenergy_collectors.sources.snmp.user import UserSession
from tokenergy_collectors.sources.snmp.values import Value

_STATUS = {
    1: "the answer is too long for the device",
    2: "the device has no such object",
    5: "the device failed to read it",
    6: "the device does not let this be read",
    13: "the device has no resources left",
    16: "the device does not let this community or user read",
}

_OF_THE_DEVICE = frozenset({13, 16})
"""Statuses that say nothing about an object: another request has the same answer."""

_REPORTS = {
    "UnknownUserName": "the device does not know the user",
    "UnknownSecurityName": "the device does not know the user",
    "WrongDigest": "the device refuses the user's auth key",
    "AuthenticationFailure": "the device refuses the user's auth key",
    "AuthenticationError": "the device refuses the user's auth key",
    "UnsupportedSecurityLevel": "the device asks another auth or priv of this user",
    "DecryptionError": "the device cannot decrypt what this user sends",
}
"""What errors of v3 mean, by pysnmp's classes."""

_TYPES = {"Integer": "Integer32", "Unsigned32": "Gauge32"}
"""Types of one encoding: RFC 2578 tells them apart, the wire does not."""

_NUMBERS = frozenset({"Gauge32", "Counter32", "Counter64", "Integer32"})


_MOST_UNANSWERED = 20
"""After so many requests without any answer a session is replaced."""


class SilentError(AwayError):
    """The agent did not answer, or refused who asked.

    Attributes:
        answered: whether it answered that it refuses.
    """

    def __init__(self, why: str, *, answered: bool) -> None:
        super().__init__(why, connected=True)
        self.answered = answered


class StatusError(RefusedError):
    """The agent answered with an error status.

    Attributes:
        status: its number in RFC 3416; 0 for an answer that does not fit the request.
    """

    def __init__(self, status: int) -> None:
        why = _STATUS.get(status, "the device refuses")
        if status:
            super().__init__(f"{why} (error {status})", of_the_device=status in _OF_THE_DEVICE)
        else:
            super().__init__("the device answers for other objects")
        self.status = status


class Values(NamedTuple):
    """The values of objects, in the order asked, and when they were read (us UTC)."""

    values: list[Value]
    ts_us: int


class Link:
    """Asks one agent; opens and forgets sessions.

    Args:
        device: the agent, and who asks.
        now_us: returns the stamp of this instant (us UTC).

    Raises:
        UserError: pysnmp is not installed.
    """

    def __init__(self, device: SnmpDevice, now_us: Callable[[], int]) -> None:
        user = device.version == "3"
        load_pysnmp(user=user, encrypted=user and device.priv != "none")
        self._device = device
        self._now_us = now_us
        self._session: Session | None = None
        self._made_from: tuple[Address, tuple[str | None, ...]] | None = None
        self._asking = threading.Lock()
        self._changing = threading.Lock()
        self._closed = False

    def get(self, oids: Sequence[str]) -> Values:
        """Return the values of objects.

        Raises:
            AwayError: there is no answer; the next call begins a new session.
            StatusError: the agent answered with an error status.
        """
        with self._asking:
            try:
                return self._get_twice(oids)
            finally:
                if self._closed:
                    self._forget()

    def close(self) -> None:
        """End a request under way, from any thread; no other one follows."""
        with self._changing:
            self._closed = True
            if self._session is not None:
                self._session.stop()
        if self._asking.acquire(blocking=False):
            self._forget()
            self._asking.release()

    def _get_twice(self, oids: Sequence[str]) -> Values:
        try:
            return self._get(oids)
        except SilentError as error:
            # UDP loses packets, and for v3 an agent that restarted is another one.
            used = self._session is not None and not self._session.fresh
            self._forget_if_of_no_use(error)
            if error.answered and not used:
                raise
        try:
            return self._get(oids)
        except SilentError as error:
            self._forget_if_of_no_use(error)
            raise

    def _forget_if_of_no_use(self, error: SilentError) -> None:
        """Keep a session in which nothing was answered yet: a new engine of v3 costs 0.1 s of CPU.

        pysnmp keeps something of each request that is not answered, so not for ever.
        """
        session = self._session
        if session is None:
            return
        session.unanswered += 1
        if error.answered or not session.fresh or session.unanswered >= _MOST_UNANSWERED:
            self._forget()

    def _forget(self) -> None:
        with self._changing:
            found, self._session = self._session, None
        if found is not None:
            found.close()

    def _get(self, oids: Sequence[str]) -> Values:
        session = self._open()
        before_us = self._now_us()
        answer = self._ask(session, oids)
        ts_us = (before_us + self._now_us()) // 2
        if answer.error == "TooBig":
            raise StatusError(1)
        if answer.error is not None:
            why = _REPORTS.get(answer.error, f"an error of SNMP v3: {answer.error}")
            raise SilentError(why, answered=True)
        session.fresh = False
        if answer.status:
            raise StatusError(answer.status)
        if [str(oid) for oid, _ in answer.found] != list(oids):
            raise StatusError(0)
        return Values([_plain(value) for _, value in answer.found], ts_us)

    def _open(self) -> Session:
        """Return the session; open one if there is none, or if address or keys are others now.

        Raises:
            AwayError: the host's name is not known, a secret is missing, or the collector stops.
        """
        if self._session is None or self._session.fresh:
            address, secrets = find_address(self._device.host, self._device.port), self._secrets()
            if (address, secrets) != self._made_from:
                self._forget()
            if self._session is None:
                found = self._make(address, secrets)
                with self._changing:
                    self._session, self._made_from = found, (address, secrets)
        if self._closed:
            raise AwayError("the collector stops", connected=False)
        return self._session

    def _secrets(self) -> tuple[str | None, ...]:
        """Return community, auth key and priv key as they are now, None for what is not needed."""
        device = self._device
        try:
            if device.version == "2c":
                return device.community(), None, None
            return None, device.auth_key(), device.priv_key()
        except SecretError as error:
            raise AwayError(str(error), connected=False) from None

    def _make(self, address: Address, secrets: tuple[str | None, ...]) -> Session:
        community, auth_key, priv_key = secrets
        if community is None:
            return UserSession(address, self._device, auth_key, priv_key)
        try:
            return CommunitySession(address, community)
        except OSError as error:
            raise no_way(error) from None

    def _ask(self, session: Session, oids: Sequence[str]) -> Answer:
        try:
            return session.get(oids, self._device.timeout_s)
        except TimeoutError:
            why = f"no answer within {self._device.timeout_s:g} s"
            raise SilentError(why, answered=False) from None
        except ConnectionError:
            raise SilentError("nobody listens at this port", answered=False) from None
        except StoppedError:
            raise AwayError("the collector stops", connected=False) from None
        except OSError as error:
            raise no_way(error) from None


def _plain(value: Any) -> Value:
    """Return a value without pysnmp's types."""
    name = type(value).__name__
    type_ = _TYPES.get(name, name)
    if type_ in _NUMBERS:
        return Value(type_, int(value))
    return Value(type_, bytes(value) if type_ == "OctetString" else None)
