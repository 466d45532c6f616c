"""The server alone: what it answers, where it listens, what it leaves behind."""

import http.client
import os
import socket
import stat
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tokenergy_collectors.base.address import parse_address, parse_listen
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.live import server as serving
from tokenergy_collectors.live.server import MetricsServer
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.top.client import ask


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    Gauge("some_watts", "A gauge", registry=registry).set(7)
    return registry


@pytest.fixture
def serve(registry):
    servers = []

    def serve(listen, told=None):
        servers.append(
            MetricsServer(registry, parse_listen(listen), ([] if told is None else told).append)
        )
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def get(server, path, **headers):
    request = urllib.request.Request(f"http://{server.address}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0"])
def test_metrics_a_hint_and_nothing_else(serve, listen):
    if listen.startswith("[") and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    server = serve(listen)
    status, kind, text = get(server, "/metrics?x=1")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert [f.name for f in text_string_to_metric_families(text)] == ["some_watts"]
    assert get(server, "/")[::2] == (
        200,
        "tokenergy-collect: the metrics are at /metrics\n",
    )
    assert get(server, "/metrics/x")[0] == 404
    assert [f.samples[0].value for f in ask(parse_address(server.address))] == [7]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_open_metrics_where_it_is_asked_for(serve):
    accept = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    _, kind, text = get(serve("127.0.0.1:0"), "/metrics", Accept=accept)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert [f.name for f in openmetrics.text_string_to_metric_families(text)] == ["some_watts"]


def test_a_fault_is_an_answer_and_a_line(registry, serve):
    class Broken(Collector):
        def describe(self):
            return []

        def collect(self):
            raise ValueError("no such thing")

    registry.register(Broken())
    told = []
    status, _, text = get(serve("127.0.0.1:0", told), "/metrics")
    assert (status, text.count("\n")) == (500, 1)
    assert told == ["the metrics could not be collected: ValueError('no such thing')"]


def test_a_port_in_use_is_one_line(serve):
    first = serve("127.0.0.1:0")
    with pytest.raises(UserError, match=r"metrics\.listen: 127\.0\.0\.1:\d+: Address already in"):
        serve(first.address)
    assert get(first, "/metrics")[0] == 200


def test_a_port_is_free_again_at_once(serve):
    told = serve("127.0.0.1:0")
    get(told, "/metrics")
    told.close()
    assert get(serve(told.address), "/metrics")[0] == 200


def test_whoever_says_nothing_holds_up_nobody(serve, monkeypatch):
    assert 0 < serving._REQUEST_S <= 10
    monkeypatch.setattr(serving, "_REQUEST_S", 0.3)
    server = serve("127.0.0.1:0")
    port = int(server.address.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(serving._AT_ONCE - 1)]
    assert get(server, "/metrics")[0] == 200
    for connection in silent:
        connection.settimeout(10)
        assert connection.recv(100) == b"", "closed when its time is over"
        connection.close()


def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr(serving, "_REQUEST_S", 0.5)
    server = serve("127.0.0.1:0")
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as dripping:
        dripping.settimeout(0.1)
        dripping.sendall(b"GET /metrics HTTP/1.0\r\nX: ")
        for _ in range(300):
            try:
                dripping.sendall(b"x")
                if dripping.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("the server never closed the connection")


def test_connections_beyond_the_limit_are_closed(serve):
    server = serve("127.0.0.1:0")
    port = int(server.address.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(serving._AT_ONCE)]
    with pytest.raises((http.client.HTTPException, OSError)):
        get(server, "/metrics")
    for connection in silent:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.0 200 OK\r\n"
        connection.close()


def test_a_socket_is_for_its_group_and_goes_with_the_server(serve, tmp_path):
    path = tmp_path / "m.sock"
    before = os.umask(0o077)
    try:
        server = serve(f"unix:{path}")
    finally:
        os.umask(before)
    mode = path.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert [f.samples[0].value for f in ask(parse_address(f"unix:{path}"))] == [7]
    server.close()
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(serve, tmp_path):
    path = tmp_path / "m.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    serve(f"unix:{path}")
    assert list(ask(parse_address(f"unix:{path}")))


def test_a_socket_on_which_somebody_answers_and_a_file_are_left_alone(serve, tmp_path):
    path, file = tmp_path / "m.sock", tmp_path / "file"
    file.write_text("precious")
    serve(f"unix:{path}")
    with pytest.raises(UserError, match=r"m\.sock: in use by another process"):
        serve(f"unix:{path}")
    with pytest.raises(UserError, match=r"file: the file exists and is not a socket"):
        serve(f"unix:{file}")
    with pytest.raises(UserError, match=r"none/m\.sock: No such file or directory"):
        serve(f"unix:{tmp_path}/none/m.sock")
    assert file.read_text() == "precious"
    assert list(ask(parse_address(f"unix:{path}")))


def test_the_socket_of_another_process_is_not_removed(serve, tmp_path):
    path = tmp_path / "m.sock"
    server = serve(f"unix:{path}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        server.close()
        assert path.exists()


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:9465",
        "192.168.1.5:9465",
        "gpu-01:9465",
        "[::]:9465",
        "::1:9465",
        "127.0.0.1",
        "127.0.0.1:70000",
        "9465",
        "unix:relative.sock",
        "unix:/" + "x" * 107,
        "",
    ],
)
def test_what_others_could_reach_is_refused(tmp_path, listen):
    path = tmp_path / "c.toml"
    path.write_text(f"lake = 'x'\n[metrics]\nlisten = '{listen}'\n")
    with pytest.raises(UserError) as caught:
        load_toml(path, Config)
    assert f"metrics.listen: Value error, '{listen}'"[:60] in str(caught.value)
    assert "expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_asking_nobody_or_somebody_else_is_one_line(endpoint, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"{where}: no answer \(Connection refused\)"):
            ask(parse_address(where))
    with pytest.raises(UserError, match=r"no answer \(No such file or directory\)"):
        ask(parse_address(f"unix:{tmp_path}/none"))
    address = parse_address(endpoint.url.split("/")[2])
    for body, words in ((b"\xff", "not Prometheus text"), (b"{{{ 1", "not Prometheus text")):
        endpoint.body = body
        with pytest.raises(UserError, match=words):
            ask(address)
    endpoint.status = 404
    with pytest.raises(UserError, match="HTTP 404"):
        ask(address)
    endpoint.raw = b"SSH-2.0-OpenSSH\r\n"
    with pytest.raises(UserError, match="no answer"):
        ask(address)


def test_serving_ends_with_no_thread_left(serve):
    before = set(threading.enumerate())
    server = serve("127.0.0.1:0")
    [thread] = set(threading.enumerate()) - before
    server.close()
    assert not thread.is_alive()
    assert not set(threading.enumerate()) - before
