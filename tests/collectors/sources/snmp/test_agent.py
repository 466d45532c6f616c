"""An agent whose bytes are written by hand: what it may answer, or leave out."""

import pytest

from tests.collectors.sources.snmp.rig import N, Rig, device
from tests.support.snmp import (
    END_OF_MIB,
    GET,
    NO_SUCH_INSTANCE,
    NO_SUCH_OBJECT,
    Agent,
    ber,
    number,
    response,
    text,
)
from tokenergy_collectors.sources.snmp.device import MOST_BYTES, answer_bytes, make_groups
from tokenergy_collectors.sources.snmp.settings import Oid

LOST, FOUND = "meter_lost", "meter_found"
BASE = "1.3.6.1.4.1.318.1"


def meters(count, type_="Gauge32"):
    return [(str(at), f"{BASE}.{at}", type_) for at in range(count)]


def gauges(count):
    return {f"{BASE}.{at}": number(at, 0x42) for at in range(count)}


def expected(*numbers):
    return {str(at): at * N for at in numbers}


def why(events):
    return [detail.split(": ", 1)[1].split("; 127.0.0.1")[0] for _, detail in events]


@pytest.mark.parametrize(
    ("type_", "value", "value_n"),
    [
        ("Integer32", number(-(2**31) + 1), (-(2**31) + 1) * N),
        ("Integer32", number(0), 0),
        ("Gauge32", number(2**32 - 2, 0x42), (2**32 - 2) * N),
        ("Counter32", number(2**31, 0x41), 2**31 * N),
        ("Counter64", number(2**64 - 2, 0x46), (2**64 - 2) * N),
        ("Counter64", number(0, 0x46), 0),
        ("OctetString", text(b"-12.50"), -12_500_000_000),
    ],
)
def test_each_type_is_read_from_its_bytes(type_, value, value_n):
    with Agent({BASE + ".0": value}) as agent, Rig(device(agent.port, *meters(1, type_))) as rig:
        rig.run(0)
        assert rig.values() == [("0", value_n)]
        assert rig.events == []
        assert agent.kinds == {GET}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (NO_SUCH_OBJECT, "the device has no such object"),
        (NO_SUCH_INSTANCE, "the device has no such instance of the object"),
        (END_OF_MIB, "the device has no such object"),
        (ber(5, b""), "has type Null, not Gauge32"),
        (number(7, 0x41), "has type Counter32, not Gauge32"),
        (number(7, 0x43), "has type TimeTicks, not Gauge32"),
        (ber(0x44, b"\x9f\x78\x04\x42\x29\x14\x7b"), "has type Opaque, not Gauge32"),
        (number(2**32 - 1, 0x42), "reads 4294967295 (all ones), which means no reading"),
    ],
)
def test_what_is_no_reading_is_an_event_and_no_row(value, words):
    objects = gauges(2) | {f"{BASE}.0": value}
    with Agent(objects) as agent, Rig(device(agent.port, *meters(2))) as rig:
        [health] = rig.run(20)
        assert rig.values() == [("1", N)] * 3
        assert rig.events == [(LOST, f"0: {words}; 127.0.0.1:{agent.port}, OID {BASE}.0")]
        assert (health.runs, health.failures) == (3, 3)
        agent.objects[f"{BASE}.0"] = number(5, 0x42)
        rig.run(10)
        assert rig.values() == [("0", 5 * N), ("1", N)]
        assert rig.events[1:] == [(FOUND, "0 gives readings again")]


def test_few_requests_ask_for_many_objects():
    with Agent(gauges(45)) as agent, Rig(device(agent.port, *meters(45))) as rig:
        rig.run(0)
        assert dict(rig.values()) == expected(*range(45))
        assert agent.requests == [20, 20, 5]


