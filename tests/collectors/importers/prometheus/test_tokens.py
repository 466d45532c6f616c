"""Counters of tokens: each series as it was scraped, by the rules of a live endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.collectors.importers.prometheus.boards import T0, every, points
from tests.collectors.importers.prometheus.conftest import Run
from tests.support.store import Store
from tokenergy_collectors.lake import Lake

PAGE = {"instance": "10.0.0.5:8000", "job": "vllm", "namespace": "ml", "pod": "chat-0"}
VLLM = {**PAGE, "model_name": "llama", "engine": "0"}


def rows(lake: Lake, **of: str) -> list[dict[str, Any]]:
    found = lake.read("tokens").to_pylist()
    return [row for row in found if all(row[name] == value for name, value in of.items())]


def vllm(store: Store, stamps: list[float], **labels: str) -> None:
    for name, base, slope in (
        ("vllm:prompt_tokens_total", 1_000, 100),
        ("vllm:prompt_tokens_cached_total", 400, 40),
        ("vllm:generation_tokens_total", 10, 30),
    ):
        store.add(name, points(stamps, base, slope), **{**VLLM, **labels})


def test_a_vllm_page_becomes_its_kinds(store: Store, run: Run, lake: Lake) -> None:
    stamps = every(15, 1, 600)
    vllm(store, stamps)
    store.add("process_start_time_seconds", points(stamps, T0 - 3_600), **PAGE)
    store.add("process_start_time_seconds", points(stamps, T0), instance="other:1", job="x")
    result = run()
    assert not result.warnings
    generated = rows(lake, kind="generated")
    assert [r["ts_us"] // 1_000_000 - T0 for r in generated] == stamps
    assert [r["value"] for r in generated] == [10 + 30 * at for at in stamps]
    computed = rows(lake, kind="prompt_computed")
    assert [r["value"] for r in computed] == [600 + 60 * at for at in stamps]
    assert {r["kind"] for r in rows(lake)} == {"generated", "prompt_computed", "prompt_cached"}
    first = generated[0]
    assert (first["job_id"], first["model"], first["engine"]) == ("ml/chat-0", "llama", "0")
    assert (first["source_id"], first["node"]) == ("prometheus:10.0.0.5:8000", "10.0.0.5")
    assert first["since_us"] == (T0 - 3_600) * 1_000_000
    assert json.loads(first["series"]) == VLLM
    assert first["metric"] == "vllm:generation_tokens_total"


def test_engines_of_a_page_stay_apart(store: Store, run: Run, lake: Lake) -> None:
    for engine in "01":
        vllm(store, every(15, 1, 600), engine=engine)
    run()
    assert [len(rows(lake, kind="generated", engine=engine)) for engine in "01"] == [40, 40]


def test_two_scrapes_of_a_page_count_once(store: Store, run: Run, lake: Lake) -> None:
    vllm(store, every(15, 1, 600))
    vllm(store, every(15, 1, 600), prometheus_replica="b")
    vllm(store, every(15, 3, 600), job="pods", endpoint="http")
    run()
    assert len(rows(lake, kind="generated")) == 40
    assert len({r["series"] for r in rows(lake, kind="generated")}) == 1


def test_llama_cpp_prints_six_digits(store: Store, run: Run, lake: Lake) -> None:
    values = [(T0 + 1, 999_999.0), (T0 + 16, 1_234_560.0), (T0 + 31, 12_345_600.0)]
    store.add("llamacpp:tokens_predicted_total", values, **PAGE)
    store.add("llamacpp:prompt_tokens_total", [(T0 + 1, 1_234_561.0)], **PAGE)
    run()
    assert [r["quantum"] for r in rows(lake, kind="generated")] == [1, 10, 100]
    assert [r["quantum"] for r in rows(lake, kind="prompt_computed")] == [1]


def test_a_server_without_a_label_of_its_job_is_told(store: Store, run: Run, lake: Lake) -> None:
    store.add("tgi_request_generated_tokens_sum", points([1, 16], 5), instance="h:80", job="tgi")
    (warning,) = run().warnings
    assert "no label says which job these servers' tokens belong to: 'h:80'" in warning
    assert {r["job_id"] for r in rows(lake)} == {"h:80"}


def test_job_labels_and_a_mapping_name_jobs(
    store: Store, run: Run, lake: Lake, tmp_path: Path
) -> None:
    vllm(store, [1, 16], app="chat", tenant="blue")
    vllm(store, [1, 16], instance="gpu-b:8000")
    path = tmp_path / "map.toml"
    path.write_text(
        '[[jobs]]\nlabels = { instance = "gpu-b:8000" }\njob_id = "4711"\nnode = "gpu-b"\n'
        '[[tokens]]\ngenerated = "my_tokens_out"\n'
    )
    store.add("my_tokens_out", points([1, 16], 7), instance="gpu-b:8000")
    run(job_labels="tenant,app", mapping=path)
    assert {r["job_id"] for r in rows(lake, source_id="prometheus:10.0.0.5:8000")} == {"blue/chat"}
    here = rows(lake, node="gpu-b")
    assert {r["job_id"] for r in here} == {"4711"}
    assert "my_tokens_out" in {r["metric"] for r in here}


def test_names_without_a_server_are_left_alone(store: Store, run: Run, lake: Lake) -> None:
    vllm(store, [1, 16])
    store.add("generation_tokens_total", points([1, 16], 5), **PAGE)
    run()
    assert {r["metric"].split(":")[0] for r in rows(lake)} == {"vllm"}
