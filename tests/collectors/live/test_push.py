"""The push of the live view by the official SDK, to a server that decodes what it gets."""

import gzip
import queue
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

from tests.collectors.live.test_endpoint_process import PLAIN, Process
from tests.support.live import Shown
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.live.push import Push, read_headers


class Backend:
    """An OTLP backend on loopback: `got` has each push with its headers; answers with `status`."""

    def __init__(self, status=200):
        self.got = queue.Queue()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                backend.got.put(
                    (self.headers, service.ExportMetricsServiceRequest.FromString(body))
                )
                self.send_response(backend.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.status = status
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/metrics"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def backend():
    found = Backend()
    yield found
    found.server.shutdown()
    found.server.server_close()


def metrics_of(request):
    [block] = request.resource_metrics
    resource = {one.key: one.value.string_value for one in block.resource.attributes}
    return resource, {one.name: one for one in block.scope_metrics[0].metrics}


def points(metric):
    return [
        ({one.key: one.value.string_value for one in point.attributes}, point.as_double)
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def pushed(tmp_path, url, **otel):
    """Run an emulated node for 100 s, and push what it shows then."""
    shown = Shown(tmp_path / "lake", otel={"endpoint": url, "every_s": 3600, **otel})
    push = Push(shown.view)
    expected = []

    def look(*_):
        view = shown.view
        push.follow(shown.config)
        now_us = view.now_us()
        expected.extend(
            (device, live.fresh_mw(now_us) / 1000, live.counter_mj(now_us) / 1000)
            for device, live in view.boards.items()
        )
        push.close()  # pushes once more

    shown.at(100, look)
    shown.run(101)
    return expected


def test_boards_jobs_and_health_go_out_by_name_and_unit(tmp_path, backend):
    (tmp_path / "h").write_text("X-Scope-OrgID: team-a\n")
    expected = pushed(tmp_path, backend.url, headers_file=str(tmp_path / "h"))
    headers, request = backend.got.get(timeout=20)
    resource, found = metrics_of(request)
    assert headers["X-Scope-OrgID"] == "team-a"
    assert (resource["service.name"], resource["host.name"]) == ("tokenergy-collect", "n1")
    power, energy = found["hw.power"], found["hw.energy"]
    assert (power.unit, energy.unit, energy.sum.is_monotonic) == ("W", "J", True)
    watts = {labels["hw.id"]: value for labels, value in points(power)}
    joules = {labels["hw.id"]: value for labels, value in points(energy)}
    assert [(d, watts[d], joules[d]) for d, _, _ in expected] == expected
    assert {labels["hw.gpu.task"] for labels, _ in points(found["hw.gpu.utilization"])} == {
        "general"
    }
    labels, _ = points(power)[0]
    assert labels["hw.type"] == "gpu"
    assert labels["hw.name"].startswith("GPU ")
    assert labels["tokenergy.job_id"]
    jobs = {labels["tokenergy.job_id"] for labels, _ in points(found["tokenergy.job.power"])}
    assert jobs == {"chat", "train"}
    assert found["tokenergy.collector.readings"].sum.is_monotonic
    assert found["tokenergy.collector.resident_memory"].unit == "By"


def test_a_backend_that_refuses_is_told_once_and_harms_nothing(tmp_path, backend, capfd):
    backend.status = 400
    assert pushed(tmp_path, backend.url)
    backend.got.get(timeout=20)
    assert capfd.readouterr().err.count("otel_failed") == 1


def test_without_the_packages_the_daemon_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenergy_collectors.live.otel", None)
    shown = Shown(tmp_path / "lake", otel={"endpoint": "http://127.0.0.1:9/v1/metrics"})
    with pytest.raises(UserError, match=r"pip install 'tokenergy\[otel\]'"):
        Push(shown.view).follow(shown.config)


def test_a_line_that_is_no_header_is_an_error_that_does_not_tell_the_key(tmp_path):
    path = tmp_path / "h"
    path.write_text("A: b\n\nsecret\n")
    with pytest.raises(UserError, match="line 3: expected") as error:
        read_headers(path)
    assert "secret" not in str(error.value)
    with pytest.raises(UserError, match="No such file"):
        read_headers(tmp_path / "none")
    with pytest.raises(ValueError, match="credentials"):
        Shown(tmp_path / "lake", otel={"endpoint": "http://a:b@host/v1/metrics"})


def test_a_daemon_pushes_from_a_reload_until_its_end(tmp_path, backend):
    with Process(tmp_path, profile=PLAIN) as process:
        process.event("start")
        process.base += f"[otel]\nendpoint = '{backend.url}'\nevery_s = 1\n"
        process.hang_up("")
        assert process.event("otel")["to"] == backend.url
        while "hw.power" not in (found := metrics_of(backend.got.get(timeout=20)[1])[1]):
            pass
        assert len(points(found["hw.power"])) == 4
        process.stop()


def test_a_backend_that_hangs_delays_no_tick(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/metrics"
        with Process(tmp_path, profile=PLAIN) as process:
            process.event("start")
            process.base += f"[otel]\nendpoint = '{url}'\nevery_s = 1\ntimeout_s = 0.5\n"
            process.hang_up("")
            process.event("otel_failed")
            process.process.send_signal(signal.SIGTERM)
            assert process.event("stop")["left_out"] == 0
            assert process.process.wait(20) == 0
