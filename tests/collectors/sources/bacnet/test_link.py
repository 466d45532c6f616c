"""What a peer may answer, byte by byte; how long it may take, and how it ends."""

import sys
import threading

import pytest

from tests.collectors.sources.bacnet.rig import N, Rig, S, device, keys_of
from tests.support.udp import Peer
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.sources.bacnet.link import Link
from tokenergy_collectors.sources.bacnet.source import BacnetMeters
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.reader import AwayError

METER = ("m", "analog-input,3")
SEVEN = b"\x44\x40\xe0\x00\x00"  # 7.0, a Real
GOOD_FLAGS, NO_FAULT = b"\x82\x04\x00", b"\x91\x00"
THREE = b"\x0c\x00\x00\x00\x03"  # analog-input,3


def frame(apdu, control=0, extra=b""):
    """A datagram of BACnet/IP; extra: what of the network's part follows the control byte."""
    body = bytes([1, control]) + extra + apdu
    return b"\x81\x0a" + (len(body) + 4).to_bytes(2, "big") + body


def invoke_of(request):
    """The number of a request that goes to no other network."""
    assert request[:2] == b"\x81\x0a"
    assert request[4:6] == b"\x01\x04"
    return request[8]


def result(property_, value):
    return bytes([0x29, property_, 0x4E]) + value + b"\x4f"


def many(invoke, value=SEVEN, object_=THREE, flags=GOOD_FLAGS, reliability=NO_FAULT):
    """An answer to ReadPropertyMultiple."""
    results = result(85, value) + result(111, flags) + result(103, reliability)
    return b"\x30" + bytes([invoke, 14]) + object_ + b"\x1e" + results + b"\x1f"


def why(events):
    return [detail.split(": ", 1)[1].split("; 127.0.0.1")[0] for _, detail in events]


def only(*devices):
    [found] = keys_of(*devices).bacnet
    return found


def test_a_reading_is_stamped_with_the_middle_of_its_request():
    times = iter([1_000, 1_501])
    with Peer(lambda data: [frame(many(invoke_of(data)))]) as peer:
        link = Link(only(device(peer.port, METER)), lambda: next(times))
        names = ("present-value", "status-flags", "reliability")
        assert link.read_many([3], names).ts_us == 1_250
        link.close()
        with pytest.raises(AwayError, match="the collector stops"):
            link.read_many([3], names)


def test_the_bytes_of_a_request():
    seen = []
    with (
        Peer(lambda data: [seen.append(data), frame(many(invoke_of(data)))][1:]) as peer,
        Rig(device(peer.port, METER)) as rig,
    ):
        rig.run(0)
        assert rig.values() == [("m", 7 * N)]
    body = b"\x00\x05" + seen[0][8:9] + b"\x0e" + THREE + b"\x1e\x09\x55\x09\x6f\x09\x67\x1f"
    assert seen == [frame(body, 0x04)]


def test_a_device_behind_a_router():
    seen = []

    def answer(data):
        seen.append(data)
        from_there = b"\x07\xd1\x01\x0b"
        return [frame(many(data[13]), 0x08, from_there)]

    with (
        Peer(answer) as peer,
        Rig(device(peer.port, METER, network=2001, mac="0b")) as rig,
    ):
        [health] = rig.run(0)
        assert health.source == f"bacnet/127.0.0.1:{peer.port}/2001/0b"
        assert rig.values() == [("m", 7 * N)]
    assert seen[0][4:11] == b"\x01\x24\x07\xd1\x01\x0b\xff"


def test_a_router_that_knows_no_way():
    rejected = frame(b"", 0x80, b"\x03\x01\x07\xd1")  # Reject-Message-To-Network: not connected
    with (
        Peer(lambda _: [rejected]) as peer,
        Rig(device(peer.port, METER, ("n", "analog-input,4"), network=2001, mac="0b")) as rig,
    ):
        rig.run(0)
        assert why(rig.events) == ["the router has no way to the network"] * 2
        first, rest = rig.check()
    assert first.text.endswith("network; is 2001 the number of the device's network?")
    assert rest.text.endswith("its other meters: not asked")


