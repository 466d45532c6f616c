"""BMCs that ask who reads them, that are busy, that hang; sessions, certificates, secrets."""

import socket
import subprocess
import threading

import pytest

from tests.collectors.sources.redfish.rig import N, Rig, S, bmc
from tests.support.modbus import SilentServer
from tests.support.redfish import (
    ROOT,
    FaultyBmc,
    StaticBmc,
    environment,
    free_port,
    old_power,
    tree,
)
from tokenergy_collectors.base.clock import SystemClock

POWER = "n1/bmc/power"
LOST, FOUND = "meter_lost", "meter_found"
SECRET = 'Tr0ub4dor-&"3\\ é'  # noqa: S105
METRICS = f"{ROOT}/Chassis/1/EnvironmentMetrics"
TREE = tree(**{"1": environment(400)})


@pytest.fixture
def login(tmp_path):
    """The keys of a user whose password is in a file."""
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return {"username": "monitor", "password_file": path}


def served(users=True, found=TREE):
    return FaultyBmc(found, {"monitor": SECRET} if users else None)


def why(rig):
    """The reason of the only event."""
    [(kind, detail)] = rig.events
    assert kind == LOST
    return detail.removeprefix(f"{POWER}: ").partition("; 127.0.0.1")[0]


def test_one_session_serves_all_readings_and_ends_with_the_source(login):
    with served() as server:
        with Rig(bmc(server.port, **login)) as rig:
            rig.run(300)
            assert rig.values() == [(POWER, 400 * N)] * 11
            assert (server.begun, len(server.sessions)) == (1, 1)
            assert {how for method, path, how in server.requests if path != f"{ROOT}/"} == {
                "", "session"
            }  # fmt: skip
            # Nothing but the value is asked for once its place is known.
            assert server.requests[-2:] == [("GET", METRICS, "session")] * 2
        assert server.sessions == {}
        assert server.requests[-1] == ("DELETE", f"{ROOT}/SessionService/Sessions/1", "session")


def test_a_session_that_has_expired_is_begun_again_without_a_gap(login):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        server.sessions.clear()
        rig.run(30)
        assert rig.values() == [(POWER, 400 * N)] * 2
        assert (server.begun, rig.events) == (2, [])


def test_basic_authentication_has_no_session(login):
    with served() as server:
        with Rig(bmc(server.port, auth="basic", **login)) as rig:
            rig.run(30)
            assert rig.values() == [(POWER, 400 * N)] * 2
        assert {(method, how) for method, _, how in server.requests} == {("GET", "basic")}


@pytest.mark.parametrize("auth", ["session", "basic"])
def test_a_refused_password_is_not_tried_again_until_it_is_another_one(login, auth, capsys):
    login["password_file"].write_text("wrong")
    with served() as server, Rig(bmc(server.port, auth=auth, **login)) as rig:
        rig.run(540)
        assert why(rig) == "it refuses the user name or the password (HTTP 401)"
        tries = [one for one in server.requests if one[0] == "POST" or one[2] == "wrong"]
        tries = [one for one in tries if one[1] != f"{ROOT}/"]  # which anyone may read
        assert len(tries) == 1  # BMCs lock a user after a few
        rig.run(120)
        tries = [one for one in server.requests if one[0] == "POST" or one[2] == "wrong"]
        tries = [one for one in tries if one[1] != f"{ROOT}/"]  # which anyone may read
        assert len(tries) == 2
        login["password_file"].write_text(SECRET)
        rig.run(61)
        assert rig.kinds() == [LOST, FOUND]
        assert (POWER, 400 * N) in rig.values()
    assert "wrong" not in capsys.readouterr().err


def test_no_password_where_one_is_asked_for():
    with served() as server, Rig(bmc(server.port)) as rig:
        rig.run(0)
        assert why(rig) == "it asks for a user name and password (HTTP 401)"
        [finding] = rig.check()
        assert finding.text.endswith("give username and password_file")


