"""A real device, BACpypes3's, in a child process: readings are rows, and nothing else is."""

import pytest

from tests.collectors.sources.bacnet.rig import T0_US, N, Rig, device
from tests.support.bacnet import Device

LOST, FOUND = "meter_lost", "meter_found"

OBJECTS = {
    "analog-input,3": {"presentValue": 123_456.5, "units": "kilowatts"},
    "accumulator,1": {
        "presentValue": 2**32 - 2, "units": "kilowattHours", "scale": -1, "maxPresValue": 2**32 - 1,
    },
    "analog-value,4194302": {"presentValue": 0.1, "reliability": "noFaultDetected"},
    "large-analog-value,2": {"presentValue": 0.1},
    "integer-value,7": {"presentValue": -5},
    "positive-integer-value,0": {"presentValue": 0},
}  # fmt: skip
METERS = [(name.split(",")[0], name) for name in OBJECTS]
EXPECTED = {
    "analog-input": (123_456_500_000_000, N // 128),
    "accumulator": ((2**32 - 2) * N, N),
    "analog-value": (100_000_001, 8),  # Real has 0.100000001490116..., in steps of 7.5
    "large-analog-value": (100_000_000, 1),
    "integer-value": (-5 * N, N),
    "positive-integer-value": (0, N),
}
VALUES = {meter: value_n for meter, (value_n, _) in EXPECTED.items()}


@pytest.fixture(scope="module")
def running():
    with Device(OBJECTS) as running:
        yield running


@pytest.fixture
def feeds(running):
    """The device as it was at first."""
    running.put({"behaviour": {}} | OBJECTS)
    yield running
    state = {"statusFlags": [0, 0, 0, 0]}
    running.put(dict.fromkeys(OBJECTS, state))


def why(events):
    return [detail.split(": ", 1)[1].split("; 127.0.0.1")[0] for _, detail in events]


def test_objects_become_rows_exactly(feeds):
    with Rig(device(feeds.port, *METERS)) as rig:
        [health] = rig.run(0)
        assert (health.source, health.succeeded) == (f"bacnet/127.0.0.1:{feeds.port}", True)
        common = {"ts_us": T0_US, "node": "n1", "source": "bacnet", "average_us": None}
        assert rig.rows == [
            common | {"meter_id": meter, "value_n": value_n, "resolution_n": step_n}
            for meter, (value_n, step_n) in EXPECTED.items()
        ]
        assert rig.events == []
        assert feeds.requests() == [["ReadPropertyMultipleRequest", len(OBJECTS)]]


def test_a_device_without_read_property_multiple_is_read_one_by_one(feeds):
    feeds.put({"behaviour": {"no_rpm": True}})
    with Rig(device(feeds.port, *METERS, every_s=600.0)) as rig:
        [health] = rig.run(0)
        assert (dict(rig.values()), health.succeeded) == (VALUES, True)
        singly = [["ReadPropertyRequest", 1]] * 3 * len(OBJECTS)
        assert feeds.requests() == [["ReadPropertyMultipleRequest", len(OBJECTS)], *singly]
        rig.run(600)
        assert (dict(rig.values()), feeds.requests()) == (VALUES, singly)
        feeds.put({"behaviour": {}})
        rig.run(3600)  # it may have learnt it
        assert feeds.requests()[-1] == ["ReadPropertyMultipleRequest", len(OBJECTS)]


def test_a_device_whose_answers_are_short_is_read_in_parts(feeds):
    feeds.put({"behaviour": {"most": 2}})
    with Rig(device(feeds.port, *METERS, every_s=600.0)) as rig:
        rig.run(0)
        assert dict(rig.values()) == VALUES
        feeds.requests()
        rig.run(600)
        assert dict(rig.values()) == VALUES
        assert [count for _, count in feeds.requests()] == [1, 2, 1, 2]
        rig.run(3600)
        assert ["ReadPropertyMultipleRequest", len(OBJECTS)] in feeds.requests()


def test_few_objects_share_a_request_where_the_operator_says_so(feeds):
    with Rig(device(feeds.port, *METERS, most_objects=4)) as rig:
        rig.run(0)
        assert dict(rig.values()) == VALUES
        assert [count for _, count in feeds.requests()] == [4, 2]


def test_a_device_that_dies_and_comes_back(capsys):
    with Device(OBJECTS) as feeds, Rig(device(feeds.port, *METERS, timeout_s=0.5)) as rig:
        rig.run(10)
        assert len(rig.values()) == 2 * len(OBJECTS)
        feeds.kill()
        [health] = rig.run(300)
        assert (rig.values(), rig.kinds()) == ([], [LOST] * len(OBJECTS))
        assert not health.succeeded
        feeds.start()
        rig.run(61)  # the longest wait
        assert rig.kinds() == [FOUND] * len(OBJECTS)
        assert dict(rig.values()) == VALUES
        assert rig.run(10)[0].succeeded
    lines = capsys.readouterr().err.splitlines()
    assert ["source_failed" in line or "source_works" in line for line in lines] == [True] * 2
    assert "6 of 6 meters give no reading; analog-input: nobody listens at this port" in lines[0]


@pytest.mark.parametrize("limits", [{"most": 2}, {"no_rpm": True}])
def test_a_device_that_was_away_is_asked_for_much_again(limits):
    with (
        Device({"behaviour": limits} | OBJECTS) as feeds,
        Rig(device(feeds.port, *METERS)) as rig,
    ):
        rig.run(0)
        feeds.kill()
        rig.run(10)
        feeds.start()
        feeds.put({"behaviour": {}})
        rig.run(60)
        found = {(kind, count) for kind, count in feeds.requests()}
        assert found == {("ReadPropertyMultipleRequest", len(OBJECTS))}


def test_a_device_that_restarts_between_two_readings_loses_nothing():
    with Device(OBJECTS) as feeds, Rig(device(feeds.port, *METERS)) as rig:
        rig.run(0)
        feeds.kill()
        feeds.start()
        rig.run(10)
        assert rig.values() == [*VALUES.items()] * 2
        assert rig.events == []


def test_a_device_that_hangs_is_lost_until_it_answers(feeds):
    feeds.put({"behaviour": {"hangs": True}})
    with Rig(device(feeds.port, *METERS[:2], timeout_s=0.2)) as rig:
        rig.run(0)
        assert why(rig.events) == ["no answer within 0.2 s"] * 2
        assert len(feeds.requests()) == 2  # asked once more
        feeds.put({"behaviour": {}})
        rig.run(10)
        assert rig.kinds() == [LOST, LOST, FOUND, FOUND]
        assert [meter for meter, _ in rig.values()] == ["analog-input", "accumulator"]


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"statusFlags": [0, 1, 0, 0]}, "the device says: fault"),
        ({"statusFlags": [0, 0, 1, 0]}, "the device says: overridden"),
        ({"statusFlags": [0, 0, 0, 1]}, "the device says: out-of-service"),
        (
            {"statusFlags": [1, 1, 0, 1], "reliability": "communicationFailure"},
            "the device says: fault, out-of-service, reliability communication-failure",
        ),
        ({"reliability": "noSensor"}, "the device says: reliability no-sensor"),
    ],
)
def test_what_is_not_measured_is_an_event_and_no_row(feeds, state, words, alone):
    name = "analog-value,4194302"
    feeds.put({name: state, "behaviour": {"no_rpm": alone}})
    with Rig(device(feeds.port, *METERS)) as rig:
        [health] = rig.run(25)  # three readings
        assert dict(rig.values()).keys() == VALUES.keys() - {"analog-value"}
        place = f"127.0.0.1:{feeds.port}, {name}"
        assert rig.events == [(LOST, f"analog-value: {words}; {place}")]
        assert (health.runs, health.failures) == (3, 3)
        good = {"statusFlags": [1, 0, 0, 0], "reliability": "noFaultDetected"}  # in alarm
        feeds.put({name: good})
        assert rig.run(10)[0].succeeded
        assert dict(rig.values()) == VALUES
        assert rig.events[1:] == [(FOUND, "analog-value gives readings again")]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("accumulator,1", 2**32 - 1, "reads 4294967295 (all ones), which means no reading"),
        (
            "integer-value,7", -(2**31),
            "reads -2147483648 (the smallest Integer), which means no reading",
        ),
        ("analog-input,3", "nan", "reads nan, which is no reading"),
        ("large-analog-value,2", "inf", "reads inf, which is no reading"),
        ("large-analog-value,2", 1e30, "reads 1e+30, which is too large for a meter"),
    ],
)  # fmt: skip
def test_what_means_no_reading_is_an_event_and_no_row(feeds, name, value, words):
    feeds.put({name: {"presentValue": value}})
    with Rig(device(feeds.port, *METERS)) as rig:
        rig.run(10)
        assert dict(rig.values()).keys() == VALUES.keys() - {name.split(",")[0]}
        assert (rig.events[0][0], why(rig.events)) == (LOST, [words])


