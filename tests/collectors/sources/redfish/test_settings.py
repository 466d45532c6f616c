"""The keys of [[redfish]]: what is wrong is one line that names the key, and shows no password."""

import re
from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.settings import example
from tokenergy_collectors.settings.config import Config

GOOD = """
lake = "/data/lake"
node = "n1"
[[redfish]]
url = "https://10.0.9.21"
username = "monitor"
password_file = "/etc/bmc.password"
[[redfish]]
url = "https://[fe80::1]:8443/"
node = "n2"
username = "monitor"
password_env = "BMC"
auth = "basic"
ca_file = "/etc/bmc.pem"
[[redfish.reading]]
meter = "n2/psu-1"
part = "supply:PSU1"
value = "energy"
[[redfish.reading]]
meter = "n2/air"
part = "sensor:Inlet: air"
chassis = "1"
invalid = [-1, 0.5]
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "collect.toml"
        path.write_text(text)
        return load_toml(path, Config, {})

    return load


def test_a_file_with_bmcs_is_taken_and_written_back(load):
    config = load(GOOD)
    one, two = config.redfish
    assert (one.about, two.about) == ("10.0.9.21:443", "fe80::1:8443")
    assert one.meters("n1") == ["n1/bmc/power", "n1/bmc/energy"]
    assert two.meters("n1") == ["n2/psu-1", "n2/air"]
    assert [(part.supply, part.sensor) for part in two.readings] == [
        ("PSU1", None), (None, "Inlet: air")
    ]  # fmt: skip
    assert load(example.effective(config)) == config


def test_one_table_is_enough_without_brackets(load):
    [one] = load("lake = 'x'\n[redfish]\nurl = 'http://127.0.0.1:8000'\n").redfish
    assert (one.port, one.tls) == (8000, False)


def test_the_configurations_of_the_page_work(load):
    page = Path(__file__).parents[4] / "docs" / "meters.md"
    texts = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)
    found = [load(f'lake = "/data/lake"\n{text}') for text in texts if "[[redfish" in text]
    assert [len(config.redfish) for config in found] == [2, 1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"https://10.0.9.21"', '"10.0.9.21"', ["redfish.0.url", "pattern"]),
        ("10.0.9.21", "10.0.9.21/redfish/v1", ["redfish.0.url", "without a path"]),
        ("10.0.9.21", "10.0.9.21:0", ["redfish.0.url", "expected https://HOST"]),
        ("10.0.9.21", "10.0.9.21:x", ["redfish.0.url", "expected https://HOST"]),
        ("10.0.9.21", "u:hunter2@10.0.9.21", ["redfish.0.url", "holds credentials"]),
        ("https://10", "http://10", ["redfish.0", "anyone on the way", "expected https://"]),
        ('password_file = "/etc/bmc.password"', 'password = "hunter2"',
         ["redfish.0", "a password does not belong here", "password_file"]),
        ('password_file = "/etc/bmc.password"', "",
         ["redfish.0", "expected password_file or password_env"]),
        ('username = "monitor"\npassword_file', "password_file",
         ["redfish.0", "expected username"]),
        ('"supply:PSU1"', '"PSU1"', ["redfish.1.reading.0.part", "pattern"]),
        ('"energy"', '"energy-joules"', ["redfish.1.reading.0", "a supply has power and energy"]),
        ('chassis = "1"', 'value = "energy"', ["redfish.1.reading.1", "leave it out for a sensor"]),
        ('"n2/air"', '"n2/psu-1"', ["meter 'n2/psu-1' is used twice"]),
        ('"n2/air"', '"n1/bmc/power"', ["meter 'n1/bmc/power' is used twice"]),
        ("[fe80::1]:8443/", "10.0.9.21:443", ["10.0.9.21:443 has two tables"]),
        ('auth = "basic"', 'auth = "none"', ["redfish.1.auth", "'session' or 'basic'"]),
        ("ca_file", "cafile", ["redfish.1", "unknown key 'cafile'"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(load, old, new, words):
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load(GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_two_bmcs_of_one_node_are_refused(load):
    tables = "[[redfish]]\nurl = 'https://a'\n[[redfish]]\nurl = 'https://b'\n"
    with pytest.raises(UserError, match="a:443 and b:443 have no node"):
        load(f"lake = 'x'\n{tables}")
    with pytest.raises(UserError, match="'n1/bmc/power' is used twice"):
        load(f"lake = 'x'\n{tables}node = 'n1'\n".replace("/a'", "/a'\nnode = 'n1'"))
    with pytest.raises(UserError, match="'n1/bmc/power' is used twice"):
        # The one without a node is that of the collector's own.
        load(f"lake = 'x'\nnode = 'n1'\n{tables}node = 'n1'\n")


def test_a_meter_of_two_sources_is_refused(load):
    modbus = "[[modbus]]\nhost = 'm'\n[[modbus.register]]\naddress = 1\ntype = 'int16'\n"
    text = f"lake = 'x'\nnode = 'n1'\n[redfish]\nurl = 'https://a'\n{modbus}"
    load(f"{text}meter = 'other'\n")
    with pytest.raises(UserError, match=r"'n1/bmc/energy' is used in \[\[modbus\]\] and in"):
        load(f"{text}meter = 'n1/bmc/energy'\n")
