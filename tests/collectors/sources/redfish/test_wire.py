"""BMCs that hang, close connections or speak something else; certificates; how long it takes."""

import socket
import subprocess
import threading

import pytest

from tests.collectors.sources.redfish.rig import (
    POWER,
    TREE,
    N,
    Rig,
    S,
    bmc,
    served,
    why,
)
from tests.support.modbus import SilentServer
from tests.support.redfish import (
    StaticBmc,
    free_port,
)
from tokenergy_collectors.base.clock import SystemClock


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


def test_an_answer_that_is_cut_off_or_too_long():
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
