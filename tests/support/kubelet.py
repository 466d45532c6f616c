"""A kubelet's PodResources server on a Unix socket, for tests.

Its messages are encoded here from the field numbers of the API (v1/api.proto), by hand: the code
under test has its own description of them, which could not be wrong without being found.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

LENGTH_DELIMITED = 2


def field(number: int, value: bytes | str) -> bytes:
    """One field of the wire format: a text or a message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def devices(resource: str, ids: Iterable[str]) -> bytes:
    """ContainerDevices: resource_name = 1, device_ids = 2, topology = 3 (a message)."""
    topology = field(3, field(1, b"\x08\x01"))
    return field(1, resource) + b"".join(field(2, one) for one in ids) + topology


def claim(name: str, *found: tuple[str, str, str]) -> bytes:
    """DynamicResource: claim_name = 2, claim_namespace = 3, claim_resources = 4."""
    resources = b"".join(
        # ClaimResource: cdi_devices = 1, driver_name = 2, pool_name = 3, device_name = 4.
        field(4, field(1, field(1, "cdi")) + field(2, driver) + field(3, pool) + field(4, device))
        for driver, pool, device in found
    )
    return field(2, name) + field(3, "default") + resources


def pod(
    name: str,
    *ids: str,
    namespace: str = "default",
    container: str = "main",
    resource: str = "nvidia.com/gpu",
    claims: Iterable[bytes] = (),
) -> bytes:
    """PodResources: name = 1, namespace = 2, containers = 3.

    ContainerResources: name = 1, devices = 2, cpu_ids = 3, memory = 4, dynamic_resources = 5.
    """
    held = field(2, devices(resource, ids)) if ids else b""
    cpus = _varint(3 << 3 | LENGTH_DELIMITED) + b"\x02\x00\x01"
    dynamic = b"".join(field(5, one) for one in claims)
    return (
        field(1, name) + field(2, namespace) + field(3, field(1, container) + held + cpus + dynamic)
    )


class FakeKubelet:
    """Serves `List` and `GetAllocatableResources`; the attributes may change at any time.

    Attributes:
        pods: PodResources.
        allocatable: ids of devices that pods may get.
        has_allocatable: False for a kubelet that does not serve that call.
        calls: the methods that were called.
        asked: set at the first call.
    """

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "kubelet.sock"
        self.pods: list[bytes] = []
        self.allocatable: list[str] = []
        self.has_allocatable = True
        self.calls: list[str] = []
        self.asked = threading.Event()
        self._released = threading.Event()
        self._released.set()
        self._server: Any = None

    def hang(self) -> None:
        """Answer nothing until `release`."""
        self._released.clear()

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        self._released.set()

    def start(self) -> None:
        """Make the socket anew and serve it."""
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Handler(self),))
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def stop(self) -> None:
        """End, and remove the socket, as a kubelet does that is stopped."""
        self.release()
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None
        self.socket.unlink(missing_ok=True)

    def answer(self, method: str, context: Any) -> bytes:
        self.calls.append(method)
        self.asked.set()
        self._released.wait(30)
        if method == "List":
            return b"".join(field(1, one) for one in self.pods)
        if not self.has_allocatable:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown method")
        return field(1, devices("nvidia.com/gpu", self.allocatable))


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, kubelet: FakeKubelet) -> None:
        self._kubelet = kubelet

    def service(self, details: Any) -> Any:
        service, method = details.method.rsplit("/", 1)
        if service != "/v1.PodResourcesLister":
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._kubelet.answer(method, context)
        )


class HostFolders:
    """/var/log/pods and /sys/fs/cgroup of a host, as the kubelet fills them."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.cgroups = folder / "pods", folder / "cgroup"
        self.logs.mkdir()
        self.cgroups.mkdir()
        self.run("collector", 0xFFFF)  # which runs in a pod itself

    def run(self, name: str, number: int, namespace: str = "default") -> None:
        """Let a pod run: first it has a cgroup, then a folder of logs."""
        self._cgroup(number).mkdir(parents=True)
        (self.logs / f"{namespace}_{name}_{_uid(number)}").mkdir()

    def end(self, number: int) -> None:
        """Let a pod end: its cgroup is removed, its logs stay."""
        self._cgroup(number).rmdir()

    def _cgroup(self, number: int) -> Path:
        name = f"kubepods-burstable-pod{_uid(number).replace('-', '_')}.slice"
        return self.cgroups / "kubepods.slice" / "kubepods-burstable.slice" / name


def _uid(number: int) -> str:
    return f"{number:08x}-1111-2222-3333-444455556666"