def test_an_answer_fits_into_a_datagram():
    long = ".".join(["1.3.6.1.4.1", *["4294967295"] * 20])
    oids = [Oid(meter=str(at), oid=f"{long}.{at}", type="OctetString") for at in range(100)]
    groups = make_groups(oids, 100)
    assert [one for group in groups for one in group] == oids
    for group in groups[:-1]:
        assert MOST_BYTES - answer_bytes(oids[0]) < sum(map(answer_bytes, group)) <= MOST_BYTES
    # A value of 40 digits, as the agent would write it.
    objects = {one.oid: text(b"1." + b"0" * 38) for one in groups[0]}
    with Agent(objects) as agent:
        answers = []
        agent._answer = lambda request: answers.append(agent.usual(request))
        found = [(one.meter, one.oid, one.type) for one in groups[0]]
        with Rig(device(agent.port, *found, most_oids=100)) as rig:
            rig.run(0)
            assert len(rig.values()) == len(groups[0])
    assert len(answers[0]) <= MOST_BYTES + 50  # community and head


def test_an_agent_that_says_too_big_is_asked_for_less():
    def answer(request):
        return [response(request, [], 1)] if len(request.oids) > 6 else None

    with Agent(gauges(16), answer) as agent, Rig(device(agent.port, *meters(16))) as rig:
        rig.run(0)
        assert dict(rig.values()) == expected(*range(16))
        assert agent.requests == [16, 8, 4, 4, 8, 4, 4]
        agent.requests.clear()
        rig.run(10)
        assert agent.requests == [4] * 4  # the parts that worked are kept
        rig.run(3600)
        assert 16 in agent.requests  # it may accept them again
        assert rig.events == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (2, "the device has no such object (error 2)"),
        (5, "the device failed to read it (error 5)"),
        (6, "the device does not let this be read (error 6)"),
        (99, "the device refuses (error 99)"),
    ],
)
def test_one_bad_object_loses_no_other_meter(status, words):
    def answer(request):
        bad = [oid for oid in request.oids if oid.endswith(b"\x05")]
        return (
            [response(request, [(oid, ber(5, b"")) for oid in request.oids], status)]
            if bad
            else None
        )

    with Agent(gauges(8), answer) as agent, Rig(device(agent.port, *meters(8))) as rig:
        rig.run(10)
        assert dict(rig.values()) == expected(0, 1, 2, 3, 4, 6, 7)
        assert why(rig.events) == [words]


def test_an_agent_that_lets_nobody_read_is_not_asked_one_by_one():
    with Agent(gauges(8), lambda request: [response(request, [], 16)]) as agent:
        with Rig(device(agent.port, *meters(8))) as rig:
            rig.run(0)
            assert (agent.requests, len(rig.kinds())) == ([8], 8)
            [first, *_] = rig.check()
        assert first.text.endswith(
            "the device does not let this community or user read (error 16); give this community "
            "or user a view for reading on the device"
        )


def test_an_answer_for_other_objects_is_taken_for_none():
    def answer(request):
        return [response(request, [(oid, number(9, 0x42)) for oid in request.oids[::-1]])]

    with Agent(gauges(3), answer) as agent, Rig(device(agent.port, *meters(3))) as rig:
        rig.run(0)
        # One by one they are right.
        assert rig.values() == [("0", 9 * N), ("1", 9 * N), ("2", 9 * N)]
        assert agent.requests == [3, 1, 2, 1, 1]

    def shorter(request):
        return [response(request, [(oid, number(9, 0x42)) for oid in request.oids[1:]])]

    with Agent(gauges(2), shorter) as agent, Rig(device(agent.port, *meters(2))) as rig:
        rig.run(0)
        assert rig.rows == []
        assert why(rig.events) == ["the device answers for other objects"] * 2


