"""Names of containers, asked of a socket that answers as Docker's does."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from tests.collectors.sources.processes.rig import DOCKER, HEX, Rig
from tokenergy_collectors.sources.processes.names import Names


class Docker:
    """Answers on a Unix socket; `asked` are the paths that were asked for."""

    def __init__(self, path):
        self.body, self.status, self.asked = json.dumps([{"Id": HEX, "Names": ["/web"]}]), 200, []
        docker = self

        class Handler(BaseHTTPRequestHandler):
            def address_string(self):
                return "docker"

            def do_GET(self):
                docker.asked.append(self.path)
                body = docker.body.encode()
                self.send_response(docker.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.path = str(path)
        self._server = socketserver.UnixStreamServer(self.path, Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def docker(tmp_path):
    docker = Docker(tmp_path / "docker.sock")
    yield docker
    docker.close()


def test_a_job_has_the_name_of_its_container(tmp_path, docker):
    with Rig(tmp_path, container_names=docker.path) as rig:
        rig.proc.run(100, DOCKER)
        rig.put(0, 100)
        rig.run(11)
        assert [row["job_id"] for row in rig.rows] == ["n1/docker/web"]
        assert docker.asked == ["/containers/json"]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ("{}", 200, "no list"),
        ("nonsense", 200, "Expecting value"),
        ("[]", 500, "HTTP 500"),
        ('[{"Id": 1}]', 200, "Names"),
        ("[null]", 200, "not subscriptable"),
    ],
)
def test_an_answer_that_is_none_leaves_the_id_and_is_told(docker, body, status, why):
    docker.body, docker.status = body, status
    names = Names(docker.path)
    assert names.of(HEX) == HEX[:12]
    assert why in names.problem


def test_a_socket_that_is_not_there_is_told_once_and_the_id_is_used(tmp_path):
    with Rig(tmp_path, container_names=str(tmp_path / "none.sock")) as rig:
        rig.proc.run(100, DOCKER)
        rig.put(0, 100)
        rig.run(21)
        assert [row["job_id"] for row in rig.rows] == [f"n1/docker/{HEX[:12]}"]
        [(_, words)] = rig.told("error")
        assert "No such file" in words


def test_an_unknown_container_is_asked_for_once_a_list(docker):
    now_s = [100.0]
    names = Names(docker.path, lambda: now_s[0])
    for number in range(5):
        assert names.of(f"{number}" * 64) == f"{number}" * 12
    assert len(docker.asked) == 1
    now_s[0] += 3.5
    assert names.of(HEX) == "web"
    assert names.of("7" * 64) == "7" * 12
    assert len(docker.asked) == 2


def test_without_a_socket_nobody_is_asked():
    names = Names(None)
    assert (names.of(HEX), names.problem) == (HEX[:12], None)
