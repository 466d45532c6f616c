"""Energy and tokens of the time in which both are known: what ratios divide.

Rules: docs/index-definition.md, "The same time above and below the line".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from math import floor
from typing import Any

from tests.oracle.reckon.claimed import Span, add_up
from tests.oracle.reckon.growth import dealt
from tests.oracle.reckon.known import Known, Times, known_of, sources_of
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.site import Site
from tests.oracle.reckon.usage import Key, Series, Usage, by_hour, workload

Figures = dict[str, Any]
PROMPTS = ("prompt_computed", "prompt_cached")
WHOLE = ("e_gpu_nj", "e_gpu_low_nj", "e_gpu_high_nj", "covered_us")


def joint_hours(
    hours: dict[tuple[str, int], Figures],
    spans: dict[tuple[str, int], list[Span]],
    entries: Iterable[Entry],
    counted: tuple[Series, dict[Key, Usage]],
    site: Site,
) -> None:
    """Add the sums of the joint time to the figures of the jobs' hours."""
    series, used = counted[0], by_hour(counted[1])
    sources = sources_of(series)
    booked: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for e in entries:
        if e.job is not None:
            booked[e.job, e.hour].append(e)
    for (job, hour), figures in hours.items():
        mine, rows = spans.get((job, hour), []), booked[job, hour]
        known = known_of(mine, sources.get(job, {}), rows, hour)
        kinds = used[job, hour]
        _be_silent(figures, known, bool(mine))
        of_job = [kinds for (of, _), kinds in used.items() if of == job]
        kind = _divided(workload(of_job), kinds)
        tokens = _whole_tokens(figures, kinds, kind)
        gpu = {name: figures[name] for name in WHOLE}
        part = Fraction(1)
        if not known.whole:
            gpu = _energy(known, rows)
            part = Fraction(add_up(known.joint).device_us, max(1, figures["device_us"]))
            own = {key: copies for key, copies in series.items() if key[0] == job}
            tokens = _part_tokens(dealt(own, known.times), tokens, kind)
        figures["joint_us"] = gpu["covered_us"]
        sums = {**_facility(figures, gpu, part, hour, site), **tokens}
        paired = figures["e_gpu_nj"] is not None and kind and figures[f"n_{kind}"] is not None
        figures.update(sums if paired else dict.fromkeys(sums))


def _be_silent(figures: Figures, known: Known, claims: bool) -> None:
    """Add the time of known tokens; where there is none, tokens are unknown and not zero."""
    tokens = add_up(known.tokens)
    figures["token_us"] = tokens.device_us
    figures["ties"] |= int(tokens.tie or add_up(known.joint).tie)
    for kind in (*PROMPTS, "generated", "trained"):
        if claims and not tokens.device_us and not figures[f"n_{kind}"]:
            figures[f"n_{kind}"] = None


def _divided(work: str, kinds: dict[str, Usage]) -> str | None:
    """Return the kind of tokens that an hour's ratios divide by."""
    if work != "mixed":
        return {"training": "trained", "inference": "generated"}.get(work)
    trained = kinds.get("trained", Usage()).tokens
    served = sum(u.tokens for kind, u in kinds.items() if kind != "trained")
    return "trained" if not served else "generated" if not trained else None


def _whole_tokens(figures: Figures, kinds: dict[str, Usage], kind: str | None) -> Figures:
    of = kinds.get(kind or "", Usage())
    found = {f"n_joint_{prompt}": figures[f"n_{prompt}"] for prompt in PROMPTS}
    n = figures[f"n_{kind}"] if kind else None
    odd = any(u.odd for u in kinds.values())
    return {**found, "n_joint": n, "n_joint_low": of.low, "n_joint_high": of.high, "joint_odd": odd}


def _part_tokens(parts: dict[str, tuple[int, int, int]], of: Figures, kind: str | None) -> Figures:
    """Return tokens of the joint time; `of`: those of the hour."""
    n, low, high = parts.get(kind or "", (0, 0, 0))
    if of["joint_odd"]:  # what was left out may be of the joint time
        low, high = max(0, n - (of["n_joint"] or 0) + of["n_joint_low"]), of["n_joint_high"]
    found = {**of, "n_joint": n, "n_joint_low": low, "n_joint_high": high}
    for prompt in PROMPTS:
        if of[f"n_joint_{prompt}"] is not None:
            found[f"n_joint_{prompt}"] = parts.get(prompt, (0, 0, 0))[0]
    return found


def _energy(known: Known, rows: list[Entry]) -> Figures:
    """Return what the ledger has of the joint time; rows are divided by time."""
    joint = add_up(known.joint)
    found = {
        "e_gpu_nj": sum(_of(e.energy_nj or 0, e, known.times) for e in rows),
        "e_gpu_low_nj": sum(_of(e.low, e, known.times) for e in rows),
        "e_gpu_high_nj": sum(_of(e.high, e, known.times) for e in rows) + joint.unseen_high_nj,
    }
    unknown_us = sum(
        _of(e.device_us, e, known.times) - _of(e.covered_us, e, known.times) for e in rows
    )
    return {**found, "covered_us": max(0, joint.device_us - joint.unseen_us - unknown_us)}


def _of(amount: int | Fraction, e: Entry, times: Times) -> int:
    """Return the part of a row's amount that is in some times."""
    length, total = e.end - e.start, 0
    for start, end in times:
        a, b = max(start, e.start) - e.start, min(end, e.end) - e.start
        if a < b:
            total += floor(amount * Fraction(b, length)) - floor(amount * Fraction(a, length))
    return total


def _facility(figures: Figures, gpu: Figures, part: Fraction, hour: int, site: Site) -> Figures:
    """Return the energies of the joint time, with their part of hosts and of idle boards."""

    def of(name: str, less: str = "") -> int | None:
        amounts = [figures[name], figures[less] if less else 0]
        return None if None in amounts else floor((amounts[0] - amounts[1]) * part)

    def times_pue(nj: int | Fraction | None) -> int | None:
        return None if nj is None or host is None else site.times_pue(nj + host, hour)

    host = of("e_host_nj")
    highs = (gpu["e_gpu_high_nj"], figures["unseen_host_nj"])
    burden, burden_all = (
        of(f"e_{where}_burdened_nj", f"e_{where}_nj") for where in ("gpu", "facility")
    )
    energy, all_of_it = gpu["e_gpu_nj"], times_pue(gpu["e_gpu_nj"])
    return {
        "e_joint_nj": energy,
        "e_joint_low_nj": gpu["e_gpu_low_nj"],
        "e_joint_high_nj": gpu["e_gpu_high_nj"],
        "e_joint_burdened_nj": None if None in (energy, burden) else energy + burden,
        "e_joint_facility_nj": all_of_it,
        "e_joint_facility_low_nj": times_pue(gpu["e_gpu_low_nj"]),
        # All that hosts may have drawn in unseen time may be of the joint time.
        "e_joint_facility_high_nj": times_pue(None if None in highs else sum(highs)),
        "e_joint_facility_burdened_nj": (
            None if all_of_it is None or burden_all is None else all_of_it + burden_all
        ),
    }
