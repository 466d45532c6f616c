"""The options of an import, and the mapping file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.collectors.importers.prometheus.boards import T0, every, points
from tests.collectors.importers.prometheus.conftest import NOW_US, Run
from tests.support.store import Store
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus.client import Door
from tokenergy_collectors.importers.prometheus.plan import Order, instant_us, order
from tokenergy_collectors.lake import Lake

HOUR_US = 3_600_000_000


def told(start: str = "6h", end: str = "now", url: str = "http://h:9090", **of: Any) -> Order:
    of.setdefault("chunk_us", HOUR_US)
    return order(Door(url), start, end, settle_us=120_000_000, now_us=NOW_US, **of)


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("now", NOW_US // 1_000_000),
        ("90m", NOW_US // 1_000_000 - 5_400),
        ("-7d", NOW_US // 1_000_000 - 7 * 86_400),
        ("6h ago", NOW_US // 1_000_000 - 6 * 3_600),
        ("2026-01-15T08:00:00Z", T0),
        ("2026-01-15T09:00:00+01:00", T0),
        ("2026-01-15", T0 - 8 * 3_600),
        (str(T0), T0),
        (f"{T0}.9", T0),
    ],
)
def test_instants(text: str, expected_s: int) -> None:
    assert instant_us("--from", text, NOW_US) == expected_s * 1_000_000


def test_what_may_still_arrive_is_left_for_later() -> None:
    assert told().end_us == NOW_US - 120_000_000
    assert told(end="1h").end_us == NOW_US - HOUR_US


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"start": "yesterday"}, r"--from: cannot read time 'yesterday'.*how long ago \(6h, 7d\)"),
        ({"start": "1h", "end": "2h"}, "--from 1h is not before --to 2h"),
        ({"start": "1m"}, "is not before --to now: .* the last 120 s are left"),
        ({"url": "prometheus:9090"}, "expected http://HOST:PORT"),
        ({"url": "http://u:p@h:9090"}, "--url: holds credentials; expected them in --bearer-file"),
        ({"chunk_us": 2 * HOUR_US}, "--chunk: expected a part of an hour"),
        ({"chunk_us": 7_000_000}, "--chunk: expected a part of an hour"),
        ({"cluster": "a/b"}, "--cluster: cluster 'a/b'"),
        ({"mapping": Path("/nowhere.toml")}, "/nowhere.toml: No such file"),
    ],
)
def test_options_that_cannot_be_used_are_named(of: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        told(**of)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(UserError) as refused:
        told(url="http://u:secret@h:9090")
    assert "secret" not in str(refused.value)


MAP = """
[[power]]
name = "site_gpu_watts"
unit = "W"
late_s = 5

[[power]]
name = "site_gpu_kwh_total"
unit = "kWh"
late_s = 5

[labels]
device = ["board"]
node = ["machine"]
job = ["batch_id"]
model = ["llm"]
"""


def test_a_mapping_names_a_sites_own_metrics_and_labels(
    store: Store, run: Run, lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "map.toml"
    path.write_text(MAP)
    of = {"board": "GPU-1", "machine": "m7", "batch_id": "b9", "instance": "x:1"}
    store.add("site_gpu_watts", points(every(15, 0, 600), 250.5), **of)
    store.add("site_gpu_kwh_total", points(every(15, 0, 600), 2.0, 1e-4), **of)
    store.add("vllm:generation_tokens_total", points([0, 15], 5), llm="m", **of)
    run(mapping=path)
    first = lake.read("power").to_pylist()[0]
    assert (first["device_id"], first["power_mw"]) == ("GPU-1", 250_500)
    assert first["energy_mj"] == 7_200_000_000
    (device,) = lake.read("device").to_pylist()
    # 5 s of the exporter, and half of 15 s, since a label names the job.
    assert (device["node"], device["stamp_step_us"]) == ("m7", 12_500_000)
    assert {r["job_id"] for r in lake.read("jobs").to_pylist()} == {"b9"}
    assert {(r["model"], r["job_id"]) for r in lake.read("tokens").to_pylist()} == {("m", "b9")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[power]]\nname = "x"\nunit = "BTU"\n', "power.0.unit: .*'mW'"),
        ('[[power]]\nmetric = "x"\n', "unknown key 'metric'"),
        ('[[jobs]]\nlabels = {}\njob_id = "1"\n', "jobs.0.labels"),
        ("x", "not a TOML file"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        told(mapping=path)
