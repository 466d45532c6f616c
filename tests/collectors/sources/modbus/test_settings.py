"""The keys of [[modbus]]: what is wrong is one line that names the key."""

import re
import tomllib
from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.settings import example
from tokenergy_collectors.settings.config import Config

GOOD = """
lake = "/data/lake"
[[modbus]]
host = "10.0.8.21"
[[modbus.register]]
meter = "feed-1/power"
address = 3059
type = "float32"
[[modbus.register]]
meter = "feed-1/energy"
address = 3203
type = "int64"
word_order = "little"
invalid = [-1, 0]
[[modbus]]
host = "fe80::1"
device_id = 7
[[modbus.register]]
meter = "cooling"
address = 3059
kind = "input"
type = "uint16"
invalid = []
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
    one, two = config.modbus
    assert [device.about for device in config.modbus] == [
        "10.0.8.21:502 device 1",
        "fe80::1:502 device 7",
    ]
    assert [register.place for register in one.registers + two.registers] == [
        "holding register 3059", "holding register 3203", "input register 3059"
    ]  # fmt: skip
    assert (one.registers[1].invalid, two.registers[0].invalid) == ((-1, 0), ())
    assert load(example.effective(config)) == config


def test_the_example_shows_every_key(load):
    text = example.example()
    begin = text.index("#[[modbus]]")
    lines = text[begin : text.index("\n[", begin)].splitlines()
    keys = "\n".join(line[1:] for line in lines if line.startswith("#") and line[1] != " ")
    [device] = tomllib.loads(keys)["modbus"]
    [register] = device.pop("register")
    assert set(device) == {"host", "port", "device_id", "every_s", "timeout_s"}
    assert set(register) == {"meter", "address", "kind", "type", "word_order", "invalid"}


def test_the_configuration_of_the_page_works(load):
    page = Path(__file__).parents[4] / "docs" / "meters.md"
    texts = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)
    [text] = [text for text in texts if "[[modbus]]" in text]
    [device] = load(f'lake = "/data/lake"\n{text}').modbus
    assert [register.type for register in device.registers] == ["float32", "int64"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("device_id = 7", "unit = 7", ["modbus.1", "unknown key 'unit' = 7", "register"]),
        ("kind =", "knid =", ["modbus.1.register.0", "unknown key 'knid'", "allowed: meter, "]),
        ('kind = "input"', 'kind = "coil"', ["modbus.1.register.0.kind", "'holding' or 'input'"]),
        ('"int64"', '"int24"', ["modbus.0.register.1.type", "'uint16', 'int16'", "'int24'"]),
        ("3203", "43204.0", ["modbus.0.register.1.address", "integer"]),
        ("3203", "400123", ["modbus.0.register.1.address", "less than or equal to 65535"]),
        ("3203", "-1", ["modbus.0.register.1.address", "greater than or equal to 0"]),
        ("3203", "65533", ["address 65533: int64 takes 4 registers; expected at most 65532"]),
        ("3203", "3060", ["'feed-1/energy' begins at address 3060, inside 'feed-1/power'"]),
        ("[-1, 0]", "[9223372036854775808]", ["invalid: 9223372036854775808", "int64"]),
        ("[-1, 0]", "[0.5]", ["invalid: 0.5", "int64"]),
        ("[-1, 0]", "['x']", ["invalid", "'x'"]),
        ('"cooling"', '"feed-1/power"', ["meter 'feed-1/power' is used twice"]),
        ('"cooling"', '""', ["modbus.1.register.0.meter", "at least 1 character"]),
        ('"fe80::1"\ndevice_id = 7', '"10.0.8.21"', ["10.0.8.21:502 device 1 has two tables"]),
        ('"fe80::1"', '"http://meter"', ["modbus.1.host", "pattern"]),
        ("device_id = 7", "device_id = 256", ["modbus.1.device_id", "255"]),
        ("device_id = 7", "port = 0", ["modbus.1.port", "1"]),
        ("device_id = 7", "timeout_s = 0", ["modbus.1.timeout_s", "greater than 0"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(load, old, new, words):
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load(GOOD.replace(old, new))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_device_without_registers_is_refused(load):
    with pytest.raises(UserError, match=r"modbus\.0\.register: .*required"):
        load("lake = 'x'\n[[modbus]]\nhost = 'meter'\n")
    with pytest.raises(UserError, match=r"modbus\.0\.register: .*at least 1 item"):
        load("lake = 'x'\n[[modbus]]\nhost = 'meter'\nregister = []\n")
