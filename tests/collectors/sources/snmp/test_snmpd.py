"""A real agent, net-snmp's snmpd: readings are rows, and nothing else is."""

import pytest

from tests.collectors.sources.snmp.rig import T0_US, N, Rig, device
from tests.support.snmp import BASE, MISSING, SNMPD, Snmpd

pytestmark = pytest.mark.skipif(SNMPD is None, reason=MISSING)

LOST, FOUND = "meter_lost", "meter_found"

VALUES = {
    1: ("gauge", 41_250), 2: ("counter", 123_456), 3: ("counter64", 2**64 - 2),
    4: ("integer", -5), 5: ("string", "123.450"),
}  # fmt: skip
TYPES = {1: "Gauge32", 2: "Counter32", 3: "Counter64", 4: "Integer32", 5: "OctetString"}
EXPECTED = {
    "1": 41_250 * N, "2": 123_456 * N, "3": (2**64 - 2) * N, "4": -5 * N, "5": 123_450_000_000,
}  # fmt: skip
METERS = [(str(at), f"{BASE}.{at}", type_) for at, type_ in TYPES.items()]


@pytest.fixture
def agent(tmp_path):
    with Snmpd(tmp_path, dict(VALUES)) as agent:
        yield agent


@pytest.fixture
def reader(monkeypatch):
    """Keys of v3: signed and encrypted."""
    monkeypatch.setenv("AUTH", Snmpd.auth)
    monkeypatch.setenv("PRIV", Snmpd.priv)
    return {
        "version": "3", "user": "reader", "auth": "sha256", "auth_key_env": "AUTH",
        "priv": "aes", "priv_key_env": "PRIV",
    }  # fmt: skip


