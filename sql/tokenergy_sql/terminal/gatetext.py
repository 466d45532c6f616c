"""The outcome of `tokenergy gate` for people: the verdict in one line, why, and the strata.

In: an outcome. Out: text.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.gate.points import Stratum, tokens_of
from tokenergy_sql.gate.ratio import energy_j_of
from tokenergy_sql.gate.side import Sample
from tokenergy_sql.gate.verdict import REASONS, Outcome
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.table import Column, count, significant, table_of

_WORDS = {"pass": "pass", "worse": "WORSE", "cannot_tell": "cannot tell"}


def verdict_line(outcome: Outcome) -> str:
    """Return the verdict and the ratio with its bounds, in one line."""
    head = f"gate: {_WORDS[outcome.verdict]}"
    if outcome.chance is None:
        return f"{head}: {'; '.join(REASONS[code] for code in outcome.reasons)}"
    bounds = f"[{change(outcome.low)}, {change(outcome.high)}]"
    return (
        f"{head}: HEAD costs {change(outcome.ratio)} J/token, {bounds}, at equal operating points;"
        f" worse from {change(1 + outcome.wanted.threshold)} on"
    )


def change(ratio: float | None) -> str:
    """Return a ratio as a change in per cent, with its sign; `unknown` for None."""
    if ratio is None:
        return "unknown"
    return "unlimited" if ratio == float("inf") else f"{100 * (ratio - 1):+.2f} %"


def text_of(outcome: Outcome) -> str:
    """Return the whole text, as it is in a file: no line of it is folded."""
    out = io.StringIO()
    Output().show_tables(parts_of(outcome), out)
    return out.getvalue().rstrip("\n")


def parts_of(outcome: Outcome) -> list[Part]:
    """Return the lines, and the table of operating points if there are any."""
    lines: list[Part] = [verdict_line(outcome) + (" (emulated)" if _emulated(outcome) else "")]
    lines += _sides(outcome)
    if outcome.chance is not None:
        lines += _bounds(outcome)
        # Without a ratio the first line has the reasons.
        lines += [f"  because {REASONS[code]}" for code in outcome.reasons]
    lines += _notes(outcome)
    if outcome.strata or outcome.left_out:
        lines += ["", _table(outcome)]
    return lines


def _emulated(outcome: Outcome) -> bool:
    return outcome.base.emulated or outcome.head.emulated


def _sides(outcome: Outcome) -> list[str]:
    lines = []
    for place, (name, side) in enumerate((("BASE", outcome.base), ("HEAD", outcome.head))):
        line = (
            f"  {name}  {side.text}: {100 * outcome.compared[place]:.1f} % of its tokens compared"
        )
        if outcome.j_per_token is not None:
            line += f", {significant(outcome.j_per_token[place])} J/token (GPU)"
        lines.append(line)
    if outcome.j_per_token is not None and outcome.ratio:
        expected = outcome.j_per_token[1] / outcome.ratio
        lines[1] += f"; BASE would have used {significant(expected)}"
    return lines


def _bounds(outcome: Outcome) -> list[str]:
    chance, meters = outcome.chance, outcome.meters
    if chance is None or meters is None:
        return []
    units = f"{chance.units[0]:,} and {chance.units[1]:,} stretches of {_length(chance.unit_s)}"
    return [
        f"  chance  [{change(chance.low)}, {change(chance.high)}] at "
        f"{100 * outcome.wanted.confidence:g} %, from {units}",
        f"  meters  [{change(meters[0])}, {change(meters[1])}]; "
        f"{100 * (outcome.shared or 0):.1f} % of HEAD's energy is from meters that BASE used too",
        f"  seen    a regression of {_seen(outcome)} or more would have been told",
    ]


def _seen(outcome: Outcome) -> str:
    return change(None if outcome.seen is None else 1 + outcome.seen)


def _length(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"


def _notes(outcome: Outcome) -> list[str]:
    """Return what a reader should know of the two sides."""
    lines = []
    models = outcome.base.names("model"), outcome.head.names("model")
    if models[0] != models[1]:
        names = [", ".join(one) or "unknown" for one in models]
        lines.append(f"  note: BASE is of model {names[0]}, HEAD of {names[1]}")
    if outcome.grain == "hour":
        lines.append(
            "  note: samples are of one hour: a side has no five minutes with prompt tokens and "
            "generated tokens counted"
        )
    unequal = outcome.reasons in (("no_equal_points",), ("little_compared",))
    if unequal and outcome.wanted.load == "open":
        lines.append(
            "  note: if a fixed number of requests was in flight, the rate is the engine's: use "
            "--load closed"
        )
    return lines


def _table(outcome: Outcome) -> Grid:
    rows = [
        _row(outcome, one, compared)
        for compared, strata in (("yes", outcome.strata), ("", outcome.left_out))
        for one in strata
    ]
    columns = (
        Column("boards", lambda r: r["boards"], justify="left"),
        Column("operating point", lambda r: r["point"], justify="left"),
        Column("compared", lambda r: r["compared"], justify="left"),
        Column("BASE tokens", lambda r: count(r["base_tokens"]), rank=2),
        Column("HEAD tokens", lambda r: count(r["head_tokens"]), rank=1),
        Column("BASE J/token", lambda r: significant(r["base_te"])),
        Column("HEAD J/token", lambda r: significant(r["head_te"])),
    )
    # The command has no --wide: what does not fit follows in a second table.
    return replace(table_of("Operating points", rows, columns), wide=True)


def _row(outcome: Outcome, one: Stratum, compared: str) -> NamedRow:
    return {
        "boards": boards_of(one),
        "point": outcome.bins.words(one.point),
        "compared": compared or why_not(one),
        "base_tokens": tokens_of(one.base),
        "head_tokens": tokens_of(one.head),
        "base_te": te_of(one.base),
        "head_te": te_of(one.head),
        "emulated": _emulated(outcome),
    }


def boards_of(one: Stratum) -> str:
    """Return the boards of a stratum, with their power limits, in words."""
    setup = one.point.setup
    known = [limit for limit in setup.limits_mw if limit is not None]
    limits = " to ".join(f"{limit / 1e3:g}" for limit in sorted(set(known)))
    return f"{setup.boards} x {setup.gpu or 'unknown board'}" + (f", {limits} W" if known else "")


def why_not(one: Stratum) -> str:
    """Return why a stratum is not compared."""
    if not one.head:
        return "no: BASE only"
    return "no: HEAD only" if not one.base else "no: few samples"


def te_of(samples: Sequence[Sample]) -> float | None:
    """Return J per token of samples; None without any."""
    return energy_j_of(samples) / tokens_of(samples) if samples else None
