"""A whole node: what can be measured agrees with the truth it writes."""

import http.client
import json
import threading
from urllib.parse import urlparse

import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake.contract import JOBS


def truth_of(walk):
    walk.to(walk.node.duration_us)
    return walk.node.truth()


def get(connection):
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    body = response.read()
    assert int(response.headers["Content-Length"]) == len(body)
    return response.status, body.decode()


def samples(text):
    return {s.name: s for family in text_string_to_metric_families(text) for s in family.samples}


def test_truth_agrees_with_the_counter_at_job_edges():
    walk = Walk()
    edges_us = {edge for job in walk.node.profile.jobs for edge in (job.start_us, job.end_us)}
    edges_us |= {0, 10_000_000, 30_000_000, walk.node.duration_us}
    seen_mj = {}
    with walk.node:
        pynvml.nvmlInit()
        for edge_us in sorted(edges_us):
            walk.to(edge_us)
            for index in range(4):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                uuid = pynvml.nvmlDeviceGetUUID(handle)
                mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                seen_mj[uuid, walk.node.start_us + edge_us] = mj
    rows = [row for row in walk.node.truth() if "energy_nj" in row]
    assert [row["row"] for row in rows].count("board") == 4
    assert {row["row"] for row in rows} == {"board", "allocation", "stray"}
    for row in rows:
        uuid = row["device_id"]
        counted_mj = seen_mj[uuid, row["end_us"]] - seen_mj[uuid, row["start_us"]]
        assert abs(row["energy_nj"] - counted_mj * 1_000_000) < 1_000_000


def test_endpoints_serve_the_true_counters_up_to_the_last_instant():
    walk = Walk()
    found = {}
    with walk.node:
        for source in walk.node.sources:
            job = next(j for j in walk.node.profile.jobs if j.id == source.job_id)
            connection = http.client.HTTPConnection(urlparse(source.url).netloc)
            walk.to(job.end_us)
            status, text = get(connection)
            assert status == 200
            found[source.job_id] = samples(text)
            walk.to(job.end_us + 1)
            assert get(connection)[0] == 503
            connection.close()
    tokens = {row["job_id"]: row for row in truth_of(walk) if row["row"] == "tokens"}
    assert set(tokens) == set(found) == {"chat", "train"}
    chat, true = found["chat"], tokens["chat"]
    assert chat["vllm:prompt_tokens_total"].labels == {"model_name": "m-8b", "engine": "0"}
    prompt, cached = chat["vllm:prompt_tokens_total"], chat["vllm:prompt_tokens_cached_total"]
    assert cached.value == true["prompt_cached"] > 0
    assert prompt.value == true["prompt_computed"] + true["prompt_cached"]
    assert chat["vllm:generation_tokens_total"].value == true["generated"] > 0
    assert "vllm:num_requests_running" in chat
    assert "vllm:num_requests_waiting" in chat
    start_s = walk.node.start_us / 1e6
    assert chat["process_start_time_seconds"].value == pytest.approx(start_s + 5, abs=1e-5)
    trained = found["train"]["tokenergy_trained_tokens_total"]
    assert trained.value == tokens["train"]["trained"] > 0
    assert trained.labels == {"model_name": "m-1b"}


def test_an_endpoint_is_silent_until_its_model_is_loaded():
    walk = Walk()
    with walk.node:
        url = urlparse(walk.node.sources[0].url)
        connection = http.client.HTTPConnection(url.netloc)
        for at_us, status in ((0, 503), (6_000_000, 503), (8_999_999, 503), (9_000_000, 200)):
            walk.to(at_us)
            assert get(connection)[0] == status
        connection.request("GET", "/")
        assert connection.getresponse().status == 404
        connection.close()


def test_concurrent_scrapes_are_consistent():
    walk = Walk()
    start, seen = threading.Barrier(5), []

    def scrape(url):
        connection = http.client.HTTPConnection(urlparse(url).netloc)
        start.wait()
        texts = [get(connection)[1] for _ in range(40)]
        connection.close()
        values = [samples(text)["vllm:generation_tokens_total"].value for text in texts]
        seen.append(values == sorted(values))

    with walk.node:
        walk.to(9_000_000)
        chat = walk.node.sources[0].url
        threads = [threading.Thread(target=scrape, args=(chat,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        start.wait()
        for at_us in range(9_000_000, 40_000_000, 50_000):
            walk.to(at_us)
            walk.node.boards[0].power_instant_mw(at_us)
        for thread in threads:
            thread.join()
    assert seen == [True] * 4


def test_leaving_ends_open_connections():
    walk = Walk()
    with walk.node:
        walk.to(9_000_000)
        connection = http.client.HTTPConnection(urlparse(walk.node.sources[0].url).netloc)
        assert get(connection)[0] == 200
    assert walk.node.sources == []
    with pytest.raises((http.client.HTTPException, OSError)):
        get(connection)
    connection.close()


def test_the_same_seed_gives_the_same_truth():
    first, second = Walk(), Walk()
    with second.node:  # reading changes nothing
        for at_us in range(0, 30_000_000, 333_333):
            second.to(at_us)
            second.node.boards[0].power_instant_mw(at_us)
    assert truth_of(first) == truth_of(second)
    other = Walk(small_profile().model_copy(update={"seed": 8}))
    assert truth_of(other) != truth_of(first)


def test_allocations_fit_the_jobs_table():
    walk = Walk()
    rows = walk.node.allocations
    columns = [name for name in JOBS.column_names if name != "recorded_us"]
    assert [list(row) for row in rows] == [columns] * 4
    chat = [row for row in rows if row["job_id"] == "chat"]
    assert [row["device_id"] for row in chat] == [b.identity.uuid for b in walk.node.boards[:2]]
    assert chat[0]["end_us"] - walk.node.start_us == 41_234_567
    assert walk.node.labels == {"rack": "r1"}


def test_truth_is_written_whole(tmp_path):
    walk = Walk()
    with pytest.raises(RuntimeError, match="duration"):
        walk.node.truth()
    rows = truth_of(walk)
    walk.node.write_truth(tmp_path / "truth.json")
    written = json.loads((tmp_path / "truth.json").read_text())
    assert written["rows"] == rows
    assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]


def test_a_job_on_two_nodes_is_counted_by_its_first():
    profile = load_profile("demo")
    nodes = {name: EmulatedNode(profile, name, Walk(profile, name).clock) for name in profile.nodes}
    served = {}
    for name, node in nodes.items():
        with node:
            served[name] = [source.job_id for source in node.sources]
    assert served == {"gpu-a": ["chat-70b", "train-1b"], "gpu-b": ["code-8b", "batch-eval"]}
    held = {
        row["node"] for n in nodes.values() for row in n.allocations if row["job_id"] == "train-1b"
    }
    assert held == {"gpu-a", "gpu-b"}


def test_it_lives_by_the_system_clock_too():
    node = EmulatedNode(small_profile(), "n1", SystemClock())
    with node:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        first_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        readings = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) for _ in range(100_000))
        assert any(mj > first_mj for mj in readings)


def test_an_unknown_node_is_one_line():
    with pytest.raises(UserError, match=r"'n2'.*its nodes: n1"):
        Walk(node="n2")
