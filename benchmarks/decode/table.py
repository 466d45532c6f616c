"""J/token of a recording, by batch size, as the product computes it.

In: a folder with a recording. Out: rows of `job_index` in the order of the recording, as a Markdown
table, beside the tokens that the decoding loop counted.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.decode.record import ABOUT, LAKE
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake

_HEAD = (
    "batch",
    "s",
    "tokens",
    "counted by the loop",
    "tokens/s",
    "W",
    "J",
    "J/token",
    "[low, high]",
    "idle J",
    "counter / samples − 1",
)


@contextmanager
def derived(recording: Path) -> Iterator[Lake]:
    """Yield a copy of a recording's lake with everything derived from it; gone afterwards.

    Raises:
        UserError: there is no recording.
    """
    from tokenergy_sql.index.pipeline import index
    from tokenergy_sql.index.site import load_site
    from tokenergy_transforms.aggregate import Aggregator, worklist

    if not (recording / ABOUT).is_file():
        raise UserError(f"{recording}: not a recording: {ABOUT} is missing")
    with tempfile.TemporaryDirectory(prefix="decode-") as name:
        lake = Lake(shutil.copytree(recording / LAKE, Path(name) / LAKE))
        for _ in Aggregator(lake, 1_000_000, "cpu").run(worklist(lake)):
            pass
        index(lake, load_site(None, lake.root), progress=lambda _: None)
        yield lake


def rows(recording: Path, lake: Lake) -> list[dict[str, Any]]:
    """Return the jobs' rows of the index, each with what `about.json` says about it as `told`.

    Raises:
        UserError: a job is not in the index.
    """
    index = {row["job_id"]: row for row in lake.read("job_index").to_pylist()}
    found = []
    for told in json.loads((recording / ABOUT).read_text())["jobs"]:
        if told["job_id"] not in index:
            raise UserError(f"{recording}: job {told['job_id']!r} is not in the index")
        found.append({**index[told["job_id"]], "told": told})
    return found


def outside(found: list[dict[str, Any]], lake: Lake) -> list[str]:
    """Return a line for each count of the decoding loop that is outside the index's bounds."""
    bounds: dict[tuple[str, str], tuple[int, int]] = {}
    for row in lake.read("token_usage").to_pylist():
        key = (row["job_id"], row["kind"])
        low, high = bounds.get(key, (0, 0))
        bounds[key] = (low + row["low"], high + row["high"])
    lines = []
    for row in found:
        for kind, name in (("prompt_computed", "prompt_tokens"), ("generated", "generated_tokens")):
            low, high = bounds.get((row["job_id"], kind), (0, 0))
            counted = row["told"][name]
            if not low <= counted <= high:
                lines.append(
                    f"{row['job_id']}: {kind} in [{low}, {high}], but the loop counted {counted}"
                )
    return lines


def markdown(found: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"| {' | '.join(_HEAD)} |", f"| {' | '.join(['---'] * len(_HEAD))} |"]
    return lines + [f"| {' | '.join(_cells(row))} |" for row in found]


def _cells(row: dict[str, Any]) -> list[str]:
    seconds = (row["end_us"] - row["start_us"]) / 1e6
    joules, tokens = row["e_gpu_j"], row["n_generated"]
    bounds = "–"
    if row["te_gpu_low"] is not None and row["te_gpu_high"] is not None:
        bounds = f"[{row['te_gpu_low']:.4g}, {row['te_gpu_high']:.4g}]"
    return [
        str(row["told"]["batch"] or "idle"),
        f"{seconds:.0f}",
        f"{tokens:,}" if tokens else "–",
        f"{row['told']['generated_tokens']:,}",
        f"{tokens / seconds:,.0f}" if tokens else "–",
        "–" if joules is None else f"{joules / seconds:.0f}",
        "–" if joules is None else f"{joules:,.1f}",
        "–" if row["te_gpu_out"] is None else f"{row['te_gpu_out']:.4g}",
        bounds,
        "–" if row["e_gpu_idle_j"] is None else f"{row['e_gpu_idle_j']:,.1f}",
        "–" if row["counter_rel_err"] is None else f"{100 * row['counter_rel_err']:+.2f} %",
    ]
