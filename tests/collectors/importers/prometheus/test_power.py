"""Readings of boards: once each, as they were scraped, with what a scrape cannot show."""

from __future__ import annotations

from typing import Any

import pytest

from tests.collectors.importers.prometheus.boards import (
    ENERGY,
    OF,
    POWER,
    T0,
    UUID,
    board,
    every,
    points,
)
from tests.collectors.importers.prometheus.conftest import Run
from tests.support.store import Store
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake


def rows(lake: Lake, table: str) -> list[dict[str, Any]]:
    return lake.read(table).to_pylist()


def test_samples_keep_their_own_stamps(store: Store, run: Run, lake: Lake) -> None:
    stamps = [1.234, 16.235, 31.233, 46.234, 61.234]
    board(store, stamps)
    run()
    found = rows(lake, "power")
    assert [r["ts_us"] for r in found] == [round((T0 + at) * 1_000) * 1_000 for at in stamps]
    assert [r["power_mw"] for r in found] == [round((400 + at % 7) * 1e3) for at in stamps]
    assert [r["energy_mj"] for r in found] == [round(1e9 + 4e5 * at) for at in stamps]
    assert {(r["device_id"], r["sensor"], r["epoch"]) for r in found} == {(UUID, "unknown", 0)}


def test_a_board_is_described_with_the_spacing_of_its_scrapes(
    store: Store, run: Run, lake: Lake
) -> None:
    board(store, every(15, 1, 600))
    run()
    (device,) = rows(lake, "device")
    assert (device["node"], device["index"], device["name"]) == ("gpu-a", 0, OF["modelName"])
    assert (device["update_us"], device["counter_us"]) == (15_000_000, 30_000_000)
    # dcgm-exporter may answer with what it read 30 s ago.
    assert device["stamp_step_us"] == 30_000_000


def test_the_exporters_interval_can_be_told(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 1, 600))
    run(exporter_interval_us=5_000_000)
    assert rows(lake, "device")[0]["stamp_step_us"] == 5_000_000


