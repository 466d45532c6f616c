"""The `openadr` source against a real OpenADR 2.0b server in another process."""

from __future__ import annotations

import pytest

from tests.collectors.sources.openadr.rig import T0_US, Rig, S
from tests.support.vtn import VtnProcess, event, free_port

HOUR = 3600 * S
START_US = 2_051_222_400_000_000
"""2035-01-01: a server asks for no answer to an event that is over by the wall clock."""
KW = 1_000_000


@pytest.fixture
def port():
    return free_port()


def test_an_event_is_recorded_once_with_its_intervals_and_answered_out(port):
    dispatch = event("e1", START_US, (30, 15), (-120.0, -60.5))
    with VtnProcess(port, dispatch) as vtn, Rig(vtn.url, unit="kW") as rig:
        [health] = rig.run(0)
        assert (health.source, health.succeeded) == ("openadr/utility", True)
        assert vtn.hear() == {"event_id": "e1", "answered": "optOut"}
        rig.run(150)  # more than ten polls: all events are asked for again
        common = {
            "event_id": "e1", "modification": 0, "name": None,
            "program": "http://utility.example/fast", "reduce_ppm": None, "target_mw": None,
            "level": None, "signal": "LOAD_DISPATCH delta", "status": "far", "opt": "optOut",
            "test": False, "source": "openadr", "vtn": "utility", "node": "n1",
            "recorded_us": T0_US,
        }  # fmt: skip
        middle, end = START_US + 1800 * S, START_US + 2700 * S
        first = {"interval": 0, "start_us": START_US, "end_us": middle}
        second = {"interval": 1, "start_us": middle, "end_us": end}
        assert rig.rows == [
            {**common, **first, "reduce_mw": 120 * KW},
            {**common, **second, "reduce_mw": 60_500_000},
        ]
        assert [kind for kind, _ in rig.events] == ["grid_event"]


def test_the_answer_is_in_only_if_the_operator_says_so(port):
    with (
        VtnProcess(port, event("e1", START_US, (60,), (-1.0,))) as vtn,
        Rig(vtn.url, opt="in") as rig,
    ):
        rig.run(0)
        assert vtn.hear() == {"event_id": "e1", "answered": "optIn"}
        assert [row["opt"] for row in rig.rows] == ["optIn"]
        # The server names no unit, and nobody else did.
        assert [row["reduce_mw"] for row in rig.rows] == [None]


def test_a_new_event_and_a_cancelled_one_are_recorded(port):
    with VtnProcess(port) as vtn, Rig(vtn.url, unit="MW") as rig:
        rig.run(0)
        assert rig.rows == []
        vtn.change({"add": event("e2", START_US, (60,), (0.25,), "setpoint"), "late": True})
        rig.run(10)
        assert [(row["target_mw"], row["reduce_mw"]) for row in rig.rows] == [(250 * KW, None)]
        assert vtn.hear()["event_id"] == "e2"
        vtn.change({"cancel": "e2"})
        rig.run(10)
        assert [(row["modification"], row["status"]) for row in rig.rows[1:]] == [(1, "cancelled")]


def test_an_outage_is_survived_and_what_the_server_has_then_is_recorded(port):
    first = event("e1", START_US, (60,), (-5.0,))
    vtn = VtnProcess(port, first)
    with Rig(vtn.url, unit="kW") as rig:
        rig.run(0)
        vtn.kill()
        [health] = rig.run(30)
        assert health.succeeded is False
        assert [kind for kind, _ in rig.events] == ["grid_event", "vtn_lost"]
        assert "utility:" in rig.events[1][1]
        # It comes back, has forgotten who registered, and has an event of the outage.
        second = event("e2", START_US + 2 * HOUR, (60,), (-7.0,))
        with VtnProcess(port, first, second):
            [health] = rig.run(10)
            assert health.succeeded is True
            assert [kind for kind, _ in rig.events][2:] == ["grid_event", "vtn_found"]
            assert [(row["event_id"], row["reduce_mw"]) for row in rig.rows] == [
                ("e1", 5 * KW),
                ("e2", 7 * KW),
            ]


def test_a_stop_ends_a_poll_under_way(port):
    import socket
    import threading

    from tokenergy_collectors.sources.openadr.settings import Vtn
    from tokenergy_collectors.sources.openadr.ven import Ven

    with socket.create_server(("127.0.0.1", port)) as silent:
        vtn = Vtn(name="a", url=f"http://127.0.0.1:{port}/x", ven_name="b")
        ven = Ven(vtn, lambda *_: None)
        thread = threading.Thread(target=ven.poll)
        thread.start()
        connection, _ = silent.accept()  # the request is under way and gets no answer
        with connection:
            ven.close()
            thread.join(30)
        assert not thread.is_alive()
        ven.poll()  # does nothing any more


def test_check_asks_who_the_server_is_and_promises_nothing(port):
    with VtnProcess(port, event("e1", START_US, (60,), (-1.0,))) as vtn:
        rig = Rig(vtn.url)
        assert [str(one) for one in rig.check()] == [
            "ok    openadr   utility: answers; events get optOut"
        ]
        assert rig.rows == []
    [found] = rig.check()
    assert found.level == "warn"
