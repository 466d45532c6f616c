"""The messages of the kubelet's PodResources API v1, made from their field numbers.

In: the bytes of an answer. Out: protobuf messages. Only the fields that are used are declared;
protobuf skips the others. There is no generated code: it would have to fit the version of protobuf
that the site has. Source: k8s.io/kubelet/pkg/apis/podresources/v1/api.proto.

`protobuf` is imported when a message is first needed, since the base install does not have it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

LIST = "/v1.PodResourcesLister/List"
ALLOCATABLE = "/v1.PodResourcesLister/GetAllocatableResources"

EMPTY_REQUEST = b""
"""Both requests have no fields: their message is empty."""

_TEXT, _MESSAGE = 9, 11
"""Types of fields in a protobuf descriptor: TYPE_STRING, TYPE_MESSAGE."""

_ONE, _MANY = 1, 3
"""Labels of fields in a protobuf descriptor: LABEL_OPTIONAL, LABEL_REPEATED."""

_FIELDS: dict[str, tuple[tuple[str, int, str | None, int], ...]] = {
    "ListPodResourcesResponse": (("pod_resources", 1, "PodResources", _MANY),),
    "AllocatableResourcesResponse": (("devices", 1, "ContainerDevices", _MANY),),
    "PodResources": (
        ("name", 1, None, _ONE),
        ("namespace", 2, None, _ONE),
        ("containers", 3, "ContainerResources", _MANY),
    ),
    "ContainerResources": (
        ("name", 1, None, _ONE),
        ("devices", 2, "ContainerDevices", _MANY),
        ("dynamic_resources", 5, "DynamicResource", _MANY),
    ),
    "ContainerDevices": (("resource_name", 1, None, _ONE), ("device_ids", 2, None, _MANY)),
    "DynamicResource": (
        ("claim_name", 2, None, _ONE),
        ("claim_namespace", 3, None, _ONE),
        ("claim_resources", 4, "ClaimResource", _MANY),
    ),
    "ClaimResource": (
        ("driver_name", 2, None, _ONE),
        ("pool_name", 3, None, _ONE),
        ("device_name", 4, None, _ONE),
    ),
}
"""By message: the name, number, message type (None: text) and label of each field."""


def parse(message: str, data: bytes) -> Any:
    """Return an answer as a message.

    Args:
        message: its name, such as `ListPodResourcesResponse`.
        data: as the kubelet sent it.

    Raises:
        ValueError: it is no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return _classes()[message].FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from None


@cache
def _classes() -> dict[str, Any]:
    """Return the classes of the messages by name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="podresources.proto", package="v1", syntax="proto3"
    )
    for message, fields in _FIELDS.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, label in fields:
            declared.field.add(
                name=name,
                number=number,
                label=label,
                type=_TEXT if kind is None else _MESSAGE,
                type_name=None if kind is None else f".v1.{kind}",
            )
    # A pool of our own: another program part may have declared the package `v1` in the default one.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"v1.{name}"))
        for name in _FIELDS
    }
