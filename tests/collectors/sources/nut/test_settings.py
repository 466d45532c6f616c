"""The keys of [[nut]]: what is wrong is one line that names the key, and shows no password."""

import re
from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.settings import example
from tokenergy_collectors.settings.config import Config

GOOD = """
lake = "/data/lake"
[[nut]]
host = "10.0.8.30"
ups = "ups-1"
[[nut]]
host = "fe80::1"
port = 3494
ups = "ups-1"
label = "hall-b/ups-1"
username = "monitor"
password_env = "UPS"
[[nut]]
host = "10.0.8.30"
ups = "ups-2"
[[nut.variable]]
name = "output.realpower"
meter = "hall-a/output"
[[nut.variable]]
name = "ups.temperature"
meter = "hall-a/temperature"
invalid = [0, -9999.5]
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "collect.toml"
        path.write_text(text)
        return load_toml(path, Config, {})

    return load


def test_a_file_with_upses_is_taken_and_written_back(load):
    config = load(GOOD)
    assert [one.about for one in config.nut] == [
        "ups-1@10.0.8.30:3493", "ups-1@fe80::1:3494", "ups-2@10.0.8.30:3493"
    ]  # fmt: skip
    assert [len(one.read) for one in config.nut] == [9, 9, 2]
    assert [one.read[0].meter for one in config.nut] == [
        "ups-1/ups.load", "hall-b/ups-1/ups.load", "hall-a/output"
    ]  # fmt: skip
    assert load(example.effective(config)) == config


def test_the_configurations_of_the_page_work(load):
    page = Path(__file__).parents[4] / "docs" / "meters.md"
    texts = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)
    [config] = [load(f'lake = "/data/lake"\n{text}') for text in texts if "[[nut]]" in text]
    assert len(config.nut) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"10.0.8.30"', '"ups-1@10.0.8.30"', ["nut.0.host", "pattern"]),
        ('ups = "ups-1"', 'ups = "ups 1"', ["nut.0.ups", "pattern"]),
        ('ups = "ups-1"', 'ups = "u\\n"', ["nut.0.ups", "pattern"]),
        ('label = "hall-b/ups-1"', "", ["meter 'ups-1/ups.load' is used twice"]),
        ('"fe80::1"\nport = 3494', '"10.0.8.30"', ["ups-1@10.0.8.30:3493 has two tables"]),
        ('"ups.temperature"', '"output.realpower"',
         ["nut.2.variable", "'output.realpower' is read twice"]),
        ('password_env = "UPS"', 'password = "hunter2"', ["nut.1", "does not belong here"]),
        ('password_env = "UPS"', "", ["nut.1", "expected password_file or password_env"]),
        ("label", "lable", ["nut.1", "unknown key 'lable'", "variable"]),
        ("port = 3494", "port = 0", ["nut.1.port", "1"]),
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
