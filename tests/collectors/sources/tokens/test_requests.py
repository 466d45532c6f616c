"""Request counters and latency histograms: what each server's page tells, and how often it is read.

The page of vLLM 0.32 is recorded from a server of two ranks on a CPU, after 40 requests (each rank
20, one of them a second answer of n = 2) and one that was aborted.
"""

import json

import pytest

from tokenergy_collectors.lake.contract import REQUEST_KINDS, REQUESTS
from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.findings import endpoint_finding
from tokenergy_collectors.sources.tokens.requestpage import parse_requests
from tokenergy_collectors.sources.tokens.requestrows import RequestRows
from tokenergy_collectors.sources.tokens.requests import REQUESTS as KNOWN
from tokenergy_collectors.sources.tokens.settings import TokenSource

T0 = 1_768_464_000_000_000
S = 1_000_000
TOKENS_LINE = 'vllm:generation_tokens_total{engine="0",model_name="tiny"} 686.0\n'

VLLM = """\
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine="0",finished_reason="stop",model_name="tiny"} 0.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"} 20.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="tiny"} 0.0
vllm:request_success_total{engine="1",finished_reason="length",model_name="tiny"} 20.0
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="1",le="0.25",model_name="tiny"} 18.0
vllm:time_to_first_token_seconds_bucket{engine="1",le="+Inf",model_name="tiny"} 21.0
vllm:time_to_first_token_seconds_count{engine="1",model_name="tiny"} 21.0
vllm:time_to_first_token_seconds_sum{engine="1",model_name="tiny"} 3.762786388397217
# TYPE vllm:inter_token_latency_seconds histogram
vllm:inter_token_latency_seconds_bucket{engine="1",le="+Inf",model_name="tiny"} 785.0
# TYPE vllm:request_time_per_output_token_seconds histogram
vllm:request_time_per_output_token_seconds_bucket{engine="1",le="0.05",model_name="tiny"} 20.0
vllm:request_time_per_output_token_seconds_bucket{engine="1",le="+Inf",model_name="tiny"} 20.0
# TYPE vllm:request_success_created gauge
vllm:request_success_created{engine="0",finished_reason="stop",model_name="tiny"} 1.7e+09
"""


def told(page: str) -> list[tuple[str, str, dict[str, int]]]:
    return [(one.what.kind, one.engine, one.counts) for one in parse_requests(page)]


def test_a_recorded_page_gives_counters_and_latencies_by_rank() -> None:
    assert told(VLLM) == [
        ("finished", "0", {"stop": 0, "length": 20, "abort": 0}),
        ("finished", "1", {"length": 20}),
        ("ttft", "1", {"0.25": 18, "+Inf": 21}),
        ("tpot", "1", {"0.05": 20, "+Inf": 20}),
    ]
    ttft = parse_requests(VLLM)[2]
    assert (ttft.metric, ttft.labels, ttft.sum_s) == (
        "vllm:time_to_first_token_seconds", {"engine": "1", "model_name": "tiny"},
        3.762786388397217,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('sglang:num_requests_total{model_name="m"} 9\n'
         'sglang:num_aborted_requests_total{model_name="m"} 2\n'
         'sglang:inter_token_latency_seconds_bucket{le="+Inf",model_name="m"} 99\n',
         [("finished", "", {"finished": 9}), ("finished", "", {"abort": 2})]),
        ('tgi_request_success 5\ntgi_request_failure{err="overloaded"} 3\n'
         'tgi_request_duration_bucket{le="1.5"} 2\ntgi_request_duration_bucket{le="+Inf"} 5\n',
         [("finished", "", {"success": 5}), ("finished", "", {"error overloaded": 3}),
          ("e2e", "", {"1.5": 2, "+Inf": 5})]),
        ('trtllm_request_success_total{finished_reason="stop",model_name="m"} 4\n'
         'trtllm_time_per_output_token_seconds_bucket{le="+Inf",model_name="m"} 4\n',
         [("finished", "", {"stop": 4}), ("tpot", "", {"+Inf": 4})]),
        ('lmdeploy:request_success_total{finished_reason="ResponseType.FINISH"} 4\n'
         'lmdeploy:time_per_output_token_seconds_bucket{le="+Inf"} 400\n',
         [("finished", "", {"ResponseType.FINISH": 4})]),
        ('ray_vllm_request_success_total{ReplicaId="r1",finished_reason="stop"} 4\n'
         'ray_vllm_request_success_total{ReplicaId="r2",finished_reason="stop"} 6\n',
         [("finished", "", {"stop": 4}), ("finished", "", {"stop": 6})]),
        ('dynamo_frontend_requests_total{endpoint="chat",model="m",status="success"} 4\n'
         'dynamo_frontend_requests_total{endpoint="chat",model="m",status="error"} 1\n'
         'dynamo_frontend_request_duration_seconds_bucket{le="+Inf",model="m"} 5\n',
         [("finished", "", {"success": 4, "error": 1}), ("e2e", "", {"+Inf": 5})]),
        ("llamacpp:tokens_predicted_total 7\nllamacpp:requests_processing 1\n", []),
        ("tokenergy_trained_tokens_total 7\n", []),
    ],
)  # fmt: skip
def test_each_server_tells_what_its_source_says(page: str, expected: list) -> None:
    assert told(page) == expected


