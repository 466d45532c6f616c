"""Answers of endpoints, and answers that are none."""

import socket
import threading
import time

import pytest

from tokenergy_collectors.sources.tokens import scrape
from tokenergy_collectors.sources.tokens.scrape import ScrapeError, fetch

PAGE = "vllm:generation_tokens_total 70.0\n"


def test_fetch(endpoint):
    endpoint.body = PAGE
    assert fetch(endpoint.url, 5) == PAGE
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
    endpoint.body = PAGE
    assert fetch(endpoint.url, 5) == PAGE


def test_json_is_told_from_prometheus_text(endpoint):
    """TensorRT-LLM's /metrics is a list of iterations, without a newline at the end."""
    for body in ("[]", '[{"iter": 1}]', ' {"error": "x"}\n'):
        endpoint.body = body
        with pytest.raises(ScrapeError, match=r"JSON: expected Prometheus text.*/prometheus/"):
            fetch(endpoint.url, 5)


def test_a_page_behind_a_key(endpoint, tmp_path):
    endpoint.body, endpoint.status = PAGE, 401
    with pytest.raises(ScrapeError, match="HTTP 401: asks for a key: set bearer_file"):
        fetch(endpoint.url, 5)
    key = tmp_path / "key"
    with pytest.raises(ScrapeError, match=r"bearer_file .*/key: No such file"):
        fetch(endpoint.url, 5, key)
    key.write_text("\n")
    with pytest.raises(ScrapeError, match="expected one line"):
        fetch(endpoint.url, 5, key)
    key.write_text("secret\n")
    with pytest.raises(ScrapeError, match=r"HTTP 401: refuses the key in .*/key"):
        fetch(endpoint.url, 5, key)
    endpoint.status = 200
    assert fetch(endpoint.url, 5, key) == PAGE
    assert endpoint.headers["Authorization"] == "Bearer secret"
