"""The import: what a run leaves in the lake, once; and what it refuses before it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.collectors.importers.benchmark.files import (
    DETAILED,
    NINE_US,
    PLAIN,
    RECORDS,
    SUMMARY,
    S,
    changed,
    jobs,
    tokens,
)
from tests.support.snapshot import snapshot
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.benchmark.clock import Said
from tokenergy_collectors.importers.benchmark.importing import Where, import_benchmark
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import DEVICE, JOBS, TOKENS

WHERE = Where("n1", ["0-1"])
AT_NINE = Said(start="2026-01-15T09:00:00Z")


def device(lake: Lake, index: int, node: str = "n1") -> None:
    row = DEVICE.make_row(
        ts_us=NINE_US - S, device_id=f"GPU-{node}-{index}", node=node, index=index, emulated=False
    )
    rows = [dict(zip(DEVICE.column_names, row, strict=True))]
    lake.append("device", pa.Table.from_pylist(rows, schema=DEVICE.schema()), node, tag=str(index))


def held(lake: Lake, job_id: str, start_us: int, end_us: int | None, node: str = "n1") -> None:
    row = JOBS.make_row(
        job_id=job_id, node=node, device_id="0", start_us=start_us, end_us=end_us,
        share_ppm=1_000_000, method="declared", recorded_us=NINE_US,
    )  # fmt: skip
    rows = [dict(zip(JOBS.column_names, row, strict=True))]
    lake.append("jobs", pa.Table.from_pylist(rows, schema=JOBS.schema()), node)


def requests(lake: Lake, kind: str) -> list[tuple[int, dict[str, int]]]:
    rows = lake.read("requests").to_pylist()
    return sorted((row["ts_us"], json.loads(row["counts"])) for row in rows if row["kind"] == kind)


def test_a_plain_result_is_two_points_and_a_job(lake: Lake) -> None:
    result = import_benchmark(lake, PLAIN, WHERE, AT_NINE)
    name, end_us = "openai-infqps-concurrency4-8b", NINE_US + 12_500_000
    assert tokens(lake) == [(NINE_US, 0), (end_us, 500)]
    assert tokens(lake, "prompt_computed") == [(NINE_US, 0), (end_us, 420)]
    assert requests(lake, "finished") == [
        (NINE_US, {"answered": 0, "failed": 0}), (end_us, {"answered": 4, "failed": 1})
    ]  # fmt: skip
    assert requests(lake, "e2e") == []
    assert jobs(lake) == [(name, "0", NINE_US, end_us), (name, "1", NINE_US, end_us)]
    assert result.written == {"jobs": 2, "tokens": 4, "requests": 2}
    assert result.notes == ["no times of requests: tokens are known for the run as a whole"]
    assert "1 of 5 requests failed" in result.warnings[0]
    labels = json.loads(lake.read("jobs").to_pylist()[0]["labels"])
    assert labels == {
        "benchmark": "vllm", "duration_s": 12.5, "requests": 4, "requests_failed": 1,
        "tpot_median_ms": 41.28, "tpot_p99_ms": 44.02, "ttft_median_ms": 250.0, "ttft_p99_ms": 328.5
    }  # fmt: skip


def test_a_detailed_result_has_points_where_requests_ended(lake: Lake) -> None:
    import_benchmark(lake, DETAILED, WHERE, AT_NINE)
    found = {(ts_us - NINE_US) / S: value for ts_us, value in tokens(lake)}
    assert found == {0: 0, 3: 0, 4: 60, 5: 60, 6: 180, 9: 180, 10: 360, 11: 360, 12.5: 500}
    rows = lake.read("tokens").to_pylist()
    assert {row["since_us"] for row in rows} == {NINE_US}
    assert {(row["source_id"], row["model"], row["series"]) for row in rows} == {
        (f"import:{DETAILED.stem}", "meta-llama/Llama-3.1-8B-Instruct", "{}")
    }
    # 3.25, 5.25, 8.5 and 9.25 s; of the first token 0.22, 0.25, 0.25 and 0.33 s.
    last = requests(lake, "e2e")[-1][1]
    assert (last["3"], last["4"], last["6"], last["10"], last["+Inf"]) == (0, 1, 2, 4, 4)
    assert requests(lake, "e2e")[0] == (NINE_US, dict.fromkeys(last, 0))
    last = requests(lake, "ttft")[-1][1]
    assert (last["0.2"], last["0.25"], last["0.3"], last["0.4"]) == (0, 3, 3, 4)
    labels = json.loads(lake.read("jobs").to_pylist()[0]["labels"])
    assert (labels["e2e_median_ms"], labels["ttft_median_ms"]) == (6_875.0, 250.0)


@pytest.mark.parametrize("prompts", [..., [100, 110, 90, 100, 999]])
def test_prompts_that_do_not_add_up_are_known_as_a_total(
    lake: Lake, tmp_path: Path, prompts: Any
) -> None:
    import_benchmark(lake, changed(DETAILED, tmp_path, input_lens=prompts), WHERE, AT_NINE)
    assert tokens(lake, "prompt_computed") == [(NINE_US, 0), (NINE_US + 12_500_000, 420)]
    assert len(tokens(lake)) == 9


def test_records_are_placed_by_their_own_stamps(lake: Lake) -> None:
    import_benchmark(lake, RECORDS, replace(WHERE, job_id="c4", model="llama"), Said())
    found = {(ts_us - NINE_US) / S: value for ts_us, value in tokens(lake)}
    assert found == {0: 0, 3: 0, 4: 80, 5: 80, 6: 180, 9: 180, 10: 300, 11: 300, 12: 400}
    assert jobs(lake)[0] == ("c4", "0", NINE_US, NINE_US + 12 * S)
    assert {row["model"] for row in lake.read("tokens").to_pylist()} == {"llama"}


def test_a_summary_of_aiperf_is_its_phase(lake: Lake) -> None:
    import_benchmark(lake, SUMMARY, replace(WHERE, cluster="a"), Said(tz="Europe/Berlin"))
    assert jobs(lake)[0] == ("a/concurrency4", "0", NINE_US, NINE_US + 12_250_000)
    assert tokens(lake) == [(NINE_US, 0), (NINE_US + 12_250_000, 400)]


@pytest.mark.parametrize(
    ("path", "said"),
    [(PLAIN, AT_NINE), (DETAILED, AT_NINE), (RECORDS, Said()), (PLAIN, Said(tz="UTC"))],
)
def test_twice_is_once(lake: Lake, path: Path, said: Said) -> None:
    device(lake, 0)
    device(lake, 1)
    import_benchmark(lake, path, WHERE, said)
    before = snapshot(lake)
    assert import_benchmark(lake, path, WHERE, said).written == {}
    assert snapshot(lake) == before


def test_a_date_s_doubt_is_in_the_job(lake: Lake) -> None:
    result = import_benchmark(lake, PLAIN, WHERE, Said(tz="UTC"))
    assert {row["edge_doubt_us"] for row in lake.read("jobs").to_pylist()} == {2 * S}
    assert "its end is the file's date: up to 2 s late" in result.notes[0]


def test_two_runs_of_one_job_take_turns(lake: Lake) -> None:
    where = replace(WHERE, job_id="a")
    import_benchmark(lake, PLAIN, where, AT_NINE)
    import_benchmark(lake, PLAIN, where, Said(start="2026-01-15T09:00:12.5Z"))
    assert len(jobs(lake)) == 4
    assert [value for _, value in tokens(lake)] == [0, 0, 500, 500]


def refused(lake: Lake, message: str, **where: Any) -> None:
    before = snapshot(lake)
    with pytest.raises(UserError, match=message) as error:
        import_benchmark(lake, PLAIN, replace(WHERE, **where), AT_NINE)
    assert "\n" not in str(error.value)
    assert snapshot(lake) == before


def test_another_run_of_the_job_at_that_time(lake: Lake) -> None:
    import_benchmark(lake, PLAIN, replace(WHERE, job_id="a"), Said(start="2026-01-15T09:00:05Z"))
    message = (
        "job 'a' has an allocation from 2026-01-15T09:00:05Z to 2026-01-15T09:00:17Z, which "
        "overlaps this run, from 2026-01-15T09:00:00Z to 2026-01-15T09:00:12Z: give another"
    )
    refused(lake, message, job_id="a")
    # Its tokens stay when it is withdrawn.
    held(lake, "a", NINE_US + 5 * S, NINE_US + 5 * S)
    refused(lake, message, job_id="a")


def test_the_same_run_on_other_boards(lake: Lake) -> None:
    import_benchmark(lake, PLAIN, replace(WHERE, job_id="a"), AT_NINE)
    refused(lake, "job 'a' had n1/0 in this run, which --device", job_id="a", devices=["2-3"])
    refused(lake, "job 'a' had n1/1 in this run, which --device", job_id="a", devices=["0"])


def test_boards_of_another_host_are_the_same_job_s(lake: Lake) -> None:
    """What a job list says of further hosts is no other run."""
    import_benchmark(lake, PLAIN, replace(WHERE, job_id="a"), AT_NINE)
    held(lake, "a", NINE_US, NINE_US + 12_500_000, node="n2")
    assert import_benchmark(lake, PLAIN, replace(WHERE, job_id="a"), AT_NINE).written == {}


def test_another_job_on_the_board(lake: Lake) -> None:
    device(lake, 0)
    device(lake, 1)
    held(lake, "server", NINE_US - 60 * S, None)
    refused(lake, "job 'server' holds 0 of n1 in that time too, and each would get half")


def test_the_job_before_is_no_other_job_at_that_time(lake: Lake) -> None:
    held(lake, "server", NINE_US - 60 * S, NINE_US)
    import_benchmark(lake, PLAIN, WHERE, AT_NINE)
    assert len(jobs(lake)) == 3


def test_tokens_that_were_counted_already(lake: Lake) -> None:
    row = TOKENS.make_row(
        ts_us=NINE_US + S, source_id="chat", node="n1", job_id="a", engine="", kind="generated",
        value=3, epoch=0,
    )  # fmt: skip
    rows = [dict(zip(TOKENS.column_names, row, strict=True))]
    lake.append("tokens", pa.Table.from_pylist(rows, schema=TOKENS.schema()), "n1")
    refused(lake, "source 'chat' counted tokens of job 'a' in that time", job_id="a")


def test_tokens_of_a_withdrawn_run_are_not_added_to(lake: Lake) -> None:
    """Without a job of its own, what was counted before is all that tells of it."""
    where = replace(WHERE, job_id="a", devices=[])
    import_benchmark(lake, DETAILED, where, Said(start="2026-01-15T09:00:05Z"))
    refused(lake, "source 'import:a' counted tokens of job 'a'", job_id="a", devices=[])


def test_tokens_only_are_those_of_a_job_that_holds_the_boards(lake: Lake) -> None:
    held(lake, "pod", NINE_US - 60 * S, None)
    where = replace(WHERE, job_id="pod", devices=[])
    assert import_benchmark(lake, PLAIN, where, AT_NINE).written == {"tokens": 4, "requests": 2}
    assert import_benchmark(lake, PLAIN, where, AT_NINE).written == {}
    assert len(lake.read("jobs").to_pylist()) == 1
    other = import_benchmark(lake, RECORDS, replace(where, cluster="x"), Said())
    assert "job lists have 'pod', and no 'x/pod'" in other.warnings[-1]


def test_a_board_that_its_node_has_not(lake: Lake) -> None:
    device(lake, 0)
    refused(lake, "a device name fits no device of its node in 1 allocation: '1' on n1")


def test_a_node_that_the_lake_has_not_is_a_warning(lake: Lake) -> None:
    device(lake, 0, "n2")
    result = import_benchmark(lake, PLAIN, WHERE, AT_NINE)
    assert any("the lake has no devices of the node in 2" in one for one in result.warnings)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"job_id": " "}, "--job-id ' ': expected a name that is not empty"),
        ({"model": ""}, "--model '': expected a name that is not empty"),
        ({"cluster": "a/b"}, "--cluster: cluster 'a/b': expected a name without '/'"),
        ({"devices": ["3-1"]}, "--device: "),
        ({"devices": ["0-1", "1"]}, "--device 1: is named twice"),
        ({"node": ""}, "node"),
    ],
)
def test_names_that_are_none(lake: Lake, where: dict[str, Any], message: str) -> None:
    refused(lake, message, **where)


def test_a_run_without_tokens(lake: Lake, tmp_path: Path) -> None:
    path = changed(PLAIN, tmp_path, total_output_tokens=0)
    with pytest.raises(UserError, match="no token was generated in 4 requests: nothing to import"):
        import_benchmark(lake, path, WHERE, AT_NINE)
