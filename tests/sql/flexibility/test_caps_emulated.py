"""`tokenergy caps` after the whole pipeline, on emulated boards whose caps have a known curve.

The emulator does not slow a load down where a limit is low, and its limits do not change over time.
So each cap has a board of its own, of one kind but for the limit, and a load with the step time and
the power that the curve says.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.support.commands import command

CURVE = {700: (650, 1.0), 450: (420, 1.25), 300: (290, 2.6)}
"""Power of a step, W, and its length, s, by cap, W."""
TOKENS = 20_000
PROFILE = """
name = "caps"
start = 2026-01-15T08:00:00Z
duration_s = 600
seed = 3
"""


def profile(path: Path) -> Path:
    text = PROFILE
    for cap, (power_w, step_s) in CURVE.items():
        text += f"""
[boards.b{cap}]
like = "h100"
limit_w = {cap}
gain_spread_ppm = 0
load_spread = 0
[nodes.n{cap}]
boards = "b{cap}"
count = 1
[[jobs]]
id = "train-{cap}"
devices = {{ n{cap} = [0] }}
start_s = 10
end_s = 590
[jobs.workload]
type = "periodic"
model = "m"
tokens_per_period = {TOKENS}
frequency_hz = {1 / step_s}
high_w = {power_w}
low_w = {power_w}
"""
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[float, dict[str, str]]:
    root = tmp_path_factory.mktemp("caps")
    lake = str(root / "lake")
    path = str(profile(root / "caps.toml"))
    for words in (
        ("tokenergy-collect", "fleet", path, "--lake", lake, "--truth", str(root / "truth")),
        ("tokenergy", "aggregate", "--lake", lake),
        ("tokenergy", "index", "--lake", lake),
    ):
        code, _, err = command(*words)
        assert code == 0, err
    code, out, err = command("tokenergy", "caps", "--lake", lake, "--format", "csv")
    assert (code, err) == (0, "")
    return {float(row["cap_w"]): row for row in csv.DictReader(io.StringIO(out))}


def test_the_emulated_curve_is_inside_its_bounds(found: dict[float, dict[str, str]]) -> None:
    assert [*found] == [300, 450, 700]
    for cap, (power_w, step_s) in CURVE.items():
        row = found[cap]
        true = power_w * step_s / TOKENS
        assert float(row["te_low"]) <= true <= float(row["te_high"])
        assert float(row["te"]) == pytest.approx(true, rel=0.03)
        assert float(row["tokens_s"]) == pytest.approx(TOKENS / step_s, rel=0.02)


def test_the_best_of_the_emulated_caps_is_the_planted_one(
    found: dict[float, dict[str, str]],
) -> None:
    verdicts = {cap: row["verdict"] for cap, row in found.items()}
    assert verdicts == {300: "more J/token", 450: "least J/token", 700: "more J/token"}
