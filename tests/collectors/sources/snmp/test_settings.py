"""The keys of [[snmp]]: what is wrong is one line that names the key, and never a secret."""

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
[[snmp]]
host = "10.0.8.31"
community_file = "/etc/tokenergy/pdu.community"
[[snmp.oid]]
meter = "pdu-3/energy"
oid = ".1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"
type = "Gauge32"
[[snmp.oid]]
meter = "pdu-3/power"
oid = "1.3.6.1.4.1.318.1.1.26.4.3.1.5.1"
type = "Integer32"
invalid = [-1, 0]
[[snmp]]
host = "fe80::1"
version = "3"
user = "monitor"
auth = "sha256"
auth_key_env = "AUTH"
priv = "aes"
priv_key_file = "/etc/tokenergy/pdu.priv"
context = "feed-2"
[[snmp.oid]]
meter = "ups"
oid = "1.3.6.1.2.1.33.1.4.4.1.4.1"
type = "OctetString"
invalid = [-0.5]
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
    one, two = config.snmp
    assert [device.about for device in config.snmp] == [
        "10.0.8.31:161", "fe80::1:161 context feed-2",
    ]  # fmt: skip
    assert [oid.place for oid in one.oids] == [
        "OID 1.3.6.1.4.1.318.1.1.26.4.3.1.9.1", "OID 1.3.6.1.4.1.318.1.1.26.4.3.1.5.1",
    ]  # fmt: skip
    assert (one.oids[1].invalid, two.oids[0].invalid) == ((-1, 0), (-0.5,))
    assert load(example.effective(config)) == config


def test_the_example_shows_every_key(load):
    text = example.example()
    begin = text.index("#[[snmp]]")
    lines = text[begin : text.index("\n#[[modbus]]", begin)].splitlines()
    keys = "\n".join(line[1:] for line in lines if line.startswith("#") and line[1] != " ")
    [device] = tomllib.loads(keys)["snmp"]
    [oid] = device.pop("oid")
    assert set(oid) == {"meter", "oid", "type", "invalid"}
    assert set(device) == {
        "host", "port", "version", "community_file", "community_env", "user", "auth",
        "auth_key_file", "auth_key_env", "priv", "priv_key_file", "priv_key_env", "context",
        "every_s", "timeout_s", "most_oids",
    }  # fmt: skip


def test_the_configuration_of_the_page_works(load):
    page = Path(__file__).parents[4] / "docs" / "meters.md"
    texts = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)
    [text] = [text for text in texts if "[[snmp]]" in text]
    old, new = load(f'lake = "/data/lake"\n{text}').snmp
    assert (old.version, new.version, new.priv) == ("2c", "3", "aes")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("context =", "contxt =", ["snmp.1", "unknown key 'contxt'", "allowed: host"]),
        ('version = "3"', 'version = "1"', ["snmp.1.version", "'2c' or '3'"]),
        ('"Gauge32"', '"Float"', ["snmp.0.oid.0.type", "'Gauge32', 'Counter32'"]),
        ('".1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"', '"ups.4"', ["snmp.0.oid.0.oid", "no OID in numb"]),
        ('".1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"', '"1.03.6"', ["no OID in numbers"]),
        ('".1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"', '"1.3.4294967296"', ["no OID in numbers"]),
        ('".1.3.6.1.4.1.318.1.1.26.4.3.1.9.1"', '"1.40.6"', ["after 1 comes at most 39"]),
        ("318.1.1.26.4.3.1.9.1", "318.1.1.26.4.3.1.5.1", ["'pdu-3/power' has the OID of 'pdu-3/e"]),
        ("[-1, 0]", "[2147483648]", ["invalid: 2147483648", "Integer32"]),
        ("[-1, 0]", "[0.5]", ["invalid: 0.5", "Integer32"]),
        ('"ups"', '"pdu-3/power"', ["meter 'pdu-3/power' is used twice"]),
        ('"ups"', '""', ["snmp.1.oid.0.meter", "at least 1 character"]),
        ('"10.0.8.31"', '"http://pdu"', ["snmp.0.host", "pattern"]),
        ('community_file = "/etc/tokenergy/pdu.community"', "", ["2c needs community_file or c"]),
        ('community_file = "/etc/tokenergy/pdu.community"', 'community = "secret"',
         ["a community does not belong here: name a file in community_file"]),
        ('auth_key_env = "AUTH"', 'auth_key = "secret-key"', ["a auth_key does not belong here"]),
        ('priv_key_file = "/etc/tokenergy/pdu.priv"', 'priv_key = "secret-key"', ["a priv_key"]),
        ('user = "monitor"', "", ["version 3 needs a user"]),
        ('version = "3"', "", ["version 2c needs community_file or community_env"]),
        ('auth = "sha256"\n', "", ["priv needs auth"]),
        ('auth_key_env = "AUTH"', "", ["auth needs auth_key_file or auth_key_env"]),
        ('priv = "aes"', "", ["priv_key_file needs priv, which names"]),
        ('auth = "sha256"\n', 'auth = "none"\n', ["priv needs auth"]),
        ('priv_key_file = "/etc/tokenergy/pdu.priv"', "", ["priv needs priv_key_file or p"]),
        ('context = "feed-2"', "port = 0", ["snmp.1.port", "1"]),
        ('context = "feed-2"', "timeout_s = 0", ["snmp.1.timeout_s", "greater than 0"]),
        ('context = "feed-2"', "most_oids = 0", ["snmp.1.most_oids", "greater than or equal to 1"]),
        ('"fe80::1"\nversion = "3"', '"10.0.8.31"\nversion = "3"', None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(load, old, new, words):
    assert old in GOOD
    if words is None:  # another context of one agent
        assert len(load(GOOD.replace(old, new)).snmp) == 2
        return
    with pytest.raises(UserError) as caught:
        load(GOOD.replace(old, new))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_one_agent_has_one_table(load):
    table = GOOD[GOOD.index("[[snmp]]") : GOOD.index('[[snmp]]\nhost = "fe80')]
    other = table.replace("pdu-3", "pdu-4")
    with pytest.raises(UserError, match=r"10\.0\.8\.31:161 has two tables"):
        load(GOOD + other)


def test_a_device_without_objects_is_refused(load):
    head = "lake = 'x'\n[[snmp]]\nhost = 'meter'\ncommunity_env = 'C'\n"
    with pytest.raises(UserError, match=r"snmp\.0\.oid: .*required"):
        load(head)
    with pytest.raises(UserError, match=r"snmp\.0\.oid: .*at least 1 item"):
        load(f"{head}oid = []\n")
