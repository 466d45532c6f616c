"""The messages of OTLP, by the official Python classes.

In: the body of a request. Out: its blocks, one for each sender, or a `ValueError`. The packages are
imported when a message first needs them, since the base install does not have them.
Source: opentelemetry-proto, `collector/metrics/v1/metrics_service.proto`; the specification of OTLP
1.x, section OTLP/HTTP.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import Any

from tokenergy_collectors.base.errors import UserError

PROTOBUF, JSON = "application/x-protobuf", "application/json"
"""Types of content that are taken."""

_GZIP = 16 + zlib.MAX_WBITS
"""For zlib: expect a header of gzip."""


class TooLargeError(ValueError):
    """A message is larger than the limit."""


def load_otlp() -> None:
    """Import the packages of OTLP.

    Raises:
        UserError: they are not installed.
    """
    try:
        _service()
        import_module("google.rpc.status_pb2")
    except ImportError:
        raise UserError(
            "otlp: the packages of OpenTelemetry are needed: pip install 'tokenergy[otel]'"
        ) from None


def unpack(body: bytes, limit_bytes: int) -> bytes:
    """Return the content of a body in gzip.

    Raises:
        TooLargeError: it has more than `limit_bytes`.
        ValueError: it is no gzip, or cut off.
    """
    packed = zlib.decompressobj(_GZIP)
    try:
        # Never more than the limit is unpacked: a small body may hold gigabytes.
        found = packed.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"not gzip: {error}") from None
    if len(found) > limit_bytes:
        raise TooLargeError
    if not packed.eof:
        raise ValueError("gzip that is cut off")
    return found


def blocks(body: bytes, content: str) -> list[Any]:
    """Return the blocks of metrics of a request: each is of one resource, a `ResourceMetrics`.

    Args:
        body: the request.
        content: `PROTOBUF` or `JSON`.

    Raises:
        ValueError: it is no such request.
    """
    from google.protobuf.json_format import Parse, ParseError
    from google.protobuf.message import DecodeError

    request = _service().ExportMetricsServiceRequest()
    try:
        if content == JSON:
            Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no metrics in OTLP: {str(error)[:200]}") from None
    return list(request.resource_metrics)


def answer(rejected: int, why: str, content: str) -> bytes:
    """Return the answer to a request of which some points were not taken."""
    found = _service().ExportMetricsServiceResponse()
    if rejected:
        found.partial_success.rejected_data_points = rejected
        found.partial_success.error_message = why
    return _written(found, content)


def refusal(why: str, content: str) -> bytes:
    """Return the answer to a request that was not taken: a `Status`."""
    status = import_module("google.rpc.status_pb2")
    return _written(status.Status(message=why), content)


def attributes(pairs: Any) -> dict[str, str]:
    """Return attributes as text; those that are lists or maps are left out."""
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        if kind in ("string_value", "int_value", "bool_value", "double_value"):
            found[pair.key] = str(getattr(pair.value, kind))
    return found


def _written(message: Any, content: str) -> bytes:
    from google.protobuf.json_format import MessageToJson

    if content == JSON:
        return str(MessageToJson(message)).encode()
    return bytes(message.SerializeToString())


def _service() -> Any:
    return import_module("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
