"""Asks the kubelet of this node, over its Unix socket.

In: the socket. Out: answers, or a `KubeletError` that says what is wrong and what to do.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.kubernetes import messages

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # of the environment: the socket is on this host
    # Else the next channel would wait for the back-off of the one that failed, up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
)


class KubeletError(Exception):
    """The kubelet did not answer; the text says why."""


class Kubelet:
    """A client of one kubelet; for one thread.

    Args:
        socket: the PodResources socket.
        timeout_s: how long to wait for an answer.
        limit_mib: a larger answer is refused.

    Raises:
        UserError: grpcio or protobuf is not installed.
    """

    def __init__(self, socket: str, timeout_s: float, limit_mib: int) -> None:
        self._grpc = load_grpc()
        self._socket = socket
        self._timeout_s = timeout_s
        self._limit_mib = limit_mib
        self._channel: Any = None

    def pods(self) -> Any:
        """Return the pods and their devices: a `ListPodResourcesResponse`.

        Raises:
            KubeletError: there is no usable answer.
        """
        return self._ask(messages.LIST, "ListPodResourcesResponse")

    def allocatable(self) -> Any:
        """Return all devices that pods may get: an `AllocatableResourcesResponse`.

        Raises:
            KubeletError: there is no usable answer.
        """
        return self._ask(messages.ALLOCATABLE, "AllocatableResourcesResponse")

    def place(self) -> tuple[int, int] | None:
        """Return what changes when the kubelet makes its socket anew; None if there is none."""
        try:
            found = Path(self._socket).stat()
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _ask(self, method: str, answer: str) -> Any:
        self._look()
        if self._channel is None:
            limit = ("grpc.max_receive_message_length", self._limit_mib << 20)
            target = f"unix:{self._socket}"
            self._channel = self._grpc.insecure_channel(target, options=(*_OPTIONS, limit))
        try:
            # Without serializers the messages are bytes.
            call = self._channel.unary_unary(method)
            return messages.parse(answer, call(messages.EMPTY_REQUEST, timeout=self._timeout_s))
        except self._grpc.RpcError as error:
            self.close()
            raise KubeletError(f"{self._socket}: {self._why(error)}") from None
        except ValueError as error:
            self.close()
            raise KubeletError(f"{self._socket}: not an answer of a kubelet: {error}") from None

    def _look(self) -> None:
        """Raise `KubeletError` if there is no socket that may be used: gRPC's words are unclear."""
        path = Path(self._socket)
        try:
            found = path.is_socket()
            there = path.exists()
        except PermissionError:
            raise KubeletError(f"{path}: no permission; {_WHO}") from None
        if not there:
            raise KubeletError(
                f"{path} does not exist; is a kubelet running here, and is its folder "
                f"{path.parent} mounted into the collector's container?"
            )
        if not found:
            raise KubeletError(f"{path} is not a socket")
        if not os.access(path, os.R_OK | os.W_OK):
            raise KubeletError(f"{path}: no permission; {_WHO}")

    def _why(self, error: Any) -> str:
        """Return the reason of a failed call, without addresses and times, which change."""
        code = error.code()
        status = self._grpc.StatusCode
        if code is status.DEADLINE_EXCEEDED:
            return f"no answer within {self._timeout_s:g} s"
        if code is status.UNAVAILABLE:
            return "nothing answers; the kubelet is not running, or restarts"
        if code is status.RESOURCE_EXHAUSTED:
            return (
                f"the answer is larger than {self._limit_mib} MiB, or the kubelet is asked too "
                "often; raise kubernetes.limit_mib or every_s"
            )
        if code is status.UNIMPLEMENTED:
            return "it does not serve PodResources v1; expected Kubernetes 1.20 or newer"
        return f"the kubelet says {code.name}"


_WHO = "the kubelet's socket is root's: run the collector's container as user 0, as deploy/ does"


def load_grpc() -> ModuleType:
    """Return the module `grpc`.

    Raises:
        UserError: it, or protobuf, is not installed.
    """
    # gRPC would write its own lines to standard error, between those of the log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import_module("google.protobuf.message")
        return import_module("grpc")
    except ImportError:
        raise UserError(
            "kubernetes: grpcio and protobuf are needed: pip install 'tokenergy[kubernetes]'"
        ) from None
