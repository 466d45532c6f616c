"""The `otlp` source: what the official SDK pushes becomes rows of `tokens`."""

import json
import subprocess
import sys
import textwrap
import threading
from itertools import pairwise

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.collectors.sources.otlp.rig import CHAT, DELTA, JOB, START, USAGE, Program, post, request
from tokenergy_collectors.sources.otlp import counts


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
    assert "resource attribute tokenergy.job_id, or name it in [otlp.jobs]" in event["detail"]
    rig.source.finish(0)
    assert rig.events[-1]["detail"] == "otlp: 4 points without a job were not recorded"


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


def test_counts_are_limited(make, monkeypatch):
    monkeypatch.setattr(counts, "MOST_COUNTS", 3)
    rig = make()
    program = Program(rig, CHAT)
    program.call(10, 1)
    program.call(10, 1, tenant="b")
    program.push()
    rig.record()
    assert len(rig.rows) == 3


def test_what_is_silent_for_an_hour_is_forgotten(make):
    rig = make()
    post(rig, request((START, START + 60, 5)), "application/json")
    rig.record()
    rig.source._counts.forget(rig.host.now_us() + 1)
    assert rig.source._counts._counts == {}


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
