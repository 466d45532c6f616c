"""The `otlp` source: what the official SDK pushes becomes rows of `tokens`."""

import gzip
import http.client
import json
import socket
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from itertools import pairwise

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from tests.support.lakes import LakeBuilder
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.otlp import counts, server
from tokenergy_collectors.sources.otlp.messages import TooLargeError, unpack
from tokenergy_collectors.sources.otlp.settings import Otlp, OtlpKeys
from tokenergy_collectors.sources.otlp.source import OtlpTokens
from tokenergy_sql.index.tokens import Usage

DELTA = dict.fromkeys((sdk.Counter, sdk.Histogram), AggregationTemporality.DELTA)
USAGE = "gen_ai.client.inference.usage."


class Rig:
    """A source that listens on a free port, and the rows that it records."""

    def __init__(self, **settings):
        self.rows, self.events = [], []
        self.host = Host("n1", SystemClock(), Log("text"), Output(self), run=7, cluster="east")
        keys = OtlpKeys(otlp=Otlp(listen="127.0.0.1:0", **settings))
        self.source = OtlpTokens(keys, self.host)
        self.source.begin()
        self.began_us = self.host.now_us()

    def add(self, table, rows):
        into = self.rows if table == "tokens" else self.events
        into += map(TABLES[table].as_dict, rows)

    def record(self):
        """Return why something failed; the rows are in `rows`."""
        self.rows.clear()
        return self.source._record()

    def totals(self):
        assert len({(row["kind"], row["model"]) for row in self.rows}) == len(self.rows)
        return {(row["kind"], row["model"]): row["value"] for row in self.rows}

    def usage(self, folder):
        """Return the index's tokens of all rows so far, by kind."""
        builder = LakeBuilder(folder)
        job = {"cluster": "east", "node": "n1"}
        builder.job("chat", "A", self.began_us, self.host.now_us(), **job)
        builder.add("tokens", self.rows)
        return {row["kind"]: row["tokens"] for row in Usage.of(builder.lake).rows.to_pylist()}


@pytest.fixture
def make():
    rigs = []

    def made(**settings):
        rigs.append(Rig(**settings))
        return rigs[-1]

    yield made
    for rig in rigs:
        rig.source.finish(0)


class Program:
    """A program with the official SDK; `push` sends what it counted so far."""

    def __init__(self, rig, attributes, temporality=None, compression=Compression.NoCompression):
        exporter = OTLPMetricExporter(
            endpoint=f"http://127.0.0.1:{rig.source.port}/v1/metrics",
            preferred_temporality=temporality,
            compression=compression,
        )
        self.reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)
        self.provider = sdk.MeterProvider(
            [self.reader], Resource.create(attributes), shutdown_on_exit=False
        )
        self.meter = self.provider.get_meter("tests")
        self.usage = self.meter.create_histogram("gen_ai.client.token.usage", unit="{token}")

    def call(self, prompt, generated, **more):
        for kind, tokens in (("input", prompt), ("output", generated)):
            labels = {"gen_ai.token.type": kind, "gen_ai.request.model": "llama", **more}
            self.usage.record(tokens, labels)

    def push(self):
        assert self.reader.force_flush(5_000)


CHAT = {"tokenergy.job_id": "chat", "service.name": "gateway"}
JOB = ("prompt_computed", "llama"), ("generated", "llama")