def test_an_object_on_which_the_device_fails_loses_no_other_meter(feeds):
    feeds.put({"positive-integer-value,0": {"presentValue": 2**40}})  # it encodes 32 bits at most
    with Rig(device(feeds.port, *METERS)) as rig:
        rig.run(10)
        assert dict(rig.values()).keys() == VALUES.keys() - {"positive-integer-value"}
        assert why(rig.events) == ["the device refuses: operational-problem"]


def test_numbers_that_mean_no_reading_may_be_named(feeds):
    feeds.put({"accumulator,1": {"presentValue": 2**32 - 1}})
    named = [
        ("full", "accumulator,1", {"invalid": []}),
        ("minus", "integer-value,7", {"invalid": [3, -5]}),
        ("tenth", "analog-value,4194302", {"invalid": [0.1]}),
        ("double", "large-analog-value,2", {"invalid": [0.1]}),
    ]
    with Rig(device(feeds.port, *named)) as rig:
        rig.run(0)
        assert rig.values() == [("full", (2**32 - 1) * N)]
        assert [text.split(",")[0] for text in why(rig.events)] == [
            "reads -5", "reads 0.1", "reads 0.1"
        ]  # fmt: skip


@pytest.mark.parametrize("alone", [False, True])
def test_what_the_device_does_not_have_loses_no_other_meter(feeds, alone):
    feeds.put({"behaviour": {"no_rpm": alone}, "analog-input,5": {"units": "kilowatts"}})
    bad = [("bad", "analog-input,9"), ("void", "analog-input,5")]
    with Rig(device(feeds.port, *METERS, *bad)) as rig:
        rig.run(10)
        assert rig.values() == [*VALUES.items()] * 2
        assert why(rig.events) == [
            "the device has no such object",
            "the object has no present-value",
        ]


