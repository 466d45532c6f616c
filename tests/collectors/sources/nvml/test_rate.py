"""How often power is read, where nobody says it."""

from itertools import pairwise

import pytest

from tests.support.emulated import Walk
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.rate import rate_hz


@pytest.mark.parametrize(
    ("given", "periods_us", "rate"),
    [
        ("auto", [None] * 4, 20),
        ("auto", [100_000] * 4, 20),
        ("auto", [100_000, None, 40_000, 101_000], 50),
        ("auto", [101_000] * 4, 19.8),
        ("auto", [20_000] * 4, 50),
        ("auto", [1_000_000] * 4, 10),
        (None, [80_000] * 4, 25),
        (7, [20_000] * 4, 7),
    ],
)
def test_twice_in_the_shortest_period(given, periods_us, rate):
    config = Config(lake="x", node="n", **({} if given is None else {"rate_hz": given}))
    with Walk().node:
        boards, _ = open_boards()
        for board, period_us in zip(boards, periods_us, strict=True):
            board.update_us = period_us
        assert rate_hz(config, boards) == rate
        close_boards()


def test_the_daemon_samples_at_that_rate(tmp_path):
    """On a board that renews its reading every 40 ms power is read every 20 ms."""
    from tests.support.emulated import SMALL
    from tokenergy_collectors.daemon.control import Control
    from tokenergy_collectors.lake import Lake
    from tokenergy_collectors.start import run_collector

    profile = tmp_path / "fast.toml"
    fast = "load_spread = 0.015\nupdate_us = 40_000\n"
    profile.write_text(SMALL.replace("load_spread = 0.015\n", fast))
    run_collector(
        None, control=Control(), lake=str(tmp_path / "lake"), node="n1", emulate=str(profile),
        duration="20s",
    )  # fmt: skip
    lake = Lake(tmp_path / "lake")
    device = lake.read("device").to_pylist()[0]["device_id"]
    stamps = sorted(r["ts_us"] for r in lake.read("power").to_pylist() if r["device_id"] == device)
    assert {(b - a) % 20_000 for a, b in pairwise(stamps)} <= {0, 1, 19_999}
    assert min(b - a for a, b in pairwise(stamps)) <= 20_000
