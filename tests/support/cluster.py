"""A small cluster over the turn of an hour: racks, halls, jobs of each kind, idle time, a gap.

In: a folder. Out: its raw lake, built by hand from plain numbers; whole seconds throughout.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level

START = T0 + HOUR_US - 200 * S
END = T0 + HOUR_US + 200 * S

_BOARDS = {
    "A": ("n1", 0, "NVIDIA H100 80GB HBM3", "h1", "p1", "r1"),
    "B": ("n1", 1, "NVIDIA H100 80GB HBM3", "h1", "p1", "r1"),
    "C": ("n2", 0, "NVIDIA H100 80GB HBM3", "h1", "p1", "r2"),
    "D": ("n3", 0, "NVIDIA A100-SXM4-80GB", "h2", "p1", "r1"),
}
"""Node, index, board, hall, pod and rack of each device."""

_LEVELS = {"A": 601_000, "B": 350_000, "C": 503_000, "D": 287_000}
"""Power, mW."""

_JOBS = (
    # job, device, from and to (s after START), user, account
    ("chat", "A", 0, 400, "ann", "web"),
    ("chat", "C", 57, 400, "ann", "web"),
    ("small", "B", 10, 163, "bob", "web"),
    ("both", "B", 170, 230, "bob", "lab"),
    ("silent", "B", 240, 300, "bob", "lab"),
    ("train", "D", 20, 380, "cyn", "lab"),
    ("dark", "E", 30, 90, "cyn", "lab"),
)

_TOKENS = (
    # job, model, kind, tokens a second
    ("chat", "big", "prompt_computed", 211),
    ("chat", "big", "generated", 97),
    ("small", "little", "generated", 31),
    ("both", "little", "generated", 5),
    ("both", "little", "trained", 7),
    ("train", "little", "trained", 1013),
    ("dark", "big", "generated", 11),
)

LOOSE = "small"
"""The job whose counter was not read at its end: its last 3 s are only bounded."""

SITE = "[site]\npue = 1.25\nhost_w = 400.0\n[nodes.n3]\nhost_w = 301.0\n"


def small_cluster(root: Path) -> LakeBuilder:
    """Fill a lake with the readings of the cluster: not yet aggregated, nor indexed."""
    builder = LakeBuilder(root)
    for device, (node, index, name, hall, pod, rack) in _BOARDS.items():
        place = {"site": "s", "hall": hall, "pod": pod, "rack": rack}
        builder.device(device, node=node, index=index, name=name, **place)
        readings = level(_LEVELS[device], START, END, S)
        if device == "C":  # nobody looked for 30 s
            readings = [r for r in readings if not START + 100 * S < r[0] < START + 130 * S]
        builder.power(device, readings, node=node)
    for job, device, start_s, end_s, user, account in _JOBS:
        node = _BOARDS[device][0] if device in _BOARDS else "n9"
        span = (START + start_s * S, START + end_s * S)
        builder.job(job, device, *span, node=node, user=user, account=account)
    builder.add("tokens", _readings())
    (root / "site.toml").write_text(SITE)
    return builder


def _readings() -> list[dict[str, object]]:
    """Return the counters' readings: one in 10 s and at edges, steady growth from 0."""
    rows: list[dict[str, object]] = []
    for job, model, kind, rate in _TOKENS:
        starts, ends = zip(*((j[2], j[3]) for j in _JOBS if j[0] == job), strict=True)
        for second in range(min(starts), max(ends) + 1):
            at_edge = second == min(starts) or (second == max(ends) and job != LOOSE)
            if second % 10 and not at_edge:
                continue
            value = rate * (second - min(starts))
            of = {"source_id": job, "node": "n1", "job_id": job, "model": model, "engine": ""}
            rows.append(
                {**of, "ts_us": START + second * S, "kind": kind, "value": value, "epoch": 0}
            )
    return rows