@pytest.mark.parametrize("temporality", [None, DELTA])
@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_sums_of_the_usage_histogram_become_rows(make, temporality, compression):
    rig = make()
    program = Program(rig, CHAT, temporality, compression)
    for calls in (3, 2):
        for _ in range(calls):
            program.call(100, 7)
        program.push()
    assert rig.record() is None
    assert rig.totals() == dict(zip(JOB, (500, 35), strict=True))
    row = rig.rows[0]
    expected = {
        "job_id": "chat", "cluster": "east", "node": "n1", "run": 7, "quantum": 1, "epoch": 0,
        "source_id": "otlp:gateway", "metric": "gen_ai.client.token.usage",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert rig.began_us - 1000 <= row["since_us"] <= row["ts_us"] <= rig.host.now_us()
    assert json.loads(row["series"])["otel.scope.name"] == "tests"
    rig.record()
    assert rig.rows == []  # nothing new came


def test_the_newer_counters_rule_and_the_part_from_the_cache_is_apart(make):
    rig = make()
    program = Program(rig, CHAT)
    labels = {"gen_ai.request.model": "llama", "gen_ai.token.modality": "text"}
    names = ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
    used = [program.meter.create_counter(USAGE + name) for name in names]
    seen = []
    for prompt, generated, cached, reasoning in ((100, 10, 0, 4), (300, 20, 250, 9)):
        program.call(prompt, generated)  # the histogram counts the same calls
        for counter, tokens in zip(used, (prompt, generated, cached, reasoning), strict=True):
            if tokens:  # a cache that was never hit has no series yet
                counter.add(tokens, labels)
        program.push()
        assert rig.record() is None
        seen.append((rig.totals(), {row["metric"] for row in rig.rows}))
    assert seen[0][0] == dict(zip(JOB, (100, 10), strict=True))
    assert seen[1][0] == dict(zip((*JOB, ("prompt_cached", "llama")), (150, 30, 250), strict=True))
    assert seen[0][1] < seen[1][1]  # the first counts keep their names


def test_processes_with_the_same_labels_and_their_restarts_are_added(make, tmp_path):
    """Three programs that call themselves the same, one after the other and side by side."""
    rig = make()
    rows = []
    first, second = Program(rig, CHAT), Program(rig, CHAT)
    for program, generated in ((first, 5), (second, 70), (first, 6), (second, 80)):
        program.call(10, generated)
        program.push()
        rig.record()
        rows += rig.rows
    again = Program(rig, CHAT)  # after a restart it counts from 0
    again.call(10, 900)
    again.push()
    rig.record()
    rig.rows = rows + rig.rows
    assert rig.usage(tmp_path) == {"prompt_computed": 50, "generated": 1061}


PROGRAM = """
    import sys
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk import metrics as sdk
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    provider = sdk.MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    counter = provider.get_meter("m").create_counter("my.tokens")
    counter.add(4096, {"phase": "train"})
    counter.add(11, {"phase": "eval"})
    provider.shutdown()
"""


def test_a_program_is_set_up_by_its_environment_and_its_counter_by_the_mapping(make):
    rig = make(mapping={'my.tokens{phase="train"}': "trained"}, job_attributes=["slurm.job_id"])
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{rig.source.port}",
        "OTEL_RESOURCE_ATTRIBUTES": "slurm.job_id=17,tokenergy.cluster=west",
    }
    code = textwrap.dedent(PROGRAM)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    rig.record()
    [row] = rig.rows
    found = row["job_id"], row["cluster"], row["kind"], row["value"]
    assert found == ("17", "west", "trained", 4096)


def test_a_sender_without_a_job_is_told_once_and_counted(make):
    rig = make(jobs={"known": "chat"})
    stranger, known = (
        Program(rig, {"service.name": "stranger"}),
        Program(rig, {"service.name": "known"}),
    )
    for _ in range(2):
        for program in (stranger, known):
            program.call(10, 2)
            program.push()
        rig.record()
        assert {row["job_id"] for row in rig.rows} == {"chat"}
    [event] = rig.events
    assert "service 'stranger' has no job" in event["detail"]
    rig.source.finish(0)
    assert rig.events[-1]["detail"] == "otlp: 4 points without a job were not recorded"


