"""Rows of `tokens`: epochs, restarts, what a source has told before, failures."""

import pytest

from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.settings import TokenSource


class Now:
    def __init__(self):
        self.us = 1_000

    def __call__(self):
        return self.us


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def watch(endpoint, now):
    source = TokenSource(source_id="s", url=endpoint.url, job_id="j", model="configured")
    return TokenEndpoint(source, "n1", now)


@pytest.fixture
def scrape(watch, endpoint, now):
    """Serve something, scrape it; return {(engine, kind): (value, epoch)}."""

    def scrape(body, since_s=None):
        endpoint.body = body
        if since_s is not None:
            endpoint.body += f"process_start_time_seconds {since_s}\n"
        now.us += 1_000
        rows = [dict(zip(TOKENS.column_names, row, strict=True)) for row in watch.scrape()]
        return {(r["engine"], r["kind"]): (r["value"], r["epoch"]) for r in rows}

    return scrape


def vllm(prompt=None, cached=None, generated=None, engine="0"):
    names = {"prompt": prompt, "prompt_cached": cached, "generation": generated}
    metrics = {"prompt": "prompt_tokens", "prompt_cached": "prompt_tokens_cached",
               "generation": "generation_tokens"}  # fmt: skip
    return "".join(
        f'vllm:{metrics[key]}_total{{engine="{engine}",model_name="m"}} {value}\n'
        for key, value in names.items()
        if value is not None
    )


def test_a_row_says_whose_counter_it_is(endpoint, now):
    same = {"source_id": "s", "url": endpoint.url, "job_id": "j", "model": "configured"}
    watch = TokenEndpoint(TokenSource(**same, role="prefill"), "n1", now, run=7, cluster="east")
    endpoint.body = vllm(generated=5) + "process_start_time_seconds 2.5\n"
    [row] = watch.scrape()
    assert TOKENS.as_dict(row) == {
        "ts_us": 1_000, "source_id": "s", "node": "n1", "job_id": "j", "model": "m",
        "engine": "0", "kind": "generated", "value": 5, "epoch": 0, "since_us": 2_500_000,
        "metric": "vllm:generation_tokens_total", "series": '{"engine":"0","model_name":"m"}',
        "quantum": 1, "run": 7, "cluster": "east",
        "role": "prefill",
    }  # fmt: skip
    now.us = 2_000
    endpoint.body = "llamacpp:tokens_predicted_total 7\n"
    [row] = watch.scrape()
    told = TOKENS.as_dict(row)
    assert (told["model"], told["engine"], told["series"]) == ("configured", "", "{}")


def test_computed_is_all_less_cached(scrape):
    assert scrape(vllm(10, 4, 1)) == {
        ("0", "prompt_computed"): (6, 0),
        ("0", "prompt_cached"): (4, 0),
        ("0", "generated"): (1, 0),
    }
    assert scrape(vllm(10)) == {}


def test_a_total_whose_cached_part_is_missing_once_is_left_out(scrape):
    assert ("0", "prompt_computed") in scrape(vllm(10, 4, 1))
    assert scrape(vllm(12, None, 2)) == {("0", "generated"): (2, 0)}
    assert scrape(vllm(14, 5, 3))["0", "prompt_computed"] == (9, 0)


def test_a_source_without_a_cache_tells_all(scrape):
    assert scrape(vllm(10, None, 1))["0", "prompt_computed"] == (10, 0)


def test_a_fall_begins_an_epoch_of_that_counter(scrape):
    """Whether it restarted is for the index to find, which sees what comes next."""
    scrape(vllm(10, 4, 5) + vllm(generated=5, engine="1"))
    assert scrape(vllm(12, 5, 3) + vllm(generated=6, engine="1")) == {
        ("0", "prompt_computed"): (7, 0),
        ("0", "prompt_cached"): (5, 0),
        ("0", "generated"): (3, 1),
        ("1", "generated"): (6, 0),
    }
    assert scrape(vllm(13, 5, 3))["0", "generated"] == (3, 1)


def test_a_difference_that_wavers_is_no_restart(scrape):
    scrape(vllm(100, 40, 5))
    assert scrape(vllm(100, 45, 5))["0", "prompt_computed"] == (60, 0)
    assert scrape(vllm(110, 45, 5))["0", "prompt_computed"] == (65, 0)
    assert scrape(vllm(9, 1, 5))["0", "prompt_computed"] == (8, 1)


def test_series_that_differ_in_any_label_are_rows_of_their_own(watch, endpoint):
    endpoint.body = "".join(
        f'sglang:realtime_tokens_total{{mode="decode",model_name="m",tp_rank="{r}"}} {50 + r}\n'
        for r in range(4)
    )
    rows = [TOKENS.as_dict(row) for row in watch.scrape()]
    assert [row["value"] for row in rows] == [50, 51, 52, 53]
    assert len({row["series"] for row in rows}) == 4


def test_a_second_choice_is_not_used_where_the_first_is_missing_once(scrape):
    """A counter must not change its meaning from one scrape to the next."""
    hits = 'vllm:prefix_cache_hits_total{engine="0",model_name="m"} 7\n'
    assert scrape(vllm(10, 4) + hits)["0", "prompt_cached"] == (4, 0)
    assert scrape(vllm(12) + hits) == {}
    assert scrape(vllm(14, 5) + hits)["0", "prompt_computed"] == (9, 0)


def test_a_server_once_seen_to_print_all_digits_is_exact(watch, endpoint, now):
    name = "vllm:generation_tokens_total"
    found = []
    for value in ("1.2345e+09", "1.2345006e+09", "1.2346e+09"):
        endpoint.body = f"{name} {value}\n"
        now.us += 1_000
        [row] = watch.scrape()
        found.append(TOKENS.as_dict(row)["quantum"])
    assert found == [10_000, 1, 1]


def test_another_start_of_the_process_begins_an_epoch(scrape):
    assert scrape(vllm(generated=5), 100.0)["0", "generated"] == (5, 0)
    assert scrape(vllm(generated=6), 100.4)["0", "generated"] == (6, 0)
    assert scrape(vllm(generated=7), 500.0)["0", "generated"] == (7, 1)
    assert scrape(vllm(generated=8))["0", "generated"] == (8, 1)
    assert scrape(vllm(generated=9), 900.0)["0", "generated"] == (9, 1)


@pytest.mark.parametrize("body", ["", "up 1\n", "vllm:generation_tokens_total NaN\n", "\xff"])
def test_nothing_usable_is_failing_and_no_exception(watch, scrape, body):
    assert scrape(body) == {}
    assert watch.failing
    assert scrape(vllm(generated=1)) != {}
    assert watch.failing is None


def test_http_500_and_refusal_are_failing(watch, endpoint, scrape):
    endpoint.status = 500
    assert scrape(vllm(generated=1)) == {}
    assert watch.failing == "HTTP 500"
    source = watch.source.model_copy(update={"url": "http://127.0.0.1:1/metrics"})
    refused = TokenEndpoint(source, "n1", lambda: 0)
    assert refused.scrape() == []
    assert "refused" in refused.failing


def test_the_same_stamp_is_not_told_twice(watch, endpoint):
    endpoint.body = vllm(generated=1)
    assert len(watch.scrape()) == 1
    assert watch.scrape() == []
    assert watch.failing is None
