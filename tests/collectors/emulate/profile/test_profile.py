"""Profiles: the shipped ones load, and whatever is wrong is said in one line."""

import pytest

from tests.support.emulated import SMALL
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.profile.profile import SHIPPED, load_profile


def error_of(tmp_path, old, new):
    assert old in SMALL
    path = tmp_path / "mine.toml"
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_profile(path)
    line = str(caught.value)
    assert "\n" not in line
    assert "mine.toml" in line
    return line


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_load(name):
    profile = load_profile(name)
    assert profile.duration_us > 0
    assert profile.start_us % 1_000_000 == 0


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "idle_w = 80",
            "idle_watts = 80",
            ["boards.h100", "'idle_watts' = 80", "allowed: name, idle_w"],
        ),
        ("rate = 2.0", "rate = -2.0", ["jobs.0.workload.inference.rate", "-2.0", "greater than 0"]),
        ("load_s = 4", "loads = 4", ["'loads' = 4", "allowed: type, model"]),
        ("limit_w = 700", 'limit_w = "700"', ["boards.h100.limit_w", "valid number", "'700'"]),
        ("idle_w = 80", "idle_w = nan", ["boards.h100.idle_w", "nan"]),
        ("idle_w = 80", "idle_w = 695", ["boards.h100", "695", "limit_w = 700"]),
        ("n1 = [0, 1]", "n1 = [0, 4]", ["'chat'", "[0, 4]", "0 to 3"]),
        ("n1 = [0, 1]", "n9 = [0]", ["'chat'", "'n9'", "n1"]),
        ("n1 = [0, 1]", "n1 = [0, 2]", ["'chat'", "'train'", "board 2"]),
        ("end_s = 60", "end_s = 61", ["'held'", "end_s = 61", "duration_s = 60"]),
        ('id = "held"', 'id = "chat"', ["'chat'", "twice"]),
        ("08:00:00Z", "08:00:00", ["start", "timezone"]),
        ("2026-01-15T", "9999-12-31T", ["start", "2000 to 2099"]),
        ("2026-01-15T", "0001-01-01T", ["start", "2000 to 2099"]),
        ('type = "stray"', 'type = "x"', ["strays.0.workload.type", "'stray'"]),
        ('type = "training"', 'type = "x"', ["jobs.1.workload", "'inference', 'training'"]),
        ("seed = 7", "", ["seed", "required"]),
        ("seed = 7", "seed = ", ["is not valid TOML"]),
        ("count = 4", "count = 4\npower_gain_ppm = [1]", ["power_gain_ppm", "1 values", "4"]),
        ("count = 4", "count = 4\nminors = [0, 1, 2]", ["minors", "4 different numbers"]),
        ("count = 4", "count = 4\nminors = [0, 1, 2, 2]", ["minors", "4 different numbers"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, old, new, parts):
    line = error_of(tmp_path, old, new)
    for part in parts:
        assert part in line, line


def test_no_such_profile(tmp_path):
    with pytest.raises(UserError, match=r"No such file or directory; expected .*demo.* or a file"):
        load_profile(tmp_path / "none.toml")
