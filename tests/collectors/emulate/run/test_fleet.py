"""A fleet in one process: the lake of one daemon a node, once, and in part where asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.commands import command as run
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.emulate.run.fleet import Collected, collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.start import run_collector

PROFILE = """
name = "trio"
start = 2026-01-15T08:00:00Z
duration_s = 20
seed = 3
[nodes."n{1..3}"]
boards = "h100"
count = 2
rack = "r1"
[[jobs]]
id = "swing"
devices = { n1 = [0], n2 = [0, 1] }
start_s = 2
end_s = 18
workload = { type = "periodic", model = "m", frequency_hz = 2, tokens_per_period = 5 }
"""


@pytest.fixture
def trio(tmp_path: Path) -> Path:
    path = tmp_path / "trio.toml"
    path.write_text(PROFILE)
    return path


def collect(
    trio: Path, folder: Path, control: Control | None = None, **options: object
) -> Collected:
    def read_config(node: str) -> Config:
        return Config(lake=str(folder / "lake"), node=node, rate_hz=10.0)

    return collect_fleet(
        load_profile(trio), read_config, control or Control(), truth=folder / "truth", **options
    )


def rows(folder: Path, table: str) -> pa.Table:
    found = Lake(folder / "lake").read(table)
    return found.sort_by([(name, "ascending") for name in TABLES[table].sort])


def files(folder: Path) -> dict[Path, bytes]:
    lake = folder / "lake"
    return {path.relative_to(lake): path.read_bytes() for path in lake.rglob("*.parquet")}


def test_the_lake_is_that_of_one_daemon_a_node(trio: Path, tmp_path: Path) -> None:
    done = collect(trio, tmp_path / "fleet")
    assert done == Collected(3, 6, 3)
    config = tmp_path / "c.toml"
    config.write_text("rate_hz = 10\n")
    for node in ("n1", "n2", "n3"):
        run_collector(
            config,
            control=Control(),
            lake=str(tmp_path / "one" / "lake"),
            node=node,
            emulate=str(trio),
            truth=tmp_path / "one" / "truth" / f"{node}.json",
        )
    assert set(files(tmp_path / "fleet")) == set(files(tmp_path / "one"))
    for table in ("power", "device", "tokens", "jobs", "state", "clock"):
        assert rows(tmp_path / "fleet", table).num_rows > 0
        assert rows(tmp_path / "fleet", table) == rows(tmp_path / "one", table), table
    for node in ("n1", "n2", "n3"):
        truth = [(tmp_path / name / "truth" / f"{node}.json") for name in ("fleet", "one")]
        assert truth[0].read_text() == truth[1].read_text()


def test_collecting_again_adds_nothing(trio: Path, tmp_path: Path) -> None:
    collect(trio, tmp_path)
    before = files(tmp_path)
    assert collect(trio, tmp_path) == Collected(3, 6, 3)
    assert files(tmp_path) == before


def test_some_nodes_for_a_while_have_no_truth(trio: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    done = collect(
        trio,
        tmp_path,
        nodes=["n3", "n2", "n3"],
        duration_us=5_000_000,
        on_done=lambda node, boards: seen.append((node, boards)),
    )
    assert done == Collected(2, 4, 2)
    assert seen == [("n3", 2), ("n2", 2)]
    assert set(rows(tmp_path, "device")["node"].to_pylist()) == {"n2", "n3"}
    stamps = rows(tmp_path, "power")["ts_us"].to_pylist()
    assert max(stamps) - min(stamps) == 5_000_000
    assert not (tmp_path / "truth").exists()


def test_a_stop_ends_the_fleet(trio: Path, tmp_path: Path) -> None:
    control = Control()
    done = collect(trio, tmp_path, control, on_done=lambda *_: control.ask_stop())
    assert done == Collected(1, 2, 3)
    assert rows(tmp_path, "power").num_rows > 0


def test_an_unknown_node_is_one_line(trio: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="node 'n9': not in the profile 'trio'"):
        collect(trio, tmp_path, nodes=["n1", "n9"])
    assert not (tmp_path / "lake").exists()


def test_the_command(trio: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tokenergy_collectors", "fleet"]
    options = ["--lake", str(tmp_path / "lake"), "--truth", str(tmp_path / "truth")]
    done = subprocess.run(
        [*command, str(trio), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("collect: 3 nodes, 6 GPUs, 0.333333 minutes of virtual time in ")
    assert done.stderr == ""
    truth = [json.loads(path.read_text()) for path in sorted((tmp_path / "truth").iterdir())]
    assert [one["node"] for one in truth] == ["n1", "n2", "n3"]
    for wrong in (["none.toml"], [str(trio), "--node", "x"], [str(trio), "--duration", "soon"]):
        code, _, said = run("tokenergy-collect", "fleet", *wrong, *options)
        assert code == 2
        assert said.count("\n") == 1


def test_a_job_that_was_corrected_is_recorded_after_what_was_there(
    trio: Path, tmp_path: Path
) -> None:
    collect(trio, tmp_path)
    trio.write_text(PROFILE.replace("end_s = 18", "end_s = 15"))
    collect(trio, tmp_path)
    start_us = load_profile(trio).start_us
    found = allocations(Lake(tmp_path / "lake")).to_pylist()
    assert [row["end_us"] - start_us for row in found] == [15_000_000] * 3