def test_a_page_that_was_not_renewed_is_no_reading(store: Store, run: Run, lake: Lake) -> None:
    # Scraped every 15 s, read by the exporter every 30 s: each value is seen twice.
    stamps = every(15, 0, 600)
    store.add(POWER, [(T0 + at, 400 + at // 30) for at in stamps], **OF)
    store.add(ENERGY, [(T0 + at, 1e9 + at // 30 * 12e6) for at in stamps], **OF)
    run(chunk_us=300_000_000)
    found = rows(lake, "power")
    assert [r["ts_us"] // 1_000_000 - T0 for r in found] == every(30, 0, 600)
    device = rows(lake, "device")[-1]
    # What is left is at most one scrape old.
    assert (device["update_us"], device["stamp_step_us"]) == (30_000_000, 15_000_000)


def test_equal_power_without_a_counter_is_kept(store: Store, run: Run, lake: Lake) -> None:
    store.add(POWER, points(every(15, 0, 300), 75.0), **OF)
    warnings = run().warnings
    assert len(rows(lake, "power")) == 21
    assert "no energy counter" in warnings[0]


def test_two_scrapes_of_one_exporter_count_once(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 1, 600))
    board(store, every(15, 6, 600), job="gpu-operator")
    board(store, every(15, 6, 600), prometheus_replica="b", instance="gpu-a:9401")
    run()
    stamps = [r["ts_us"] for r in rows(lake, "power")]
    assert [ts // 1_000_000 - T0 for ts in stamps] == every(15, 1, 600)


def test_another_scrape_fills_a_silence(store: Store, run: Run, lake: Lake) -> None:
    board(store, [*every(15, 1, 1200), *every(15, 1801, 3500)])
    board(store, every(15, 606, 2400), instance="10.0.0.7:9400")
    run()
    stamps = [r["ts_us"] // 1_000_000 - T0 for r in rows(lake, "power")]
    assert len(stamps) == len(set(stamps))
    assert [at for at in stamps if 1195 < at < 1800] == every(15, 1221, 1776)


def test_two_exporters_of_one_board_count_once(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 1, 600))
    # The other one has no label for the node, but an address of its own.
    of = {"uuid": UUID.removeprefix("GPU-"), "instance": "10.0.0.9:9835", "job": "smi"}
    store.add("nvidia_smi_power_draw_watts", points(every(15, 4, 600), 401.5), **of)
    run()
    assert {r["device_id"] for r in rows(lake, "power")} == {UUID}
    assert len(rows(lake, "power")) == 40
    assert {r["node"] for r in rows(lake, "device")} == {"gpu-a"}


def test_a_node_that_is_named_after_the_exporters_pod_is_told(store: Store, run: Run) -> None:
    board(store, every(15, 1, 600), Hostname="nvidia-dcgm-exporter-x7k")
    (warning,) = run().warnings
    assert "named after the exporter's pods: 'nvidia-dcgm-exporter-x7k'" in warning


def test_nvidia_gpu_exporter_alone(store: Store, run: Run, lake: Lake) -> None:
    of = {"uuid": UUID.removeprefix("GPU-"), "instance": "gpu-b:9835", "job": "smi"}
    store.add("nvidia_smi_power_draw_watts", points(every(15, 4, 600), 401.5), **of)
    store.add("nvidia_smi_utilization_gpu_ratio", points(every(15, 4, 600), 0.98), **of)
    store.add("nvidia_smi_enforced_power_limit_watts", points(every(15, 4, 600), 700), **of)
    store.add(
        "nvidia_smi_gpu_info", points(every(15, 4, 600), 1), index="3", name="NVIDIA L4", **of
    )
    run()
    assert {(r["power_mw"], r["energy_mj"]) for r in rows(lake, "power")} == {(401_500, None)}
    assert {r["sm_util"] for r in rows(lake, "state")} == {98}
    (device,) = rows(lake, "device")
    assert (device["node"], device["index"], device["name"]) == ("gpu-b", 3, "NVIDIA L4")
    assert (device["device_id"], device["limit_mw"]) == (UUID, 700_000)
    assert (device["counter_us"], device["stamp_step_us"]) == (None, 2_000_000)


def test_a_mig_board_is_not_counted_once_an_instance(store: Store, run: Run, lake: Lake) -> None:
    for instance, profile in (("1", "3g.40gb"), ("2", "4g.40gb")):
        board(store, every(15, 1, 600), GPU_I_ID=instance, GPU_I_PROFILE=profile)
    run()
    assert len(rows(lake, "power")) == 40


def test_marks_and_impossible_values_are_no_readings(store: Store, run: Run, lake: Lake) -> None:
    store.add(POWER, [(T0 + 1, 300.0), (T0 + 16, float("nan")), (T0 + 31, -1.0), (T0 + 46, 1e12),
                      (T0 + 61, 301.0)], **OF)  # fmt: skip
    store.add("DCGM_FI_DEV_GPU_UTIL", [(T0 + 1, 50.0), (T0 + 61, 2147483632.0)], **OF)
    run()
    assert [r["power_mw"] for r in rows(lake, "power")] == [300_000, 301_000]
    assert [r["sm_util"] for r in rows(lake, "state")] == [50]


def test_a_store_that_refuses_much_is_asked_in_halves(store: Store, run: Run, lake: Lake) -> None:
    board(store, every(15, 1, 3599))
    store.most = 100
    run()
    assert len(rows(lake, "power")) == 240
    store.most = 2
    with pytest.raises(UserError, match=r"refuses even a minute of it: .*narrow it with --match"):
        run(end="2026-01-15T09:10:00Z", start="2026-01-15T07:50:00Z", matchers='job="dcgm"')


@pytest.mark.parametrize("closed", [True, False])
def test_neither_border_is_lost_or_doubled(
    store: Store, run: Run, lake: Lake, closed: bool
) -> None:
    store.closed_start = closed
    board(store, every(60, 0, 7200))
    run(end="2026-01-15T10:00:00Z", chunk_us=600_000_000)
    assert [r["ts_us"] // 1_000_000 - T0 for r in rows(lake, "power")] == every(60, 0, 7199)


def test_unknown_names_say_what_the_store_has(store: Store, run: Run) -> None:
    store.add("DCGM_FI_DEV_FB_USED", points(every(15, 1, 600), 5), **OF)
    with pytest.raises(UserError, match=r"has no known metric .*; it has DCGM_FI_DEV_FB_USED\."):
        run()


def test_an_empty_store_says_what_was_expected(run: Run) -> None:
    words = r"in this time\. Expected, for example, DCGM_FI_DEV_TOTAL.*younger than --settle"
    with pytest.raises(UserError, match=words):
        run()
