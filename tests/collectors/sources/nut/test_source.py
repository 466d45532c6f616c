"""The `nut` source against a real upsd with dummy-ups: what a UPS says is a row."""

import pytest

from tests.collectors.sources.nut.rig import T0_US, N, Rig, ups
from tests.support.nut import MISSING, UpsServer, is_here

pytestmark = pytest.mark.skipif(not is_here(), reason=MISSING)

LOST, FOUND = "meter_lost", "meter_found"
VALUES = {
    "ups.status": "OL",
    "ups.load": "14",
    "ups.realpower": "350.5",
    "battery.charge": "100",
    "input.voltage": "230.10",
}
USUAL = [("u1/ups.load", 14 * N), ("u1/ups.realpower", 350.5 * N), ("u1/battery.charge", 100 * N)]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with UpsServer(tmp_path_factory.mktemp("nut") / "u1", VALUES) as server:
        yield server


@pytest.fixture
def server(running):
    """A server that runs, with the values above: to start one takes seconds."""
    running.restore(VALUES)
    return running


def test_variables_become_rows_exactly(server):
    with Rig(ups(server.port)) as rig:
        [health] = rig.run(0)
        assert (health.source, health.succeeded) == (f"nut/127.0.0.1:{server.port}/u1", True)
        common = {"ts_us": T0_US, "node": "n1", "source": "nut", "average_us": None}
        assert rig.rows == [
            {**common, "meter_id": meter, "value_n": value_n, "resolution_n": step_n}
            for meter, value_n, step_n in (
                ("u1/ups.load", 14 * N, N),
                ("u1/ups.realpower", 350_500_000_000, N // 10),
                ("u1/battery.charge", 100 * N, N),
            )
        ]
        assert rig.events == []
        server.put(ups_realpower="351")
        rig.rows.clear()
        rig.run(10)
        assert dict(rig.values()) == dict(USUAL) | {"u1/ups.realpower": 351 * N}


def test_variables_that_are_named_are_read_alone(server):
    volts, none = ("input.voltage", "hall/volts"), ("ups.energy", "hall/energy")
    with Rig(ups(server.port, volts, none)) as rig:
        [health] = rig.run(20)
        assert rig.values() == [("hall/volts", 230_100_000_000)] * 3
        where = f"u1@127.0.0.1:{server.port}, variable ups.energy"
        assert rig.events == [(LOST, f"hall/energy: the UPS has no such variable; {where}")]
        assert (health.runs, health.failures) == (3, 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("65535", "reads 65535, which means no reading"),
        ("4294967295.0", "reads 4294967295.0, which means no reading"),
        ("n/a", "says 'n/a', which is no number"),
        ("-1", "reads -1, less than 0, which it cannot be"),
        ("1e5", "says '1e5', which is no number"),
    ],
)
def test_what_means_no_reading_is_an_event_and_no_row(server, text, why):
    with Rig(ups(server.port)) as rig:
        rig.run(0)
        assert rig.values() == USUAL
        server.put(ups_realpower=text)
        rig.run(20)
        assert rig.values() == [USUAL[0], USUAL[2]] * 2
        where = f"u1@127.0.0.1:{server.port}, variable ups.realpower"
        assert rig.events == [(LOST, f"u1/ups.realpower: {why}; {where}")]
        server.put(ups_realpower="0")
        assert [health.succeeded for health in rig.run(10)] == [True]
        assert rig.values()[1] == ("u1/ups.realpower", 0)
        assert rig.events[1:] == [(FOUND, "u1/ups.realpower gives readings again")]


def test_numbers_that_mean_no_reading_may_be_named(server):
    named = [("ups.load", "load", {"invalid": [14]}), ("ups.realpower", "w", {"invalid": []})]
    server.put(ups_realpower="65535")
    with Rig(ups(server.port, *named)) as rig:
        rig.run(0)
        assert rig.values() == [("w", 65_535 * N)]
        assert [detail.split(";")[0] for _, detail in rig.events] == [
            "load: reads 14, which means no reading"
        ]


