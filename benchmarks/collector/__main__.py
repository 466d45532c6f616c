"""Overhead: this collector against its peers, at one rate on the same emulated boards, in one run.

`make bench-collector` prints CPU seconds per 1,000 readings and peak memory of this collector, of
Zeus's PowerMonitor, of CodeCarbon, of gpustat's loop, and of plain loops on `pynvml` that store
nothing. Each peer runs at the same time as this collector, several rounds in turn; medians. Exit
code 1 if this collector costs more than a peer, more than twice the plain loop that reads what it
reads, more than 1 % of a core, or more than 120 MiB.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.collector.boards import BOARDS, bin_path, emulated_boards
from benchmarks.collector.measure import Cost, peak_of, side_by_side

HZ = 20
ROUNDS = 3
FOR_S = 20.0
CORE_PERCENT = 1.0
PEAK_MIB = 120.0
LIMITS = {"plain_same": 2.0, "plain": None}
"""How many times a peer's cost is allowed; once, of those that are not named."""

PEERS = {
    "zeus": "Zeus PowerMonitor",
    "codecarbon": "CodeCarbon",
    "gpustat": "gpustat --interval",
    "plain": "plain loop, PowerUsage",
    "plain_same": "plain loop, same readings",
}
RATES = {"gpustat": 10}
"""gpustat's loop goes no faster."""


def main() -> int:
    """Print the table; return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    for_s = float(sys.argv[2]) if len(sys.argv) > 2 else FOR_S
    with tempfile.TemporaryDirectory(prefix="bench-collector-") as name:
        folder = Path(name)
        with emulated_boards(folder) as environment:
            found = _rounds(folder, environment, rounds, for_s)
            peak_mib = peak_of([*_ours(folder, "sealed"), "--duration", "10s"], environment)
    return _tell(found, for_s, peak_mib)


def _rounds(
    folder: Path, environment: dict[str, str], rounds: int, for_s: float
) -> dict[str, list[tuple[Cost, Cost]]]:
    found: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in PEERS}
    for number in range(rounds):
        for name in PEERS:
            print(f"round {number + 1} of {rounds}: {PEERS[name]} ...", file=sys.stderr)
            commands = {"ours": _ours(folder, f"{number}-{name}"), name: _peer(name)}
            costs = side_by_side(commands, environment, folder, for_s)
            found[name].append((costs["ours"], costs[name]))
    return found


def _ours(folder: Path, lake: str) -> list[str]:
    config = folder / "collect.toml"
    config.write_text(f"lake = '{folder / lake}'\nnode = 'bench'\nrate_hz = {float(HZ)}\n")
    return [bin_path("tokenergy-collect"), "run", "--config", str(config)]


def _peer(name: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.collector.tools", name, str(RATES.get(name, HZ))]


def _tell(found: dict[str, list[tuple[Cost, Cost]]], for_s: float, peak_mib: float) -> int:
    ours = [ours for pairs in found.values() for ours, _ in pairs]
    core = statistics.median(cost.core_percent for cost in ours)
    peak = max(peak_mib, *(cost.peak_mib for cost in ours))
    print(f"{BOARDS} boards, {HZ} Hz, {len(ours)} runs of {for_s:g} s next to a peer; medians")
    print(f"{'':28}{'CPU s / 1,000':>14}{'ours with it':>13}{'ours/peer':>11}{'MiB':>7}{'Hz':>7}")
    row = "{:28}{:14.4f}{:>13}{:>11}{:7.0f}{:7.1f}"
    print(row.format("tokenergy-collect", _per_1000(ours), "", "", peak, _hz(ours)))
    failed, table = [], []
    for name, pairs in found.items():
        theirs = [peer for _, peer in pairs]
        beside = _per_1000([ours for ours, _ in pairs])
        ratio = statistics.median(o.cpu_ms_per_1000 / p.cpu_ms_per_1000 for o, p in pairs)
        per_1000, mib = _per_1000(theirs), max(cost.peak_mib for cost in theirs)
        text = row.format(PEERS[name], per_1000, f"{beside:.4f}", f"{ratio:.2f}", mib, _hz(theirs))
        print(text)
        table.append({"tool": name, "cpu_s_per_1000": per_1000, "ratio": ratio, "peak_mib": mib})
        limit = LIMITS.get(name, 1.0)
        if limit is not None and ratio > limit:
            failed.append(
                f"{ratio:.2f} times the cost of {PEERS[name]}; expected at most {limit:g}"
            )
    print(
        f"ours, with NVML calls: {core:.2f} % of a core (limit {CORE_PERCENT:g} %), {peak:.0f} MiB"
    )
    if core > CORE_PERCENT:
        failed.append(f"{core:.2f} % of one core; expected at most {CORE_PERCENT:g} %")
    if peak > PEAK_MIB:
        failed.append(f"{peak:.0f} MiB of memory; expected at most {PEAK_MIB:g}")
    print(json.dumps({"core_percent": core, "peak_mib": peak, "peers": table}))
    for why in failed:
        print(f"bench-collector: FAILED: {why}")
    return 1 if failed else 0


def _per_1000(costs: list[Cost]) -> float:
    return statistics.median(cost.cpu_ms_per_1000 for cost in costs) / 1e3


def _hz(costs: list[Cost]) -> float:
    return statistics.median(cost.readings / cost.wall_s for cost in costs) / BOARDS


if __name__ == "__main__":
    sys.exit(main())
