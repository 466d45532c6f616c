"""Recorded logs in, joules and tokens per job out: held against a trapezoid done by hand.

The log is a real one (4 GPUs, 10 Hz, see data/README.md). The expected energy is computed here from
the log's text with fractions, and shares no code with the product.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.commands import command
from tests.support.ledger import ask
from tests.support.snapshot import snapshot
from tokenergy_collectors.lake import Lake

LOG = Path(__file__).parent / "data" / "wattameter_nvidia_smi.csv"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp_us(text: str) -> int:
    moment = datetime.strptime(text, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def read_log() -> dict[str, list[tuple[int, Fraction]]]:
    """Stamp (us) and power (W) by GPU index, straight from the text."""
    found: dict[str, list[tuple[int, Fraction]]] = {}
    with LOG.open() as handle:
        for row in csv.DictReader(handle, skipinitialspace=True):
            watts = Fraction(row["power.draw [W]"].split()[0])
            found.setdefault(row["index"], []).append((stamp_us(row["timestamp"]), watts))
    return found


def trapezoid_j(readings: list[tuple[int, Fraction]], start_us: int, end_us: int) -> Fraction:
    """Joules of the straight lines between readings, cut at both ends."""
    total = Fraction(0)
    for (t0, p0), (t1, p1) in pairwise(readings):
        a, b = max(t0, start_us), min(t1, end_us)
        if a < b:
            at_a = p0 + (p1 - p0) * Fraction(a - t0, t1 - t0)
            at_b = p0 + (p1 - p0) * Fraction(b - t0, t1 - t0)
            total += (at_a + at_b) / 2 * (b - a)
    return total / 10**6


def tool(name: str, *arguments: str) -> str:
    code, out, err = command(name, *arguments)
    assert code == 0, err
    return out


def contents(root: Path) -> dict[str, bytes]:
    return {name: data for name, (data, _) in snapshot(Lake(root)).items()}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A counters log and a job list that fit the power log; edges on, between and off readings."""
    folder = tmp_path_factory.mktemp("inputs")
    begin = read_log()["0"][0][0]
    start, end = begin + 2_345_678, begin + 9_876_543
    rows = [
        (Fraction(start - 1_500_000, 10**6), 100, 7),
        (Fraction(start, 10**6), 1_117, 70),
        (Fraction(start + 3_000_000, 10**6), 4_000, 900),
        (Fraction(end, 10**6), 9_999, 3_071),
        (Fraction(end + 2_000_000, 10**6), 20_000, 9_000),
    ]
    lines = ["timestamp,vllm:prompt_tokens_total,generation_tokens_total,queue"]
    lines += [f"{float(t):.6f},{prompt},{out},3" for t, prompt, out in rows]
    (folder / "counters.csv").write_text("\n".join(lines) + "\n")
    jobs = ["job_id,node,device,start,end,user"]
    jobs += [f"j1,n1,{gpu},{start / 1e6:.6f},{end / 1e6:.6f},ada" for gpu in (0, 2)]
    (folder / "jobs.csv").write_text("\n".join(jobs) + "\n")
    return folder


def import_all(lake: Path, inputs: Path) -> str:
    at = ["--lake", str(lake)]
    said = tool("tokenergy-collect", "import", "nvidia-smi", str(LOG), *at, "--node", "n1")
    named = ["--node", "n1", "--job", "j1", "--model", "llama"]
    said += tool(
        "tokenergy-collect", "import", "counters", str(inputs / "counters.csv"), *at, *named
    )
    return said + tool("tokenergy-collect", "import", "jobs", str(inputs / "jobs.csv"), *at)


def test_joules_and_tokens_of_a_recorded_job(tmp_path: Path, inputs: Path) -> None:
    root = tmp_path / "lake"
    import_all(root, inputs)
    tool("tokenergy", "aggregate", "--lake", str(root))
    tool("tokenergy", "index", "--lake", str(root))
    tool("tokenergy", "check", "--lake", str(root))
    (job,) = ask(Lake(root), "SELECT * FROM job_index")

    log = read_log()
    begin = log["0"][0][0]
    start, end = begin + 2_345_678, begin + 9_876_543
    expected = sum(trapezoid_j(log[gpu], start, end) for gpu in ("0", "2"))
    assert abs(Fraction(job["e_gpu_j"]) - expected) / expected <= Fraction(1, 10**6)
    assert job["n_generated"] == 3_071 - 70
    assert job["n_prompt_computed"] == 9_999 - 1_117
    assert job["tokenergy"] is None  # no site file: the facility is not known
    assert job["te_gpu_out"] == pytest.approx(float(expected) / 3_001, rel=1e-6)
    assert (job["method"], job["coverage"], job["devices"]) == ("samples", 1.0, 2)

    before = contents(root)
    said = import_all(root, inputs)
    assert said.count("already imported: nothing changed") == 3
    assert contents(root) == before
    tool("tokenergy", "aggregate", "--lake", str(root))
    tool("tokenergy", "index", "--lake", str(root))
    assert contents(root) == before
