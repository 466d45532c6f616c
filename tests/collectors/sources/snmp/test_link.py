"""Who asks, how long, and how it ends."""

import logging
import sys
import threading

import pytest

from tests.collectors.sources.snmp.rig import COMMUNITY, N, Rig, S, device, keys_of
from tests.support.snmp import Agent, number
from tests.support.udp import Peer
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.snmp import link
from tokenergy_collectors.sources.snmp.link import Link
from tokenergy_collectors.sources.snmp.session import Answer, Session
from tokenergy_collectors.sources.snmp.source import SnmpMeters

OID = "1.3.6.1.4.1.318.1"
METER = ("m", OID, "Gauge32")
OBJECTS = {OID: number(7, 0x42)}
USER = {"version": "3", "user": "reader", "auth": "sha256", "auth_key_env": "AUTH"}
ENCRYPTED = USER | {"priv": "aes", "priv_key_env": "AUTH"}


def only(*devices):
    [found] = keys_of(*devices).snmp
    return found


def test_a_reading_is_stamped_with_the_middle_of_its_request():
    times = iter([1_000, 1_501])
    with Agent(dict(OBJECTS)) as agent:
        one = Link(only(device(agent.port, METER)), lambda: next(times))
        assert one.get([OID]) == ([("Gauge32", 7)], 1_250)
        one.close()
        with pytest.raises(AwayError, match="the collector stops"):
            one.get([OID])


def test_a_name_that_is_not_known():
    one = Link(only(device(161, METER, host="meter.invalid")), lambda: 0)
    with pytest.raises(AwayError, match="the name of the host is not known"):
        one.get([OID])


def test_a_port_where_nobody_listens():
    with Agent(dict(OBJECTS)) as agent:
        agent.kill()
        with Rig(device(agent.port, METER)) as rig:
            rig.run(0)
            assert rig.events[0][1].startswith("m: nobody listens at this port; ")
            agent.start()
            rig.run(10)
            assert rig.values() == [("m", 7 * N)]


def test_a_community_is_read_from_its_file_each_time(tmp_path):
    path = tmp_path / "community"
    seen = []

    def answer(request):
        seen.append(request.community)
        return None if request.community == b"new one" else []

    with Agent(dict(OBJECTS), answer) as agent:
        keys = {"community_env": None, "community_file": path, "timeout_s": 0.2}
        with Rig(device(agent.port, METER, **keys)) as rig:
            rig.run(0)
            path.write_text("old\n")
            rig.run(10)
            path.write_text("new one\n")
            rig.run(20)
            assert (set(rig.values()), set(seen)) == ({("m", 7 * N)}, {b"old", b"new one"})
            assert rig.events == [
                (
                    "meter_lost",
                    f"m: community_file {path}: no such file or directory; "
                    f"127.0.0.1:{agent.port}, OID {OID}",
                ),
                ("meter_found", "m gives readings again"),
            ]
            path.write_text("two\nlines\n")
            [finding] = rig.check()
            assert finding.text.endswith(
                f"community_file {path}: expected one line that holds the community"
            )


@pytest.mark.parametrize(
    ("keys", "key", "why"),
    [
        ({}, None, f"community_env: the environment has no {COMMUNITY}"),
        (USER, None, "auth_key_env: the environment has no AUTH"),
        (USER, "7 chars", "auth_key_env AUTH: expected at least 8 characters"),
    ],
)
def test_a_secret_that_is_not_there(monkeypatch, keys, key, why):
    monkeypatch.delenv(COMMUNITY)
    if key is not None:
        monkeypatch.setenv("AUTH", key)
    with Rig(device(161, METER, **keys)) as rig:
        rig.run(0)
        [first] = rig.check()
        [(_, detail)] = rig.events
        assert detail == f"m: {why}; 127.0.0.1:161, OID {OID}"
        assert first.text.endswith(why)