def test_each_object_is_shown_with_what_the_device_says_of_it(feeds):
    feeds.put({"integer-value,7": {"statusFlags": [0, 1, 0, 0]}})
    objects = [
        ("power", "analog-input,3", {"units": "kilowatts"}),
        ("wrong", "accumulator,1", {"units": "kilowatts"}),
        ("plain", "large-analog-value,2"),
        ("none", "positive-integer-value,0", {"units": "kilowatts"}),
        ("fault", "integer-value,7"),
        ("bad", "analog-value,9"),
    ]
    with Rig(device(feeds.port, *objects)) as rig:
        found = [(one.level, one.text) for one in rig.check()]
    place = f"at 127.0.0.1:{feeds.port},"
    assert found == [
        ("ok", f"power {place} analog-input,3: 123456.5 (Real, kilowatts)"),
        (
            "warn",
            f"wrong {place} accumulator,1: 4294967294 (Unsigned, kilowatt-hours, scale 10^-1); "
            "the device says kilowatt-hours, the configuration kilowatts",
        ),
        ("ok", f"plain {place} large-analog-value,2: 0.1 (Double, no units)"),
        (
            "warn",
            f"none {place} positive-integer-value,0: 0 (Unsigned, no units); the device names no "
            "units, the configuration kilowatts",
        ),
        ("warn", f"fault {place} integer-value,7: the device says: fault"),
        (
            "warn",
            f"bad {place} analog-value,9: the device has no such object; compare type and instance "
            "with the device's list of objects",
        ),
    ]
    assert {kind for kind, _ in feeds.requests()} == {"ReadPropertyRequest"}


def test_nothing_is_written(feeds):
    with Rig(device(feeds.port, *METERS)) as rig:
        rig.run(100)
        rig.check()
    kinds = {kind for kind, _ in feeds.requests()}
    assert kinds == {"ReadPropertyRequest", "ReadPropertyMultipleRequest"}


def test_an_emulated_node_reads_no_meters(feeds):
    with Rig(device(feeds.port, METERS[0])) as rig:
        rig.host.emulated = True
        assert type(rig.source)(rig.keys, rig.host)._readers == []
        assert [one.text for one in rig.check()] == ["not read on an emulated node"]