def test_what_answers_nothing_is_passed_over(caplog, capsys):
    caplog.set_level(0)

    def answer(data):
        invoke = invoke_of(data)
        good = frame(many(invoke))
        six = b"\x44\x40\xc0\x00\x00"
        return [
            b"x", b"\x81\x0a\x00", good[:-1], good[:9], b"\x82" + good[1:], b"HTTP/1.1 400",
            frame(many((invoke + 1) % 256, six)),  # to another request
            frame(b"\x20" + many(invoke, six)[1:]),  # a SimpleAck
            frame(many(invoke, six)[:-3]),  # cut off
            frame(b"\x3c" + bytes([invoke, 0, 1, 14]) + many(invoke, six)[3:]),  # a segment
            frame(b"\x10\x08"),  # Who-Is
            frame(b"", 0x80, b"\x03\x01\x07\xd1"),  # of a router that was not asked
            good,
        ]  # fmt: skip

    with Peer(answer) as peer, Rig(device(peer.port, METER)) as rig:
        rig.run(0)
        assert rig.values() == [("m", 7 * N)]
        assert rig.events == []
    assert (capsys.readouterr().err, caplog.text) == ("", "")


def test_an_answer_that_was_forwarded_is_taken():
    def answer(data):
        body = b"\x01\x00" + many(invoke_of(data))
        return [b"\x81\x04" + (len(body) + 10).to_bytes(2, "big") + b"\x7f\0\0\1\xba\xc0" + body]

    with Peer(answer) as peer, Rig(device(peer.port, METER)) as rig:
        rig.run(0)
        assert rig.values() == [("m", 7 * N)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"\x00", "says a Null, which is no number"),
        (b"\x11", "says a Boolean, which is no number"),
        (b"\x91\x01", "says a Enumerated, which is no number"),
        (SEVEN + SEVEN, "says a list, which is no number"),
        (b"\x43\x40\xe0\x00", "says a Real, which is no number"),  # three bytes
    ],
)
def test_what_is_no_number_is_no_reading(value, words):
    with (
        Peer(lambda data: [frame(many(invoke_of(data), value))]) as peer,
        Rig(device(peer.port, METER)) as rig,
    ):
        rig.run(0)
        assert (rig.rows, why(rig.events)) == ([], [words])


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (lambda i: b"\x50" + bytes([i, 14]) + b"\x91\x01\x91\x1f", "has no such object"),
        (lambda i: b"\x50" + bytes([i, 14]) + b"\x91\x02\x91\x1b", "refuses: read-access-denied"),
        (lambda i: b"\x60" + bytes([i, 4]), "refuses: invalid-tag"),
        (lambda i: b"\x71" + bytes([i, 4]), "refuses: segmentation-not-supported"),
    ],
)
def test_a_refusal_is_an_event_and_no_row(refusal, words):
    services = []

    def answer(data):
        services.append(data[9])
        return [frame(refusal(invoke_of(data)))]

    with Peer(answer) as peer, Rig(device(peer.port, METER)) as rig:
        rig.run(0)
        assert (rig.rows, why(rig.events)) == ([], [f"the device {words}"])
        assert services == [14, 12]  # by itself too


@pytest.mark.parametrize("count", [1, 9])
def test_a_device_that_is_busy_is_not_asked_one_by_one(count):
    asked = []

    def answer(data):
        asked.append(data)
        return [frame(b"\x50" + bytes([invoke_of(data), 14]) + b"\x91\x00\x91\x03")]

    objects = [(str(at), f"analog-input,{at}") for at in range(count)]
    with Peer(answer) as peer, Rig(device(peer.port, *objects)) as rig:
        rig.run(0)
        assert why(rig.events) == ["the device refuses: device-busy"] * count
        assert len(asked) == 1


def test_an_answer_for_another_object_is_taken_for_none():
    with (
        Peer(lambda data: [frame(many(invoke_of(data), object_=b"\x0c\0\0\0\x04"))]) as peer,
        Rig(device(peer.port, METER)) as rig,
    ):
        rig.run(0)
        assert rig.rows == []
        assert rig.events[0][0] == "meter_lost"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"flags": b"\x91\x00"}, "its status-flags cannot be read: a Enumerated"),
        ({"reliability": GOOD_FLAGS}, "its reliability cannot be read: a BitString"),
        ({"flags": b"\x82\x04\x80"}, None),  # in alarm alone
        ({"reliability": b"\x91\x0c"}, "the device says: reliability communication-failure"),
        ({"reliability": b"\x91\x63"}, "the device says: reliability 99"),
    ],
)
def test_state_as_devices_may_say_it(state, words):
    with (
        Peer(lambda data: [frame(many(invoke_of(data), **state))]) as peer,
        Rig(device(peer.port, METER)) as rig,
    ):
        rig.run(0)
        assert why(rig.events) == ([] if words is None else [words])