def test_a_driver_that_hangs_dies_and_comes_back(server):
    with Rig(ups(server.port)) as rig:
        rig.run(0)
        assert rig.values() == USUAL
        server.stop_driver()
        rig.run(60)
        # The last values are still there: they are not read.
        assert rig.values() == []
        why = "its data is stale: the driver has lost the UPS (ERR DATA-STALE)"
        where = f"u1@127.0.0.1:{server.port}, variable ups.load"
        assert rig.events[0] == (LOST, f"u1/ups.load: {why}; {where}")
        assert rig.kinds() == [LOST] * 3
        server.continue_driver()
        rig.run(60)
        assert rig.kinds() == [FOUND] * 3
        assert rig.values()[:3] == USUAL
        server.kill("dummy-ups")
        server.wait_for("ERR DRIVER-NOT-CONNECTED")
        rig.run(20)
        assert "its driver does not run (ERR DRIVER-NOT-CONNECTED)" in rig.events[0][1]
        assert (rig.kinds(), rig.values()) == ([LOST] * 3, [])
        server.start_driver()
        server.wait_for("battery.charge")
        rig.run(61)
        assert rig.kinds() == [FOUND] * 3


def test_an_upsd_that_dies_and_comes_back(server, capsys):
    with Rig(ups(server.port)) as rig:
        rig.run(10)
        assert rig.values() == USUAL * 2
        server.kill("upsd")
        [health] = rig.run(300)
        assert (rig.values(), rig.kinds(), health.succeeded) == ([], [LOST] * 3, False)
        server.kill("dummy-ups")
        server.start()
        rig.run(61)  # the longest wait
        assert rig.kinds() == [FOUND] * 3
        assert set(rig.values()) == set(USUAL)
        lines = capsys.readouterr().err.splitlines()
        assert ["source_failed" in line or "source_works" in line for line in lines] == [True] * 2
        assert "3 of 3 meters give no reading; u1/ups.load: no connection" in lines[0]


def test_an_upsd_that_was_restarted_loses_nothing(server):
    with Rig(ups(server.port)) as rig:
        rig.run(0)
        server.kill("upsd")
        server.kill("dummy-ups")
        server.start()
        rig.run(10)
        assert (rig.values(), rig.kinds()) == (USUAL * 2, [])


def test_a_ups_that_upsd_does_not_have(server):
    with Rig(ups(server.port, ups="ups-9")) as rig:
        rig.run(0)
        [(_, detail)] = rig.events
        assert "upsd has no UPS of this name (ERR UNKNOWN-UPS)" in detail
        [finding] = rig.check()
        assert finding.text == (
            f"ups-9@127.0.0.1:{server.port}: upsd has no UPS of this name (ERR UNKNOWN-UPS); "
            "it has u1"
        )


def test_a_login_is_taken_by_a_real_upsd(server, tmp_path):
    path = tmp_path / "password"
    path.write_text('se cr"et\\\n')
    with Rig(ups(server.port, username="monitor", password_file=path)) as rig:
        rig.run(10)
        assert (rig.values(), rig.events) == (USUAL * 2, [])


def test_what_check_says(server):
    named = [("ups.realpower", "w"), ("ups.status", "s"), ("output.watts", "o")]
    with Rig(ups(server.port, *named)) as rig:
        where = f"at u1@127.0.0.1:{server.port}, variable"
        assert [(one.level, one.text) for one in rig.check()] == [
            ("ok", f"w {where} ups.realpower: 350.5"),
            ("warn", f"s {where} ups.status: says 'OL', which is no number"),
            (
                "warn",
                f"o {where} output.watts: the UPS has no such variable; choose in [[nut.variable]] "
                "from battery.charge, ups.load, ups.realpower",
            ),
        ]
    with Rig(ups(server.port)) as rig:
        assert [one.level for one in rig.check()] == ["ok"] * 3
        server.stop_driver()
        [finding] = rig.check()
        assert finding.text.endswith("is the UPS connected? See the log of its driver")
        server.kill("upsd")
        [finding] = rig.check()
        assert finding.text.endswith(
            f"does upsd listen there, at port {server.port} (LISTEN in upsd.conf)?"
        )