def test_a_password_comes_from_the_environment(monkeypatch):
    keys = {"username": "monitor", "password_env": "TEST_BMC_PASSWORD"}
    with served() as server, Rig(bmc(server.port, **keys)) as rig:
        rig.run(0)
        assert why(rig) == "password_env: the environment has no TEST_BMC_PASSWORD"
        monkeypatch.setenv("TEST_BMC_PASSWORD", SECRET)
        rig.run(30)
        assert rig.values() == [(POWER, 400 * N)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file or directory"),
        (b"", "expected one line that holds the password"),
        (b"a\nb\n", "expected one line that holds the password"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_password_file_that_cannot_be_used(login, content, said):
    path = login["password_file"]
    path.unlink() if content is None else path.write_bytes(content)
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        assert why(rig) == f"password_file {path}: {said}"


def test_no_secret_is_told(login, capfd, caplog):
    """Neither a log, an event nor a finding has the password, whatever goes wrong."""
    caplog.set_level(0)
    texts = []
    faults = [
        lambda handler: False,
        lambda handler: handler.answer(401),
        lambda handler: handler.answer(500, SECRET.encode()),
        lambda handler: handler.answer(200, SECRET.encode()),
        lambda handler: handler.answer(204) if handler.command == "POST" else False,
    ]
    for auth in ("session", "basic"):
        for fault in faults:
            with (
                served() as server,
                server.broken(fault),
                Rig(bmc(server.port, auth=auth, **login)) as rig,
            ):
                rig.run(30)
                texts += [str(one) for one in rig.check()] + [one for _, one in rig.events]
                texts += [repr(rig.keys), repr(rig.source.config)]
    texts += [*capfd.readouterr(), caplog.text]
    assert len(texts) > 20
    for text in texts:
        assert "Tr0ub4dor" not in text
        assert "token-" not in text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, f"the user may not read {METRICS} (HTTP 403)"),
        (404, f"the BMC has no {METRICS} (HTTP 404)"),
        (500, f"{METRICS}: HTTP 500"),
        (503, "it is busy or starts (HTTP 503)"),
        (429, "it is busy or starts (HTTP 429)"),
        (401, f"the user may not read {METRICS} (HTTP 401)"),
        (308, f"{METRICS} redirects to another address (HTTP 308)"),
    ],
)
def test_a_refusal_is_a_loss_with_its_reason(login, status, said):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        rig.rows.clear()
        with server.broken(lambda handler: handler.path == METRICS and handler.answer(status)):
            rig.run(30)
            assert (rig.rows, why(rig)) == ([], said)
        rig.run(61)
        assert (POWER, 400 * N) in rig.values()
        assert rig.kinds() == [LOST, FOUND]


def test_what_may_not_be_read_in_one_way_is_read_in_another():
    found = tree(**{"1": environment(400) | old_power({"PowerConsumedWatts": 5})})
    with served(False, found) as server, Rig(bmc(server.port)) as rig:
        server.fault = lambda handler: handler.path == METRICS and handler.answer(403)
        rig.run(0)
        assert rig.values() == [(POWER, 5 * N)]


def test_a_chassis_that_is_refused_hides_no_other():
    """Without it nobody knows whether several have power."""
    found = tree(a=environment(1), b=environment(2))
    with served(False, found) as server, Rig(bmc(server.port)) as rig:
        server.fault = lambda one: one.path == f"{ROOT}/Chassis/b" and one.answer(500)
        rig.run(0)
        assert (rig.values(), why(rig)) == ([], f"{ROOT}/Chassis/b: HTTP 500")


def test_a_redirect_to_another_path_is_followed_and_to_another_host_is_not(login):
    with served() as server, served() as other, Rig(bmc(server.port, **login)) as rig:
        away = f"http://127.0.0.1:{other.port}/moved"
        server.tree["/moved"] = server.tree[METRICS]

        def at(location):
            return lambda one: one.path == METRICS and one.answer(307, Location=location)

        for location in ("/moved", f"http://127.0.0.1:{server.port}/moved"):
            with server.broken(at(location)):
                rig.run(30)
                assert set(rig.values()) == {(POWER, 400 * N)}
        tls = f"https://127.0.0.1:{server.port}/moved"
        for location in (away, away.removeprefix("http:"), tls, "moved", "http://[/moved", ""):
            with server.broken(at(location)):
                rig.run(30)
        assert rig.values() == []
        assert other.requests == []


