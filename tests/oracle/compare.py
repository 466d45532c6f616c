"""Compares what the tool says of staged histories with what the oracle finds and what is true.

Where the readings decide a figure, both must be equal; where they do not, the truth must be inside
the tool's bounds and a reason code must say so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.oracle.product import Printed
from tests.oracle.ratios import wrong_ratios
from tests.oracle.reckon.reckon import Books
from tests.oracle.staged.plan import History, Hold

EXACT = (
    "device_us", "unseen_us", "covered_us", "e_gpu_nj", "e_gpu_active_nj", "e_host_nj",
    "e_facility_nj", "e_gpu_burdened_nj", "e_facility_burdened_nj",
    "n_prompt_computed", "n_prompt_cached", "n_generated", "n_trained",
    "token_us", "joint_us", "e_joint_nj", "e_joint_burdened_nj", "e_joint_facility_nj",
    "e_joint_facility_burdened_nj", "n_joint", "n_joint_prompt_computed", "n_joint_prompt_cached",
)  # fmt: skip
"""Figures that must be equal."""

ROUNDED = ("device_us", "unseen_us", "covered_us", "token_us", "joint_us")
"""Of these, an hour may be off by 1 us where its exact value is midway between two: see `_tied`."""

BOUNDS = (
    "e_gpu_low_nj", "e_gpu_high_nj", "e_facility_low_nj", "e_facility_high_nj", "e_joint_low_nj",
    "e_joint_high_nj", "e_joint_facility_low_nj", "e_joint_facility_high_nj",
)  # fmt: skip
"""Bounds that must be equal but for the rounding of error limits to millionths."""

ROUNDING = Fraction(2, 100_000)
ROUNDING_NJ = 3_000_000
"""A millionth of a second at the limit of a board or two, for each edge of a job."""


@dataclass(frozen=True)
class Difference:
    """Something that the tool says and the oracle does not."""

    history: str
    what: str
    got: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.history}: {self.what}: got {_plain(self.got)}, right {_plain(self.right)}"


def _plain(value: Any) -> str:
    if isinstance(value, Fraction):
        return f"{float(value):.6f}"
    return str(value)


def compare(histories: list[History], said: Printed, books: Books) -> list[Difference]:
    """Return all differences of a lake of histories."""
    names = {h.name: h for h in histories}
    found = [
        *_jobs(said, books),
        *_hours(said, books),
        *_usage(said, books),
        *_ledger(said, books),
        *_by(said, books),
        *_loads(said, books),
        *(d for h in histories for d in _truth(h, said)),
    ]
    return [d for d in found if d.history in names]


def history_of(name: str) -> str:
    """Return the name of the history that a job, node or site belongs to."""
    start = name.find("h")
    end = start + 1
    while end < len(name) and name[end].isdigit():
        end += 1
    return name[start:end]


def _jobs(said: Printed, books: Books) -> Iterator[Difference]:
    for job in sorted({*said.jobs, *books.jobs}):
        ours, theirs = said.jobs.get(job), books.jobs.get(job)
        where = history_of(job)
        if ours is None or theirs is None:
            held = any(a.job == job for a in books.held)
            if not (theirs is None and held and not ours["device_us"]):
                yield Difference(where, f"job {job}", ours and "a row", theirs and "a row")
            continue
        yield from _row(where, f"job {job}", ours, theirs)
        if ours["workload"] != theirs["workload"]:
            yield Difference(where, f"job {job} workload", ours["workload"], theirs["workload"])
        yield from _tokens_bounds(where, f"job {job}", ours, theirs)
        yield from (Difference(where, f"job {job} {n}", *pair) for n, *pair in wrong_ratios(ours))


def _tokens_bounds(
    where: str, what: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> Iterator[Difference]:
    """Bounds of tokens: where a reading was left out, they must hold both meanings of it."""
    for low, high, odd in (
        ("n_low", "n_high", "n_odd"),
        ("n_joint_low", "n_joint_high", "joint_odd"),
    ):
        for name in (low, high):
            if name not in theirs:
                continue  # of an hour, only those of the joint time
            got, right = ours[name], theirs[name]
            if got is None or right is None:
                wrong = got is not right
            elif theirs[odd]:
                wrong = got > right + 2 if name == low else got < right - 2
            else:
                wrong = not right - 2 <= got <= right + 2
            if wrong:
                yield Difference(where, f"{what} {name}", got, right)


def _hours(said: Printed, books: Books) -> Iterator[Difference]:
    for key in sorted({*said.hours, *books.hours}):
        ours, theirs = said.hours.get(key), books.hours.get(key)
        where, what = history_of(key[0]), f"job {key[0]} hour {key[1]}"
        if ours is None or theirs is None:
            yield Difference(where, what, ours and "a row", theirs and "a row")
        else:
            yield from _row(where, what, ours, theirs)
            yield from _tokens_bounds(where, what, ours, theirs)
            yield from (Difference(where, f"{what} {n}", *pair) for n, *pair in wrong_ratios(ours))


def _row(
    where: str, what: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> Iterator[Difference]:
    for name in EXACT:
        if name not in theirs or ours[name] == theirs[name]:
            continue
        known = None not in (ours[name], theirs[name])
        if not known or abs(ours[name] - theirs[name]) > _tied(name, theirs):
            yield Difference(where, f"{what} {name}", ours[name], theirs[name])
    for name in BOUNDS:
        got, right = ours[name], theirs[name]
        if (got is None) != (right is None) or (
            got is not None and abs(got - right) > ROUNDING * right + ROUNDING_NJ
        ):
            yield Difference(where, f"{what} {name}", got, right)


def _tied(name: str, theirs: dict[str, Any]) -> int:
    """Return by how much a figure may be off where a microsecond may be rounded up or down."""
    if name in ROUNDED:
        return int(theirs["ties"])
    if not name.startswith("e_joint"):
        return 0
    borne = max(theirs["e_gpu_burdened_nj"] or 0, theirs["e_facility_burdened_nj"] or 0)
    return int(theirs["ties"] * (2 * borne // max(1, theirs["device_us"]) + 1))


def _usage(said: Printed, books: Books) -> Iterator[Difference]:
    for key in sorted({*said.usage, *books.used}, key=str):
        got = said.usage[key]["tokens"] if key in said.usage else None
        right = books.used[key].tokens if key in books.used else None
        if got != right:
            yield Difference(history_of(key[0]), f"token_usage {key}", got, right)
            continue
        said_odd = "token_anomaly" in (said.usage[key]["reasons"] or "")
        if said_odd != books.used[key].odd:
            what = f"token_usage {key} token_anomaly"
            yield Difference(history_of(key[0]), what, said_odd, books.used[key].odd)


def _ledger(said: Printed, books: Books) -> Iterator[Difference]:
    """Every device and hour must have the energy of its meter, whoever holds it."""
    got: dict[tuple[str, int, str | None], int] = defaultdict(int)
    right: dict[tuple[str, int, str | None], int] = defaultdict(int)
    where = {}
    for r in said.ledger:
        got[r["device_id"], r["hour_us"], r["job_id"]] += int(r["energy_nj"] or 0)
    for e in books.entries:
        right[e.device, e.hour, e.job] += e.energy_nj or 0
        where[e.device] = history_of(e.node)
    for key in sorted({*got, *right}, key=str):
        if got[key] != right[key]:
            name = where.get(key[0], "?")
            yield Difference(name, f"ledger_hour {key}", got[key], right[key])


def _by(said: Printed, books: Books) -> Iterator[Difference]:
    """Sums by user, model, node, rack and site."""
    for dimension, right in books.by.items():
        got = {(r["value"], r["workload"]): r for r in said.by[dimension]}
        for key in sorted({*got, *right}, key=str):
            where = history_of(key[0] or "")
            for name in ("device_us", "e_gpu_nj", "n_tokens"):
                if name == "n_tokens" and name not in right.get(key, {}):
                    continue
                ours = (got[key][name] if key in got else None) or 0
                theirs = right[key][name] if key in right else 0
                # The device time of a place is rounded once a row of the ledger.
                rounded = 0
                if name == "device_us":
                    rounded = right.get(key, {}).get("rows", 0) + theirs // 500_000
                if abs(ours - theirs) > rounded:
                    yield Difference(where, f"by {dimension} {key} {name}", ours, theirs)


def _loads(said: Printed, books: Books) -> Iterator[Difference]:
    """Energies of load profiles; shares are rounded to millionths."""
    if not said.loads:
        return
    for key in sorted({*said.loads, *(k for k in books.loads if k[1] != "of a job")}):
        got = said.loads[key]["energy_nj"] if key in said.loads else 0
        right = books.loads.get(key, Fraction(0))
        whole = books.loads.get((key[0], "of a job", key[2]), 0) if key[1] == "job" else 0
        if abs(got - right) > Fraction(2, 1_000_000) * whole + (100 if whole else 0):
            yield Difference(history_of(key[2]), f"load_profile {key}", got, right)


def _truth(history: History, said: Printed) -> Iterator[Difference]:
    """What is true must be inside the bounds, and what no reading decides must say so."""
    holds: dict[str, list[Hold]] = defaultdict(list)
    for hold in history.holds:
        holds[hold.key].append(hold)
    for job, members in holds.items():
        row = said.jobs.get(job)
        if row is None:
            # What ends where it starts is withdrawn.
            if any(hold.end_us != hold.start_us for hold in members):
                yield Difference(history.name, f"job {job}", None, "a row")
            continue
        true_nj = true_energy(history, job, members)
        low, high = row["e_gpu_low_nj"], row["e_gpu_high_nj"]
        # A part of a bound is rounded down once a segment, to the nanojoule.
        inside = true_nj == 0 if low is None else low - 1000 <= (true_nj or low) <= high + 1000
        if true_nj is not None and not inside:
            yield Difference(history.name, f"job {job} true energy", f"{low} to {high}", true_nj)
        yield from _true_tokens(history, job, members, row)
        codes = set((row["reason_codes"] or "").split(","))
        for (key, figure), wanted in history.doubts.items():
            if key == job and wanted not in codes:
                yield Difference(history.name, f"job {job} {figure} reason", codes, wanted)


def _true_tokens(
    history: History, job: str, members: list[Hold], row: dict[str, Any]
) -> Iterator[Difference]:
    kind = {"training": "trained", "inference": "generated"}.get(row["workload"])
    made = history.made.get((job, kind)) if kind else None
    if made is None or any(hold.end_us is None for hold in members):
        return
    if all(hold.end_us == hold.start_us for hold in members):
        return  # withdrawn: what was counted has no job's time
    start, end = min(h.start_us for h in members), max(h.end_us or 0 for h in members)
    true = sum(line.at(end) - line.at(start) for line in made.lines)
    low, high = row["n_low"], row["n_high"]
    if low is None or not low - 1 <= true <= high + 1:
        yield Difference(history.name, f"job {job} true tokens", f"{low} to {high}", true)


def true_energy(history: History, job: str, members: list[Hold]) -> Fraction | None:
    """Return what a job's boards really drew for it; None if it has not ended."""
    if any(hold.end_us is None for hold in members):
        return None
    total = Fraction(0)
    for board in {id(hold.board): hold.board for hold in members}.values():
        on_board = [h for h in history.holds if h.board is board]
        edges = {board.moved_us, *(t for h in on_board for t in (h.start_us, h.end_us))}
        cuts = sorted(t for t in edges if t is not None)
        for start, end in pairwise(cuts):
            part = _true_share(job, on_board, start, end)
            total += board.power.area(start, end) * part if part else 0
    return total


def _true_share(job: str, holds: list[Hold], start: int, end: int) -> Fraction:
    shares: dict[str, dict[str | None, int]] = defaultdict(dict)
    for h in holds:
        moved_us = h.board.moved_us
        if moved_us is not None and h.start_us < moved_us <= start:
            continue  # the board is in another node: the job has nothing of it
        if h.start_us <= start and (h.end_us is None or h.end_us >= end):
            of = shares[h.key]
            of[h.mig] = max(of.get(h.mig, 0), h.share_ppm)
    claimed = {key: min(1_000_000, sum(of.values())) for key, of in shares.items()}
    return Fraction(claimed.get(job, 0), max(1_000_000, sum(claimed.values())))