def post(rig, body, kind="application/x-protobuf", path="/v1/metrics", **headers):
    """Return the status and the body of the answer."""
    link = http.client.HTTPConnection("127.0.0.1", rig.source.port, timeout=20)
    try:
        link.request("POST", path, body, {"Content-Type": kind, **headers})
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def request(*points, kind="sum", name=USAGE + "output_tokens", monotonic=True, temporality=2):
    """Return a message with the points `(start s, time s, value)` of one counter."""
    resource = {"attributes": [{"key": k, "value": {"stringValue": v}} for k, v in CHAT.items()]}
    field = "asDouble" if kind == "gauge" else "asInt"
    data = {
        "dataPoints": [
            {"startTimeUnixNano": str(start * 10**9), "timeUnixNano": str(at * 10**9), field: value}
            for start, at, value in points
        ]
    }
    if kind == "sum":
        data |= {"isMonotonic": monotonic, "aggregationTemporality": temporality}
    metrics = [{"name": name, kind: data}]
    block = {"resource": resource, "scopeMetrics": [{"metrics": metrics}]}
    return json.dumps({"resourceMetrics": [block]}).encode()


START = 1_768_464_000


def test_json_is_taken_and_what_is_sent_again_counts_once(make):
    rig = make()
    cumulative = [(START, START + 60, 5), (START, START + 60, 5), (START, START + 30, 3)]
    deltas = [(START, START + 60, 40), (START, START + 60, 40), (START + 1, START + 59, 8)]
    assert post(rig, request(*cumulative), "application/json") == (200, b"{}")
    rig.record()
    assert [row["value"] for row in rig.rows] == [5]
    post(rig, request(*deltas, temporality=1), "application/json")
    rig.record()
    assert [row["value"] for row in rig.rows] == [48]  # of two processes that overlap


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
        (gzip.compress(b"{}", mtime=0)[:-9], "application/json", {"Content-Encoding": "gzip"}, 400, b"cut"),
        (b" " * 16385, "application/json", {}, 413, b"more than 16 KiB"),
        (
            gzip.compress(b" " * 10**8),
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


def test_counts_are_limited(make, monkeypatch):
    monkeypatch.setattr(counts, "MOST_COUNTS", 3)
    rig = make()
    program = Program(rig, CHAT)
    program.call(10, 1)
    program.call(10, 1, tenant="b")
    program.push()
    rig.record()
    assert len(rig.rows) == 3


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


def test_what_is_silent_for_an_hour_is_forgotten(make):
    rig = make()
    post(rig, request((START, START + 60, 5)), "application/json")
    rig.record()
    rig.source._counts.forget(rig.host.now_us() + 1)
    assert rig.source._counts._counts == {}


def test_a_port_in_use_and_addresses_of_the_network_are_errors(make):
    rig = make()
    keys = OtlpKeys(otlp=Otlp(listen=f"127.0.0.1:{rig.source.port}"))
    with pytest.raises(UserError, match=r"otlp\.listen: .*in use; does another collector"):
        OtlpTokens(keys, rig.host).begin()
    for listen, why in (("0.0.0.0:4318", "not a loopback"), ("unix:/x", "expected 127")):
        with pytest.raises(ValueError, match=why):
            Otlp(listen=listen)
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


def test_many_threads_lose_no_delta(make):
    rig = make()

    def push(first):
        for at in range(first, first + 20):
            post(rig, request((at, at + 1, 1), temporality=1), "application/json")

    threads = [threading.Thread(target=push, args=(START + 100 * n,)) for n in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    rig.record()
    assert [row["value"] for row in rig.rows] == [60]
    assert all(a <= b for a, b in pairwise(row["ts_us"] for row in rig.rows))


def test_a_server_and_its_clients_count_once(make, tmp_path):
    rig = make()
    program = Program(rig, CHAT)
    rows = []
    for _ in range(2):
        program.call(10, 70)
        program.push()
        rig.record()
        rows += rig.rows
    server = {"metric": "vllm:generation_tokens_total", "source_id": "chat", "series": "{}"}
    generated = [row for row in rows if row["kind"] == "generated"]
    rig.rows = rows + [{**row, **server, "value": row["value"] + 3} for row in generated]
    assert rig.usage(tmp_path) == {"prompt_computed": 20, "generated": 143}
