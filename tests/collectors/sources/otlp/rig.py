"""A source that listens on a free port, programs with the official SDK, and messages by hand."""

import http.client
import json

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from tests.support.lakes import LakeBuilder
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.host import Host, Output
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
