"""The `redfish` source against sushy-static: what a BMC says is a row, and nothing else is."""

import pytest

from tests.collectors.sources.redfish.rig import T0_US, N, Rig, bmc
from tests.support.redfish import (
    StaticBmc,
    environment,
    free_port,
    old_power,
    ref,
    sensors,
    supplies,
    tree,
)

POWER, ENERGY = "n1/bmc/power", "n1/bmc/energy"
LOST, FOUND = "meter_lost", "meter_found"
ENVIRONMENT = "/Chassis/1/EnvironmentMetrics"


@pytest.fixture
def serve(tmp_path):
    """Starts a BMC with a tree; they all end with the test."""
    started = []

    def serve(found):
        started.append(StaticBmc(tmp_path / str(len(started)), found))
        started[-1].start()
        return started[-1]

    yield serve
    for one in started:
        one.kill()


def control(watts, **more):
    return {"MemberId": "0", "PowerConsumedWatts": watts, **more}


def average(watts, minutes):
    return {"PowerMetrics": {"AverageConsumedWatts": watts, "IntervalInMin": minutes}}


def test_power_and_energy_become_rows_exactly(serve):
    server = serve(tree(**{"1": environment()}))
    # More digits than a float has.
    server.put(
        ENVIRONMENT,
        '{"PowerWatts": {"Reading": 412.3}, "EnergykWh": {"Reading": 98765432109.210123456}}',
    )
    with Rig(bmc(server.port)) as rig:
        [health] = rig.run(0)
        assert (health.source, health.succeeded) == (f"redfish/127.0.0.1:{server.port}", True)
        common = {"ts_us": T0_US, "node": "n1", "source": "redfish"}
        unknown = {"resolution_n": None, "average_us": None}
        assert rig.rows == [
            {**common, "meter_id": POWER, "value_n": 412_300_000_000, **unknown},
            {**common, "meter_id": ENERGY, "value_n": 98_765_432_109_210_123_456, **unknown},
        ]
        assert rig.events == []
        server.put(ENVIRONMENT, {"PowerWatts": {"Reading": 1}, "EnergykWh": {"Reading": 2}})
        rig.rows.clear()
        rig.run(30)
        assert rig.values() == [(POWER, N), (ENERGY, 2 * N)]


@pytest.mark.parametrize(
    ("chassis", "value_n", "average_us"),
    [
        (environment(1.5) | old_power(control(2)), 1.5, None),
        # Members that a BMC has and does not fill.
        (environment(None) | old_power(control(2)), 2, None),
        (environment(0.0) | old_power(control(2)), 2, None),
        ({"EnvironmentMetrics": {}} | old_power(control(2)), 2, None),
        (supplies("1", PSU1=100, PSU2=120.5, PSU3=None) | old_power(control(2)), 220.5, None),
        # One supply that says nothing: the sum of the others would be too low.
        (supplies("1", PSU1=100) | {"PowerSubsystem/PowerSupplies/PSU1/Metrics": {}}
         | old_power(control(2)), 2, None),
        (supplies("1", PSU1=100, PSU2=5) | {"PowerSubsystem/PowerSupplies/PSU2": {"Id": "PSU2"}}
         | old_power(control(2)), 2, None),
        (sensors("1", total_power={"ReadingType": "Power", "Reading": 7}, cpu_power={
            "ReadingType": "Power", "Reading": 3}) | old_power(control(2)), 7, None),
        (sensors("1", a_power={"ReadingType": "Power", "Reading": 7, "PhysicalContext": "Chassis"},
                 total_power={"ReadingType": "Power", "Reading": 3}), 7, None),
        # It is not clear which sensor is that of the chassis.
        (sensors("1", a_power={"ReadingType": "Power", "Reading": 7},
                 b_power={"ReadingType": "Power", "Reading": 8}) | old_power(control(2)), 2, None),
        (sensors("1", power_temp={"ReadingType": "Temperature", "Reading": 7})
         | old_power(control(2)), 2, None),
        (old_power(control(411, **average(398, 20)), control(90)), 411, None),
        (old_power(control(None, **average(398, 20))), 398, 20 * 60 * 1_000_000),
        (old_power(average(398.5, 0.5)), 398.5, 30_000_000),
        (old_power(average(398, None)), 398, None),
        (old_power(average(398, -1)), 398, None),
        (old_power(average(398, 0)), 398, None),
    ],
)  # fmt: skip
def test_the_best_place_that_says_something_is_read(serve, chassis, value_n, average_us):
    server = serve(tree(**{"1": chassis}))
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        assert [(row["meter_id"], row["value_n"], row["average_us"]) for row in rig.rows] == [
            (POWER, value_n * N, average_us)
        ]
        assert rig.events == []


