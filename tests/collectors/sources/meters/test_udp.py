"""A socket hears its peer alone, keeps its deadline, and can be stopped by another thread."""

import socket
import threading
import time

import pytest

from tests.support.udp import Peer
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.udp import StoppedError, UdpSocket, find_address, no_way


@pytest.fixture
def opened():
    made = []

    def opened(port):
        made.append(UdpSocket(find_address("127.0.0.1", port)))
        return made[-1]

    yield opened
    for one in made:
        one.close()


def test_the_peer_is_heard_and_nobody_else(opened):
    with Peer(lambda data: [data[::-1]]) as peer:
        one = opened(peer.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"666", ("127.0.0.1", one._socket.getsockname()[1]))
        one.send(b"abc")
        assert one.receive(time.monotonic() + 30) == b"cba"
        with pytest.raises(TimeoutError):
            one.receive(time.monotonic() + 0.05)


def test_no_deadline_is_passed(opened):
    with Peer() as peer:
        one = opened(peer.port)
        for wait_s in (0.0, 0.0004, 0.2):
            began_s = time.monotonic()
            with pytest.raises(TimeoutError):
                one.receive(began_s + wait_s)
            assert time.monotonic() - began_s >= wait_s


def test_a_closed_port_is_told(opened):
    with Peer() as peer:
        pass
    one = opened(peer.port)
    one.send(b"abc")
    with pytest.raises(ConnectionRefusedError):
        one.receive(time.monotonic() + 30)


def test_another_thread_stops_it(opened):
    ended = threading.Event()
    with Peer() as peer:
        one = opened(peer.port)

        def ask():
            one.send(b"abc")
            with pytest.raises(StoppedError):
                one.receive(time.monotonic() + 60)
            ended.set()

        thread = threading.Thread(target=ask)
        thread.start()
        assert peer.asked.wait(30)
        one.stop()
        assert ended.wait(30)
        thread.join()
    for again in (lambda: one.send(b"abc"), lambda: one.receive(time.monotonic() + 60)):
        with pytest.raises(StoppedError):
            again()


def test_a_name_that_is_not_known():
    with pytest.raises(AwayError, match="the name of the host is not known"):
        find_address("meter.invalid", 161)
    assert find_address("::1", 161) == (socket.AF_INET6, "::1", 161)
    with pytest.raises(AwayError, match="not known"):
        find_address("::1", 161, socket.AF_INET)


def test_where_there_is_no_way():
    with pytest.raises(OSError, match=r".") as caught:
        UdpSocket(find_address("255.255.255.255", 161))
    assert str(no_way(caught.value)) == "no way to the device: permission denied"
