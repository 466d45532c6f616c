"""What an agent is asked with: sessions of v2c and of v3, which the next one replaces.

In: objects to get. Out: what the agent answered. Only GET requests are sent.

pysnmp is imported when the first session is opened: a collector without meters does not need it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from tokenergy_collectors.base.errors import UserError


class Answer(NamedTuple):
    """What an agent answered.

    Attributes:
        error: what went wrong in v3, by pysnmp's name; None if nothing did.
        status: error status of RFC 3416.
        found: objects and values, as pysnmp has them.
    """

    error: str | None
    status: int
    found: Sequence[tuple[Any, Any]]


class Session(ABC):
    """What one agent is asked with.

    Attributes:
        fresh: whether nothing has been answered yet.
        unanswered: how many requests were not answered.
    """

    fresh = True
    unanswered = 0

    @abstractmethod
    def get(self, oids: Sequence[str], timeout_s: float) -> Answer:
        """Return the answer to one request.

        Raises:
            TimeoutError: there was none.
            OSError: there is no way to the agent, or nobody listens there.
            StoppedError: `stop` was called.
        """

    @abstractmethod
    def stop(self) -> None:
        """End a request under way, from any thread, and every later one."""

    @abstractmethod
    def close(self) -> None:
        """Close the socket; no request may be under way."""


def load_pysnmp(*, user: bool, encrypted: bool) -> None:
    """Load pysnmp: later that would disturb the sampling.

    Args:
        user: also what v3 needs.
        encrypted: also what it encrypts with.

    Raises:
        UserError: it is not installed.
    """
    part = "pysnmp.hlapi.v3arch.asyncio" if user else "pysnmp.proto.api.v2c"
    for name in ("pysnmp", part, *(["cryptography"] if encrypted else [])):
        try:
            import_module(name)
        except ImportError:
            raise UserError(f"snmp: {name} is needed: pip install 'tokenergy[meters]'") from None