def test_values_that_are_named(serve):
    chassis = (
        supplies("1", PSU1=100, PSU2=0)
        | old_power(control(411, **average(398, 1)))
        | environment(412, EnergyJoules=10**13, EnergykWh=5)
    )
    inlet = sensors("2", inlet={"Reading": -3.5}, air={"AverageReading": 7, "Reading": 9,
                    "AveragingInterval": "PT1M30.5S"})  # fmt: skip
    old = old_power(supplies=[{"MemberId": "0", "Name": "PS A", "PowerInputWatts": 55}])
    server = serve(tree(**{"1": chassis, "2": inlet, "3": old}))
    named = [
        ("average", 398, {"value": "average-power"}),
        ("energy", 5, {"value": "energy"}),
        ("joules", 10**13, {"value": "energy-joules"}),
        ("psu", 100, {"part": "supply:PSU1", "chassis": "1"}),
        ("standby", 0, {"part": "supply:PSU2"}),
        ("psu kWh", 1000, {"part": "supply:PSU1", "value": "energy"}),
        ("inlet", -3.5, {"part": "sensor:inlet"}),
        ("air", 7, {"part": "sensor:air", "value": "average-power", "chassis": "2"}),
        ("old", 55, {"part": "supply:PS A", "chassis": "3"}),
    ]
    with Rig(bmc(server.port, *({"meter": meter, **keys} for meter, _, keys in named))) as rig:
        assert [health.succeeded for health in rig.run(0)] == [True]
        averages = {row["meter_id"]: row["average_us"] for row in rig.rows if row["average_us"]}
        assert rig.values() == [(meter, value * N) for meter, value, _ in named]
        assert averages == {"average": 60_000_000, "air": 90_500_000}


@pytest.mark.parametrize(
    ("watts", "why"),
    [
        (0.0, "reads 0.0, which means no reading"),
        (65_535, "reads 65535, which means no reading"),
        (4_294_967_295, "reads 4294967295, which means no reading"),
        (None, "says null, which means no reading"),
        ("412", "says '412', which is no number"),
        (True, "says 'True', which is no number"),
        (-1, "reads less than 0, which nothing consumes"),
        ([], "says '[]', which is no number"),
    ],
)
def test_what_means_no_reading_is_an_event_and_no_row(serve, watts, why):
    server = serve(tree(**{"1": environment(watts, EnergykWh=7)}))
    with Rig(bmc(server.port)) as rig:
        [health] = rig.run(70)  # three readings
        assert rig.values() == [(ENERGY, 7 * N)] * 3
        place = f"127.0.0.1:{server.port}, chassis 1, EnvironmentMetrics PowerWatts"
        assert rig.events == [(LOST, f"{POWER}: {why}; {place}")]
        assert (health.runs, health.failures) == (3, 3)
        server.put(ENVIRONMENT, environment(5, EnergykWh=7)["EnvironmentMetrics"])
        assert rig.run(30)[0].succeeded
        assert rig.values() == [(POWER, 5 * N), (ENERGY, 7 * N)]
        read_from = "read from chassis 1, EnvironmentMetrics PowerWatts"
        assert rig.events[1:] == [(FOUND, f"{POWER} gives readings again; {read_from}")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "has no PowerWatts"),
        ('{"PowerWatts": {}}', "has no PowerWatts"),
        ('{"PowerWatts": null}', "has no PowerWatts"),
        ('{"PowerWatts": {"Reading": NaN}}', "an answer that is not JSON"),
        ('{"PowerWatts": {"Reading": 4', "an answer that is not JSON"),
        ("[" * 100_000, "an answer that is not JSON"),
        ('{"PowerWatts": {"Reading": ' + "9" * 5_000 + "}}", "an answer that is not JSON"),
        ('{"PowerWatts": {"Reading": 1e999999999}}', "which is too large for a meter"),
        ("[]", "an answer that is not Redfish"),
        ('{"Status": {"State": "Absent"}, "PowerWatts": {"Reading": 4}}', "its state is Absent"),
    ],
)
def test_an_answer_without_the_value_is_no_reading(serve, text, why):
    server = serve(tree(**{"1": environment()}))
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        rig.rows.clear()
        server.put(ENVIRONMENT, text)
        rig.run(30)
        assert rig.rows == []
        [(kind, detail)] = rig.events
        assert (kind, why in detail, detail.startswith(f"{POWER}: ")) == (LOST, True, True)


