"""`tokenergy-collect check` shows what a BMC says, and what to do where it says nothing."""

import pytest

from tests.collectors.sources.redfish.rig import Rig, bmc
from tests.support.redfish import FaultyBmc, environment, free_port, old_power, sensors, tree

UNKNOWN = "the BMC does not say over what time it averages"
AVERAGE = {"PowerMetrics": {"AverageConsumedWatts": 398.5, "IntervalInMin": 20}}


def said(found, *readings, **keys):
    """The findings, without where the BMC is."""
    with FaultyBmc(tree(**found)) as server, Rig(bmc(server.port, *readings, **keys)) as rig:
        return [
            (one.level, one.text.replace(f" at 127.0.0.1:{server.port}", "")) for one in rig.check()
        ]


def test_each_value_is_shown_with_its_place_and_its_time():
    place = "n1/bmc/power, chassis 1, EnvironmentMetrics PowerWatts"
    energy = "n1/bmc/energy, chassis 1, EnvironmentMetrics EnergykWh"
    assert said({"1": environment(412.5)}) == [("ok", f"{place}: 412.5 W; {UNKNOWN}")]
    assert said({"1": environment(412.5, EnergykWh=7.25)}) == [
        ("ok", f"{place}: 412.5 W; {UNKNOWN}"), ("ok", f"{energy}: 7.25")
    ]  # fmt: skip
    assert said({"1": old_power(AVERAGE)}) == [
        (
            "ok",
            "n1/bmc/power, chassis 1, Power PowerControl[0].PowerMetrics.AverageConsumedWatts: "
            "398.5 W; the average of 1200 s",
        )
    ]
    air = {"meter": "air", "part": "sensor:air"}
    assert said({"1": sensors("1", air={"Reading": 21})}, air) == [
        ("ok", "air, chassis 1, sensor air Reading: 21")
    ]


@pytest.mark.parametrize(
    ("found", "level", "text"),
    [
        ({"1": environment(0)}, "warn", "chassis 1, EnvironmentMetrics PowerWatts: reads 0, which"),
        ({"1": {}}, "warn", "n1/bmc/power: the BMC has no power"),
        ({}, "warn", "n1/bmc/power: the BMC has no power"),
        ({"a": environment(1), "b": environment(2)}, "warn", "a, b; name it in `chassis`"),
    ],
)
def test_what_to_do_where_there_is_none(found, level, text):
    [finding] = said(found)
    assert (finding[0], text in finding[1]) == (level, True)


def test_a_bmc_that_is_away():
    port = free_port()
    with Rig(bmc(port)) as rig:
        [finding] = rig.check()
    assert finding.text == (
        f"n1/bmc/power at 127.0.0.1:{port}: no connection: connection refused; is Redfish switched "
        f"on there, at port {port}, and open for this host?"
    )


def test_a_certificate_that_is_not_verified_is_a_warning(tmp_path):
    with FaultyBmc(tree()) as server:
        keys = bmc(server.port, scheme="https", tls_verify=False)
        with Rig(keys) as rig:
            first, second = rig.check()
    assert "its certificate is not verified: anyone on the way can read the password" in first.text
    assert "it answers without TLS: expected http://" in second.text


def test_a_session_of_a_check_ends_with_it(tmp_path):
    path = tmp_path / "password"
    path.write_text("x")
    login = {"username": "u", "password_file": path}
    with FaultyBmc(tree(**{"1": environment()}), {"u": "x"}) as server:
        with Rig(bmc(server.port, **login)) as rig:
            assert [one.level for one in rig.check()] == ["ok"]
            assert (server.begun, server.sessions) == (1, {})
        path.write_text("y")
        with Rig(bmc(server.port, **login)) as rig:
            [finding] = rig.check()
    assert finding.text.endswith(
        "it refuses the user name or the password (HTTP 401); is that user allowed to log in over "
        "Redfish? The collector tries it again later"
    )