def test_every_known_metric_is_of_a_kind_of_the_contract() -> None:
    assert {one.kind for one in KNOWN} == set(REQUEST_KINDS)


@pytest.mark.parametrize("value", ["NaN", "-1", "1e300", "+Inf"])
def test_a_count_that_cannot_be_one_leaves_out_its_row_alone(value: str) -> None:
    page = f'vllm:request_success_total{{finished_reason="abort"}} {value}\n'
    page += 'vllm:request_success_total{finished_reason="stop"} 3\n'
    page += 'vllm:e2e_request_latency_seconds_bucket{le="+Inf"} 3\n'
    assert told(page) == [("e2e", "", {"+Inf": 3})]


def test_a_torn_line_and_a_thousand_reasons_cost_no_tokens() -> None:
    assert parse_requests('vllm:request_success_total{finished_reason="st\n') == []
    many = "".join(f'vllm:request_success_total{{finished_reason="r{n}"}} 1\n' for n in range(1000))
    assert parse_requests(many) == []


def watching(endpoint, times_s: list[float], **more) -> TokenEndpoint:
    """Return an endpoint whose scrapes are at these seconds."""
    now = iter([T0 + round(s * S) for s in times_s for _ in (0, 1)])
    source = TokenSource(source_id="chat", url=endpoint.url, job_id="j", **more)
    return TokenEndpoint(source, "n1", lambda: next(now), run=7, cluster="east")


def kinds(watch: TokenEndpoint) -> list[str]:
    watch.scrape()
    return sorted(REQUESTS.as_dict(row)["kind"] for row in watch.requests)


def test_rows_have_what_the_page_says_and_whose_it_is(endpoint) -> None:
    endpoint.body = TOKENS_LINE + VLLM
    watch = watching(endpoint, [10])
    assert len(watch.scrape()) == 1  # requests are no tokens
    row = next(r for r in map(REQUESTS.as_dict, watch.requests) if r["engine"] == "0")
    assert json.loads(row.pop("counts")) == {"stop": 0, "length": 20, "abort": 0}
    assert row == {
        "ts_us": T0 + 10 * S, "source_id": "chat", "node": "n1", "job_id": "j", "model": "tiny",
        "engine": "0", "kind": "finished", "metric": "vllm:request_success_total",
        "series": '{"engine":"0","model_name":"tiny"}', "sum_s": None, "since_us": None, "run": 7,
        "cluster": "east",
    }  # fmt: skip


def test_latencies_are_read_once_a_minute_and_around_the_hour(endpoint) -> None:
    endpoint.body = TOKENS_LINE + VLLM
    some, every = ["finished"] * 2, ["finished", "finished", "tpot", "ttft"]
    watch = watching(endpoint, [1000, 1005, 1055, 1060, 3590, 3594, 3599, 3604, 3609])
    found = [kinds(watch) for _ in range(9)]
    assert found == [every, some, some, every, every, some, every, every, some]


def test_the_page_at_an_edge_of_a_job_is_read_whole(endpoint) -> None:
    endpoint.body = TOKENS_LINE + VLLM
    watch = watching(endpoint, [1000, 1005, 1010])
    assert len(kinds(watch)) == 4
    assert len(kinds(watch)) == 2
    watch.read_all()
    assert len(kinds(watch)) == 4


def test_a_page_without_requests_or_of_a_mapping_gives_none(endpoint) -> None:
    endpoint.body = "llamacpp:tokens_predicted_total 7\n"
    watch = watching(endpoint, [10])
    assert watch.scrape()
    assert watch.requests == []
    endpoint.body = "mine_total 7\n" + VLLM
    watch = watching(endpoint, [10], mapping={"generated": "mine_total"})
    assert watch.scrape()
    assert watch.requests == []


def test_a_page_that_is_lost_leaves_no_rows_of_the_one_before(endpoint) -> None:
    endpoint.body = TOKENS_LINE + VLLM
    watch = watching(endpoint, [10, 15])
    watch.scrape()
    endpoint.status = 500
    watch.scrape()
    assert watch.requests == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (TOKENS_LINE + VLLM, "; requests by finish reason, ttft, tpot"),
        ("llamacpp:tokens_predicted_total 7\n", "; no requests"),
    ],
)
def test_check_says_what_a_page_tells_of_requests(endpoint, page: str, words: str) -> None:
    endpoint.body = page
    found = endpoint_finding(TokenSource(source_id="chat", url=endpoint.url, job_id="j"))
    assert found.text.endswith(words) if hasattr(found, "text") else str(found).count(words)


def test_a_page_of_two_jobs_gives_a_row_each() -> None:
    """As where a server goes over from one job to the next: see `ownjob.py`."""
    rows = RequestRows(10, {"source_id": "s", "node": "n", "run": 1}).of_page(
        VLLM, T0, None, [(None, "a"), ("east", "b")], lambda _, since_us: since_us
    )
    found = [REQUESTS.as_dict(row) for row in rows]
    finished = [
        (row["cluster"], row["job_id"], row["counts"]) for row in found
        if (row["kind"], row["engine"]) == ("finished", "1")
    ]  # fmt: skip
    assert finished == [(None, "a", '{"length":20}'), ("east", "b", '{"length":20}')]
    assert len(found) == 2 * len(told(VLLM))
