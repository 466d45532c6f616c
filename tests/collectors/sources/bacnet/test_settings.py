"""The keys of [[bacnet]]: what is wrong is one line that names the key."""

import re
import tomllib
from pathlib import Path

import pytest
from bacpypes3.primitivedata import ObjectType

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.settings import example
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.bacnet.settings import OBJECT_TYPES, BacnetObject

GOOD = """
lake = "/data/lake"
[[bacnet]]
host = "10.0.8.41"
[[bacnet.object]]
meter = "feed-1/power"
object = "analog-input,3"
units = "kilowatts"
[[bacnet.object]]
meter = "feed-1/energy"
object = "accumulator,1"
invalid = [0, -0.5]
[[bacnet]]
host = "router"
network = 2001
mac = "0b"
[[bacnet.object]]
meter = "cooling"
object = "analog-value,4194302"
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "collect.toml"
        path.write_text(text)
        return load_toml(path, Config, {})

    return load


def test_a_file_with_meters_is_taken_and_written_back(load):
    config = load(GOOD)
    one, two = config.bacnet
    assert [device.about for device in config.bacnet] == [
        "10.0.8.41:47808", "router:47808 network 2001 mac 0b",
    ]  # fmt: skip
    assert [device.name for device in config.bacnet] == ["10.0.8.41:47808", "router:47808/2001/0b"]
    assert [found.place for found in one.objects + two.objects] == [
        "analog-input,3", "accumulator,1", "analog-value,4194302",
    ]  # fmt: skip
    assert one.objects[1].invalid == (0, -0.5)
    assert load(example.effective(config)) == config


@pytest.mark.parametrize("type_", OBJECT_TYPES)
def test_an_object_is_numbered_as_on_the_wire(type_):
    found = BacnetObject.model_validate({"meter": "m", "object": f"{type_},5"})
    assert found.number == int(ObjectType(type_)) << 22 | 5


def test_the_example_shows_every_key(load):
    text = example.example()
    begin = text.index("#[[bacnet]]")
    lines = text[begin : text.index("\n#[[snmp]]", begin)].splitlines()
    keys = "\n".join(line[1:] for line in lines if line.startswith("#") and line[1] != " ")
    [device] = tomllib.loads(keys)["bacnet"]
    [found] = device.pop("object")
    assert set(found) == {"meter", "object", "units", "invalid"}
    assert set(device) == {
        "host", "port", "network", "mac", "every_s", "timeout_s", "most_objects",
    }  # fmt: skip


def test_the_configuration_of_the_page_works(load):
    page = Path(__file__).parents[4] / "docs" / "meters.md"
    texts = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)
    [text] = [text for text in texts if "[[bacnet]]" in text]
    one, two = load(f'lake = "/data/lake"\n{text}').bacnet
    assert (one.network, two.network) == (None, 2001)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("units =", "unit =", ["bacnet.0.object.0", "unknown key 'unit'", "allowed: meter, obj"]),
        ('"analog-input,3"', '"analog-input"', ["bacnet.0.object.0.object", "is no object"]),
        ('"analog-input,3"', '"binary-input,3"', ["is no object with a number", "accumulator"]),
        ('"analog-input,3"', '"analog-input,03"', ["is no object"]),
        ('"analog-input,3"', '"analog-input,4194303"', ["instances: 0 to 4194302"]),
        ('"analog-input,3"', '"accumulator,1"', ["'feed-1/energy' has the object of 'feed-1/pow"]),
        ('"kilowatts"', '"kW"', ["bacnet.0.object.0.units", "pattern"]),
        ("[0, -0.5]", "['x']", ["invalid", "'x'"]),
        ('"cooling"', '"feed-1/power"', ["meter 'feed-1/power' is used twice"]),
        ('"cooling"', '""', ["bacnet.1.object.0.meter", "at least 1 character"]),
        ('"router"\nnetwork = 2001\nmac = "0b"', '"10.0.8.41"', ["10.0.8.41:47808 has two tables"]),
        ('mac = "0b"', "", ["a device behind a router needs both network and mac"]),
        ('mac = "0b"', 'mac = "11a"', ["bacnet.1.mac", "pattern"]),
        ("network = 2001", "network = 65535", ["bacnet.1.network", "65534"]),
        ('"router"', '"http://router"', ["bacnet.1.host", "pattern"]),
        ('mac = "0b"', 'mac = "0b"\nport = 0', ["bacnet.1.port", "1"]),
        ('mac = "0b"', 'mac = "0b"\ntimeout_s = 0', ["bacnet.1.timeout_s", "greater than 0"]),
        ('mac = "0b"', 'mac = "0b"\nmost_objects = 0', ["most_objects", "greater than or"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(load, old, new, words):
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load(GOOD.replace(old, new))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_meter_of_another_source_is_refused(load):
    other = """
[[modbus]]
host = "10.0.8.21"
[[modbus.register]]
meter = "cooling"
address = 0
type = "uint16"
"""
    with pytest.raises(UserError, match=r"meter 'cooling' is used in \[\[.*\]\] and in \[\[.*\]\]"):
        load(GOOD + other)


def test_a_device_without_objects_is_refused(load):
    with pytest.raises(UserError, match=r"bacnet\.0\.object: .*required"):
        load("lake = 'x'\n[[bacnet]]\nhost = 'meter'\n")
    with pytest.raises(UserError, match=r"bacnet\.0\.object: .*at least 1 item"):
        load("lake = 'x'\n[[bacnet]]\nhost = 'meter'\nobject = []\n")
