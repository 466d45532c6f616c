"""Limits as people write them: what fits, and one line for what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.gridload.limits import load_limits

RAMP = 'name = "X"\nkind = "ramp"\nhorizon = ["100ms", "10s"]\nvalue = 2\nunit = "kW"\n'
BAND = 'name = "X"\nkind = "band_rms"\nlow_hz = 0.1\nhigh_hz = 2.5\nvalue = 1\nunit = "percent"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "limits.toml"
    path.write_text(f"[[limit]]\n{text}")
    return path


def test_a_ramp_is_a_limit_for_each_horizon(tmp_path: Path) -> None:
    found = load_limits(written(tmp_path, RAMP))
    assert [one.horizon_us for one in found] == [100_000, 10_000_000]
    assert {one.value for one in found} == {2e6}
    assert [one.what for one in found] == ["ramp 0.1 s", "ramp 10 s"]


def test_percent_is_a_share_of_the_mean(tmp_path: Path) -> None:
    (found,) = load_limits(written(tmp_path, BAND))
    assert (found.relative, found.value, found.band_hz) == (True, 0.01, (0.1, 2.5))
    assert (found.boundary, found.window_us) == ("boards", 60_000_000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RAMP + "colour = 1\n", "unknown key 'colour' = 1"),
        (RAMP.replace('"kW"', '"kV"'), "limit.0.unit"),
        (RAMP.replace('"ramp"', '"jump"'), "limit.0.kind"),
        (RAMP.replace("value = 2", "value = -2"), "limit.0.value"),
        (RAMP.replace('"100ms"', '"a while"'), "'a while': expected a duration"),
        (RAMP.replace('horizon = ["100ms", "10s"]\n', ""), "expected a horizon"),
        (RAMP + 'window = "60s"\n', "window is no key of kind ramp"),
        (RAMP + 'boundary = "rack"\n', "limit.0.boundary"),
        (RAMP + "min_coverage = 2\n", "limit.0.min_coverage"),
        (BAND.replace("low_hz = 0.1", "low_hz = 3"), "expected low_hz below high_hz"),
        (BAND.replace("low_hz = 0.1", "low_hz = 0.01"), "expected at least 400 s"),
        (BAND.replace("high_hz = 2.5\n", ""), "expected low_hz below high_hz"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        load_limits(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_without_limits_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("")
    with pytest.raises(UserError, match="limit"):
        load_limits(path)
    with pytest.raises(UserError, match="No such file"):
        load_limits(tmp_path / "none.toml")


def test_the_example_of_the_page_is_a_profile(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "docs" / "examples" / "limits.toml"
    found = load_limits(example)
    assert {one.kind for one in found} == {"ramp", "dynamic_range", "band_rms", "peak"}
    # Nobody's standard is shipped.
    assert all(one.name.startswith("PLACEHOLDER") for one in found)