def test_a_tiny_number_is_zero_and_takes_no_memory(serve):
    server = serve(tree(**{"1": environment()}))
    server.put(ENVIRONMENT, '{"PowerWatts": {"Reading": 1e-999999999}}')
    with Rig(bmc(server.port, {"meter": "m", "invalid": []})) as rig:
        rig.run(0)
        assert rig.values() == [("m", 0)]


def test_numbers_that_mean_no_reading_may_be_named(serve):
    server = serve(tree(**{"1": environment(0, EnergykWh=0.1)}))
    readings = (
        {"meter": "power", "invalid": []},
        {"meter": "energy", "value": "energy", "invalid": [0.1]},
    )
    with Rig(bmc(server.port, *readings)) as rig:
        rig.run(0)
        assert rig.values() == [("power", 0)]
        assert [detail.split(";")[0] for _, detail in rig.events] == [
            "energy: reads 0.1, which means no reading"
        ]


def test_a_bmc_that_dies_and_comes_back(serve, capsys):
    server = serve(tree(**{"1": environment(400, EnergykWh=7)}))
    with Rig(bmc(server.port)) as rig:
        rig.run(30)
        assert len(rig.values()) == 4
        server.kill()
        [health] = rig.run(300)
        assert (rig.values(), rig.kinds(), health.succeeded) == ([], [LOST, LOST], False)
        server.start()
        rig.run(61)  # the longest wait
        assert rig.kinds() == [FOUND, FOUND]
        assert {meter for meter, _ in rig.values()} == {POWER, ENERGY}
        lines = [line for line in capsys.readouterr().err.splitlines() if "source_" in line]
        assert ["source_failed" in lines[0], "source_works" in lines[1]] == [True, True]
        assert "2 of 2 meters give no reading" in lines[0]


def test_a_bmc_that_is_off_from_the_start_loses_its_power_alone():
    port = free_port()
    with Rig(bmc(port)) as rig:
        rig.run(300)
        where = f"127.0.0.1:{port}, no place found"
        assert rig.events == [(LOST, f"{POWER}: no connection: connection refused; {where}")]


def test_a_resource_that_goes_is_looked_for_after_ten_minutes(serve):
    server = serve(tree(**{"1": environment(400) | old_power(control(2))}))
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        server.remove(ENVIRONMENT)
        rig.run(600)
        # Not what another place says: it may measure something else.
        assert rig.values() == [(POWER, 400 * N)]
        assert rig.kinds() == [LOST]
        rig.run(60)
        assert set(rig.values()) == {(POWER, 2 * N)}
        place = "chassis 1, Power PowerControl[0].PowerConsumedWatts"
        assert rig.events == [(FOUND, f"{POWER} gives readings again; read from {place}")]


def test_a_resource_that_is_back_in_time_is_kept(serve):
    server = serve(tree(**{"1": environment(400) | old_power(control(2))}))
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        server.remove(ENVIRONMENT)
        rig.run(570)
        server.put(ENVIRONMENT, environment(401)["EnvironmentMetrics"])
        rig.run(1200)
        assert set(rig.values()) == {(POWER, 400 * N), (POWER, 401 * N)}
        assert rig.kinds() == [LOST, FOUND]


