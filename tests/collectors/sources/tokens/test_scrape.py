"""Expositions as servers write them, and answers that are none."""

import socket
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.tokens import scrape
from tokenergy_collectors.sources.tokens.scrape import ScrapeError, fetch, parse

VLLM = """\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m-8b"} 1000.0
vllm:prompt_tokens_total{engine="1",model_name="m-8b"} 500.0
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{engine="0",model_name="m-8b"} 1.7e+09
vllm:prompt_tokens_cached_total{engine="0",model_name="m-8b"} 400.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="m-8b",source="local_compute"} 600.0
vllm:generation_tokens_total{engine="0",model_name="m-8b"} 70.0
vllm:generation_tokens_created{engine="0",model_name="m-8b"} 1.7e+09
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="m-8b"} 3.0
vllm:iteration_tokens_total_sum{engine="0",model_name="m-8b"} 3.0
vllm:iteration_tokens_total_count{engine="0",model_name="m-8b"} 3.0
process_start_time_seconds 1.7684640005e+09
"""


def roles(text):
    return {(s.model, s.engine): s.roles for s in parse(text)}


def test_vllm_engines_apart():
    found = parse(VLLM)
    assert {(s.model, s.engine): s.roles for s in found} == {
        ("m-8b", "0"): {"prompt_all": 1000, "prompt_cached": 400, "generated": 70},
        ("m-8b", "1"): {"prompt_all": 500},
    }
    assert {s.since_us for s in found} == {1_768_464_000_500_000}


def test_sglang_lively_counters_are_preferred_and_late_ones_taken_alone():
    late = 'sglang:prompt_tokens_total{model_name="m"} 9\nsglang:generation_tokens_total 8\n'
    lively = "".join(
        f'sglang:realtime_tokens_total{{mode="{mode}",model_name="m"}} {value}\n'
        for mode, value in (("prefill_compute", 5), ("prefill_cache", 4), ("decode", 3), ("x", 99))
    )
    assert roles(late + lively)["m", ""] == {
        "prompt_computed": 5, "prompt_cached": 4, "generated": 3,
    }  # fmt: skip
    assert roles(late) == {("m", ""): {"prompt_all": 9}, (None, ""): {"generated": 8}}


def test_llama_cpp_tgi_ray_and_our_own():
    assert roles(
        "llamacpp:prompt_tokens_total 10\nllamacpp:prompt_tokens_cached_total 3\n"
        "llamacpp:tokens_predicted_total 7\nllamacpp:prompt_tokens_seconds 4.5\n"
    ) == {(None, ""): {"prompt_computed": 10, "prompt_cached": 3, "generated": 7}}
    assert roles(
        'tgi_request_input_length_bucket{le="1"} 1\ntgi_request_input_length_sum 21\n'
        "tgi_request_input_length_count 3\ntgi_request_generated_tokens_sum 5\n"
    ) == {(None, ""): {"prompt_all": 21, "generated": 5}}
    assert roles('ray_vllm_generation_tokens_total{model_name="m"} 6\n') == {
        ("m", ""): {"generated": 6}
    }
    assert roles('tokenergy_trained_tokens_total{model="m"} 1e6\n') == {
        ("m", ""): {"trained": 1_000_000}
    }


def test_ranks_of_one_engine_are_added():
    text = 'vllm:generation_tokens_total{rank="0"} 5\nvllm:generation_tokens_total{rank="1"} 6\n'
    assert roles(text) == {(None, ""): {"generated": 11}}


@pytest.mark.parametrize("model", ["a{b}", 'say \\"hi\\"', "a}b{", "a,b=c", "#x", "日本"])
def test_any_model_name_is_read(model):
    [found] = parse(f'vllm:generation_tokens_total{{model_name="{model}"}} 5\n')
    assert found.model == model.replace('\\"', '"')
    assert found.roles == {"generated": 5}


def test_other_series_are_not_even_parsed():
    assert parse("this is } not { prometheus\nvllm:num_requests_running broken\n\n  \n{}\n") == []
    [found] = parse("gar bage }{ 5 5 5\nvllm:generation_tokens_total\t5\n")
    assert found.roles == {"generated": 5}


@pytest.mark.parametrize(
    "value", ["NaN", "+Inf", "-Inf", "-1", "1e30", "9223372036854775808", "x", ""]
)
def test_values_that_are_no_counts_are_told(value):
    with pytest.raises(ScrapeError):
        parse(f"vllm:generation_tokens_total {value}\n")
    with pytest.raises(ScrapeError):
        parse(f"vllm:generation_tokens_total 1\nprocess_start_time_seconds {value}\n")


@given(st.text(alphabet='{}",=\\ \t\n#0159eE+-.NaInfx_:', max_size=40))
def test_garbage_after_a_known_name_is_read_or_told(garbage):
    with suppress(ScrapeError):
        parse(f"vllm:generation_tokens_total{garbage}\nsglang:realtime_tokens{garbage}\n")


def test_fetch(endpoint):
    endpoint.body = VLLM
    assert fetch(endpoint.url, 5) == VLLM
    endpoint.body = ""
    assert fetch(endpoint.url, 5) == ""


@pytest.mark.parametrize("status", [404, 500, 503])
def test_http_errors(endpoint, status):
    endpoint.status = status
    with pytest.raises(ScrapeError, match=f"HTTP {status}"):
        fetch(endpoint.url, 5)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x01garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nvllm:generation_tokens_total 5\n",
        b"HTTP/1.1 200 OK\r\n\r\nvllm:generation_tokens_total 12",
        b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
    ],
)
def test_answers_that_are_none(endpoint, raw):
    endpoint.raw = raw
    with pytest.raises(ScrapeError, match=r"."):
        fetch(endpoint.url, 5)


@pytest.mark.parametrize("url", ["http://[", "http://a:b/", "http://127.0.0.1:1/", "http:// x/"])
def test_addresses_that_lead_nowhere(url):
    with pytest.raises(ScrapeError, match=r"."):
        fetch(url, 1)


def test_an_endless_or_huge_answer_is_given_up(endpoint, monkeypatch):
    monkeypatch.setattr(scrape, "_MAX_BYTES", 100)
    endpoint.body = "x" * 1000
    with pytest.raises(ScrapeError, match="more than 100 bytes"):
        fetch(endpoint.url, 5)


def test_an_answer_that_drips_ends_at_the_timeout():
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not stop.wait(0.02):
                    try:
                        peer.sendall(b"#")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(ScrapeError, match=r"not complete after 0\.3 s"):
                fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.3)
        finally:
            stop.set()
            thread.join(5)
    assert time.monotonic() - began < 3


def test_a_proxy_for_other_traffic_is_not_asked(endpoint, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    endpoint.body = VLLM
    assert fetch(endpoint.url, 5) == VLLM
