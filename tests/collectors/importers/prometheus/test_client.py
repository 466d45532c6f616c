"""What an operator is told when a store does not answer as one."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.collectors.importers.prometheus.boards import board, every
from tests.collectors.importers.prometheus.conftest import Run
from tests.support.store import Store
from tests.support.tls import self_signed
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus.client import Client, Door

HTML = b"<!doctype html><title>Sign in</title>"


def test_401_asks_for_a_key_and_with_one_says_which_file_was_refused(
    store: Store, run: Run, tmp_path: Path
) -> None:
    store.odd = lambda _path, _of: (401, "text/plain", b"Unauthorized")
    with pytest.raises(UserError, match="HTTP 401: asks for a key: give --bearer-file"):
        run()
    key = tmp_path / "key"
    key.write_text("secret\n")
    with pytest.raises(UserError, match=f"refuses the key in {key}"):
        run(door=Door(store.url, bearer_file=key))
    assert store.headers["authorization"] == "Bearer secret"


def test_headers_come_from_a_file(store: Store, run: Run, tmp_path: Path) -> None:
    board(store, every(15, 1, 600))
    headers = tmp_path / "headers"
    headers.write_text("# Mimir\nX-Scope-OrgID: team-a\n\nAuthorization: Basic eDp5\n")
    run(door=Door(store.url, header_file=headers))
    assert store.headers["x-scope-orgid"] == "team-a"
    assert store.headers["authorization"] == "Basic eDp5"
    headers.write_text("no colon\n")
    with pytest.raises(UserError, match="expected lines such as X-Scope-OrgID"):
        run(end="2026-01-15T09:30:00Z", door=Door(store.url, header_file=headers))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ((200, "text/html; charset=utf-8", HTML), "answers with a web page"),
        ((404, "text/html", HTML), "answers with a web page"),
        ((404, "text/plain", b"404 page not found"), "has no /api/v1 .*Mimir answers under"),
        ((200, "application/json", b'{"message": "hello"}'), "no answer of a Prometheus API"),
        ((200, "application/json", b'{"status": "success"'), "no answer of a Prometheus API"),
        ((302, "text/plain", b"https://login.example/?x"), "redirects to https://login.example"),
        ((400, "application/json", b'{"status":"error","error":"no such tenant"}'), "no such ten"),
    ],
)
def test_other_answers_say_what_they_are(
    store: Store, run: Run, odd: tuple[int, str, bytes], said: str
) -> None:
    store.odd = lambda _path, _of: odd
    with pytest.raises(UserError, match=said):
        run()


def test_a_busy_store_is_asked_again_and_then_left(store: Store, run: Run) -> None:
    board(store, every(15, 1, 600))
    answers = [(503, "text/plain", b"")] * 3
    store.odd = lambda _path, _of: answers.pop() if answers else None
    assert run().rows["power"] == 40
    store.odd = lambda _path, _of: (502, "text/html", HTML)
    with pytest.raises(UserError, match=r"HTTP 502, 6 times in a row: check --url, or run"):
        run(end="2026-01-15T09:30:00Z")


def test_nobody_listens(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match=r"cannot be reached: .*Connection refused"):
        run(door=Door(url))


def test_a_part_of_a_store_that_is_away_is_no_answer(store: Store, run: Run) -> None:
    board(store, every(15, 1, 600))
    store.more = {"isPartial": True}
    with pytest.raises(UserError, match="a part of the store did not answer, 6 times"):
        run()


def test_warnings_of_the_store_are_told(store: Store, run: Run) -> None:
    board(store, every(15, 1, 600))
    store.more = {"warnings": ["remote storage is slow"]}
    assert "the store says: 'remote storage is slow'" in run().warnings


def test_proxies_of_the_environment_are_not_used(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    path = "/api/v1/label/__name__/values"
    asked = {"match[]": '{__name__=~"x"}', "start": "0", "end": "1"}
    assert Client(Door(store.url)).ask(path, asked) == []


def test_a_ca_file_must_hold_certificates(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(UserError, match=r"--ca-file .*: No such file"):
        Client(Door("https://127.0.0.1:1", ca_file=path))
    path.write_text(json.dumps({}))
    with pytest.raises(UserError, match=r"--ca-file .*: "):
        Client(Door("https://127.0.0.1:1", ca_file=path))


def test_https_where_there_is_none(store: Store, run: Run) -> None:
    with pytest.raises(UserError, match="answers without TLS: expected http://"):
        run(door=Door(store.url.replace("http:", "https:")))


def test_a_store_behind_tls(store: Store, run: Run, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "both.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    store.wrap(context)
    board(store, every(15, 1, 600))
    with pytest.raises(UserError, match=r"TLS: self.signed certificate: give --ca-file FILE"):
        run()
    assert run(door=Door(store.url, ca_file=certificate)).rows["power"] == 40


def test_an_answer_that_breaks_off_is_asked_for_again(store: Store, run: Run) -> None:
    board(store, every(15, 1, 600))
    left = [3]

    def cut(body: bytes) -> bytes:
        left[0] -= 1
        return body[:-5] if left[0] >= 0 else body

    store.cut = cut
    assert run().rows["power"] == 40


def test_a_store_that_hangs_meets_the_timeout(store: Store, run: Run) -> None:
    gone = threading.Event()

    def hang(_path: str, _of: object) -> None:
        gone.wait(20)

    store.odd = hang
    try:
        with pytest.raises(UserError, match=r"cannot list its metrics: no answer within 0\.2 s"):
            run(door=Door(store.url, timeout_s=0.2))
    finally:
        gone.set()
