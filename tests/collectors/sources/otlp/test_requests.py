"""What the `otlp` source refuses, and what it answers."""

import gzip
import json
import socket
import sys
import tracemalloc

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

from tests.collectors.sources.otlp.rig import START, post, request
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.otlp import server
from tokenergy_collectors.sources.otlp.messages import TooLargeError, unpack
from tokenergy_collectors.sources.otlp.settings import Otlp, OtlpKeys
from tokenergy_collectors.sources.otlp.source import OtlpTokens


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (request((1, 2, 3), kind="gauge"), "is a gauge: expected a counter"),
        (request((1, 2, 3), monotonic=False), "can fall: expected a monotonic sum"),
        (request((1, 2, 3), temporality=0), "has no temporality"),
        (request((1, 2, -3)), "expected 0 to 2^53"),
        (request((1, 2, 2**60)), "expected 0 to 2^53"),
        (request((1, 0, 3)), "has no time"),
    ],
)
def test_points_that_cannot_be_used_are_a_partial_success(make, message, why):
    rig = make()
    status, answer = post(rig, message, "application/json")
    partial = json.loads(answer)["partialSuccess"]
    assert (status, partial["rejectedDataPoints"]) == (200, "1")
    assert why in partial["errorMessage"]
    rig.record()
    assert rig.rows == []


# `mtime=0`: the bodies are in the names of the tests, which must be the same in each worker.
@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "why"),
    [
        (b"\xff" * 40, "application/x-protobuf", {}, 400, b"no metrics in OTLP"),
        (b"{", "application/json", {}, 400, b"no metrics in OTLP"),
        (b'{"resourceMetrics":' + b"[" * 9000, "application/json", {}, 400, b"no metrics"),
        (b"\xff\xfe", "application/json", {}, 400, b"no metrics in OTLP"),
        (b"{}", "text/plain", {}, 415, b"expected application/x-protobuf"),
        (b"x", "application/json", {"Content-Encoding": "br"}, 415, b"expected gzip"),
        (b"xyz!" * 9, "application/json", {"Content-Encoding": "gzip"}, 400, b"not gzip"),
        (
            gzip.compress(b"{}", mtime=0)[:-9],
            "application/json",
            {"Content-Encoding": "gzip"},
            400,
            b"cut",
        ),
        (b" " * 16385, "application/json", {}, 413, b"more than 16 KiB"),
        (
            gzip.compress(b" " * 10**8, mtime=0),
            "application/json",
            {"Content-Encoding": "gzip"},
            413,
            b"128",
        ),
    ],
)
def test_requests_that_are_refused_say_why(make, body, kind, headers, status, why):
    rig = make(limit_kib=128 if len(body) > 20_000 else 16)
    found, answer = post(rig, body, kind, **headers)
    assert found == status
    assert why in answer
    assert "a request was refused" in (rig.record() or "")
    assert post(rig, request((START, START + 1, 9)), "application/json")[0] == 200
    assert rig.record() is None
    assert [row["value"] for row in rig.rows] == [9]


def test_a_small_body_that_holds_gigabytes_takes_no_memory():
    body = gzip.compress(b" " * 10**8)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            unpack(body, 16_384)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_other_signals_are_not_taken_and_are_no_problem(make):
    rig = make()
    assert post(rig, b"", path="/v1/traces")[0] == 404
    assert rig.record() is None


def test_an_answer_in_protobuf_names_what_was_refused(make):
    rig = make()
    block = service.ExportMetricsServiceRequest().resource_metrics.add()
    metric = block.scope_metrics.add().metrics.add(name="gen_ai.client.token.usage")
    point = metric.histogram.data_points.add(sum=5, time_unix_nano=START * 10**9)
    point.attributes.add(key="gen_ai.token.type").value.string_value = "output"
    metric.histogram.aggregation_temporality = 2
    body = service.ExportMetricsServiceRequest(resource_metrics=[block]).SerializeToString()
    status, answer = post(rig, body)
    found = service.ExportMetricsServiceResponse.FromString(answer).partial_success
    assert (status, found.rejected_data_points) == (200, 1)
    assert "'unknown_service' has no job" in found.error_message


def test_silent_clients_are_cut_off_and_others_are_served(make, monkeypatch):
    monkeypatch.setattr(server, "_REQUEST_S", 0.3)
    rig = make()
    silent = [socket.create_connection(("127.0.0.1", rig.source.port)) for _ in range(4)]
    for one in silent:
        one.settimeout(20)
        one.sendall(b"POST /v1/metrics HTTP/1.1\r\nContent-Type: application/json\r\n")
        assert one.recv(1000) == b""  # cut off by the server, not by this test's timeout
        one.close()
    assert post(rig, request((START, START + 1, 9)), "application/json")[0] == 200


def test_a_port_in_use_and_addresses_of_the_network_are_errors(make):
    rig = make()
    keys = OtlpKeys(otlp=Otlp(listen=f"127.0.0.1:{rig.source.port}"))
    with pytest.raises(UserError, match=r"otlp\.listen: .*in use; does another collector"):
        OtlpTokens(keys, rig.host).begin()
    for listen in ("0.0.0.0:4318", "unix:/x", "4318", "localhost:x"):
        with pytest.raises(
            ValueError, match=r"expected 127\.0\.0\.1:PORT or \[::1\]:PORT"
        ) as found:
            Otlp(listen=listen)
        assert "unix:/PATH" not in str(found.value)
    with pytest.raises(ValueError, match="expected one of prompt_all"):
        Otlp(mapping={"my.tokens": "seen"})
    with pytest.raises(ValueError, match="is no metric"):
        Otlp(mapping={"my tokens": "trained"})


def test_without_the_packages_the_daemon_says_what_to_install(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.metrics.v1", None)
    name = "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install 'tokenergy\[otel\]'"):
        make()
    keys = OtlpKeys(otlp=Otlp(listen="127.0.0.1:0"))
    [found] = OtlpTokens.check(keys, Host("n", SystemClock(), Log("text")))
    assert found.level == "FAIL"