def test_state_that_cannot_be_read_hides_the_value():
    def answer(data):
        denied = b"\x29\x6f\x5e\x91\x02\x91\x1b\x5f"  # status-flags: read-access-denied
        usual = many(invoke_of(data))
        return [frame(usual.replace(result(111, GOOD_FLAGS), denied))]

    with Peer(answer) as peer, Rig(device(peer.port, METER)) as rig:
        rig.run(0)
        assert why(rig.events) == ["its status-flags cannot be read: read-access-denied"]


def test_a_lost_datagram_loses_nothing():
    seen = []

    def answer(data):
        seen.append(invoke_of(data))
        return [] if len(seen) == 2 else [frame(many(seen[-1]))]

    with Peer(answer) as peer, Rig(device(peer.port, METER, timeout_s=0.3)) as rig:
        rig.run(10)
        assert rig.values() == [("m", 7 * N)] * 2
        assert rig.events == []
        assert len(set(seen)) == len(seen) == 3  # a late answer is that of none of them


def test_more_requests_than_numbers():
    with (
        Peer(lambda data: [frame(many(invoke_of(data)))]) as peer,
        Rig(device(peer.port, METER)) as rig,
    ):
        rig.run(2570)
        assert len(rig.values()) == 258


def test_a_name_that_is_not_known():
    with Rig(device(47_808, METER, host="meter.invalid")) as rig:
        rig.run(0)
        assert rig.events[0][1].startswith("m: the name of the host is not known; ")
        [finding] = rig.check()
        assert finding.text.endswith("the name of the host is not known")


def test_what_to_do_about_a_device_that_is_silent():
    objects = [(str(at), f"analog-input,{at}") for at in range(5)]
    with Peer() as peer, Rig(device(peer.port, *objects, timeout_s=0.05)) as rig:
        found = [one.text for one in rig.check()]
    assert len(found) == 3
    assert found[0].endswith(
        "no answer within 0.05 s; is BACnet/IP switched on there, at port "
        f"{peer.port}, and open for this host?"
    )
    assert found[2].endswith("its other meters: not asked")


def test_a_device_that_never_answers_delays_no_other_source():
    ticks = threading.Semaphore(0)
    with (
        Peer() as peer,
        Rig(device(peer.port, METER, timeout_s=60.0), clock=SystemClock()) as rig,
    ):
        rig.plan.every("other", 0.01, lambda: ticks.release())
        stop = threading.Event()
        running = threading.Thread(target=rig.plan.schedule.run, args=(None, stop), daemon=True)
        running.start()
        try:
            assert peer.asked.wait(30)
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


def test_a_device_that_hangs_delays_no_other_device():
    with Peer() as hanging, Peer(lambda data: [frame(many(invoke_of(data)))]) as peer:
        one = device(hanging.port, ("hangs", "analog-input,3"), timeout_s=60.0)
        two = device(peer.port, METER, every_s=0.1)
        with Rig(one, two, clock=SystemClock()) as rig:
            stop = threading.Event()
            running = threading.Thread(target=rig.plan.schedule.run, args=(None, stop), daemon=True)
            running.start()
            try:
                assert hanging.asked.wait(30)
                before = len(rig.rows)
                while len(rig.rows) < before + 3:
                    assert peer.asked.wait(30)
                    peer.asked.clear()
            finally:
                stop.set()
            running.join()
            assert {row["meter_id"] for row in rig.rows} == {"m"}
            assert rig.events == []


def test_without_bacpypes3_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "bacpypes3", None)
    config = keys_of(device(1, METER))
    with pytest.raises(UserError, match=r"^bacnet: .*pip install 'tokenergy\[meters\]'$"):
        BacnetMeters.validate(config, emulated=False)
    BacnetMeters.validate(config, emulated=True)
    [finding] = BacnetMeters.check(config, Host("n1", SystemClock(), Log("text")))
    assert finding.level == "FAIL"
    assert "tokenergy[meters]" in finding.text
