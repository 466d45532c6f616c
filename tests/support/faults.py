"""One emulated hour's edge with faults, through the whole pipeline, compared with its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.start import run_collector
from tokenergy_sql.demo.score import Scored, score
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

S = 1_000_000
START_US = 1_768_463_880_000_000
"""2026-01-15T07:58:00Z: the run crosses an hour after two minutes."""

PROFILE = """
name = "faulty"
start = 2026-01-15T07:58:00Z
duration_s = 300
seed = 11

[boards.b]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
limit_w = 700
unsupported = [{unsupported}]

[nodes.n1]
boards = "b"
count = 4

[[jobs]]
id = "serve"
devices = {{ n1 = [0] }}
start_s = 20.123457
end_s = 250.5

[jobs.workload]
type = "inference"
model = "m"
log = "azure_conv"
rate = 2.0
load_s = 5
step_us = 6_500
per_sequence_us = 60
per_prompt_token_us = 32

[[jobs]]
id = "train"
devices = {{ n1 = [1, 2] }}
start_s = 30
end_s = 270.000001

[jobs.workload]
type = "training"
model = "t"
tokens_per_step = 1000

[[jobs]]
id = "late"
devices = {{ n1 = [3] }}
start_s = 150.75
end_s = 230.25

[jobs.workload]
type = "training"
model = "t"
tokens_per_step = 1000
load_s = 2
"""


class Outcome:
    """The lake after a run, and how it compares with the truth."""

    def __init__(self, folder: Path, faults: str, unsupported: str = "") -> None:
        profile = folder / "faulty.toml"
        profile.write_text(PROFILE.format(unsupported=unsupported) + faults)
        truth = folder / "truth.json"
        run_collector(
            None,
            lake=str(folder / "lake"),
            node="n1",
            emulate=str(profile),
            truth=truth,
            control=Control(),
        )
        self.lake = Lake(folder / "lake")
        for hour, node in worklist(self.lake):
            aggregate(self.lake, hour, node, S, "cpu")
        index(self.lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
        self.jobs: dict[str, Scored] = {r.job_id: r for r in score(self.lake, [truth])}
        found = self.lake.read("device").to_pylist()
        self.devices = [r["device_id"] for r in sorted(found, key=lambda r: r["index"])]

    def events(self, *kinds: str) -> list[tuple[str, int | None, float]]:
        """Events of some kinds: kind, board's index, seconds of profile time."""
        rows = sorted(self.lake.read("event").to_pylist(), key=lambda r: r["ts_us"])
        return [
            (
                r["kind"],
                None if r["device_id"] is None else self.devices.index(r["device_id"]),
                (r["ts_us"] - START_US) / S,
            )
            for r in rows
            if r["kind"] in kinds
        ]

    def power(self, index: int) -> list[dict[str, Any]]:
        """A board's rows of `power` in the order of time; `at_s` is profile time."""
        rows = self.lake.read("power").to_pylist()
        mine = [r for r in rows if r["device_id"] == self.devices[index]]
        for row in mine:
            row["at_s"] = (row["ts_us"] - START_US) / S
        return sorted(mine, key=lambda r: r["ts_us"])

    def booked(self, index: int, from_s: float, to_s: float) -> list[dict[str, Any]]:
        """Rows that the ledger has for a board that touch an interval of profile time."""
        a_us, b_us = START_US + round(from_s * S), START_US + round(to_s * S)
        rows = self.lake.read("ledger").to_pylist()
        return [
            row
            for row in sorted(rows, key=lambda r: r["start_us"])
            if row["device_id"] == self.devices[index]
            and row["start_us"] < b_us
            and row["end_us"] > a_us
        ]

    def assert_sound(self) -> None:
        """What holds under every fault: the ledger closes, and nothing is negative or repeated."""
        assert_checks_pass(self.lake)
        for board in range(len(self.devices)):
            rows = self.power(board)
            stamps = [r["ts_us"] for r in rows]
            assert stamps == sorted(set(stamps))
            assert all(r["power_mw"] is None or r["power_mw"] >= 0 for r in rows)
            counted = [(r["epoch"], r["energy_mj"]) for r in rows if r["energy_mj"] is not None]
            assert counted == sorted(counted)
        assert ask(self.lake, "SELECT 1 FROM ledger WHERE energy_nj < 0") == []
        for row in self.jobs.values():
            assert row.tokens_exact, row
            assert row.inside, row
            assert row.passed, row