def test_what_answers_nothing_is_passed_over(capsys, caplog):
    caplog.set_level(0)

    def answer(request):
        usual = agent.usual(request)
        other = request._replace(
            id_=bytes([request.id_[0], *request.id_[1:-1], request.id_[-1] ^ 1])
        )
        wrong = [(oid, number(666, 0x42)) for oid in request.oids]
        return [
            b"x", usual[:-1], usual[:20], b"\x30\x80", b"HTTP/1.1 400 " + request.community,
            response(other, wrong),  # to another request
            response(request, wrong).replace(b"\x02\x01\x01\x04", b"\x02\x01\x00\x04", 1),  # of v1
            response(request, wrong).replace(b"\xa2", b"\xa0", 1),  # a request
            usual,
        ]  # fmt: skip

    with Agent(gauges(2), answer) as agent, Rig(device(agent.port, *meters(2))) as rig:
        rig.run(0)
        assert dict(rig.values()) == expected(0, 1)
        assert rig.events == []
        assert len(agent.requests) == 1
    assert capsys.readouterr().err == ""
    assert "readers-of-pdu" not in caplog.text


def test_a_lost_datagram_loses_nothing():
    lost = []

    def answer(request):
        lost.append(request)
        return [] if len(lost) == 2 else None

    with (
        Agent(gauges(1), answer) as agent,
        Rig(device(agent.port, *meters(1), timeout_s=0.3)) as rig,
    ):
        rig.run(10)
        assert rig.values() == [("0", 0)] * 2
        assert rig.events == []
        assert len(lost) == 3
        assert len({one.id_ for one in lost}) == 3  # a late answer is that of none of them


def test_an_agent_that_does_not_answer_is_asked_less_and_less_often():
    with (
        Agent(gauges(2), lambda _: []) as agent,
        Rig(device(agent.port, *meters(2), timeout_s=0.05, every_s=1.0)) as rig,
    ):
        rig.run(130)
        assert why(rig.events) == ["no answer within 0.05 s"] * 2
        assert agent.requests == [2, 2] * 8  # after 0, 1, 3, 7, 15, 31, 63 and 123 s
        agent._answer = lambda _: None
        rig.run(60)
        assert rig.kinds() == [LOST, LOST, FOUND, FOUND]


def test_an_agent_that_was_away_is_asked_for_much_again():
    most = [4]

    def answer(request):
        return [response(request, [], 1)] if len(request.oids) > most[0] else None

    with Agent(gauges(8), answer) as agent, Rig(device(agent.port, *meters(8))) as rig:
        rig.run(0)
        agent.kill()
        rig.run(10)
        most[0] = 8
        agent.start()
        agent.requests.clear()
        rig.run(60)
        assert set(agent.requests) == {8}


def test_each_object_is_read_by_itself_and_shown():
    objects = gauges(3) | {f"{BASE}.1": number(7, 0x41), f"{BASE}.2": ber(5, b"")}
    with Agent(objects) as agent, Rig(device(agent.port, *meters(4))) as rig:
        found = [(one.level, one.text) for one in rig.check()]
    place = f"at 127.0.0.1:{agent.port}, OID {BASE}"
    assert found == [
        ("ok", f"0 {place}.0: 0 (Gauge32)"),
        (
            "warn",
            f"1 {place}.1: has type Counter32, not Gauge32; if it is the right OID: "
            'type = "Counter32"',
        ),
        ("warn", f"2 {place}.2: has type Null, not Gauge32"),
        (
            "warn",
            f"3 {place}.3: the device has no such object; compare the OID with the manual; a "
            "single value ends in .0",
        ),
    ]
    assert agent.requests == [1] * 4


def test_what_to_do_about_an_agent_that_is_silent():
    with (
        Agent(gauges(5), lambda _: []) as agent,
        Rig(device(agent.port, *meters(5), timeout_s=0.05)) as rig,
    ):
        found = [one.text for one in rig.check()]
    assert len(found) == 3
    assert "0: no answer within 0.05 s; is SNMP v2c switched on there" in found[0]
    assert found[1].startswith("1 at ")
    assert found[2] == f"127.0.0.1:{agent.port}: its other meters: not asked"