def test_a_link_to_another_host_or_into_another_request_is_not_followed(login):
    with served() as other, served() as server, Rig(bmc(server.port, **login)) as rig:
        chassis = server.tree[f"{ROOT}/Chassis/1"]
        away = f"127.0.0.1:{other.port}"
        # The first ones are no paths at all, so that nothing is asked for.
        for path in (
            "/a b", "/a\r\nX: y", "/é", 7, None, f"http://{away}/", f"@{away}/", f"//{away}/"
        ):  # fmt: skip
            chassis["EnvironmentMetrics"] = {"@odata.id": path}
            rig.run(61)
        assert (rig.values(), other.requests) == ([], [])
        assert why(rig) == "the BMC has no power"
        assert {path for _, path, _ in server.requests if "Chassis/1" not in path} <= {
            f"{ROOT}/", f"{ROOT}/Chassis", f"{ROOT}/SessionService/Sessions", f"/{away}/"
        }  # fmt: skip


def test_a_login_without_an_answer_is_not_repeated_at_once(login):
    """Each one may have left a session, and a BMC has only few."""

    def vanish(handler):
        if handler.command != "POST":
            return False
        handler.bmc.begun += 1
        handler.close_connection = True
        return True

    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        server.sessions.clear()  # the connection is kept
        with server.broken(vanish):
            rig.run(30)
        assert (server.begun, why(rig)) == (2, "it closed the connection")


def test_a_refusal_from_the_start_is_told(login):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        server.fault = lambda handler: handler.path == METRICS and handler.answer(403)
        rig.run(0)
        assert why(rig) == f"the user may not read {METRICS} (HTTP 403)"
        # Each resource is asked for once in a reading, though two values are looked for.
        assert [path for _, path, _ in server.requests].count(METRICS) == 1


def test_a_bmc_without_free_sessions_says_what_to_do(login):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        server.fault = lambda one: one.command == "POST" and one.answer(507)
        rig.run(0)
        assert why(rig) == (
            'it gives no session (HTTP 507): are too many open? auth = "basic" needs none'
        )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "no answer within 0.3 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "no answer within 0.3 s"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an answer that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\n{}", "no answer within 0.3 s"),
    ],
)
def test_what_is_no_answer_is_no_reading(answer, said):
    with SilentServer(answer) as server, Rig(bmc(server.port, timeout_s=0.3)) as rig:
        [health] = rig.run(0)
        assert (rig.rows, health.succeeded, why(rig)) == ([], False, said)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_stop_waits_for_no_answer_and_no_handshake(scheme):
    with (
        SilentServer() as server,
        Rig(bmc(server.port, scheme=scheme, timeout_s=60.0), clock=SystemClock()) as rig,
    ):
        running = threading.Thread(target=rig.plan.readers[0].ask)
        running.start()
        assert server.asked.wait(30)
        rig.source.finish(rig.clock.monotonic_us() + 30 * S)
        assert rig.plan.readers[0].finish(30)
        running.join()
        assert rig.events == []
    with SilentServer() as server, Rig(bmc(server.port, scheme=scheme, timeout_s=0.3)) as rig:
        rig.run(0)
        assert why(rig) == "no answer within 0.3 s"


def test_an_answer_that_comes_byte_by_byte_takes_no_longer_than_the_timeout():
    def drip(handler):
        """Each byte comes well within the time for one read."""
        try:
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 200:
                handler.wfile.write(bytes([byte]))
                if handler.bmc.stop.wait(0.05):
                    break
        except OSError:
            pass
        handler.close_connection = True
        return True

    with served(False) as server, server.broken(drip), Rig(bmc(server.port, timeout_s=0.5)) as rig:
        rig.run(0)
        assert why(rig) == "no answer within 0.5 s"
        server.stop.set()