@pytest.mark.parametrize("keys", [{}, ENCRYPTED])
def test_an_agent_that_never_answers_delays_no_other_source(monkeypatch, keys):
    monkeypatch.setenv("AUTH", "passphrase-auth")
    ticks = threading.Semaphore(0)
    with (
        Peer() as peer,
        Rig(device(peer.port, METER, **keys | {"timeout_s": 60.0}), clock=SystemClock()) as rig,
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
        # The stop does not wait for the answer either, and the meter is not lost by it.
        rig.source.finish(rig.clock.monotonic_us() + 30 * S)
        assert rig.plan.readers[0].finish(30)
        assert rig.events == []


@pytest.mark.parametrize("keys", [{}, ENCRYPTED])
def test_no_secret_is_in_any_log(monkeypatch, caplog, capfd, keys):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AUTH", "passphrase-auth")
    monkeypatch.setenv(COMMUNITY, "readers-of-pdu")
    noise = b"0\x82 readers-of-pdu passphrase-auth"
    with (
        Peer(lambda data: [noise, data[::-1], data, b"\xe5" + data[1:]]) as peer,
        Rig(device(peer.port, METER, **keys | {"timeout_s": 0.2})) as rig,
    ):
        rig.run(10)
        texts = [f"{one}" for one in (*rig.check(), *rig.events, rig.keys)]
    found = capfd.readouterr()
    for text in (*texts, caplog.text, found.out, found.err):
        assert "passphrase-auth" not in text
        assert "readers-of-pdu" not in text
    assert "Exception" not in caplog.text  # asyncio would show the datagram
    assert len(rig.events) == 1


@pytest.mark.parametrize(("module", "keys"), [("pysnmp", {}), ("cryptography", ENCRYPTED)])
def test_without_a_library_one_line_names_the_extra(monkeypatch, module, keys):
    monkeypatch.setitem(sys.modules, module, None)
    config = keys_of(device(1, METER, **keys))
    with pytest.raises(UserError, match=rf"^snmp: {module} .*pip install 'tokenergy\[meters\]'$"):
        SnmpMeters.validate(config, emulated=False)
    SnmpMeters.validate(config, emulated=True)
    [finding] = SnmpMeters.check(config, Host("n1", SystemClock(), Log("text")))
    assert finding.level == "FAIL"
    assert "tokenergy[meters]" in finding.text


def test_an_agent_that_is_away_costs_no_new_session_each_time(monkeypatch):
    """A new engine of v3 takes 0.1 s of CPU; but one must not remember requests for ever."""
    monkeypatch.setenv("AUTH", "passphrase-auth")
    opened, real = [], link.UserSession
    monkeypatch.setattr(link, "UserSession", lambda *args: opened.append(args) or real(*args))
    with Peer() as peer, Rig(device(peer.port, METER, **USER | {"timeout_s": 0.02})) as rig:
        rig.run(200)  # eight times, each asked twice
        assert len(opened) == 1
        rig.run(200)
        assert len(opened) == 2
        monkeypatch.setenv("AUTH", "another-passphrase")
        rig.run(60)
        assert [args[2] for args in opened] == ["passphrase-auth"] * 2 + ["another-passphrase"]


@pytest.mark.parametrize("used", [False, True])
def test_an_agent_that_is_another_one_now_is_asked_by_a_new_session(monkeypatch, used):
    """What agents that answer at once may say of a user whom they have just learnt anew."""
    monkeypatch.setenv("AUTH", "passphrase-auth")
    answers = ([Answer(None, 0, [(OID, None)])] if used else []) + [
        Answer("UnknownEngineID", 0, []),
        Answer(None, 0, [(OID, None)]),
    ]
    opened = []

    class Said(Session):
        def __init__(self, *_):
            opened.append(self)

        def get(self, oids, timeout_s):
            return answers.pop(0)

        def stop(self):
            pass

        def close(self):
            pass

    monkeypatch.setattr(link, "UserSession", Said)
    found = Link(only(device(161, METER, **USER)), lambda: 0)
    if used:
        found.get([OID])
        found.get([OID])
        assert (len(opened), answers) == (2, [])
    else:
        with pytest.raises(AwayError, match="an error of SNMP v3: UnknownEngineID"):
            found.get([OID])
        assert len(opened) == 1