def test_objects_become_rows_exactly(agent):
    with Rig(device(agent.port, *METERS)) as rig:
        [health] = rig.run(0)
        assert (health.source, health.succeeded) == (f"snmp/127.0.0.1:{agent.port}", True)
        common = {"ts_us": T0_US, "node": "n1", "source": "snmp", "average_us": None}
        assert rig.rows == [
            common | {"meter_id": meter, "value_n": EXPECTED[meter], "resolution_n": step_n}
            for meter, step_n in (("1", N), ("2", N), ("3", N), ("4", N), ("5", N // 1000))
        ]
        assert rig.events == []


def test_v3_reads_the_same(agent, reader):
    with Rig(device(agent.port, *METERS, **reader)) as rig:
        rig.run(10)
        assert rig.values() == [*EXPECTED.items()] * 2
    for key in ("priv", "priv_key_env"):
        del reader[key]
    signer = reader | {"user": "signer", "auth": "sha"}
    with Rig(device(agent.port, *METERS, **signer)) as rig:
        rig.run(0)
        assert dict(rig.values()) == EXPECTED


@pytest.mark.parametrize("who", ["community", "reader"])
@pytest.mark.parametrize("forget", [False, True])
def test_an_agent_that_dies_and_comes_back(agent, reader, who, forget):
    keys = (reader if who == "reader" else {}) | {"timeout_s": 0.5}
    with Rig(device(agent.port, *METERS, **keys)) as rig:
        rig.run(10)
        assert len(rig.values()) == 10
        agent.kill(forget=forget)
        [health] = rig.run(100)
        assert (rig.values(), rig.kinds()) == ([], [LOST] * 5)
        assert not health.succeeded
        agent.start()
        rig.run(61)  # the longest wait
        assert rig.kinds() == [FOUND] * 5
        assert dict(rig.values()) == EXPECTED
        assert rig.run(10)[0].succeeded


@pytest.mark.parametrize("who", ["community", "reader"])
def test_an_agent_that_restarts_between_two_readings_loses_nothing(agent, reader, who):
    keys = (reader if who == "reader" else {}) | {"timeout_s": 1.0}
    with Rig(device(agent.port, *METERS, **keys)) as rig:
        rig.run(0)
        agent.kill(forget=True)
        agent.start()
        rig.run(10)
        assert rig.values() == [*EXPECTED.items()] * 2
        assert rig.kinds() == []


def test_what_the_agent_does_not_have_is_an_event_and_no_row(agent):
    bad = [
        ("instance", f"{BASE}.77", "Gauge32", "the device has no such instance of the object"),
        ("object", "1.3.6.1.2.1.33.1.4.4.1.4.1", "Integer32", "the device has no such object"),
        ("type", f"{BASE}.2.0", "Gauge32", "the device has no such instance of the object"),
    ]
    with Rig(device(agent.port, *METERS, *(one[:3] for one in bad))) as rig:
        [health] = rig.run(20)
        assert rig.values() == [*EXPECTED.items()] * 3
        place = f"127.0.0.1:{agent.port}, OID"
        assert rig.events == [
            (LOST, f"{meter}: {why}; {place} {oid}") for meter, oid, _, why in bad
        ]
        assert (health.runs, health.failures) == (3, 3)
        agent.put(n77=("gauge", 7))
        rig.run(10)
        assert ("instance", 7 * N) in rig.values()
        assert rig.events[3:] == [(FOUND, "instance gives readings again")]


def test_all_ones_are_no_reading_and_the_next_number_is(agent):
    agent.put(n1=("gauge", 2**32 - 1), n3=("counter64", 2**64 - 1), n4=("integer", -(2**31)))
    with Rig(device(agent.port, *METERS)) as rig:
        rig.run(0)
        assert [meter for meter, _ in rig.values()] == ["2", "5"]
        assert rig.kinds() == [LOST] * 3
        agent.put(n1=("gauge", 0), n3=("counter64", 0), n4=("integer", 0))
        rig.run(10)
        assert dict(rig.values()) == EXPECTED | {"1": 0, "3": 0, "4": 0}
        assert rig.kinds() == [FOUND] * 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"user": "nobody"}, "the device does not know the user"),
        ({"auth": "sha512"}, "the device refuses the user's auth key"),
        ({"auth_key_env": "PRIV"}, "the device refuses the user's auth key"),
        (
            {"priv": "none", "priv_key_env": None},
            "the device does not let this community or user read (error 16)",
        ),
        ({"user": "signer", "auth": "sha"}, "the device asks another auth or priv of this user"),
        ({"priv_key_env": "AUTH"}, "no answer within 0.5 s"),
    ],
)
def test_a_user_that_the_agent_refuses(agent, reader, changes, why, capsys):
    keys = {key: value for key, value in (reader | changes).items() if value is not None}
    with Rig(device(agent.port, *METERS[:2], timeout_s=0.5, **keys)) as rig:
        [health] = rig.run(0)
        assert (rig.rows, health.succeeded) == ([], False)
        assert [detail.split(": ", 1)[1].split(";")[0] for _, detail in rig.events] == [why] * 2
        texts = [str(found) for found in rig.check()]
    for text in (*texts, capsys.readouterr().err):
        assert Snmpd.auth not in text
        assert Snmpd.priv not in text


def test_a_wrong_community_is_not_answered(agent, monkeypatch, capsys):
    monkeypatch.setenv("WRONG", "not-this-one")
    one = device(agent.port, METERS[0], community_env="WRONG", timeout_s=0.3)
    with Rig(one) as rig:
        rig.run(0)
        [(kind, detail)] = rig.events
        assert (kind, rig.rows) == (LOST, [])
        assert detail.startswith("1: no answer within 0.3 s; ")
        [finding] = rig.check()
        assert finding.text.endswith(
            "no answer within 0.3 s; is SNMP v2c switched on there, at port "
            f"{agent.port}, and open for this host? A wrong community is not answered either"
        )
        assert "not-this-one" not in f"{detail}{finding}{capsys.readouterr().err}"
