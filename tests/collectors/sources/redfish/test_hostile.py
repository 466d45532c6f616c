"""Whatever a BMC puts where something else belongs: no reading, or a number that it said."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors.sources.redfish.rig import N
from tokenergy_collectors.sources.redfish.device import RedfishReader
from tokenergy_collectors.sources.redfish.link import ROOT, RefusedError, Resource
from tokenergy_collectors.sources.redfish.settings import RedfishDevice

PATHS = [ROOT, *(f"/{name}" for name in ("a", "b", "total_power", "PSU1"))]
NUMBERS = (7, Decimal("8.5"))
LINK = st.sampled_from(PATHS).map(lambda path: {"@odata.id": path})
LEAF = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.text(max_size=3), LINK,
    st.sampled_from(["Power", "W", "Chassis", "Absent", "PT5S"]), LINK.map(lambda one: [one]),
)  # fmt: skip
NAMES = [
    "Chassis",
    "Members",
    "Members@odata.nextLink",
    "Id",
    "Links",
    "ContainedBy",
    "EnvironmentMetrics",
    "PowerWatts",
    "EnergykWh",
    "Reading",
    "PowerSubsystem",
    "PowerSupplies",
    "Metrics",
    "InputPowerWatts",
    "Status",
    "State",
    "Sensors",
    "ReadingType",
    "ReadingUnits",
    "PhysicalContext",
    "Power",
    "PowerControl",
    "PowerConsumedWatts",
    "PowerMetrics",
    "AverageConsumedWatts",
    "IntervalInMin",
    "AverageReading",
    "AveragingInterval",
    "PowerInputWatts",
    "MemberId",
]
JSON = st.recursive(
    LEAF,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inside, max_size=6),
    ),
    max_leaves=12,
)
ANY = st.one_of(st.sampled_from(NUMBERS), JSON)
READING = st.one_of(JSON, ANY.map(lambda one: {"Reading": one}))
CONTROL = st.fixed_dictionaries(
    {}, optional={"PowerConsumedWatts": ANY, "PowerMetrics": JSON, "AverageConsumedWatts": ANY}
)
# What belongs there, and anything else in its place.
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "PowerWatts": READING,
        "EnergykWh": READING,
        "InputPowerWatts": READING,
        "Reading": ANY,
        "ReadingType": st.just("Power"),
        "PowerControl": st.one_of(JSON, st.lists(CONTROL, max_size=2)),
        "PowerSupplies": st.one_of(JSON, LINK),
        "Metrics": LINK,
        "Members": st.one_of(JSON, st.lists(LINK, max_size=3)),
    },
)
BODIES = st.tuples(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), LIKELY).map(
    lambda two: two[0] | two[1]
)
READINGS = [
    {"meter": "power"},
    {"meter": "average", "value": "average-power"},
    {"meter": "energy", "value": "energy"},
    {"meter": "supply", "part": "supply:PSU1"},
    {"meter": "sensor", "part": "sensor:total_power"},
]


class Tree:
    """A link to a BMC with these resources; those that are missing are refused."""

    def __init__(self, bodies):
        self.bodies = bodies

    def get(self, path):
        if path not in self.bodies:
            raise RefusedError("none", missing=True)
        return Resource(self.bodies[path], 5)


LINKS = ("EnvironmentMetrics", "PowerSubsystem", "Sensors", "Power")


def test_any_tree_is_read_without_an_error():
    read = set()

    @settings(max_examples=200, deadline=None)
    @given(
        st.dictionaries(st.sampled_from(PATHS), BODIES),
        st.dictionaries(st.sampled_from(LINKS), LINK),
        LIKELY,
        st.booleans(),
    )
    def each(bodies, links, likely, sound):
        if sound:  # as far as the chassis: else hardly anything would be looked at
            bodies[ROOT] = {"Chassis": {"@odata.id": "/a"}}
            bodies["/a"] = {**bodies.get("/a", {}), "Members": [{"@odata.id": "/b"}]}
            own = {"EnvironmentMetrics": {"@odata.id": "/PSU1"}} | links
            bodies["/b"] = {**bodies.get("/b", {}), **own}
            bodies["/PSU1"] = {**bodies.get("/PSU1", {}), **likely}
        read.update(readings_of(Tree(bodies)))

    each()
    assert read  # else this has tried nothing


def readings_of(tree):
    """Yield the meters that a tree gives readings of; check that it is one for each value."""
    device = RedfishDevice.model_validate({"url": "https://b", "reading": READINGS})
    reader = RedfishReader(device, "n1", tree, lambda: 0, lambda *_: None)
    for _ in range(2):
        outcomes = reader.read()
        assert [one.point.meter for one in outcomes] == [one["meter"] for one in READINGS]
        for one in outcomes:
            if one.value is None:
                assert one.why
                continue
            # Each is a number that the BMC said, or a sum of some.
            assert one.value.value_n % (N // 2) == 0
            assert one.value.value_n > 0
            assert one.ts_us == 5
            yield one.point.meter
