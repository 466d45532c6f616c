"""Jobs, as labels of scrapes name them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.collectors.importers.prometheus.boards import ENERGY, OF, T0, UUID, board, every, points
from tests.collectors.importers.prometheus.conftest import Run
from tests.support.store import Store
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations

POD = {"namespace": "ml", "pod": "train-0", "container": "main"}


def held(lake: Lake) -> list[tuple[str, float, float, int]]:
    """Job, start and end (s after T0) and share of each allocation that counts."""
    return [
        (r["job_id"], r["start_us"] / 1e6 - T0, r["end_us"] / 1e6 - T0, r["share_ppm"])
        for r in allocations(lake).to_pylist()
    ]


def jobs(lake: Lake) -> list[dict[str, Any]]:
    return lake.read("jobs").to_pylist()


def test_edges_are_halfway_between_two_scrapes(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 0, 585))
    board(store, every(15, 600, 1185), **POD)
    board(store, every(15, 1200, 1800))
    run()
    assert held(lake) == [("ml/train-0", 592.5, 1192.5, 1_000_000)]
    (row,) = jobs(lake)
    assert (row["node"], row["device_id"], row["scheduler"]) == ("gpu-a", UUID, "kubernetes")
    assert json.loads(row["labels"]) == {"namespace": "ml", "pod": "train-0"}
    assert len(lake.read("power")) == 121
    # 30 s of the exporter, and half of 15 s.
    assert lake.read("device").to_pylist()[-1]["stamp_step_us"] == 37_500_000


def test_a_label_that_is_missing_once_ends_nothing(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 0, 600), **POD)
    board(store, [615])
    board(store, every(15, 630, 1200), **POD)
    run()
    assert held(lake) == [("ml/train-0", 0, 1200, 1_000_000)]


def test_a_silence_of_the_store_ends_nothing(store: Store, run: Run, lake: Lake) -> None:
    board(store, [*every(15, 0, 600), *every(15, 1500, 2100)], **POD)
    run(chunk_us=300_000_000)
    assert held(lake) == [("ml/train-0", 0, 2100, 1_000_000)]


@pytest.mark.parametrize("chunk_us", [3_600_000_000, 300_000_000])
def test_a_longer_import_extends_an_allocation(
    store: Store, run: Run, lake: Lake, chunk_us: int
) -> None:
    board(store, every(15, 0, 3000), **POD)
    board(store, every(15, 3015, 3300))
    for minutes in ("20", "35", "59"):
        run(end=f"2026-01-15T08:{minutes}:00Z", chunk_us=chunk_us)
    assert held(lake) == [("ml/train-0", 0, 3007.5, 1_000_000)]
    assert len({row["allocation_id"] for row in jobs(lake)}) == 1


def test_an_earlier_time_extends_it_too(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 0, 3000), **POD)
    run(start="2026-01-15T08:30:00Z")
    run(start="2026-01-15T08:00:00Z")
    assert held(lake) == [("ml/train-0", 0, 3000, 1_000_000)]


def test_exported_labels_come_before_the_exporters_own(store: Store, run: Run, lake: Lake) -> None:
    own = {"namespace": "gpu-operator", "pod": "nvidia-dcgm-exporter-x7", "container": "exporter"}
    board(store, every(15, 0, 600), **own, exported_namespace="ml", exported_pod="train-0")
    board(store, every(15, 615, 1200), **own)
    run()
    assert [name for name, *_ in held(lake)] == ["ml/train-0"]


def test_slurm_jobs(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 0, 600), hpc_job="4711")
    board(store, every(15, 615, 900), hpc_job="0")
    run()
    assert held(lake) == [("4711", 0, 607.5, 1_000_000)]
    assert jobs(lake)[0]["scheduler"] == "slurm"


def test_jobs_that_share_a_board_have_equal_parts(store: Store, run: Run, lake: Lake) -> None:
    for name in ("a", "b"):
        board(store, every(15, 0, 600), hpc_job=name)
    run()
    assert [(name, share) for name, _, _, share in held(lake)] == [("a", 500_000), ("b", 500_000)]
    assert "equal parts" in jobs(lake)[0]["labels"]


def test_an_instance_has_its_slices(store: Store, run: Run, lake: Lake) -> None:
    for name, profile, number in (("a", "3g.40gb", "1"), ("b", "4g.40gb", "2")):
        board(store, every(15, 0, 600), hpc_job=name, GPU_I_PROFILE=profile, GPU_I_ID=number)
    run()
    assert [share for *_, share in held(lake)] == [3_000_000 // 7, 4_000_000 // 7]


def test_kube_state_metrics_tell_edges_to_the_second(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 0, 585))
    board(store, every(15, 600, 1185), **POD)
    board(store, every(15, 1200, 1800))
    of = {"namespace": "ml", "pod": "train-0", "instance": "ksm:8080", "job": "ksm"}
    store.add("kube_pod_start_time", points(every(30, 590, 1800), T0 + 588), **of)
    store.add("kube_pod_completion_time", points(every(30, 1200, 1800), T0 + 1190), **of)
    run()
    assert held(lake) == [("ml/train-0", 588, 1190, 1_000_000)]


def test_a_counter_alone_names_jobs_as_well(store: Store, run: Run, lake: Lake) -> None:
    store.add(ENERGY, points(every(30, 0, 900), 1e9, 3e5), **OF, **POD)
    run()
    assert held(lake) == [("ml/train-0", 0, 900, 1_000_000)]
    assert {r["sensor"] for r in lake.read("power").to_pylist()} == {"none"}


def test_a_board_without_a_uuid_is_named_by_its_node_and_index(
    store: Store, run: Run, lake: Lake
) -> None:
    of = {"gpu": "2", "Hostname": "gpu-a", "instance": "gpu-a:9400", "hpc_job": "4711"}
    store.add(ENERGY, points(every(30, 0, 900), 1e9, 3e5), **of)
    run()
    assert held(lake) == [("4711", 0, 900, 1_000_000)]
    (found,) = allocations(lake).to_pylist()
    assert found["device_id"] == lake.read("power")["device_id"][0].as_py() == "gpu-a/2"
