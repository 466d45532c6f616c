"""An upsd that asks for a login, hangs, or answers in no known way."""

import threading

import pytest

from tests.collectors.sources.nut.rig import N, Rig, S, ups
from tests.support.nut import LineServer, listed
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.sources.nut.link import Link
from tokenergy_collectors.sources.nut.settings import Ups

SECRET = 'a"b\\c d'  # noqa: S105
GOOD = listed({"ups.load": "14"})
LOAD = [("u1/ups.load", 14 * N)]


def upsd(answer, login=b"OK\n"):
    """An upsd with one answer to LIST VAR."""
    return LineServer(lambda line: answer if line.startswith("LIST") else login)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "password"
    path.write_text(SECRET)
    return {"username": "monitor", "password_file": path}


def why(rig):
    [(kind, detail)] = rig.events
    assert kind == "meter_lost"
    return detail.removeprefix("u1/ups.load: ").partition("; u1@")[0]


def test_a_reading_is_stamped_with_the_middle_of_its_request():
    times = iter([1_000, 1_501])
    with upsd(GOOD) as server:
        link = Link(Ups(host="127.0.0.1", port=server.port, ups="u1"), lambda: next(times))
        assert link.variables() == ({"ups.load": "14"}, 1_250)
        link.close()


def test_a_login_comes_first_and_upsd_does_not_count_the_collector(keys):
    with upsd(GOOD) as server:
        with Rig(ups(server.port, **keys)) as rig:
            rig.run(20)
            assert rig.values() == LOAD * 3
        # LOGIN would have upsd wait for this host before it switches the UPS off.
        assert server.lines == [
            'USERNAME "monitor"', 'PASSWORD "a\\"b\\\\c d"', *["LIST VAR u1"] * 3
        ]  # fmt: skip
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "login", "said"),
    [
        (b"ERR ACCESS-DENIED\n", b"OK\n", "upsd lets this host or user read nothing"),
        (b"ERR USERNAME-REQUIRED\n", b"OK\n", "upsd asks for a user name"),
        (GOOD, b"ERR INVALID-PASSWORD\n", "upsd refuses the password"),
        (GOOD, b"ERR\n", "an answer that is not NUT's"),
        (b"ERR SOMETHING-NEW\n", b"OK\n", "upsd refuses"),
    ],
)
def test_a_login_that_is_refused(keys, answer, login, said):
    with upsd(answer, login) as server, Rig(ups(server.port, **keys)) as rig:
        rig.run(60)
        assert rig.rows == []
        code = (answer if answer != GOOD else login).decode().strip()
        assert why(rig) == (f"{said} ({code})" if " " in code else said)


def test_no_secret_is_told(keys, capfd, caplog):
    caplog.set_level(0)
    texts = []
    for login in (b"OK\n", b"ERR INVALID-PASSWORD\n", f"{SECRET}\n".encode(), b"", None):
        with upsd(GOOD, login) as server, Rig(ups(server.port, timeout_s=0.2, **keys)) as rig:
            rig.run(0)
            texts += [repr(rig.keys), *map(str, rig.check()), *(one for _, one in rig.events)]
    texts += [*capfd.readouterr(), caplog.text]
    assert not [text for text in texts if 'a"b' in text or 'a\\"b' in text]


def test_a_password_from_the_environment(monkeypatch):
    keys = {"username": "monitor", "password_env": "TEST_UPS_PASSWORD"}
    with upsd(GOOD) as server, Rig(ups(server.port, **keys)) as rig:
        rig.run(0)
        assert why(rig) == "password_env: the environment has no TEST_UPS_PASSWORD"
        monkeypatch.setenv("TEST_UPS_PASSWORD", "x\ny")
        rig.run(10)
        assert rig.rows == []
        monkeypatch.setenv("TEST_UPS_PASSWORD", "x")
        rig.run(60)
        assert rig.values()[:1] == LOAD
        assert not [line for line in server.lines if line.startswith("y")]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "no answer within 0.3 s"),
        (b"BEGIN LIST VAR u1\n", "no answer within 0.3 s"),
        (GOOD[:-3], "no answer within 0.3 s"),
        (None, "upsd closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\n", "an answer that is not NUT's"),
        (listed({"ups.load": "14"}, "other"), "an answer that is not NUT's"),
        (b"BEGIN LIST VAR u1\nVAR u1 ups.load 14\nEND LIST VAR u1\n",
         "an answer that is not NUT's"),
        (b"BEGIN LIST VAR u1\nERR DATA-STALE\n",
         "its data is stale: the driver has lost the UPS (ERR DATA-STALE)"),
        (b"x" * (2 << 20), "an answer that is not NUT's"),
        (listed({"ups.status": "WAIT"}), "its driver starts (ups.status WAIT)"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_no_reading(answer, said):
    with upsd(answer) as server, Rig(ups(server.port, timeout_s=0.3)) as rig:
        [health] = rig.run(0)
        assert (rig.rows, health.succeeded, why(rig)) == ([], False, said)


def test_a_late_answer_is_not_taken_for_the_next_one():
    first = iter([b"BEGIN LIST VAR u1\nVAR u"])

    def answer(_):
        return next(first, GOOD)

    with LineServer(answer) as server, Rig(ups(server.port, timeout_s=0.3)) as rig:
        rig.run(0)
        assert rig.values() == []
        rig.run(10)
        assert (rig.values(), server.connections) == (LOAD, 2)


def test_an_error_does_not_cost_the_connection():
    answers = iter([b"ERR DATA-STALE\n"] * 3)
    with LineServer(lambda _: next(answers, GOOD)) as server, Rig(ups(server.port)) as rig:
        rig.run(60)
        assert LOAD[0] in rig.values()
        assert (rig.kinds(), server.connections) == (["meter_lost", "meter_found"], 1)


def test_a_name_in_any_encoding_loses_no_number():
    found = listed({"ups.mfr": 'Ma\xdf \\"x\\"', "ups.load": "14"})
    with upsd(found) as server, Rig(ups(server.port)) as rig:
        rig.run(0)
        assert rig.values() == LOAD


def test_a_ups_without_a_load_names_what_it_has():
    found = listed({"ups.realpower": "5", "driver.x.power": "1"})
    with upsd(found) as server, Rig(ups(server.port)) as rig:
        rig.run(0)
        assert rig.values() == [("u1/ups.realpower", 5 * N)]
        assert why(rig) == "the UPS has no such variable"
        assert rig.check()[0].text.endswith("choose in [[nut.variable]] from ups.realpower")


def test_a_variable_that_comes_later_is_read_and_missed_once_it_was_there():
    answers = [{}, {"output.power": "7"}, {}]

    def answer(_):
        return listed({"ups.load": "14", **answers.pop(0)})

    with LineServer(answer) as server, Rig(ups(server.port)) as rig:
        rig.run(20)
        assert rig.values() == [LOAD[0], LOAD[0], ("u1/output.power", 7 * N), LOAD[0]]
        [(_, detail)] = rig.events
        assert detail.startswith("u1/output.power: the UPS has no such variable")


def test_an_upsd_that_never_answers_delays_no_other_source_and_no_stop():
    ticks = threading.Semaphore(0)
    with upsd(b"") as server, Rig(ups(server.port, timeout_s=60.0), clock=SystemClock()) as rig:
        rig.plan.every("other", 0.01, lambda: ticks.release())
        stop = threading.Event()
        running = threading.Thread(target=rig.plan.schedule.run, args=(None, stop), daemon=True)
        running.start()
        try:
            assert server.asked.wait(30)
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