def test_energy_that_a_bmc_does_not_count_is_no_loss_until_it_has_been_there(serve):
    server = serve(tree(**{"1": environment(400)}))
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        assert (rig.values(), rig.events) == ([(POWER, 400 * N)], [])
        server.put(ENVIRONMENT, environment(400, EnergykWh=7)["EnvironmentMetrics"])
        rig.run(3600)
        assert (ENERGY, 7 * N) in rig.values()
        server.put(ENVIRONMENT, environment(400, EnergykWh=0)["EnvironmentMetrics"])
        rig.run(30)
        assert [(ENERGY in detail, "reads 0, which" in detail) for _, detail in rig.events] == [
            (True, True)
        ]


def test_a_sum_of_power_supplies_follows_them(serve):
    found = tree(**{"1": supplies("1", PSU1=100, PSU2=120)})
    server = serve(found)
    metrics = "/Chassis/1/PowerSubsystem/PowerSupplies/{}/Metrics"
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        server.put(metrics.format("PSU2"), {"InputPowerWatts": {"Reading": 0}})  # in standby
        rig.run(30)
        assert rig.values() == [(POWER, 220 * N), (POWER, 100 * N)]
        server.put(metrics.format("PSU2"), {"InputPowerWatts": {"Reading": None}})
        rig.run(30)
        assert rig.values() == []
        [(_, detail)] = rig.events
        assert "PSU2/Metrics: says null" in detail
        # It was pulled out: the other one has all the load.
        server.put("/Chassis/1/PowerSubsystem/PowerSupplies/PSU2", {"Status": {"State": "Absent"}})
        rig.run(30)
        assert rig.values() == [(POWER, 100 * N)]
        server.put(metrics.format("PSU1"), {"InputPowerWatts": {"Reading": 0}})
        rig.run(30)
        assert rig.values() == []


def test_of_several_chassis_the_one_that_lies_in_no_other_is_the_node(serve):
    inner = {"": {"Links": {"ContainedBy": ref("/Chassis/box")}}}
    server = serve(tree(box=environment(900), gpu=environment(300) | inner, fan={}))
    with Rig(
        bmc(server.port),
    ) as rig:
        rig.run(0)
        assert rig.values() == [(POWER, 900 * N)]
    with Rig(bmc(server.port, {"meter": "gpu", "chassis": "gpu"})) as rig:
        rig.run(0)
        assert rig.values() == [("gpu", 300 * N)]


def test_of_several_nodes_in_one_tree_none_is_taken_for_all(serve):
    server = serve(tree(a=environment(1), b=old_power(control(2))))
    with Rig(bmc(server.port)) as rig:
        [health] = rig.run(0)
        assert (rig.values(), health.succeeded) == ([], False)
        [(_, detail)] = rig.events
        assert "several chassis have one: a, b; name it in `chassis`" in detail
    with Rig(bmc(server.port, *({"meter": one, "chassis": one} for one in "abc"))) as rig:
        rig.run(0)
        assert rig.values() == [("a", N), ("b", 2 * N)]
        assert "c: no chassis 'c'; it has a, b" in rig.events[0][1]


def test_a_collection_of_several_pages_is_read_whole(serve):
    found = tree(a={}, b=environment(5))
    [first, second] = found["/Chassis"]["Members"]
    found["/Chassis"] = {"Members": [first], "Members@odata.nextLink": "/redfish/v1/Page2"}
    found["/Page2"] = {"Members": [second]}
    server = serve(found)
    with Rig(bmc(server.port)) as rig:
        rig.run(0)
        assert rig.values() == [(POWER, 5 * N)]


def test_two_bmcs_of_two_nodes(serve):
    one, two = (serve(tree(**{"1": environment(watts)})) for watts in (1, 2))
    with Rig(bmc(one.port), bmc(two.port, node="n2")) as rig:
        rig.run(0)
        assert sorted(rig.values()) == [("n1/bmc/power", N), ("n2/bmc/power", 2 * N)]
        assert {row["node"] for row in rig.rows} <= {"n1"}


def test_an_emulated_node_has_no_bmc():
    with Rig(bmc(1)) as rig:
        rig.host.emulated = True
        assert type(rig.source)(rig.keys, rig.host)._readers == []
        assert [str(found) for found in rig.check()] == [
            "ok    redfish   not read on an emulated node"
        ]