def test_an_answer_that_is_cut_off_or_too_long(login):
    with served(False) as server, Rig(bmc(server.port)) as rig:

        def cut(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"PowerWatts": {"Reading": 4}}')
            handler.close_connection = True
            return True

        with server.broken(cut):
            rig.run(0)
        assert why(rig) == "the answer was cut off"
        rig.events.clear()
        rig.source._lost.clear()
        with server.broken(lambda one: one.answer(200, b" " * (9 << 20))):
            rig.run(30)
        assert why(rig) == "an answer that is too long"


def test_a_kept_connection_that_the_bmc_has_closed_loses_nothing():
    closed = threading.Event()

    def then_close(handler):
        handler.answer(200, handler.bmc.tree.get(handler.path))
        # Without saying so: the next request finds it closed.
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        closed.set()
        return True

    with served(False) as server, Rig(bmc(server.port)) as rig:
        with server.broken(then_close):
            rig.run(60)
        assert closed.is_set()
        assert rig.values() == [(POWER, 400 * N)] * 3
        assert rig.events == []


def test_a_bmc_that_hangs_delays_no_other_and_no_stop():
    def hang(handler):
        handler.bmc.stop.wait(60)
        return True

    with served(False) as slow, served(False) as good, slow.broken(hang):
        keys = {"every_s": 1.0, "timeout_s": 60.0}
        devices = bmc(slow.port, node="n2", **keys), bmc(good.port, **keys)
        with Rig(*devices, clock=SystemClock()) as rig:
            ticks = threading.Semaphore(0)
            rig.plan.every("other", 0.01, lambda: ticks.release())
            stop = threading.Event()
            running = threading.Thread(target=rig.plan.schedule.run, args=(None, stop), daemon=True)
            running.start()
            try:
                assert slow.asked.wait(30)
                good.asked.clear()
                assert good.asked.wait(30)  # read again meanwhile
                while ticks.acquire(blocking=False):
                    pass
                for _ in range(20):
                    assert ticks.acquire(timeout=10)
            finally:
                stop.set()
            running.join()
            assert rig.plan.readers[0].health.runs == 0  # it still waits
            rig.source.finish(rig.clock.monotonic_us() + 30 * S)
            assert rig.plan.readers[0].finish(30)
            assert rig.events == []
            assert {meter for meter, _ in rig.values()} == {POWER}
            slow.stop.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that a BMC has signed itself, made out to bmc.test, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=bmc.test",
         "-addext", "subjectAltName=DNS:bmc.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_a_certificate_must_be_known_and_made_out_to_the_bmc(tmp_path, certificate):
    cert, _ = certificate
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    with StaticBmc(tmp_path / "tree", TREE, certificate) as server:

        def read(**keys):
            with Rig(bmc(server.port, scheme="https", **keys)) as rig:
                rig.run(0)
                return rig.values() or why(rig)

        good = [(POWER, 400 * N)]
        assert read(ca_file=cert, tls_name="bmc.test") == good
        assert read(tls_verify=False) == good
        assert read() == "its certificate is not accepted: self-signed certificate"
        assert "not valid for '127.0.0.1'" in read(ca_file=cert)
        assert read(ca_file=other) == f"ca_file {other}: holds no certificate in PEM"
        assert read(ca_file=tmp_path / "none") == (
            f"ca_file {tmp_path / 'none'}: no such file or directory"
        )


def test_https_to_a_server_without_tls_and_the_other_way_round(tmp_path, certificate):
    with served(False) as plain, Rig(bmc(plain.port, scheme="https")) as rig:
        rig.run(0)
        assert why(rig) == "it answers without TLS: expected http://"
    with StaticBmc(tmp_path / "tree", TREE, certificate) as server, Rig(bmc(server.port)) as rig:
        rig.run(0)
        assert rig.rows == []
        assert why(rig) == "it closed the connection"


def test_a_name_that_is_not_known_and_a_port_that_is_closed():
    with Rig({"url": "https://bmc.invalid"}) as rig:
        rig.run(0)
        [(_, detail)] = rig.events
        assert "the name of the host is not known; bmc.invalid:443" in detail
    with Rig(bmc(free_port())) as rig:
        rig.run(0)
        assert why(rig) == "no connection: connection refused"
